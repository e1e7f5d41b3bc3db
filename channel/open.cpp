// Opening channels (RFC 4254 section 5.1), from both sides, and what `channel@streamkit` adds: its
// extra data, channels on channels, data that rides along. Who may open what is the driver's
// decision.
#include "multiplexer_impl.hpp"

#include <streamkit/base/text.hpp>

namespace streamkit::channel {

ChannelKind Multiplexer::Impl::kind_of_channel(std::string_view type) const noexcept {
  if (type == dialect.channel_type) return ChannelKind::own;
  return type == kSessionType ? ChannelKind::session : ChannelKind::other;
}

// ---- our opens

Result<ChannelId> Multiplexer::Impl::open(std::string_view type, ByteView extra,
                                          std::uint32_t priority) {
  if (failed) return *failed;
  if (type.empty() || type.size() > kMaxTypeName) {
    return Error(Errc::usage, "a channel type has 1 to 255 bytes");
  }
  if (used_slots >= limits.max_channels) {
    return Error(Errc::limit, "the link has max_channels channels; close one first");
  }
  Channel& c = add(kind_of_channel(type), Standing::opening);
  c.opened_here = true;
  c.priority = priority;
  c.window.open(budget.admit(limits.initial_window), now_, budget);
  const Bytes message = write_open(type, c.id, c.window.left(), limits.max_packet, extra);
  if (Result<void> sent = send_in_order(c, SendQueue::Kind::opening, message); !sent) {
    c.window.retire(budget);
    free(c);
    return sent.error();
  }
  arm(c, limits.open_timeout);
  return ChannelId{c.id};
}

Result<ChannelId> Multiplexer::Impl::open_service(OpenInfo info, std::optional<ChannelId> parent) {
  info.parent = kNoParent;
  if (parent) {
    Result<Channel*> found = find_alive(*parent);
    if (!found) return found.error();
    info.parent = (*found)->remote;
  }
  const Result<Bytes> extra = dialect.encode_open(info);
  if (!extra) return extra.error();
  const Result<ChannelId> id = open(dialect.channel_type, *extra, info.priority);
  if (id && !dialect.open_carries_first && !info.first.empty()) {
    find(*id)->out.push(SendQueue::Kind::data, info.first);  // waits for the confirmation
  }
  return id;
}

void Multiplexer::Impl::open_sending(Channel& c, std::uint32_t window,
                                     std::uint32_t max_packet) noexcept {
  c.send_window = window;
  c.send_packet = max_packet > kLargestSend ? kCustomarySend : std::max(max_packet, 1u);
}

void Multiplexer::Impl::report_open_failed(Channel& c, OpenFailure reason,
                                           std::string_view description, bool timed_out) {
  disarm(c);
  drop_unsent(c);
  c.window.retire(budget);
  c.reported = true;
  ++reported_slots;
  emit(OpenFailed{ChannelId{c.id}, reason, std::string(description.substr(0, kMaxDescription)),
                  timed_out});
}

/// Of no more interest to the application. They cannot be told before they answer, and an open that
/// has not left yet never does.
void Multiplexer::Impl::abandon_open(Channel& c, std::string_view description, bool timed_out) {
  c.standing = c.opening_waits() ? Standing::finished : Standing::abandoned;
  report_open_failed(c, OpenFailure::connect_failed, description, timed_out);
}

/// They confirmed, but in a way that we cannot work with: the channel ends before it began.
Result<void> Multiplexer::Impl::fail_open(Channel& c, std::string_view description) {
  if (!c.reported) report_open_failed(c, OpenFailure::connect_failed, description);
  c.standing = Standing::closing;
  return port.send(write_bare(Number::close, c.remote), {});
}

Result<void> Multiplexer::Impl::handle_confirmation(Channel& c, wire::Reader in) {
  const std::optional<ConfirmationMessage> m = read_confirmation(in);
  if (!m) return violation("CHANNEL_OPEN_CONFIRMATION is cut off");
  c.remote = m->sender;
  if (c.standing == Standing::abandoned) return fail_open(c, {});
  if (m->max_packet < limits.min_remote_packet) {
    return fail_open(c, "the other side takes only tiny data messages");
  }
  Opened opened{ChannelId{c.id}, {}, {}};
  if (c.kind != ChannelKind::own || !dialect.confirmation_carries_headers) {
    opened.extra = to_bytes(m->extra);
  } else if (!m->extra.empty()) {  // software that confirms any type sends none
    wire::Reader extra(m->extra);
    Result<Headers> headers = Headers::read(extra, limits.max_header_bytes);
    if (!headers || !extra.end()) return fail_open(c, "the confirmation's headers do not decode");
    opened.headers = std::move(*headers);
  }
  disarm(c);
  open_sending(c, m->window, m->max_packet);
  c.standing = Standing::open;
  wait_for_turn(c);
  emit(std::move(opened));
  return {};
}

Result<void> Multiplexer::Impl::handle_failure(Channel& c, wire::Reader in) {
  const std::optional<FailureMessage> m = read_failure(in);
  if (!m) return violation("CHANNEL_OPEN_FAILURE is cut off or has bytes left over");
  c.standing = Standing::finished;
  if (!c.reported) {
    report_open_failed(c, static_cast<OpenFailure>(m->reason), m->description);
  } else if (c.polled) {
    free(c);
  }
  return {};
}

// ---- their opens

Result<void> Multiplexer::Impl::decline(std::uint32_t sender, OpenFailure reason,
                                        std::string_view description) {
  return port.send(write_failure(sender, static_cast<std::uint32_t>(reason), description), {});
}

Result<void> Multiplexer::Impl::handle_open(wire::Reader in) {
  const std::optional<OpenMessage> m = read_open(in);
  if (!m) return violation("CHANNEL_OPEN is cut off");
  if (m->type.size() > kMaxTypeName) {
    return decline(m->sender, OpenFailure::unknown_type, "the channel type's name is too long");
  }
  if (m->max_packet < limits.min_remote_packet) {
    return decline(m->sender, OpenFailure::connect_failed,
                   "the maximum packet size is too small to work with");
  }
  if (used_slots >= limits.max_channels) {
    return decline(m->sender, OpenFailure::resource_shortage, "too many channels on this link");
  }
  if (unaccepted >= limits.max_unaccepted) {
    return decline(m->sender, OpenFailure::resource_shortage,
                   "too many channels wait for an answer");
  }
  Opening opening{};
  if (kind_of_channel(m->type) != ChannelKind::own) {
    opening.extra = to_bytes(m->extra);
    return admit(*m, std::move(opening), 100, {});
  }
  Result<OpenInfo> info = dialect.decode_open(m->extra);
  if (!info) {
    return decline(m->sender, OpenFailure::prohibited, info.error().message());
  }
  if (info->headers.wire_size() > limits.max_header_bytes) {
    return decline(m->sender, OpenFailure::prohibited, "the headers are too large");
  }
  if (info->parent != kNoParent) {
    const Channel* const parent = find(info->parent);
    if (parent == nullptr || !parent->is_alive() || parent->close_queued) {
      return decline(m->sender, OpenFailure::connect_failed,
                     "the channel that this one is attached to is not open");
    }
    opening.parent = ChannelId{info->parent};
  }
  Bytes first = std::exchange(info->first, {});
  const std::uint32_t priority = info->priority;
  opening.info = std::move(*info);
  return admit(*m, std::move(opening), priority, std::move(first));
}

Result<void> Multiplexer::Impl::admit(const OpenMessage& m, Opening opening, std::uint32_t priority,
                                      Bytes first) {
  Channel& c = add(kind_of_channel(m.type), Standing::incoming);
  ++unaccepted;
  c.remote = m.sender;
  c.priority = priority;
  open_sending(c, m.window, m.max_packet);
  c.lane(Lane::data).append(first);
  c.early = static_cast<std::uint32_t>(first.size());
  opening.id = ChannelId{c.id};
  opening.type = std::string(m.type);
  emit(std::move(opening));
  return {};
}

Result<void> Multiplexer::Impl::confirm(ChannelId id, const Headers* headers, ByteView extra) {
  Channel* const c = find(id);
  if (c == nullptr || c->reported) return Errc::closed;
  if (c->standing != Standing::incoming) {
    return Error(Errc::usage, "only a channel that was just announced can be confirmed");
  }
  Bytes encoded;
  if (headers != nullptr && c->kind == ChannelKind::own && dialect.confirmation_carries_headers) {
    if (headers->wire_size() > limits.max_header_bytes) return Errc::header_too_large;
    wire::Writer to(encoded);
    headers->write(to);
    extra = encoded;
  } else if (headers != nullptr && !headers->empty()) {
    return Error(Errc::usage,
                 "only channel@streamkit is confirmed with headers; use confirm_raw()");
  }
  --unaccepted;
  c->standing = Standing::open;
  c->window.open(budget.admit(limits.initial_window), now_, budget);
  const Bytes message =
      write_confirmation(c->remote, c->id, c->window.left(), limits.max_packet, extra);
  if (Result<void> sent = send_in_order(*c, SendQueue::Kind::opening, message); !sent) return sent;
  if (c->early > 0) tell_readable(*c, Lane::data);
  return {};
}

Result<void> Multiplexer::Impl::refuse(ChannelId id, OpenFailure reason,
                                       std::string_view description) {
  Channel* const c = find(id);
  if (c == nullptr || c->reported) return Errc::closed;
  if (c->standing != Standing::incoming) {
    return Error(Errc::usage, "only a channel that was just announced can be refused");
  }
  const std::uint32_t sender = c->remote;
  --unaccepted;
  free(*c);
  return decline(sender, reason, description);
}

}  // namespace streamkit::channel
