// A reference model of one channel (window, EOF, CLOSE; forty lines) runs beside two multiplexers
// while random operations happen in random order. Whatever the model says was written must be what
// is read.
#include <cstdio>
#include <random>
#include <support/multiplexer_pair.hpp>

namespace streamkit::channel::test {
namespace {

/// One direction of a channel, as RFC 4254 section 5.2 and 5.3 have it.
struct Direction {
  std::uint64_t written = 0;  ///< taken by write()
  std::uint64_t read = 0;
  bool ended = false;  ///< end_write() or close() was called
};

/// Byte number `n` of a direction: what is read can be checked without keeping what was written.
std::byte byte_at(std::uint64_t n, std::uint32_t salt) {
  return std::byte(n * 167 + (n >> 8) + salt);
}

struct Model {
  MultiplexerPair::Ends ends{};
  Direction ab, ba;
  bool closed_a = false, closed_b = false;  ///< close() or reset() was called there
  bool gone_a = false, gone_b = false;      ///< Closed was polled there and the number let go
  bool aborted = false;                     ///< by reset(): bytes may be lost
  std::uint32_t salt = 0;

  bool live(bool a) const { return !(a ? closed_a : closed_b); }
  bool& gone(bool a) { return a ? gone_a : gone_b; }
  Direction& from(bool a) { return a ? ab : ba; }
};

class Walk {
 public:
  explicit Walk(std::uint64_t seed) : random_(seed), pair_(limits()) {
    pair_.a.port.capacity = 500 + random_() % 100'000;
    pair_.b.port.capacity = 500 + random_() % 100'000;
  }
  void run(int operations) {
    for (int i = 0; i < operations && !::testing::Test::HasFailure(); ++i) {
      one();
      bury(true), bury(false);
    }
    settle();
  }

