// Channels alone: two multiplexers joined in memory, without cryptography, sockets or a clock. The
// link keeps messages in memory that it takes once, so that what is counted is the channels' own.
#include "hot_paths.hpp"

#include <streamkit/channel/frame.hpp>
#include <streamkit/channel/multiplexer.hpp>

namespace streamkit::counts {
namespace {

using namespace channel;

constexpr std::size_t kLinkBytes = 256 * 1024;
constexpr std::size_t kLinkMessages = 1024;
constexpr std::uint64_t kBatch = 16;  // frames that leave together
constexpr std::size_t kIdle = 10'000;  // channels that are open beside the one that is counted
constexpr TimePoint kNow{std::chrono::hours(1)};

class MemoryLink final : public PayloadPort {
 public:
  MemoryLink() {
    bytes_.reserve(2 * kLinkBytes);
    sizes_.reserve(kLinkMessages);
  }
  std::size_t sendable_bytes() const noexcept override {
    return kLinkBytes - std::min(kLinkBytes, bytes_.size());
  }
  Result<void> send(ByteView header, ByteView body) override {
    append(bytes_, header);
    append(bytes_, body);
    sizes_.push_back(header.size() + body.size());
    return {};
  }
  bool deliver(Multiplexer& to) {
    ByteView rest = bytes_;
    for (const std::size_t size : sizes_) {
      require(to.handle_payload(rest.first(size), kNow).has_value(), "a message was refused");
      rest = rest.subspan(size);
    }
    const bool any = !sizes_.empty();
    bytes_.clear();
    sizes_.clear();
    return any;
  }

 private:
  Bytes bytes_;
  std::vector<std::size_t> sizes_;
};

Limits limits() {
  Limits limits;
  limits.max_channels = kIdle + 1;
  return limits;
}

struct Side {
  MemoryLink link;
  Multiplexer multiplexer{link, limits()};
};

struct Pair {
  Side a, b;
  ChannelId at_a{}, at_b{};
  const std::size_t idle;

  explicit Pair(std::size_t idle_channels = 0) : idle(idle_channels) {
    for (std::size_t i = 0; i < idle; ++i) open();
  }

  void exchange() {
    for (bool any = true; any;) {
      require(a.multiplexer.port_ready(kNow).has_value(), "port_ready() failed");
      require(b.multiplexer.port_ready(kNow).has_value(), "port_ready() failed");
      any = a.link.deliver(b.multiplexer);
      any = b.link.deliver(a.multiplexer) || any;
    }
  }
  template <class E>
  E next(Side& side) {
    while (std::optional<Event> event = side.multiplexer.poll_event())
      if (E* wanted = std::get_if<E>(&*event)) return std::move(*wanted);
    require(false, "an event did not come");
    std::abort();
  }
  void open() {
    OpenInfo info;
    info.service = "echo";
    at_a = a.multiplexer.open_service(std::move(info), {}, kNow).value();
    exchange();
    at_b = next<Opening>(b).id;
    require(b.multiplexer.confirm(at_b, {}, kNow).has_value(), "confirm() failed");
    exchange();
    (void)next<Opened>(a);
  }
  void close() {
    require(a.multiplexer.close(at_a, {}, {}, kNow).has_value(), "close() failed");
    exchange();  // b answers with its own CLOSE
    (void)next<Closed>(a);
    (void)next<Closed>(b);
    require(a.multiplexer.open_channels() == idle && b.multiplexer.open_channels() == idle,
            "a channel stayed");
  }
};

// ---------------------------------------------------------------- frames

void write_batch(Pair& pair, ByteView frame) {
  const auto header = frame_header(frame.size());
  for (std::uint64_t i = 0; i < kBatch; ++i)
    require(pair.a.multiplexer.append(pair.at_a, Lane::data, header, frame).value_or(false),
            "no room for a frame");
  require(pair.a.multiplexer.port_ready(kNow).has_value(), "port_ready() failed");
}

std::uint64_t read_batch(Pair& pair, FrameReader& reader) {
  Multiplexer& mux = pair.b.multiplexer;
  std::uint64_t frames = 0;
  pair.a.link.deliver(mux);
  while (mux.poll_event()) continue;
  for (ByteView view = mux.peek(pair.at_b, Lane::data); !view.empty();
       view = mux.peek(pair.at_b, Lane::data)) {
    std::size_t used = 0;
    if (reader.take(view, used).value()) ++frames;
    require(mux.consume(pair.at_b, Lane::data, used, kNow).has_value(), "consume() failed");
  }
  return frames;
}

enum class Half { write, read };

void frames(Half half, std::size_t size, std::uint64_t operations) {
  Pair pair;
  pair.open();
  const Bytes frame(size);
  FrameReader reader;
  std::uint64_t frames = 0;
  const auto write = [&] { write_batch(pair, frame); };
  const auto read = [&] { frames += read_batch(pair, reader); };
  const std::uint64_t batches = (operations + kBatch - 1) / kBatch;
  for (std::uint64_t i = 0; i < batches; ++i) {
    half == Half::write ? counted(write) : write();
    half == Half::read ? counted(read) : read();
    pair.b.link.deliver(pair.a.multiplexer);
    while (pair.a.multiplexer.poll_event()) continue;
  }
  require(frames == batches * kBatch, "frames were lost");
}

// ---------------------------------------------------------------- there and back, open and close

void ping_pong(std::size_t idle, std::uint64_t operations) {
  Pair pair(idle);
  pair.open();
  const Bytes ping(64);
  const auto pass = [&](Side& from, ChannelId from_id, Side& to, ChannelId to_id) {
    const auto written = from.multiplexer.write(from_id, Lane::data, ping, kNow);
    require(written && *written == ping.size(), "write() took too little");
    from.link.deliver(to.multiplexer);
    while (to.multiplexer.poll_event()) continue;
    require(to.multiplexer.peek(to_id, Lane::data).size() == ping.size(), "the ping did not come");
    require(to.multiplexer.consume(to_id, Lane::data, ping.size(), kNow).has_value(),
            "consume() failed");
  };
  counted([&] {
    for (std::uint64_t i = 0; i < operations; ++i) {
      pass(pair.a, pair.at_a, pair.b, pair.at_b);
      pass(pair.b, pair.at_b, pair.a, pair.at_a);
    }
  });
}

void open_close(std::size_t idle, std::uint64_t operations) {
  Pair pair(idle);
  counted([&] {
    for (std::uint64_t i = 0; i < operations; ++i) {
      pair.open();
      pair.close();
    }
  });
}

}  // namespace

Paths paths_of_channels() {
  Paths paths;
  for (const auto& [name, size] : {std::pair{"64B", 64}, std::pair{"1KiB", 1024}}) {
    const auto bytes = static_cast<std::size_t>(size);
    paths.push_back({std::string("frame-write-") + name, 125 * kBatch, true,
                     [bytes](std::uint64_t n) { frames(Half::write, bytes, n); }});
    paths.push_back({std::string("frame-read-") + name, 125 * kBatch, true,
                     [bytes](std::uint64_t n) { frames(Half::read, bytes, n); }});
  }
  for (const auto& [name, idle] : {std::pair{"", std::size_t{0}}, std::pair{"-beside-10k", kIdle}}) {
    const std::size_t beside = idle;
    paths.push_back({std::string("ping-pong") + name, 2000, true,
                     [beside](std::uint64_t n) { ping_pong(beside, n); }});
    paths.push_back({std::string("open-close") + name, 500, true,
                     [beside](std::uint64_t n) { open_close(beside, n); }});
  }
  return paths;
}

}  // namespace streamkit::counts
