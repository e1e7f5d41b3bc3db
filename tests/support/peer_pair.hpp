// PeerPair: two peers, each with a key of its own that the other knows, joined over one kind of endpoint.
#pragma once

#include "outcome.hpp"

#include <streamkit/io/context.hpp>
#include <streamkit/streamkit.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <mutex>
#include <set>
#include <thread>

#include <stdlib.h>
#include <unistd.h>

namespace streamkit::testing {

using namespace std::chrono_literals;

/// No test waits longer than this for anything.
inline constexpr auto kPatience = 60s;

/// A folder of its own that goes away with it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "streamkit-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Values that another thread brings. A handle: copies share the values, so that a callback which
/// captures one by value may come after the test has gone on.
template <class T>
class Awaited {
 public:
  void put(T value) const {
    const std::lock_guard lock(shared_->mutex);
    shared_->values.push_back(std::move(value));
    shared_->changed.notify_all();
  }
  /// The next value; nothing when patience ends.
  std::optional<T> next() const {
    std::unique_lock lock(shared_->mutex);
    if (!shared_->changed.wait_for(lock, kPatience, [&] { return !shared_->values.empty(); })) return std::nullopt;
    std::optional<T> value(std::move(shared_->values.front()));
    shared_->values.pop_front();
    return value;
  }
  bool is_empty() const {
    const std::lock_guard lock(shared_->mutex);
    return shared_->values.empty();
  }

 private:
  struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<T> values;
  };
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

inline crypto::PrivateKey new_key() { return crypto::PrivateKey::generate().value(); }

/// Options of a peer that lets `other` in and, as a client, expects it.
inline PeerOptions options_for(const std::string& name, const crypto::PrivateKey& own, const crypto::PublicKey& other) {
  PeerOptions o;
  o.name = name;
  o.identity = own;
  o.trust.authorized_keys = {other};
  o.trust.known_host_keys = {other.fingerprint()};
  return o;
}

/// An endpoint to bind, of a kind: "tcp", "unix" or "inproc"; with the ancestor's wire "duplex" or "duplex-unix".
inline Endpoint fresh_endpoint(const std::string& kind, const TemporaryFolder& folder) {
  static std::atomic<int> serial{0};
  const std::string wire = kind.starts_with("duplex") ? "?wire=duplex" : "";
  if (kind.ends_with("unix")) return Endpoint("unix://" + folder.file("s" + std::to_string(++serial)) + wire);
  if (kind == "inproc") return Endpoint("inproc://test-" + std::to_string(::getpid()) + "-" + std::to_string(++serial));
  return Endpoint("tcp://127.0.0.1:0" + wire);
}

struct PeerPair {
  explicit PeerPair(const std::string& kind, std::function<void(PeerOptions&)> change = {}) {
    const crypto::PrivateKey key_a = new_key();
    const crypto::PrivateKey key_b = new_key();
    PeerOptions oa = options_for("a", key_a, key_b.public_key());
    PeerOptions ob = options_for("b", key_b, key_a.public_key());
    if (change) change(oa), change(ob);
    a.emplace(Peer::make(oa).value());
    b.emplace(Peer::make(ob).value());
    endpoint = a->bind(fresh_endpoint(kind, folder)).value();
    b->connect(endpoint, kPatience).value();
  }

  TemporaryFolder folder;
  std::optional<Peer> a, b;  // b connects to a
  Endpoint endpoint{"inproc://none"};
};

inline Bytes pattern_bytes(std::size_t n, std::uint32_t seed = 1) {
  Bytes out(n);
  std::uint32_t x = seed * 2654435761u + 1;
  for (std::byte& b : out) {
    x ^= x << 13, x ^= x >> 17, x ^= x << 5;
    b = std::byte(x);
  }
  return out;
}

/// Reads to the end of data.
inline Result<Bytes> read_all(Channel& channel) {
  Bytes all;
  Bytes piece(64 * 1024);
  while (true) {
    const Result<std::size_t> n = channel.read(piece, kPatience);
    if (!n) return n.error().is(Errc::eof) ? Result<Bytes>(std::move(all)) : Result<Bytes>(n.error());
    append(all, ByteView(piece).first(*n));
  }
}

}  // namespace streamkit::testing
