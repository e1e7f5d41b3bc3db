// Endings (RFC 4254 section 5.3): EOF for a direction, CLOSE for the channel, and what we say
// before them: trailers, the status, a reset. A number is free only when both sides have sent CLOSE
// and the driver has taken the Closed event.
#include "multiplexer_impl.hpp"

namespace streamkit::channel {
namespace {

Bytes code_payload(std::uint32_t code) {
  Bytes out;
  wire::Writer(out).u32(code);
  return out;
}

}  // namespace

// ---- our end

Result<Bytes> Multiplexer::Impl::encode_trailers(const Channel& c, const Headers& trailers) const {
  if (c.trailers_queued) return Error(Errc::usage, "trailers can be written once");
  if (c.end_queued) return Error(Errc::usage, "trailers go before end_write()");
  if (trailers.wire_size() > limits.max_header_bytes) return Errc::header_too_large;
  return dialect.encode_trailers(trailers);
}

Result<void> Multiplexer::Impl::write_trailers(ChannelId id, const Headers& trailers) {
  Result<Channel*> found = find_alive(id);
  if (!found) return found.error();
  Channel& c = **found;
  if (c.kind != ChannelKind::own) {
    return Error(Errc::usage, "only channel@streamkit carries trailers");
  }
  return queue_trailers(c, trailers);
}

Result<void> Multiplexer::Impl::queue_trailers(Channel& c, const Headers& trailers) {
  const Result<Bytes> payload = encode_trailers(c, trailers);
  if (!payload) return payload.error();
  c.trailers_queued = true;
  const bool asks = dialect.trailers_want_reply;
  if (asks) ++c.awaited;
  return send_in_order(c, asks ? SendQueue::Kind::question : SendQueue::Kind::control,
                       write_request(c.remote, dialect.trailers_request, asks, *payload));
}

Result<void> Multiplexer::Impl::end_write(ChannelId id) {
  Result<Channel*> found = find_alive(id);
  if (!found) return found.error();
  return queue_end(**found);
}

Result<void> Multiplexer::Impl::queue_end(Channel& c) {
  if (c.end_queued) return {};
  c.end_queued = true;
  return send_in_order(c, SendQueue::Kind::eof, {});
}

Result<void> Multiplexer::Impl::queue_status(Channel& c, const Status& status) {
  if (c.kind == ChannelKind::other) return {};
  // On a session it is the side where the program ran that knows how it ended.
  if (c.kind == ChannelKind::session && c.opened_here) return {};
  if (c.kind == ChannelKind::own) {
    if (!dialect.has_endings) return {};
    const Bytes message = write_request(c.remote, kCloseRequest, false, encode_status(status));
    if (Result<void> sent = send_in_order(c, SendQueue::Kind::control, message); !sent) return sent;
  }
  const Bytes code = code_payload(static_cast<std::uint32_t>(status.code));
  return send_in_order(c, SendQueue::Kind::control,
                       write_request(c.remote, kExitStatus, false, code));
}

Result<void> Multiplexer::Impl::close(ChannelId id, const Status& status, const Headers& trailers) {
  Result<Channel*> found = find_alive(id);
  if (!found) return found.error();
  Channel& c = **found;
  if (!trailers.empty() && c.kind == ChannelKind::own) {
    if (Result<void> sent = queue_trailers(c, trailers); !sent) return sent;
  }
  if (Result<void> sent = queue_status(c, status); !sent) return sent;
  if (Result<void> sent = queue_end(c); !sent) return sent;
  c.close_queued = true;
  if (Result<void> sent = send_in_order(c, SendQueue::Kind::close, {}); !sent) return sent;
  return c.has_sent_close() ? Result<void>() : stop_receiving(c);
}

Result<void> Multiplexer::Impl::reset(ChannelId id, Code code, std::string_view message) {
  Channel* const c = find(id);
  if (c == nullptr || c->reported) return Errc::closed;
  if (c->has_sent_close()) return {};
  if (c->standing == Standing::incoming) {
    return Error(Errc::usage, "a channel that was just announced is refused, not reset");
  }
  if (c->standing == Standing::opening) {
    abandon_open(*c, "withdrawn by this side", false);
    return {};
  }
  c->its_ending().error = Error(Errc::reset, "reset by this side");
  if (c->opening_waits()) {  // they do not know yet that it was taken
    const std::uint32_t theirs = c->remote;
    finish(*c);
    return decline(theirs, OpenFailure::connect_failed, message.substr(0, kMaxDescription));
  }
  drop_unsent(*c);
  if (has_endings(*c)) {
    Bytes payload;
    wire::Writer(payload)
        .u32(static_cast<std::uint32_t>(code))
        .string(message.substr(0, kMaxDescription));
    const Bytes request = write_request(c->remote, kResetRequest, false, payload);
    if (Result<void> sent = port.send(request, {}); !sent) return sent;
  }
  return send_close(*c);
}

Result<void> Multiplexer::Impl::stop_sending(ChannelId id, std::uint32_t code) {
  Result<Channel*> found = find_alive(id);
  if (!found) return found.error();
  Channel& c = **found;
  if (!has_endings(c)) {
    return Error(Errc::usage, "only channel@streamkit can be asked to stop sending");
  }
  if (c.has_ended()) return {};
  const Bytes request = write_request(c.remote, kStopRequest, false, code_payload(code));
  if (c.opening_waits()) return send_in_order(c, SendQueue::Kind::control, request);
  // About their direction, so it does not wait behind ours.
  return port.send(request, {});
}

Result<void> Multiplexer::Impl::send_close(Channel& c) {
  drop_unsent(c);
  c.standing = c.has_ended() ? Standing::closing_ended : Standing::closing;
  retire_window(c);
  forget_answers(c);
  arm(c, limits.close_timeout);
  return port.send(write_bare(Number::close, c.remote), {});
}

// ---- their end

Result<void> Multiplexer::Impl::handle_eof(Channel& c, wire::Reader in) {
  if (!in.end()) return violation("CHANNEL_EOF has bytes left over");
  if (c.standing == Standing::closing) {
    c.standing = Standing::closing_ended;
    return {};
  }
  c.standing = Standing::ended;
  if (c.close_queued) return {};
  tell_readable(c, Lane::data);
  tell_readable(c, Lane::error);
  return {};
}

Result<void> Multiplexer::Impl::handle_close(Channel& c, wire::Reader in) {
  if (!in.end()) return violation("CHANNEL_CLOSE has bytes left over");
  const bool needs_end = c.kind != ChannelKind::own || dialect.has_endings;
  const bool abrupt =
      needs_end && c.standing == Standing::open && !(c.ending && c.ending->has_status);
  if (abrupt) {
    c.its_ending().error =
        Error(Errc::reset, "the other side closed the channel before it ended its data");
  }
  if (!c.has_sent_close()) {
    if (Result<void> sent = port.send(write_bare(Number::close, c.remote), {}); !sent) return sent;
  }
  finish(c);
  return {};
}

/// Nothing more can come or go.
void Multiplexer::Impl::finish(Channel& c) {
  disarm(c);
  drop_unsent(c);
  retire_window(c);
  forget_answers(c);
  c.standing = Standing::finished;
  if (!c.reported) {
    report_closed(c);
  } else if (c.polled && c.unread() == 0) {
    free(c);
  }
}

void Multiplexer::Impl::report_closed(Channel& c) {
  for (; c.awaited > 0; --c.awaited) emit(RequestReply{ChannelId{c.id}, false});
  c.reported = true;
  ++reported_slots;
  Closed closed{ChannelId{c.id}, {}, {}, false, std::nullopt};
  if (c.ending) {
    closed.status = c.ending->status;
    closed.trailers = c.ending->trailers;
    closed.has_status = c.ending->has_status;
    closed.error = c.ending->error;
  }
  emit(std::move(closed));
}

void Multiplexer::Impl::release(ChannelId id) {
  Channel* const c = find(id);
  if (c == nullptr || !c->polled) return;
  for (const Lane lane : {Lane::data, Lane::error}) {
    take_read(*c, lane, c->lane(lane).size());
  }
  if (c->standing == Standing::finished) free(*c);
}

}  // namespace streamkit::channel
