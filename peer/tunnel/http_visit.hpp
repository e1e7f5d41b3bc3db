// HttpVisit: one visitor's connection, from its first byte to its last, request after request.
//
// drive() is the whole machine: it moves what can be moved in any of the four directions (visitor
// and upstream, in and out), and when nothing moves it asks to be told about exactly what it waits
// for. http_visit.cpp holds the life of a visit and its requests; http_visit_bytes.cpp moves the
// bytes.
#pragma once

#include "http_front.hpp"
#include "http_pages.hpp"
#include "http_parser.hpp"
#include "http_pool.hpp"
#include "http_rewrite.hpp"

#include <streamkit/base/buffer.hpp>

#include <memory>
#include <unordered_map>
#include <vector>

namespace streamkit::tunnel {

/// Most bytes that wait in one direction of one visit (framing of up to that many pieces comes on
/// top), and most that one read takes.
inline constexpr std::size_t kLaneBytes = 64 * 1024;
/// Pieces smaller than this are gathered before they are written.
inline constexpr std::size_t kSmallPiece = 4 * 1024;
/// Rounds of drive() before other visits get their turn.
inline constexpr int kRoundsPerTurn = 16;

class HttpVisit;

/// What all visits of a front have in common.
struct HttpShared {
  HttpShared(io::Context& c, Router& r, HttpFrontOptions o, HttpFront::OnRequest hook);

  io::Context& context;
  Router& router;
  const HttpFrontOptions options;
  HttpFront::OnRequest on_request;
  UpstreamPool pool;
  std::vector<std::byte> scratch;  // what reads land in; empty between two drives
  std::unordered_map<const HttpVisit*, std::shared_ptr<HttpVisit>> visits;
  std::vector<std::unique_ptr<io::Listener>> listeners;
  bool draining = false;
};

class HttpVisit : public std::enable_shared_from_this<HttpVisit> {
 public:
  HttpVisit(HttpShared& shared, std::unique_ptr<io::Stream> visitor);
  ~HttpVisit() = default;
  HttpVisit(const HttpVisit&) = delete;
  HttpVisit& operator=(const HttpVisit&) = delete;

  void drive();
  /// Closes now if between two requests, else after the one it is at.
  void drain();

 private:
  enum class State {
    head,     // a request head is awaited
    opening,  // it is known, its upstream is not there yet
    passing,  // request to the upstream, response to the visitor, both at once
    spliced,  // after 101: bytes both ways
    leaving,  // the last answer is on its way out
    linger,   // it is out; what still comes in is discarded
    closed,
  };
  /// What exists only while a request does.
  struct Exchange {
    HttpParser response{HttpParser::Role::response};
    Target target;
    std::unique_ptr<io::Connect> connect;
    std::unique_ptr<io::Stream> upstream;
    ByteQueue to_upstream, from_upstream;  // framed and unsent; read and not yet parsed
    TimePoint begun{};
    std::uint64_t bytes_in = 0, bytes_out = 0;
    int status = 0;  // sent to the visitor
    ResponseFraming framing;
    bool answers_head = false;
    bool pooled = false;  // the upstream served another request before
    bool retried = false;
    bool answered = false;  // the upstream sent at least one byte
    bool request_done = false;
    bool upload_dead = false;  // the upstream takes no more of the request
    bool upstream_eof = false;
    bool upstream_shut = false, visitor_shut = false;  // spliced: we ended that direction
    bool upstream_drained = false;                     // the last read of this drive came short
    bool upstream_reading = false, upstream_writing = false;  // waits under way
    Error upload_error = Errc::connection_lost;
  };

  // --- http_visit.cpp
  void begin_exchange();
  bool refuse_early();
  void open_upstream(bool may_reuse);
  void on_opened(Result<std::unique_ptr<io::Stream>> opened);
  void use_upstream(std::unique_ptr<io::Stream> upstream, bool pooled);
  bool is_repeatable() const noexcept;
  bool retry_fresh();
  void refuse_request();
  void answer(const ErrorPage& page);
  void fail_upstream(const Error& error);
  void finish_exchange(std::string_view error_word);
  void leave();
  void abort(std::string_view error_word);
  void write_log(std::string_view error_word);
  void enter_idle();
  void close_visit(bool reset);
  void on_deadline();
  void set_deadline(TimePoint at);
  void arm();
  void wait_for(io::Stream& stream, bool& waiting, bool for_reading);

  // --- http_visit_bytes.cpp: each answers whether something moved
  bool flush_visitor();
  bool flush_upstream();
  bool pull_visitor();
  bool pull_upstream();
  bool discard_input();
  bool splice_ends();
  bool wants_visitor() const noexcept;
  bool wants_upstream() const noexcept;
  void on_visitor_end(const Error& error);
  void on_upstream_end(const Error& error);
  std::size_t take_head(ByteView bytes);
  std::size_t take_request_body(ByteView bytes);
  std::size_t take_response(ByteView bytes);
  bool take_response_head();
  void take_response_end(bool nothing_follows);
  bool send_body(io::Stream& to, ByteQueue& queue, ByteView piece, bool chunked, Error& error);
  void touch_response_timer();

  HttpShared& shared_;
  std::unique_ptr<io::Stream> visitor_;
  const io::Address address_;
  HttpParser request_{HttpParser::Role::request};
  ByteQueue from_visitor_, to_visitor_;  // read and not yet parsed; framed and unsent
  std::unique_ptr<Exchange> exchange_;
  State state_ = State::head;
  bool visitor_eof_ = false;
  bool visitor_drained_ = false;  // the last read of this drive came short
  bool visitor_reading_ = false, visitor_writing_ = false;  // waits under way
  bool served_ = false;                                     // at least one request is over
  bool nothing_follows_ = false;  // the visitor asked for the end, and has sent all it was to send
  bool stalled_ = false;  // the stall deadline is the one that runs
  bool posted_ = false;
  io::Timer timer_;
  TimePoint deadline_ = kNever;
  TimePoint timer_at_ = kNever;  // when the timer will fire: never later than the deadline
};

}  // namespace streamkit::tunnel
