// Requests, of the link (RFC 4254 section 4) and of a channel (5.4), with their answers in order;
// and the channel requests that end a channel, which are understood here and never reach the
// driver.
#include "request.hpp"

#include "multiplexer_impl.hpp"

#include <string>

namespace streamkit::channel {

// ---- answers in order

bool AnswerQueue::ask(std::size_t limit) {
  if (asked_ >= limit) {
    settle(false, limit);
    return false;
  }
  ++asked_;
  push(Answer::asked);
  return true;
}

void AnswerQueue::settle(bool ok, std::size_t limit) {
  // Answers of one kind cost one run, however many. A peer that alternates gets refusals in the
  // end.
  if (runs_.size() > 2 * limit) ok = false;
  push(ok ? Answer::yes : Answer::no);
}

void AnswerQueue::push(Answer answer) {
  ++total_;
  if (!runs_.empty() && runs_.back().answer == answer) {
    ++runs_.back().count;
  } else {
    runs_.push_back({answer, 1});
  }
}

void AnswerQueue::pop() {
  --total_;
  if (--runs_.front().count == 0) runs_.erase(runs_.begin());
  if (total_ == 0) clear();
}

bool AnswerQueue::take_asked() {
  // Whatever was settled before the oldest question has been sent: a question is in front.
  if (total_ == 0 || runs_.front().answer != Answer::asked) return false;
  --asked_;
  pop();
  return true;
}

std::optional<bool> AnswerQueue::take_settled() {
  if (total_ == 0 || runs_.front().answer == Answer::asked) return std::nullopt;
  const bool ok = runs_.front().answer == Answer::yes;
  pop();
  return ok;
}

void AnswerQueue::clear() noexcept {
  std::vector<Run>().swap(runs_);
  asked_ = total_ = 0;
}

// ---- of a channel

Result<void> Multiplexer::Impl::request(ChannelId id, std::string_view type, bool want_reply,
                                        ByteView payload) {
  Result<Channel*> found = find_alive(id);
  if (!found) return found.error();
  Channel& c = **found;
  if (type.empty() || type.size() > kMaxTypeName) {
    return Error(Errc::usage, "a request's type has 1 to 255 bytes");
  }
  if (want_reply && c.awaited >= limits.max_pending_requests) {
    return Error(Errc::limit, "max_pending_requests requests wait for their replies");
  }
  if (c.out.buffered_control() >= limits.send_buffer) {
    return Error(Errc::limit, "too many requests wait behind data that cannot be sent");
  }
  const Bytes message = write_request(c.remote, type, want_reply, payload);
  if (want_reply) ++c.awaited;
  return send_in_order(c, want_reply ? SendQueue::Kind::question : SendQueue::Kind::control,
                       message);
}

Result<void> Multiplexer::Impl::handle_reply(Channel& c, bool ok, wire::Reader in) {
  if (!in.end()) return violation("a channel reply has bytes left over");
  if (c.asked == 0) {
    ++dropped;
    return {};
  }
  --c.asked;
  --c.awaited;
  emit(RequestReply{ChannelId{c.id}, ok});
  return {};
}

Result<void> Multiplexer::Impl::handle_request(Channel& c, wire::Reader in) {
  const std::optional<RequestMessage> m = read_request(in);
  if (!m) return violation("CHANNEL_REQUEST is cut off");
  const Understood understood = understand(c, *m);
  if (understood == Understood::not_ours) {
    const bool heard = !c.close_queued && !c.has_sent_close() && m->type.size() <= kMaxTypeName;
    if (!heard) return m->want_reply ? answer(c, false) : Result<void>();
    if (m->want_reply) {
      ++owed_answers;
      if (!c.answers.ask(limits.max_pending_requests)) return send_settled(c);
    }
    emit(Request{ChannelId{c.id}, std::string(m->type), m->want_reply, to_bytes(m->payload)});
    return {};
  }
  if (m->want_reply) {
    if (Result<void> sent = answer(c, understood == Understood::yes); !sent) return sent;
  }
  const bool was_reset = understood == Understood::yes && m->type == kResetRequest;
  return was_reset && !c.has_sent_close() ? send_close(c) : Result<void>();
}

Result<void> Multiplexer::Impl::answer(Channel& c, bool ok) {
  if (c.has_sent_close()) return {};
  ++owed_answers;
  c.answers.settle(ok, limits.max_pending_requests);
  return send_settled(c);
}

Result<void> Multiplexer::Impl::reply(ChannelId id, bool ok) {
  Channel* const c = find(id);
  if (c == nullptr || c->reported || c->has_sent_close()) return Errc::closed;
  if (!c->answers.take_asked()) return Error(Errc::usage, "no request waits for a reply");
  --owed_answers;
  const Number number = ok ? Number::channel_success : Number::channel_failure;
  if (Result<void> sent = port.send(write_bare(number, c->remote), {}); !sent) return sent;
  return send_settled(*c);
}

Result<void> Multiplexer::Impl::send_settled(Channel& c) {
  while (const std::optional<bool> ok = c.answers.take_settled()) {
    --owed_answers;
    const Number number = *ok ? Number::channel_success : Number::channel_failure;
    if (Result<void> sent = port.send(write_bare(number, c.remote), {}); !sent) return sent;
  }
  return {};
}

void Multiplexer::Impl::forget_answers(Channel& c) noexcept {
  owed_answers -= c.answers.total();
  c.answers.clear();
}

// ---- of the link

Result<std::uint64_t> Multiplexer::Impl::global_request(std::string_view type, bool want_reply,
                                                        ByteView payload) {
  if (failed) return *failed;
  if (type.empty() || type.size() > kMaxTypeName) {
    return Error(Errc::usage, "a request's type has 1 to 255 bytes");
  }
  if (want_reply && global_tokens.size() >= limits.max_pending_requests) {
    return Error(Errc::limit, "max_pending_requests requests wait for their replies");
  }
  const Bytes message = write_global_request(type, want_reply, payload);
  if (Result<void> sent = port.send(message, {}); !sent) return sent.error();
  const std::uint64_t token = next_token++;
  if (want_reply) global_tokens.push(token);
  return token;
}

Result<void> Multiplexer::Impl::handle_global_reply(bool ok, wire::Reader in) {
  if (global_tokens.empty()) {
    ++dropped;
    return {};
  }
  emit(GlobalReply{global_tokens.front(), ok, to_bytes(in.rest())});
  global_tokens.pop();
  return {};
}

Result<void> Multiplexer::Impl::handle_global_request(wire::Reader in) {
  const std::optional<GlobalRequestMessage> m = read_global_request(in);
  if (!m) return violation("GLOBAL_REQUEST is cut off");
  const bool too_long = m->type.size() > kMaxTypeName;
  if (too_long && !m->want_reply) return {};
  if (too_long) {
    global_answers.settle(false, limits.max_pending_requests);
    return send_settled_globally();
  }
  if (m->want_reply && !global_answers.ask(limits.max_pending_requests)) {
    return send_settled_globally();
  }
  emit(GlobalRequest{std::string(m->type), m->want_reply, to_bytes(m->payload)});
  return {};
}

Result<void> Multiplexer::Impl::reply_global(bool ok, ByteView payload) {
  if (failed) return *failed;
  if (!global_answers.take_asked()) return Error(Errc::usage, "no request waits for a reply");
  if (Result<void> sent = port.send(write_global_reply(ok, payload), {}); !sent) return sent;
  return send_settled_globally();
}

Result<void> Multiplexer::Impl::send_settled_globally() {
  while (const std::optional<bool> ok = global_answers.take_settled()) {
    if (Result<void> sent = port.send(write_global_reply(*ok, {}), {}); !sent) return sent;
  }
  return {};
}

// ---- the requests that are ours

Multiplexer::Impl::Understood Multiplexer::Impl::understand(Channel& c, const RequestMessage& m) {
  if (c.kind == ChannelKind::other) return Understood::not_ours;
  const bool is_own = c.kind == ChannelKind::own;
  if (is_own && m.type == dialect.trailers_request) return understand_trailers(c, m.payload);
  if (is_own && !dialect.has_endings) return Understood::not_ours;
  if (m.type == kExitStatus || m.type == kExitSignal) return understand_exit(c, m);
  if (!is_own) return Understood::not_ours;
  if (m.type == kCloseRequest) return understand_close(c, m.payload);
  if (m.type == kResetRequest) return understand_reset(c, m.payload);
  if (m.type == kStopRequest) return understand_stop(c, m.payload);
  return Understood::not_ours;
}

Multiplexer::Impl::Understood Multiplexer::Impl::understand_trailers(Channel& c, ByteView payload) {
  Result<Headers> trailers = dialect.decode_trailers(payload);
  const bool again = c.ending && c.ending->has_trailers;
  const bool late = c.has_ended() && !dialect.trailers_may_follow_eof;
  if (!trailers || again || late) return Understood::no;
  if (trailers->wire_size() > limits.max_header_bytes) return Understood::no;
  c.its_ending().trailers = std::move(*trailers);
  c.its_ending().has_trailers = true;
  return Understood::yes;
}

Multiplexer::Impl::Understood Multiplexer::Impl::understand_close(Channel& c, ByteView payload) {
  Result<Status> status = decode_status(payload);
  if (!status || (c.ending && c.ending->has_status)) return Understood::no;
  c.its_ending().status = std::move(*status);
  c.its_ending().has_status = true;
  return Understood::yes;
}

Multiplexer::Impl::Understood Multiplexer::Impl::understand_reset(Channel& c, ByteView payload) {
  const std::optional<ResetMessage> m = read_reset(payload);
  if (!m) return Understood::no;
  // The status's form is the same but for its reason.
  Bytes form;
  wire::Writer(form).u32(m->code).string(std::string_view("reset")).string(m->message);
  Result<Status> status = decode_status(form);
  if (!status) return Understood::no;
  Ending& ending = c.its_ending();
  if (!ending.error) ending.error = Error(Errc::reset, std::move(*status));
  return Understood::yes;
}

Multiplexer::Impl::Understood Multiplexer::Impl::understand_stop(Channel& c, ByteView payload) {
  const std::optional<std::uint32_t> code = read_stop(payload);
  if (!code) return Understood::no;
  if (c.is_alive() && !c.end_queued) emit(StopSending{ChannelId{c.id}, *code});
  return Understood::yes;
}

/// How a program on the other side ended (RFC 4254 section 6.10). A status in our own words, if
/// there is one, says it better.
Multiplexer::Impl::Understood Multiplexer::Impl::understand_exit(Channel& c,
                                                                 const RequestMessage& m) {
  Status status;
  if (m.type == kExitStatus) {
    const std::optional<std::uint32_t> code = read_exit_status(m.payload);
    if (!code) return Understood::no;
    status = Status(*code == 0 ? Code::ok : Code::unknown, std::string(kExitStatus),
                    std::to_string(*code));
  } else {
    const std::optional<ExitSignalMessage> signal = read_exit_signal(m.payload);
    if (!signal) return Understood::no;
    status = Status(Code::aborted, std::string(kExitSignal),
                    std::string(signal->signal.substr(0, kMaxTypeName)));
  }
  Ending& ending = c.its_ending();
  if (!ending.has_status) ending.status = std::move(status);
  ending.has_status = true;
  return Understood::yes;
}

}  // namespace streamkit::channel
