// StockClient: an SSH client on a blocking socket that is authenticated, speaks nothing of ours,
// and then sends whatever a test wants over a link to a Peer.
#pragma once

#include "support/fixed_random.hpp"
#include "support/plain_socket.hpp"

#include <streamkit/base/wire.hpp>
#include <streamkit/ssh/transport.hpp>

#include <deque>
#include <optional>
#include <string>

namespace streamkit::testing {

class StockClient {
 public:
  /// `extensions`: what it announces in EXT_INFO.
  StockClient(std::uint16_t port, const crypto::PrivateKey& key, std::string user = "stock",
              std::vector<std::pair<std::string, std::string>> extensions = {})
      : socket_(PlainSocket::connect(port)),
        transport_(make(key, std::move(user), std::move(extensions))) {
    while (!transport_.is_authenticated() && step()) {
    }
  }

  bool is_live() const { return !transport_.is_closed(); }
  /// Of the other side's DISCONNECT; 0: there was none.
  std::uint32_t reason() const { return reason_; }
  std::uint64_t bytes_sent() const { return bytes_sent_; }

  void send(const Bytes& payload) {
    (void)transport_.send(payload, {}, TimePoint());
    flush();
  }
  /// Sends without reading until the socket takes no more for a while, or `most` payloads went. How
  /// many did.
  int flood(const Bytes& payload, int most) {
    be_patient_for(300'000);
    int sent = 0;
    while (sent < most && transport_.send(payload, {}, TimePoint())) {
      ++sent;
      if (!flush()) break;
    }
    be_patient_for(1000);  // what is left goes between reads
    return sent;
  }
  /// The next payload of the other side; nothing at the end.
  std::optional<Bytes> next() {
    while (inbox_.empty())
      if (!step()) return std::nullopt;
    Bytes payload = std::move(inbox_.front());
    inbox_.pop_front();
    return payload;
  }
  /// The next payload with one of these numbers.
  std::optional<Bytes> next(std::initializer_list<int> numbers) {
    while (auto payload = next())
      for (const int number : numbers)
        if ((*payload)[0] == std::byte(number)) return payload;
    return std::nullopt;
  }
  /// The number of the answer to `payload`, one of `numbers`; 0 when the link ends instead.
  int answer(const Bytes& payload, std::initializer_list<int> numbers) {
    send(payload);
    const auto got = next(numbers);
    return got ? std::to_integer<int>((*got)[0]) : 0;
  }
  void close() { socket_.close(); }
  /// Exchanges keys anew. False: the link ended instead.
  bool rekey() {
    const std::uint64_t before = transport_.info().exchanges;
    (void)transport_.start_rekey(TimePoint());
    while (transport_.info().exchanges == before && step()) {
    }
    return is_live();
  }

 private:
  ssh::Transport make(const crypto::PrivateKey& key, std::string user,
                      std::vector<std::pair<std::string, std::string>> extensions) {
    ssh::Config config;
    config.extensions = std::move(extensions);
    config.random = &random_;
    config.user = std::move(user);
    config.identities = {ssh::Identity(key)};
    config.software = "stock_1";
    config.limits.output_high_water = 16 << 20;
    return ssh::Transport::make(ssh::Role::client, std::move(config), TimePoint()).value();
  }
  void be_patient_for(suseconds_t microseconds) {
    const timeval moment{0, microseconds};
    ::setsockopt(socket_.fd(), SOL_SOCKET, SO_SNDTIMEO, &moment, sizeof moment);
  }
  bool flush() {
    while (!transport_.output().empty()) {
      const ssize_t n = ::send(socket_.fd(), transport_.output().data(), transport_.output().size(),
                               MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes_sent_ += static_cast<std::uint64_t>(n);
      transport_.consume_output(static_cast<std::size_t>(n));
    }
    return true;
  }
  /// Reads once. False: the end.
  bool step() {
    if (transport_.is_closed()) return false;
    flush();
    const MutableByteView room = transport_.prepare();
    const ssize_t n = ::recv(socket_.fd(), room.data(), room.size(), 0);
    if (n > 0) {
      (void)transport_.handle_input(static_cast<std::size_t>(n), TimePoint());
    } else {
      transport_.handle_eof();
    }
    drain();
    flush();
    return true;
  }
  /// Takes payloads and events until there are none.
  void drain() {
    for (bool more = true; more;) {
      more = false;
      while (const auto payload = transport_.next_payload(TimePoint()))
        more = true, inbox_.push_back(to_bytes(*payload));
      while (auto event = transport_.poll_event()) {
        more = true;
        if (std::get_if<ssh::HostKeyReceived>(&*event)) transport_.accept_host_key();
        const auto* end = std::get_if<ssh::Disconnected>(&*event);
        if (end && end->by_peer && end->reason != ssh::DisconnectReason::connection_lost)
          reason_ = static_cast<std::uint32_t>(end->reason);
      }
    }
  }

  FixedRandom random_{77};
  PlainSocket socket_;
  ssh::Transport transport_;
  std::deque<Bytes> inbox_;
  std::uint32_t reason_ = 0;
  std::uint64_t bytes_sent_ = 0;
};

/// Builds one message of the connection protocol.
class Message {
 public:
  explicit Message(std::uint8_t number) { wire::Writer(bytes_).u8(number); }
  Message& u8(std::uint8_t v) { return wire::Writer(bytes_).u8(v), *this; }
  Message& u32(std::uint32_t v) { return wire::Writer(bytes_).u32(v), *this; }
  Message& str(std::string_view v) { return wire::Writer(bytes_).string(v), *this; }
  operator const Bytes&() const { return bytes_; }  // NOLINT: a Message is its bytes

 private:
  Bytes bytes_;
};
inline Message open_message(std::string_view type, std::uint32_t id = 0,
                            std::uint32_t window = 1 << 20) {
  return Message(90).str(type).u32(id).u32(window).u32(32768);
}

}  // namespace streamkit::testing
