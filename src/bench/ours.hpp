// What every row of ours begins with: a peer that listens in the second process, and one that connects.
#pragma once

#include "row.hpp"

#include <streamkit/peer/peer.hpp>

#include <future>
#include <memory>

namespace streamkit::bench {

/// Why this subject cannot be measured here, or empty: `-fast` asks for the second AES-GCM.
std::string why_not(const Task& task);

PeerOptions server_options(const Task& task);
PeerOptions client_options(const Task& task);

/// The second process's peer, and what it was asked to hold idle.
class Server {
 public:
  explicit Server(const Task& task, Control& other);
  Peer& peer() noexcept { return peer_; }
  /// The next channel that the measuring side opens.
  Channel accept() { return peer_.accept().value(); }
  /// Until the measuring side says that it has done.
  void wait_for_end(Control& other) { other.hear(); }

 private:
  Peer peer_;
};

/// The measuring side's peer, connected, with what is idle beside the row.
class Client {
 public:
  explicit Client(const Task& task, Control& other);
  Peer& peer() noexcept { return peer_; }
  const std::string& endpoint() const noexcept { return endpoint_; }
  Channel open(std::string service, OpenOptions options = {});

 private:
  Peer peer_;
  std::string endpoint_;
  std::vector<Channel> idle_channels_;
  std::vector<Peer> idle_connections_;
};

inline constexpr const char* kServerName = "server";

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

}  // namespace streamkit::bench
