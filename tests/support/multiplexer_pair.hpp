// MultiplexerPair: two multiplexers and two queues, without cryptography, sockets or a clock. Links
// can be narrow (bounded sendable_bytes), slow (a delay each way) and stepped one message at a
// time.
#pragma once

#include <streamkit/channel/multiplexer.hpp>

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace streamkit::channel::test {

/// One direction of a link: keeps what was sent until it is delivered.
class QueuePort final : public PayloadPort {
 public:
  struct Message {
    Bytes bytes;
    TimePoint sent_at;
    bool is_data;
    std::optional<Bytes> given{};  ///< what follows `bytes`, where the port moves
  };

  std::size_t sendable_bytes() const noexcept override {
    return blocked || capacity <= queued ? 0 : capacity - queued;
  }
  Result<void> send(ByteView header, ByteView body) override {
    if (broken) return *broken;
    Message m{to_bytes(header), now, false};
    append(m.bytes, body);
    const auto number = std::to_integer<int>(m.bytes.at(0));
    m.is_data = number == 94 || number == 95;
    ++counts[number];
    last_body = body.data();
    if (m.is_data) {
      EXPECT_LE(m.bytes.size(), sendable_bytes()) << "data beyond what the port can take";
      largest_data = std::max(largest_data, body.size());
    }
    if (!counts_only_data || m.is_data) queued += m.bytes.size();
    messages.push_back(std::move(m));
    return {};
  }
  Result<void> send_owned(ByteView header, Bytes body) override {
    const Result<void> sent = send(header, body);
    if (!sent || !moves) return sent;
    messages.back().bytes.resize(header.size());
    messages.back().given = std::move(body);
    return sent;
  }
  Message take_message() {
    Message m = std::move(messages.front());
    messages.pop_front();
    const std::size_t size = m.bytes.size() + (m.given ? m.given->size() : 0);
    if (!counts_only_data || m.is_data) queued -= size;
    return m;
  }
  Bytes take() { return take_message().bytes; }

  std::deque<Message> messages;
  std::map<int, std::size_t> counts;  ///< by message number, ever
  std::size_t queued = 0;
  std::size_t capacity = 256 * 1024;
  bool blocked = false;
  bool moves = false;  ///< hands given bodies on as they are
  bool counts_only_data = true;
  std::size_t largest_data = 0;
  const std::byte* last_body = nullptr;
  std::optional<Error> broken;
  TimePoint now{};
};

struct Side {
  explicit Side(Limits limits, Wire wire = Wire::streamkit) : mux(port, limits, wire) {}

  /// Takes events into `events`.
  void poll() {
    while (std::optional<Event> e = mux.poll_event()) events.push_back(std::move(*e));
  }
  template <class E>
  std::vector<E> all() const {
    std::vector<E> out;
    for (const Event& e : events)
      if (const E* one = std::get_if<E>(&e)) out.push_back(*one);
    return out;
  }
  /// The oldest event of this kind, removed.
  template <class E>
  std::optional<E> next() {
    for (auto it = events.begin(); it != events.end(); ++it) {
      if (E* one = std::get_if<E>(&*it)) {
        E found = std::move(*one);
        events.erase(it);
        return found;
      }
    }
    return std::nullopt;
  }
  template <class E>
  bool has() const {
    return !all<E>().empty();
  }

  QueuePort port;
  Multiplexer mux;
  std::vector<Event> events;
};

class MultiplexerPair {
 public:
  explicit MultiplexerPair(Limits limits = {}) : MultiplexerPair(limits, limits) {}
  MultiplexerPair(Limits left, Limits right, Wire wire = Wire::streamkit)
      : a(left, wire), b(right, wire) {
    now = TimePoint(std::chrono::seconds(1000));
    stamp();
  }

  /// Delivers the oldest message that is due. False when there is none.
  bool step(Side& from, Side& to) {
    if (from.port.messages.empty() || from.port.messages.front().sent_at + delay > now)
      return false;
    QueuePort::Message m = from.port.take_message();
    const Result<void> done = m.given ? to.mux.handle_given(m.bytes, std::move(*m.given), now)
                                      : to.mux.handle_payload(m.bytes, now);
    EXPECT_TRUE(done) << done.error().message();
    to.poll();
    return true;
  }
  /// Everything that can happen now, in small steps from both sides.
  void run() {
    for (bool busy = true; busy;) {
      ready(a), ready(b);
      busy = step(a, b);
      busy = step(b, a) || busy;
    }
  }
  void ready(Side& side) {
    const Result<void> done = side.mux.port_ready(now);
    EXPECT_TRUE(done);
    side.poll();
  }
  /// Lets time pass, to the next arrival or timer as they come.
  void advance(Duration by) {
    const TimePoint end = now + by;
    run();
    while (now < end) {
      TimePoint next = end;
      for (Side* side : {&a, &b}) {
        if (!side->port.messages.empty())
          next = std::min(next, side->port.messages.front().sent_at + delay);
        if (const auto timer = side->mux.next_timeout()) next = std::min(next, *timer);
      }
      now = std::max(now, next);
      stamp();
      for (Side* side : {&a, &b}) EXPECT_TRUE(side->mux.handle_timeout(now));
      run();
    }
  }
  void stamp() { a.port.now = b.port.now = now; }

  struct Ends {
    ChannelId at_a, at_b;
  };
  /// A channel@streamkit channel, opened by a and confirmed by b.
  Ends open(std::string service = "echo", std::optional<ChannelId> parent = {}, Bytes first = {}) {
    return open(a, b, std::move(service), parent, std::move(first));
  }
  Ends open(Side& from, Side& to, std::string service, std::optional<ChannelId> parent = {},
            Bytes first = {}) {
    OpenInfo info;
    info.service = std::move(service);
    info.first = std::move(first);
    const Result<ChannelId> id = from.mux.open_service(std::move(info), parent, now);
    EXPECT_TRUE(id) << id.error().message();
    return confirm(from, to, *id);
  }
  Ends open_raw(Side& from, Side& to, std::string_view type, ByteView extra = {}) {
    const Result<ChannelId> id = from.mux.open(type, extra, now);
    EXPECT_TRUE(id);
    return confirm(from, to, *id);
  }
  Ends confirm(Side& from, Side& to, ChannelId id) {
    run();
    const std::optional<Opening> opening = to.next<Opening>();
    EXPECT_TRUE(opening) << "the open did not arrive";
    if (!opening) return {};
    EXPECT_TRUE(opening->info ? to.mux.confirm(opening->id, {}, now)
                              : to.mux.confirm_raw(opening->id, {}, now));
    run();
    EXPECT_TRUE(from.next<Opened>()) << "the confirmation did not arrive";
    return &from == &a ? Ends{id, opening->id} : Ends{opening->id, id};
  }

  Result<std::size_t> write(Side& side, ChannelId id, std::string_view text,
                            Lane lane = Lane::data) {
    return side.mux.write(id, lane, as_bytes(text), now);
  }
  /// Reads a lane dry.
  std::string read(Side& side, ChannelId id, Lane lane = Lane::data, std::size_t most = SIZE_MAX) {
    std::string out;
    while (out.size() < most) {
      ByteView view = side.mux.peek(id, lane);
      view = view.first(std::min(view.size(), most - out.size()));
      if (view.empty()) break;
      out += as_text(view);
      EXPECT_TRUE(side.mux.consume(id, lane, view.size(), now));
    }
    return out;
  }

  Side a, b;
  TimePoint now;
  Duration delay{0};
};

/// A peer that says whatever the test wants, against one multiplexer.
class Raw {
 public:
  explicit Raw(Limits limits = {}, Wire wire = Wire::streamkit) : side(limits, wire) {}

  Result<void> feed(ByteView payload) {
    Result<void> done = side.mux.handle_payload(payload, now);
    side.poll();
    return done;
  }
  /// What the multiplexer sent, oldest first; its number is 0 when there is nothing.
  Bytes sent() { return side.port.messages.empty() ? Bytes(1) : side.port.take(); }
  void forget_sent() {
    while (!side.port.messages.empty()) side.port.take();
  }

  Side side;
  TimePoint now = TimePoint(std::chrono::seconds(1000));
};

/// Builds one message.
class Msg {
 public:
  explicit Msg(std::uint8_t number) { wire::Writer(bytes_).u8(number); }
  Msg& u8(std::uint8_t v) { return wire::Writer(bytes_).u8(v), *this; }
  Msg& u32(std::uint32_t v) { return wire::Writer(bytes_).u32(v), *this; }
  Msg& id(ChannelId v) { return u32(static_cast<std::uint32_t>(v)); }
  Msg& str(std::string_view v) { return wire::Writer(bytes_).string(v), *this; }
  Msg& raw(ByteView v) { return append(bytes_, v), *this; }
  operator ByteView() const { return bytes_; }

 private:
  Bytes bytes_;
};

}  // namespace streamkit::channel::test
