// Moving bytes: out of a visit's queues, into its parsers, from one side to the other.
//
// A read lands in the front's scratch buffer and is parsed there; a body piece is written from
// there to the other side, and only what that side did not take is copied into a queue. While a
// queue holds something its source is not read: that is the back-pressure. Nor is it read while it
// is waited for: there was nothing when the wait began.
#include "http_visit.hpp"

#include <algorithm>
#include <array>

namespace streamkit::tunnel {

// --- out ---

bool HttpVisit::flush_visitor() {
  if (state_ == State::closed) return false;
  if (to_visitor_.empty()) {
    if (state_ != State::leaving) return false;
    if (visitor_eof_ || nothing_follows_) {
      close_visit(false);
    } else {
      (void)visitor_->shutdown_write();
      state_ = State::linger;
      set_deadline(after(io::now(), shared_.options.linger_timeout));
    }
    return true;
  }
  const std::array<ByteView, 1> pieces{to_visitor_.data()};
  const Result<std::size_t> wrote = visitor_->write_some(pieces);
  if (!wrote) {
    if (wrote.error().is(Errc::would_block)) return false;
    abort("visitor-left");
    return true;
  }
  to_visitor_.consume(*wrote);
  if (std::exchange(stalled_, false)) set_deadline(kNever);
  if (to_visitor_.empty() && state_ == State::head && request_.is_idle())
    set_deadline(after(io::now(), shared_.options.idle_timeout));
  if (!to_visitor_.empty() && (state_ == State::head || state_ == State::leaving))
    set_deadline(after(io::now(), shared_.options.stall_timeout));
  return true;
}

bool HttpVisit::flush_upstream() {
  if (state_ == State::closed || !exchange_ || exchange_->to_upstream.empty()) return false;
  Exchange& x = *exchange_;
  if (!x.upstream) return false;
  const std::array<ByteView, 1> pieces{x.to_upstream.data()};
  const Result<std::size_t> wrote = x.upstream->write_some(pieces);
  if (wrote) {
    x.to_upstream.consume(*wrote);
    touch_response_timer();
    return true;
  }
  if (wrote.error().is(Errc::would_block)) return false;
  if (state_ == State::spliced) {
    abort("upstream-broke");
    return true;
  }
  // It takes no more, but may have said why: an early answer can still be read.
  x.upload_dead = true;
  x.upload_error = wrote.error();
  x.to_upstream.clear();
  return true;
}

void HttpVisit::touch_response_timer() {
  if (state_ == State::passing && exchange_->status == 0)
    set_deadline(after(io::now(), shared_.options.response_timeout));
}

// Writes what waits in `queue` and then `piece`; what is not taken waits in `queue`. Small pieces
// only join the queue: the end of the round flushes it.
bool HttpVisit::send_body(io::Stream& to, ByteQueue& queue, ByteView piece, bool chunked,
                          Error& error) {
  const ChunkPrefix prefix(piece.size());
  std::array<ByteView, 4> pieces;
  std::size_t count = 0;
  if (!queue.empty()) pieces[count++] = queue.data();
  const std::size_t first_new = count;
  if (chunked) pieces[count++] = prefix.view();
  pieces[count++] = piece;
  if (chunked) pieces[count++] = as_bytes(kChunkSuffix);

  std::size_t wrote = 0;
  if (queue.size() + piece.size() >= kSmallPiece) {
    const Result<std::size_t> result = to.write_some(std::span(pieces).first(count));
    if (result) {
      wrote = *result;
    } else if (!result.error().is(Errc::would_block)) {
      error = result.error();
      return false;
    }
  }
  const std::size_t of_queue = std::min(wrote, queue.size());
  queue.consume(of_queue);
  wrote -= of_queue;
  for (std::size_t i = first_new; i < count; ++i) {
    const std::size_t n = std::min(wrote, pieces[i].size());
    queue.append(pieces[i].subspan(n));
    wrote -= n;
  }
  return true;
}

// --- in, from the visitor ---

bool HttpVisit::wants_visitor() const noexcept {
  if (visitor_eof_) return false;
  switch (state_) {
    case State::head:
      return to_visitor_.empty();
    case State::opening:
      return exchange_->request_done && from_visitor_.size() < kLaneBytes;
    case State::passing:
      if (exchange_->request_done) return from_visitor_.size() < kLaneBytes;
      return exchange_->to_upstream.empty() && !exchange_->upload_dead;
    case State::spliced:
      return exchange_->to_upstream.empty();
    case State::leaving:
    case State::linger:
      return true;
    case State::closed:
      return false;
  }
  return false;
}

bool HttpVisit::discard_input() {
  from_visitor_.clear();
  if (visitor_eof_ || visitor_drained_ || visitor_reading_) return false;
  const Result<std::size_t> got = visitor_->read_some(shared_.scratch);
  if (got) return true;
  visitor_drained_ = true;
  if (got.error().is(Errc::would_block)) return false;
  visitor_eof_ = true;
  if (state_ == State::linger || !got.error().is(Errc::eof)) close_visit(false);
  return true;
}

bool HttpVisit::pull_visitor() {
  if (state_ == State::leaving || state_ == State::linger) return discard_input();
  const bool reading_ahead =
      state_ == State::opening || (state_ == State::passing && exchange_->request_done);
  const auto take = [this](ByteView bytes) {
    if (state_ == State::head) return take_head(bytes);
    if (state_ == State::passing) return take_request_body(bytes);
    Exchange& x = *exchange_;
    Error error = Errc::closed;
    x.bytes_in += bytes.size();
    if (!send_body(*x.upstream, x.to_upstream, bytes, false, error)) abort("upstream-broke");
    return bytes.size();
  };
  if (!from_visitor_.empty() && !reading_ahead) {
    const bool ready =
        state_ == State::head
            ? to_visitor_.empty()
            : state_ != State::closed && exchange_->to_upstream.empty() && !exchange_->upload_dead;
    if (!ready) return false;
    from_visitor_.consume(take(from_visitor_.data()));
    return true;
  }
  if (!wants_visitor() || visitor_drained_ || visitor_reading_) return false;
  const std::size_t room = kLaneBytes - (reading_ahead ? from_visitor_.size() : 0);
  const MutableByteView into = MutableByteView(shared_.scratch).first(room);
  const Result<std::size_t> got = visitor_->read_some(into);
  if (!got) {
    visitor_drained_ = true;
    if (got.error().is(Errc::would_block)) return false;
    on_visitor_end(got.error());
    return true;
  }
  visitor_drained_ = *got < into.size();
  const ByteView bytes = into.first(*got);
  const std::size_t used = reading_ahead ? 0 : take(bytes);
  if (state_ != State::closed) from_visitor_.append(bytes.subspan(used));
  return true;
}

void HttpVisit::on_visitor_end(const Error& error) {
  visitor_eof_ = true;
  if (state_ == State::head) {
    close_visit(false);
  } else if (!error.is(Errc::eof) || (state_ != State::spliced && !exchange_->request_done)) {
    abort("visitor-left");  // a request that ends in its middle is none
  }
  // Else only that direction is over: the visitor still gets its answer.
}

std::size_t HttpVisit::take_head(ByteView bytes) {
  const bool fresh = request_.is_idle();
  const HttpStep step = request_.next(bytes);
  if (fresh && served_ && !request_.is_idle())
    set_deadline(after(io::now(), shared_.options.header_timeout));
  if (step.event == HttpEvent::head) begin_exchange();
  if (step.event == HttpEvent::refused) refuse_request();
  return step.consumed;
}

std::size_t HttpVisit::take_request_body(ByteView bytes) {
  Exchange& x = *exchange_;
  const bool chunked = request_.head().body == HttpBody::chunked;
  std::size_t used = 0;
  for (;;) {
    const HttpStep step = request_.next(bytes.subspan(used));
    used += step.consumed;
    if (step.event == HttpEvent::refused) {
      refuse_request();
      return used;
    }
    if (step.event == HttpEvent::body) {
      x.bytes_in += step.body.size();
      if (x.bytes_in > shared_.options.max_request_body) {
        answer(page_for_refusal(
            {413, "body-too-large", "The request's body is larger than allowed here."}));
        return used;
      }
      if (!send_body(*x.upstream, x.to_upstream, step.body, chunked, x.upload_error)) {
        x.upload_dead = true;
        x.to_upstream.clear();
        return used;
      }
      touch_response_timer();
    }
    if (step.event == HttpEvent::end || request_.is_done()) {
      if (chunked) write_last_chunk(request_.trailers(), x.to_upstream);
      x.request_done = true;
      return used;
    }
    if (step.event == HttpEvent::need_more || x.to_upstream.size() >= kSmallPiece) return used;
  }
}

// --- in, from the upstream ---

bool HttpVisit::wants_upstream() const noexcept {
  return (state_ == State::passing || state_ == State::spliced) && !exchange_->upstream_eof &&
         to_visitor_.empty();
}

bool HttpVisit::pull_upstream() {
  if ((state_ != State::passing && state_ != State::spliced) || !to_visitor_.empty()) return false;
  const auto take = [this](ByteView bytes) {
    if (state_ == State::passing) return take_response(bytes);
    Error error = Errc::closed;
    exchange_->bytes_out += bytes.size();
    if (!send_body(*visitor_, to_visitor_, bytes, false, error)) abort("visitor-left");
    return bytes.size();
  };
  Exchange& x = *exchange_;
  if (!x.from_upstream.empty()) {
    const std::size_t used = take(x.from_upstream.data());
    if (exchange_) x.from_upstream.consume(used);
    return true;
  }
  if (x.upstream_eof || x.upstream_drained || x.upstream_reading) return false;
  const Result<std::size_t> got = x.upstream->read_some(shared_.scratch);
  if (!got) {
    x.upstream_drained = true;
    if (got.error().is(Errc::would_block)) return false;
    on_upstream_end(got.error());
    return true;
  }
  x.upstream_drained = *got < shared_.scratch.size();
  const ByteView bytes = ByteView(shared_.scratch).first(*got);
  const std::size_t used = take(bytes);
  if (exchange_) x.from_upstream.append(bytes.subspan(used));
  return true;
}

std::size_t HttpVisit::take_response(ByteView bytes) {
  Exchange& x = *exchange_;
  x.answered = true;
  std::size_t used = 0;
  for (;;) {
    const HttpStep step = x.response.next(bytes.subspan(used));
    used += step.consumed;
    if (step.event == HttpEvent::refused) {
      answer(page_for_bad_response(x.target.description, x.response.refusal().sentence));
      return used;
    }
    if (step.event == HttpEvent::head) {
      if (!take_response_head()) return used;
      continue;
    }
    if (step.event == HttpEvent::body) {
      x.bytes_out += step.body.size();
      Error error = Errc::closed;
      if (!send_body(*visitor_, to_visitor_, step.body, x.framing.body == HttpBody::chunked,
                     error)) {
        abort("visitor-left");
        return used;
      }
    }
    if (step.event == HttpEvent::end || x.response.is_done()) {
      take_response_end(used == bytes.size());
      return used;
    }
    if (step.event == HttpEvent::need_more || to_visitor_.size() >= kSmallPiece) return used;
  }
}

// Whether the response goes on as HTTP.
bool HttpVisit::take_response_head() {
  Exchange& x = *exchange_;
  const HttpHead& request = request_.head();
  const HttpHead& response = x.response.head();
  if (response.status == 101 && !request.upgrade) {
    answer(page_for_bad_response(x.target.description,
                                 "It switched protocols, which nobody asked it to."));
    return false;
  }
  if (response.status < 200 && response.status != 101) {
    if (request.minor == 1) write_interim_head(response, to_visitor_);
    x.response.start();
    if (x.answers_head) x.response.answers_head();
    touch_response_timer();
    return true;
  }
  ResponseRewrite how;
  how.visitor_minor = request.minor;
  how.answers_head = x.answers_head;
  how.keep_alive = request.keep_alive && x.request_done && !visitor_eof_ && !shared_.draining;
  x.framing = write_response_head(response, how, to_visitor_);
  x.status = response.status;
  set_deadline(kNever);
  if (response.status != 101) return true;
  state_ = State::spliced;
  return false;
}

void HttpVisit::take_response_end(bool nothing_follows) {
  Exchange& x = *exchange_;
  if (x.framing.body == HttpBody::chunked) write_last_chunk(x.response.trailers(), to_visitor_);
  const bool reusable = x.response.head().keep_alive && x.request_done && !x.upload_dead &&
                        !x.upstream_eof && x.to_upstream.empty() && nothing_follows;
  if (reusable && !shared_.draining)
    shared_.pool.put(std::move(x.target.pool_key), std::move(x.upstream));
  finish_exchange({});
}

void HttpVisit::on_upstream_end(const Error& error) {
  Exchange& x = *exchange_;
  x.upstream_eof = true;
  const bool in_order = error.is(Errc::eof);
  if (state_ == State::spliced) {
    if (!in_order) abort("upstream-broke");
    return;
  }
  if (!x.answered && retry_fresh()) return;
  if (in_order && x.answered && x.response.finish() == HttpEvent::end)
    return take_response_end(true);
  if (x.status != 0) return abort("upstream-broke");
  if (!in_order) return fail_upstream(error);
  if (x.upload_dead && !x.upload_error.is(Errc::eof)) return fail_upstream(x.upload_error);
  fail_upstream(Error(Errc::reset, x.answered
                                       ? "It closed the connection in the middle of its answer."
                                       : "It closed the connection without an answer."));
}

// After 101: each side's end is passed on when everything before it is.
bool HttpVisit::splice_ends() {
  if (state_ != State::spliced) return false;
  Exchange& x = *exchange_;
  bool moved = false;
  if (visitor_eof_ && from_visitor_.empty() && x.to_upstream.empty() && !x.upstream_shut) {
    (void)x.upstream->shutdown_write();
    x.upstream_shut = moved = true;
  }
  if (x.upstream_eof && x.from_upstream.empty() && to_visitor_.empty() && !x.visitor_shut) {
    (void)visitor_->shutdown_write();
    x.visitor_shut = moved = true;
  }
  if (x.upstream_shut && x.visitor_shut) {
    write_log({});
    exchange_.reset();
    close_visit(false);
  }
  return moved;
}

}  // namespace streamkit::tunnel
