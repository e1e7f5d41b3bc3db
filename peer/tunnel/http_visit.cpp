// The life of a visit: requests begin, find their upstream, end; deadlines; the log.
#include "http_visit.hpp"

#include <array>

namespace streamkit::tunnel {
namespace {

// What an idle visit may keep of the room its last request needed.
constexpr std::size_t kIdleKeep = 2 * 1024;

void release(ByteQueue& queue) {
  if (queue.empty() && queue.capacity() > kIdleKeep) queue = ByteQueue();
}

// Repeating one of these does no more than doing it once (RFC 9110 section 9.2.2).
bool is_idempotent(std::string_view method) noexcept {
  for (const std::string_view m : {"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
    if (method == m) return true;
  return false;
}

}  // namespace

HttpVisit::HttpVisit(HttpShared& shared, std::unique_ptr<io::Stream> visitor)
    : shared_(shared),
      visitor_(std::move(visitor)),
      address_(visitor_->remote_address()),
      timer_(shared.context) {
  set_deadline(after(io::now(), shared_.options.header_timeout));
}

// --- requests ---

void HttpVisit::begin_exchange() {
  exchange_ = std::make_unique<Exchange>();
  Exchange& x = *exchange_;
  const HttpHead& head = request_.head();
  x.begun = io::now();
  x.answers_head = head.method == "HEAD";
  x.request_done = !head.has_body();
  stalled_ = false;
  set_deadline(kNever);
  if (refuse_early()) return;
  const std::string_view name = split_host(head.host)->name;
  Result<Target> target = shared_.router.find(name);
  if (!target) return answer(page_for_route(name, target.error()));
  x.target = std::move(*target);
  open_upstream(true);
}

// What an acceptable message may still not ask of us.
bool HttpVisit::refuse_early() {
  const HttpHead& head = request_.head();
  if (head.method == "CONNECT") {
    exchange_->request_done = false;  // what follows would be a tunnel's bytes: not a request
    answer(page_for_connect());
  } else if (head.host.empty()) {
    answer(
        page_for_refusal({400, "missing-host", "The request does not say which host it is for."}));
  } else if (head.content_length && *head.content_length > shared_.options.max_request_body) {
    answer(page_for_refusal(
        {413, "body-too-large", "The request's body is larger than allowed here."}));
  } else {
    return false;
  }
  return true;
}

bool HttpVisit::is_repeatable() const noexcept {
  return is_idempotent(request_.head().method) && !request_.head().has_body();
}

void HttpVisit::open_upstream(bool may_reuse) {
  Exchange& x = *exchange_;
  if (may_reuse) {
    const Duration max_age = is_repeatable() ? Duration::max() : shared_.options.upstream_fresh;
    if (auto pooled = shared_.pool.take(x.target.pool_key, max_age))
      return use_upstream(std::move(pooled), true);
  }
  state_ = State::opening;
  set_deadline(after(io::now(), shared_.options.response_timeout));
  x.connect = shared_.router.open(
      x.target, address_, [weak = weak_from_this()](Result<std::unique_ptr<io::Stream>> opened) {
        if (const auto self = weak.lock()) self->on_opened(std::move(opened));
      });
}

void HttpVisit::on_opened(Result<std::unique_ptr<io::Stream>> opened) {
  if (state_ != State::opening) return;
  // We are inside a call of the Connect; let that return before it goes.
  shared_.context.post([connect = std::move(exchange_->connect)] {});
  if (opened) {
    use_upstream(std::move(*opened), false);
  } else {
    fail_upstream(opened.error());
  }
  drive();
}

void HttpVisit::use_upstream(std::unique_ptr<io::Stream> upstream, bool pooled) {
  Exchange& x = *exchange_;
  x.upstream = std::move(upstream);
  x.pooled = pooled;
  x.response.start();
  if (x.answers_head) x.response.answers_head();
  write_request_head(request_.head(), {x.target.host_header, shared_.options.scheme, &address_},
                     x.to_upstream);
  state_ = State::passing;
  set_deadline(after(io::now(), shared_.options.response_timeout));
}

// An upstream from the pool may have been closed by its origin while our request was on its way.
bool HttpVisit::retry_fresh() {
  Exchange& x = *exchange_;
  if (!x.pooled || x.retried || x.answered || !is_repeatable()) return false;
  x.retried = true;
  x.upstream.reset();
  x.to_upstream.clear();
  x.from_upstream.clear();
  x.upload_dead = x.upstream_eof = x.upstream_drained = false;
  x.upstream_reading = x.upstream_writing = false;
  open_upstream(false);
  return true;
}

void HttpVisit::refuse_request() {
  if (!exchange_) {
    exchange_ = std::make_unique<Exchange>();
    exchange_->begun = io::now();
  }
  answer(page_for_refusal(request_.refusal()));
}

void HttpVisit::answer(const ErrorPage& page) {
  Exchange& x = *exchange_;
  if (x.status != 0) return abort(page.word);  // half an answer cannot be taken back
  const HttpHead& head = request_.head();
  PageFrame frame;
  frame.format = choose_format(head.find("accept").value_or(""));
  frame.answers_head = x.answers_head;
  frame.visitor_minor = head.minor;
  frame.keep_alive = head.keep_alive && x.request_done && !visitor_eof_ && !shared_.draining;
  x.status = page.status;
  x.framing = {HttpBody::length, frame.keep_alive};
  x.bytes_out = write_page(page, frame, to_visitor_);
  if (x.upstream) x.upstream->close(true);
  finish_exchange(page.word);
}

void HttpVisit::fail_upstream(const Error& error) {
  answer(page_for_upstream(exchange_->target.description, error));
}

void HttpVisit::finish_exchange(std::string_view error_word) {
  write_log(error_word);
  const bool keep = exchange_->framing.keep_alive && exchange_->request_done && !shared_.draining;
  const HttpHead& head = request_.head();
  nothing_follows_ = exchange_->request_done && !head.keep_alive && !head.has_body() &&
                     from_visitor_.empty();
  exchange_.reset();
  served_ = true;
  if (keep) {
    enter_idle();
  } else {
    leave();
  }
}

void HttpVisit::enter_idle() {
  state_ = State::head;
  stalled_ = false;
  request_.release();
  const HttpFrontOptions& options = shared_.options;
  set_deadline(
      after(io::now(), to_visitor_.empty() ? options.idle_timeout : options.stall_timeout));
}

void HttpVisit::leave() {
  state_ = State::leaving;
  stalled_ = false;
  set_deadline(after(io::now(), shared_.options.stall_timeout));
}

void HttpVisit::abort(std::string_view error_word) {
  if (exchange_) write_log(error_word);
  close_visit(true);
}

void HttpVisit::write_log(std::string_view error_word) {
  if (!shared_.on_request) return;
  const HttpHead& head = request_.head();
  const Exchange& x = *exchange_;
  RequestLog log;
  log.method = head.method;
  log.path = head.path.substr(0, head.path.find('?'));
  log.host = head.host;
  log.status = x.status;
  log.bytes_in = x.bytes_in;
  log.bytes_out = x.bytes_out;
  log.duration = io::now() - x.begun;
  log.visitor = address_;
  log.error = error_word;
  shared_.on_request(log);
}

void HttpVisit::close_visit(bool reset) {
  if (state_ == State::closed) return;
  state_ = State::closed;
  if (exchange_ && exchange_->upstream) exchange_->upstream->close(true);
  exchange_.reset();
  visitor_->close(reset);
  timer_.cancel();
  shared_.visits.erase(this);  // whoever called us holds a shared_ptr
}

void HttpVisit::drain() {
  if (state_ == State::head && request_.is_idle() && to_visitor_.empty()) close_visit(false);
}

// --- deadlines ---

// Moving a deadline later costs nothing: the timer fires at the old one and is set again.
void HttpVisit::set_deadline(TimePoint at) {
  deadline_ = at;
  if (at >= timer_at_) return;
  timer_at_ = at;
  const auto fire = [](HttpVisit& self) {
    self.timer_at_ = kNever;
    if (io::now() >= self.deadline_) {
      self.deadline_ = kNever;
      self.on_deadline();
      self.drive();
    } else {
      self.set_deadline(self.deadline_);
    }
  };
  // The first deadline is set by the constructor, when there is no shared_ptr yet; the timer dies
  // with us and calls nothing then.
  timer_.start(at, [this, fire] {
    const auto self = shared_from_this();
    fire(*self);
  });
}

void HttpVisit::on_deadline() {
  switch (state_) {
    case State::head:
      if (request_.is_idle()) return close_visit(!to_visitor_.empty());
      exchange_ = std::make_unique<Exchange>();
      exchange_->begun = io::now();
      return answer(page_for_header_timeout());
    case State::opening:
    case State::passing: {
      Exchange& x = *exchange_;
      if (x.status != 0) return abort("visitor-stalled");
      if (state_ == State::passing && !x.request_done && x.to_upstream.empty())
        return answer(page_for_body_timeout());
      const auto seconds =
          std::chrono::duration_cast<std::chrono::seconds>(shared_.options.response_timeout);
      return fail_upstream(Error(Errc::timeout, "There was no response within " +
                                                    std::to_string(seconds.count()) + " s."));
    }
    case State::spliced:
      return abort("visitor-stalled");
    case State::leaving:
      return close_visit(true);
    case State::linger:
      return close_visit(false);
    case State::closed:
      return;
  }
}

// --- the machine ---

void HttpVisit::drive() {
  const auto self = shared_from_this();
  visitor_drained_ = false;
  if (exchange_) exchange_->upstream_drained = false;
  for (int round = 0; state_ != State::closed; ++round) {
    if (round == kRoundsPerTurn) {
      if (!std::exchange(posted_, true))
        shared_.context.post([weak = weak_from_this()] {
          const auto visit = weak.lock();
          if (!visit) return;
          visit->posted_ = false;
          visit->drive();
        });
      return;
    }
    // Every direction gets its turn in every round.
    bool moved = flush_visitor();
    moved = flush_upstream() || moved;
    moved = pull_visitor() || moved;
    moved = pull_upstream() || moved;
    moved = splice_ends() || moved;
    if (!moved) break;
  }
  if (state_ != State::closed) arm();
}

void HttpVisit::arm() {
  if (wants_visitor()) wait_for(*visitor_, visitor_reading_, true);
  if (!to_visitor_.empty()) wait_for(*visitor_, visitor_writing_, false);
  if (exchange_ && exchange_->upstream) {
    Exchange& x = *exchange_;
    if (wants_upstream()) wait_for(*x.upstream, x.upstream_reading, true);
    if (!x.to_upstream.empty()) wait_for(*x.upstream, x.upstream_writing, false);
  }
  const bool has_head =
      state_ == State::spliced || (state_ == State::passing && exchange_->status != 0);
  if (has_head && !to_visitor_.empty() && !stalled_) {
    stalled_ = true;
    set_deadline(after(io::now(), shared_.options.stall_timeout));
  }
  if (state_ == State::head && request_.is_idle()) {
    release(to_visitor_);
    release(from_visitor_);
  }
}

void HttpVisit::wait_for(io::Stream& stream, bool& waiting, bool for_reading) {
  if (std::exchange(waiting, true)) return;
  const bool of_visitor = &stream == visitor_.get();
  auto task = [weak = weak_from_this(), of_visitor, for_reading] {
    const auto self = weak.lock();
    if (!self || self->state_ == State::closed) return;
    if (of_visitor) {
      (for_reading ? self->visitor_reading_ : self->visitor_writing_) = false;
    } else if (self->exchange_) {
      Exchange& x = *self->exchange_;
      (for_reading ? x.upstream_reading : x.upstream_writing) = false;
    }
    self->drive();
  };
  if (for_reading) {
    stream.wait_readable(std::move(task));
  } else {
    stream.wait_writable(std::move(task));
  }
}

}  // namespace streamkit::tunnel
