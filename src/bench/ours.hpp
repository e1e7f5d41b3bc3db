// What every row of ours begins with: a peer that listens in the second process, and one that
// connects.
#pragma once

#include "row.hpp"

#include <streamkit/io/context.hpp>
#include <streamkit/peer/peer.hpp>

#include <future>
#include <memory>

namespace streamkit::bench {

/// Why this subject cannot be measured here, or empty: `-fast` asks for the second AES-GCM.
std::string why_not(const Task& task);

PeerOptions server_options(const Task& task);
PeerOptions client_options(const Task& task);

/// The second process's peer. Holds what is opened as "idle" to it.
class Server {
 public:
  explicit Server(const Task& task);
  Peer& peer() noexcept { return peer_; }
  /// Binds, and says where: whoever opens channels must find its on_open() set by then.
  void start(const Task& task, Control& other) { listen_more(other, 1 + task.idle_connections); }
  /// The next channel that the measuring side opens and no on_open() takes.
  Channel accept() { return peer_.accept().value(); }
  /// A listener for each further connection: a peer has one connection to an endpoint.
  void listen_more(Control& other, std::size_t count);
  /// Until the measuring side says that it has done.
  void wait_for_end(Control& other) { other.hear(); }

 private:
  Peer peer_;
};

/// The measuring side's peer, connected, with what is idle beside the row.
class Client {
 public:
  Client(const Task& task, Control& other);
  Peer& peer() noexcept { return peer_; }
  Channel open(std::string service, OpenOptions options = {});
  To server() const { return To::link(link_); }
  void connect_more(Control& other, std::size_t count);
  void open_idle(std::size_t count);

 private:
  Peer peer_;
  std::uint64_t link_;
  std::vector<Channel> idle_;
};

inline constexpr const char* kServerName = "server";

/// Sends kPingSize bytes and waits for them to come back, again and again, on the channel's
/// Context; then ends our direction and waits for the other side's end.
void ping_by_completions(Channel& channel, std::uint64_t warm_up, std::uint64_t count,
                         Samples& samples);

/// Something that completions end and a thread waits for. Whoever waits may destroy it at once.
class Finish {
 public:
  std::future<void> future() { return promise_->get_future(); }
  void now() {
    const auto keep = promise_;
    keep->set_value();
  }
  void failed(const Error& error) {
    const auto keep = promise_;
    keep->set_exception(std::make_exception_ptr(std::system_error(error.code(), error.message())));
  }

 private:
  std::shared_ptr<std::promise<void>> promise_ = std::make_shared<std::promise<void>>();
};

// By readiness: as many frames as the channel takes, and again when it takes more.
struct ReadyWriter {
  Channel& channel;
  const Bytes frame;
  std::uint64_t left;
  Finish finish{};

  void begin() {
    const io::Context::Lock lock(channel.context());
    next();
  }

  void next() {
    while (left > 0) {
      const Result<bool> queued = channel.write_frame_some(frame);
      if (!queued) return finish.failed(queued.error());
      if (!*queued) return channel.on_writable([this] { next(); });
      --left;
    }
    finish.now();
  }
};

struct ReadyReader {
  Channel& channel;
  const std::size_t expected;
  std::uint64_t got = 0;
  Finish finish{};

  void begin() {
    const io::Context::Lock lock(channel.context());
    next();
  }

  void next() {
    while (true) {
      const Result<ByteView> frame = channel.peek_frame();
      if (!frame && frame.error().is(Errc::would_block))
        return channel.on_readable([this] { next(); });
      if (!frame) return frame.error().is(Errc::eof) ? finish.now() : finish.failed(frame.error());
      if (frame->size() != expected) return finish.failed(Error(Errc::codec, "a frame is not what was sent"));
      ++got;
      channel.consume_frame();
    }
  }
};

}  // namespace streamkit::bench
