// A relay and tunnels in this process, over real sockets, and what they told.
#pragma once

#include <streamkit/peer/peer.hpp>
#include <streamkit/tunnel/relay.hpp>
#include <streamkit/tunnel/tunnel.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <support/plain_socket.hpp>
#include <support/process.hpp>
#include <vector>

namespace streamkit::tunnel::testing {

using namespace std::chrono_literals;
using streamkit::testing::http_get;
using streamkit::testing::free_port;
using streamkit::testing::HttpAnswer;
using streamkit::testing::Origin;
using streamkit::testing::PlainServer;
using streamkit::testing::PlainSocket;
using streamkit::testing::Process;
using streamkit::testing::Scratch;

/// Lines that events wrote, to be waited for.
class Diary {
 public:
  void write(std::string line) {
    const std::lock_guard lock(mutex_);
    lines_.push_back(std::move(line));
    changed_.notify_all();
  }
  /// Until a line contains `text`.
  bool wait_for(const std::string& text, std::chrono::seconds patience = 30s) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [&] { return count_of(text) > 0; });
  }
  std::size_t count(const std::string& text) {
    const std::lock_guard lock(mutex_);
    return count_of(text);
  }
  std::string all() {
    const std::lock_guard lock(mutex_);
    std::string text;
    for (const auto& line : lines_) text += line + "\n";
    return text;
  }

 private:
  std::size_t count_of(const std::string& text) const {
    return static_cast<std::size_t>(std::count_if(
        lines_.begin(), lines_.end(),
        [&](const std::string& line) { return line.find(text) != std::string::npos; }));
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
};

inline RelayEvents diary_events(Diary& diary) {
  RelayEvents events;
  events.claimed = [&](const TunnelInfo& t) { diary.write("claimed " + t.url); };
  events.released = [&](const TunnelInfo& t, std::string_view why) {
    diary.write("released " + t.url + " " + std::string(why));
  };
  events.visited = [&](const TunnelInfo& t, const std::string& visitor) {
    diary.write("visited " + t.url + " " + visitor);
  };
  events.request = [&](const RequestInfo& r) {
    diary.write("request " + r.name + " " + std::to_string(r.status) + " " + r.path);
  };
  events.refused = [&](const std::string&, const std::string& why) {
    diary.write("refused " + why);
  };
  return events;
}

inline TunnelEvents diary_events_of_tunnel(Diary& diary) {
  TunnelEvents events;
  events.online = [&](const Online& o) {
    diary.write("online " + o.url + (o.again ? " again" : ""));
  };
  events.reconnecting = [&](const Error& why, Duration) {
    diary.write("reconnecting " + why.message());
  };
  events.closed = [&](Ending how, const Error& why) {
    diary.write("closed " + std::string(to_string(how)) + " " + why.message());
  };
  events.visit_ended = [&](const Visit& v) {
    diary.write("visit " + std::to_string(v.bytes_in) + " in " + std::to_string(v.bytes_out) +
                " out");
  };
  events.target_failed = [&](const Visit&, const Error& why) {
    diary.write("target " + why.message());
  };
  return events;
}

/// The relay and two keys that it lets in.
class RelayWorld : public ::testing::Test {
 protected:
  RelayWorld()
      : relay_key_(*crypto::PrivateKey::generate()),
        ann_(*crypto::PrivateKey::generate()),
        bob_(*crypto::PrivateKey::generate()) {
    options_.listen = {"tcp://127.0.0.1:0"};
    options_.http = "127.0.0.1:0";
    options_.identity = relay_key_;
    options_.authorized_keys = {ann_.public_key(), bob_.public_key()};
  }

  /// The relay is stopped and started anew in this test.
  void keep_ports() {
    options_.listen = {Endpoint("tcp://127.0.0.1:" + std::to_string(free_port()))};
    options_.http = "127.0.0.1:" + std::to_string(free_port());
    options_.min_port = options_.max_port = free_port();
  }

  void start_relay() {
    auto started = Relay::start(options_, diary_events(relay_diary_));
    ASSERT_TRUE(started) << started.error().message();
    relay_.emplace(std::move(*started));
  }
  std::uint16_t ssh_port() const { return relay_->endpoints().front().port(); }
  std::uint16_t http_port() const {
    const std::string& at = relay_->http_address();
    return static_cast<std::uint16_t>(std::stoi(at.substr(at.rfind(':') + 1)));
  }

  TunnelOptions tunnel_options(const crypto::PrivateKey& key, Kind kind,
                               std::uint16_t target) const {
    TunnelOptions options;
    options.relay = relay_->endpoints().front();
    options.kind = kind;
    options.target = *TunnelTarget::parse(std::to_string(target));
    options.identity = key;
    options.relay_key = relay_key_.public_key().fingerprint();
    return options;
  }
  /// A tunnel that has to come up.
  Tunnel start_tunnel(TunnelOptions options, Diary& diary) {
    auto started = Tunnel::start(std::move(options), diary_events_of_tunnel(diary));
    if (!started) throw std::runtime_error(started.error().message());
    const auto online = started->wait_online(30s);
    if (!online) throw std::runtime_error(online.error().message());
    return std::move(*started);
  }
  HttpAnswer visit(const std::string& name, std::string_view path = "/") const {
    return http_get(http_port(), name + ".localhost:" + std::to_string(http_port()), path);
  }

  RelayOptions options_;
  crypto::PrivateKey relay_key_, ann_, bob_;
  Diary relay_diary_;
  std::optional<Relay> relay_;
};

}  // namespace streamkit::tunnel::testing
