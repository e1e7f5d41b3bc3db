// The whole way: two peers over TCP in one process, for system calls and allocations. They share a
// Context, which the calling thread drives while it waits; with two of them, how often one thread
// wakes another would depend on the scheduler.
#include "hot_paths.hpp"

#include <streamkit/io/context.hpp>
#include <streamkit/streamkit.hpp>

namespace streamkit::counts {
namespace {

constexpr auto kPatience = std::chrono::seconds(60);
constexpr std::size_t kPingSize = 64;
constexpr std::size_t kFrameSize = 1024;
constexpr std::uint64_t kBurst = 64;  // frames
constexpr std::size_t kIdle = 200;    // connections that are up beside the one that is counted

PeerOptions options(const std::shared_ptr<io::Context>& context, std::string name) {
  PeerOptions made;
  made.name = std::move(name);
  made.context = context;
  made.algorithms.ciphers = {"aes128-gcm@openssh.com"};
  made.algorithms.aes_gcm = crypto::AesGcm::libcrypto;
  made.trust.public_key = [](const std::string&, const crypto::PublicKey&) { return true; };
  made.trust.host_keys = Trust::HostKeys::any_insecure;
  made.reconnect.on = false;
  made.limits.kex_rate_per_source = 0;  // all of them come from one address, at once
  made.heartbeat = std::chrono::hours(1);  // nothing that depends on how long it takes
  return made;
}

struct Peers {
  explicit Peers(std::size_t idle_connections = 0) {
    server.on_open("*", [this](Incoming incoming) { accepted = incoming.accept().value(); });
    context->set_busy_poll(Duration::zero());  // how often it looks is not the code's to say
    const Endpoint endpoint = server.bind("tcp://127.0.0.1:0").value();
    for (std::size_t i = 0; i < idle_connections; ++i) {
      idle.push_back(Peer::make(options(context, "idle-" + std::to_string(i))).value());
      idle.back().connect(endpoint, kPatience).value();
    }
    client.connect(endpoint, kPatience).value();
    OpenOptions open;
    open.framed = true;
    channel = client.open("server", "echo", open, kPatience).value();
  }

  std::shared_ptr<io::Context> context = std::make_shared<io::Context>();
  Peer server = Peer::make(options(context, "server")).value();
  Peer client = Peer::make(options(context, "client")).value();
  std::vector<Peer> idle;
  Channel accepted, channel;
};

// On the Context; answers the end with its own, after which it is of no more use.
struct Echo {
  Channel& channel;
  Bytes ping = Bytes(kPingSize);

  void next() {
    channel.async_read(ping, [this](Result<std::size_t> n) {
      if (!n) return (void)channel.close_write();
      channel.async_write(ByteView(ping).first(*n), [this](Result<void> sent) {
        if (sent) next();
      });
    });
  }
};

void ping_pong(std::size_t idle, std::uint64_t operations) {
  Peers peers(idle);
  Echo echo{peers.accepted};
  {
    const io::Context::Lock lock(*peers.context);
    echo.next();
  }
  Bytes ping(kPingSize);
  counted([&] {
    for (std::uint64_t i = 0; i < operations; ++i) {
      peers.channel.write(ping, kPatience).value();
      for (std::size_t have = 0; have < ping.size();)
        have += peers.channel.read(MutableByteView(ping).subspan(have), kPatience).value();
    }
  });
  peers.channel.close_write().value();
  require(!peers.channel.read(ping, kPatience), "more came back than was sent");
}

// Answers each burst of frames with one empty frame, until the channel ends.
struct BurstReader {
  Channel& channel;
  std::uint64_t frames = 0;

  void next() {
    channel.async_read_frame([this](Result<Bytes> frame) {
      if (!frame) return (void)channel.close_write();
      require(frame->size() == kFrameSize, "a frame came that nobody sent");
      if (++frames % kBurst != 0) return next();
      channel.async_write_frame({}, [this](Result<void> sent) {
        if (sent) next();
      });
    });
  }
};

void bursts(std::uint64_t operations) {
  Peers peers;
  BurstReader reader{peers.accepted};
  {
    const io::Context::Lock lock(*peers.context);
    reader.next();
  }
  const Bytes frame(kFrameSize);
  counted([&] {
    for (std::uint64_t i = 0; i < operations; ++i) {
      for (std::uint64_t k = 0; k < kBurst; ++k)
        peers.channel.write_frame(frame, kPatience).value();
      peers.channel.read_frame(kPatience).value();
    }
  });
  peers.channel.close_write().value();
  require(!peers.channel.read_frame(kPatience), "more came back than was sent");
}

}  // namespace

Paths paths_of_peers() {
  return {{"peers-ping-pong", 2000, false, [](std::uint64_t n) { ping_pong(0, n); }},
          {"peers-ping-pong-beside-200", 2000, false, [](std::uint64_t n) { ping_pong(kIdle, n); }},
          {"peers-64-frames-1KiB", 250, false, bursts}};
}

}  // namespace streamkit::counts