 private:
  Limits limits() {
    Limits l;
    l.initial_window = static_cast<std::uint32_t>(1000 + random_() % 20'000);
    l.max_window = l.initial_window * 4;
    l.max_packet = static_cast<std::uint32_t>(256 + random_() % 4000);
    l.send_buffer = 100 + random_() % 20'000;
    l.max_receive_bytes = 100'000;
    l.min_window = 800;
    return l;
  }
  Side& side(bool a) { return a ? pair_.a : pair_.b; }
  ChannelId id(const Model& m, bool a) { return a ? m.ends.at_a : m.ends.at_b; }

  /// Takes Closed events: reads what is left and lets the number go, as a driver must before it
  /// means another channel.
  void bury(bool a) {
    while (const std::optional<Closed> closed = side(a).next<Closed>()) {
      ++buried_;
      for (Model& m : models_) {
        if (m.gone(a) || id(m, a) != closed->id) continue;
        read(m, a, SIZE_MAX);
        m.gone(a) = true;
        (a ? m.closed_a : m.closed_b) = true;
        break;  // a younger one may have the number already
      }
      side(a).mux.release(closed->id);
    }
  }

  void one() {
    const bool a = random_() % 2 == 0;
    const std::uint64_t what = random_() % 100;
    if (what < 10 && random_() % (models_.size() + 1) == 0) {
      Model m;
      m.ends = pair_.open(side(a), side(!a), "walk");
      m.salt = static_cast<std::uint32_t>(random_());
      models_.push_back(m);
      return;
    }
    if (what >= 70) return time(a);
    if (models_.empty()) return;
    Model& m = models_[random_() % models_.size()];
    if (m.gone(a)) return;
    if (what < 40) return write(m, a);
    if (what < 64) return read(m, a, random_() % 5000);
    if (what < 67) return end(m, a);
    if (what < 69) return close(m, a);
    if (random_() % 4 == 0) reset(m, a);
  }
  void time(bool a) {
    pair_.now += std::chrono::microseconds(random_() % 1000);
    pair_.stamp();
    if (random_() % 3 == 0) return pair_.ready(side(a));
    for (std::uint64_t n = random_() % 8; n > 0; --n) pair_.step(side(a), side(!a));
  }
  void write(Model& m, bool a) {
    Direction& d = m.from(a);
    Bytes bytes(1 + random_() % 6000);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = byte_at(d.written + i, m.salt);
    const std::size_t promised = side(a).mux.writable_bytes(id(m, a), Lane::data);
    const Result<std::size_t> n = side(a).mux.write(id(m, a), Lane::data, bytes, pair_.now);
    if (n) {
      EXPECT_TRUE(m.live(a) && !d.ended) << "written after the end";
      EXPECT_GE(*n, std::min(promised, bytes.size()));
      d.written += *n;
    } else if (m.live(a) && m.live(!a) && !d.ended) {
      EXPECT_TRUE(n.error().is(Errc::would_block)) << n.error().message();
    }
  }
  void read(Model& m, bool a, std::size_t most) {
    Direction& d = m.from(!a);
    while (most > 0) {
      ByteView view = side(a).mux.peek(id(m, a), Lane::data);
      view = view.first(std::min(view.size(), most));
      if (view.empty()) break;
      for (std::size_t i = 0; i < view.size(); ++i)
        ASSERT_EQ(view[i], byte_at(d.read + i, m.salt)) << "byte " << d.read + i;
      d.read += view.size(), most -= view.size();
      ASSERT_LE(d.read, d.written) << "read what was never written";
      ASSERT_TRUE(side(a).mux.consume(id(m, a), Lane::data, view.size(), pair_.now));
    }
    if (m.live(a) && side(a).mux.is_eof(id(m, a)) && !m.aborted && m.live(!a)) {
      EXPECT_TRUE(d.ended);
      EXPECT_EQ(d.read, d.written) << "the end came before the data";
    }
  }
  void end(Model& m, bool a) {
    if (!m.live(a) || !m.live(!a)) return;
    EXPECT_TRUE(side(a).mux.end_write(id(m, a)));
    m.from(a).ended = true;
  }
  void close(Model& m, bool a) {
    if (!m.live(a)) return;
    const Result<void> done = side(a).mux.close(id(m, a), Status(Code::ok), {}, pair_.now);
    EXPECT_TRUE(done || !m.live(!a));
    (a ? m.closed_a : m.closed_b) = true;
    m.from(a).ended = true;
  }
  void reset(Model& m, bool a) {
    if (!m.live(a)) return;
    static_cast<void>(side(a).mux.reset(id(m, a), Code::aborted, "walk", pair_.now));
    (a ? m.closed_a : m.closed_b) = true;
    m.aborted = true;
  }
  void drain() {
    pair_.run();
    for (Model& m : models_) {
      if (!m.gone(true)) read(m, true, SIZE_MAX);
      if (!m.gone(false)) read(m, false, SIZE_MAX);
    }
    bury(true), bury(false);
  }
  /// Ends everything in order and checks that nothing was lost or left.
  void settle() {
    for (Model& m : models_) {
      // Who is still open on both sides gets every byte that was written.
      const bool orderly = m.live(true) && m.live(false);
      if (orderly) end(m, true), end(m, false);
      for (int i = 0; i < 2000 && !::testing::Test::HasFailure(); ++i) {
        drain();
        if (!orderly || (m.ab.read == m.ab.written && m.ba.read == m.ba.written)) break;
      }
      if (orderly) {
        EXPECT_EQ(m.ab.read, m.ab.written);
        EXPECT_EQ(m.ba.read, m.ba.written);
      }
      close(m, true), close(m, false);
    }
    for (int i = 0; i < 200; ++i) drain();
    EXPECT_EQ(buried_, 2 * models_.size());
    for (Side* s : {&pair_.a, &pair_.b}) {
      EXPECT_EQ(s->mux.open_channels(), 0u);
      EXPECT_EQ(s->mux.granted_bytes(), 0u);
      EXPECT_EQ(s->mux.owed_bytes(), 0u);
      EXPECT_FALSE(s->mux.next_timeout());
    }
  }

  std::mt19937_64 random_;
  MultiplexerPair pair_;
  std::vector<Model> models_;
  std::size_t buried_ = 0;
};

TEST(Model, agrees_with_the_multiplexer_over_random_operations) {
  constexpr int kWalks = 100, kOperations = 1000;
  for (std::uint64_t seed = 1; seed <= kWalks; ++seed) {
    Walk(seed).run(kOperations);
    if (HasFailure()) {
      std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
      break;
    }
  }
}

}  // namespace
}  // namespace streamkit::channel::test
