#include "carrier.hpp"

#include <support/transport_pair.hpp>

namespace streamkit::simulation {
namespace {

// ---- SSH

class SshCarrier final : public Carrier {
 public:
  SshCarrier(ssh::Role role, ssh::Config config, std::shared_ptr<Pipe> in,
             std::shared_ptr<Pipe> out, std::uint64_t seed, TimePoint at)
      : in_(std::move(in)), out_(std::move(out)), random_(seed), transport_([&] {
          config.random = &random_;
          return ssh::Transport::make(role, std::move(config), at).value();
        }()) {}

  std::size_t sendable_bytes() const noexcept override {
    return is_down_ ? 0 : transport_.sendable_bytes();
  }
  Result<void> send(ByteView header, ByteView body) override {
    return is_down_ ? Result<void>(Errc::connection_lost) : transport_.send(header, body, now);
  }

  bool write_some(std::size_t most) override {
    const std::size_t n = out_->write(transport_.output(), most, now);
    transport_.consume_output(n);
    if (is_down_ && transport_.output().empty()) out_->end(), in_->abandon();
    return n > 0;
  }
  bool read_some(std::size_t most) override {
    if (is_down_ || !transport_.wants_input() || resident->is_congested()) return false;
    const MutableByteView room = transport_.prepare();
    const std::size_t n = in_->read(room.first(std::min(room.size(), most)), now);
    if (n > 0) {
      (void)transport_.handle_input(n, now);  // Disconnected follows an error
    } else if (in_->is_at_end()) {
      transport_.handle_eof();
    } else {
      return false;
    }
    drain();
    return true;
  }
  void handle_timeout() override {
    if (is_down_) return;
    (void)transport_.handle_timeout(now);
    drain();
  }
  TimePoint next_timeout() const override {
    return is_down_ ? kNever : transport_.next_timeout().value_or(kNever);
  }
  TimePoint next_arrival() const override { return is_down_ ? kNever : in_->next_arrival(); }
  bool rekey() override {
    if (is_down_ || !transport_.is_authenticated()) return false;
    const bool begun = transport_.start_rekey(now).has_value();
    drain();
    return begun;
  }
  std::uint64_t exchanges() const override { return transport_.info().exchanges; }
  void disconnect() override {
    transport_.disconnect(ssh::DisconnectReason::by_application, "enough");
    drain();
  }
  void fail(const Error& why) override {
    transport_.disconnect(ssh::disconnect_reason(why), why.message());
    go_down(why);
  }
  bool is_down() const override { return is_down_; }
  std::size_t waiting() const override { return transport_.output().size(); }
  void end_outgoing() override { out_->end(); }
  void cut_outgoing(std::size_t kept) override { out_->cut(kept); }

 private:
  void drain() {
    for (bool more = true; more && !is_down_;) {
      more = false;
      while (const auto payload = transport_.next_payload(now)) {
        more = true;
        if (const Result<void> r = resident->payload_came(*payload, transport_.keeper()); !r)
          return fail(r.error());
        if (is_down_) return;
      }
      while (auto event = transport_.poll_event()) more = true, handle(*event);
    }
  }
  void handle(ssh::Event& event) {
    if (std::holds_alternative<ssh::HostKeyReceived>(event)) transport_.accept_host_key();
    if (std::holds_alternative<ssh::KeyOffered>(event) ||
        std::holds_alternative<ssh::KeyVerified>(event))
      transport_.accept_auth();
    if (std::holds_alternative<ssh::Authenticated>(event)) resident->link_up();
    if (const auto* end = std::get_if<ssh::Disconnected>(&event)) go_down(end->error);
  }
  void go_down(const Error& why) {
    if (is_down_) return;
    is_down_ = true;
    resident->link_down(why);
  }

  std::shared_ptr<Pipe> in_, out_;
  testing::FixedRandom random_;
  ssh::Transport transport_;
  bool is_down_ = false;
};

ssh::Config limited(ssh::Config config, Dice& dice) {
  constexpr const char* kCiphers[] = {"aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com",
                                      "aes128-ctr"};
  ssh::Limits& l = config.limits;
  l.output_high_water = dice.between(1000, 100'000);
  l.rekey_after_bytes = dice.one_in(3) ? dice.between(20'000, 200'000) : dice.between(1, 20) << 20;
  l.rekey_after_packets = dice.one_in(4) ? dice.between(100, 1000) : std::size_t{1} << 20;
  l.rekey_after = std::chrono::seconds(dice.between(20, 600));
  l.max_send_packet = dice.one_in(3) ? dice.between(35'000, 250'000) : 35'000;
  config.algorithms.ciphers = {kCiphers[dice.below(3)]};
  return config;
}

// ---- in process

struct Message {
  Bytes header;
  std::optional<Bytes> given;
  std::size_t size;
  TimePoint arrives;
};
struct Queue {
  std::deque<Message> messages;
  std::size_t bytes = 0;
  bool is_ended = false;
};

class QueueCarrier final : public Carrier {
 public:
  QueueCarrier(std::shared_ptr<Queue> in, std::shared_ptr<Queue> out, std::size_t capacity)
      : in_(std::move(in)), out_(std::move(out)), capacity_(capacity) {}

  std::size_t sendable_bytes() const noexcept override {
    return is_down_ || out_->bytes >= capacity_ ? 0 : capacity_ - out_->bytes;
  }
  Result<void> send(ByteView header, ByteView body) override {
    Bytes whole = to_bytes(header);
    append(whole, body);
    return push({std::move(whole), std::nullopt, header.size() + body.size(), now});
  }
  Result<void> send_owned(ByteView header, Bytes body) override {
    const std::size_t size = header.size() + body.size();
    return push({to_bytes(header), std::move(body), size, now});
  }
  bool write_some(std::size_t) override { return false; }  // it is over there already
  bool read_some(std::size_t most) override {
    if (!is_up_ && !is_down_) {
      is_up_ = true;
      resident->link_up();
      return true;
    }
    bool any = false;
    for (std::size_t n = 0; n < most && !is_down_ && !resident->is_congested(); ++n) {
      if (in_->messages.empty() && in_->is_ended) {
        go_down(Errc::connection_lost);
        return true;
      }
      if (in_->messages.empty() || in_->messages.front().arrives > now) break;
      Message m = std::move(in_->messages.front());
      in_->messages.pop_front();
      in_->bytes -= m.size;
      any = true;
      const Result<void> r = m.given ? resident->given_came(m.header, std::move(*m.given))
                                     : resident->payload_came(m.header, {});
      if (!r) fail(r.error());
    }
    return any;
  }
  TimePoint next_arrival() const override {
    return is_down_ || in_->messages.empty() ? kNever : in_->messages.front().arrives;
  }
  void disconnect() override { fail(Errc::closed); }
  void fail(const Error& why) override {
    out_->is_ended = true;
    go_down(why);
  }
  bool is_down() const override { return is_down_; }
  std::size_t waiting() const override { return 0; }
  void end_outgoing() override { out_->is_ended = true; }
  void cut_outgoing(std::size_t kept) override {
    out_->is_ended = true;
    while (out_->messages.size() > kept)
      out_->bytes -= out_->messages.back().size, out_->messages.pop_back();
  }

 private:
  Result<void> push(Message m) {
    if (is_down_) return Errc::connection_lost;
    if (out_->is_ended) return {};  // it falls into the gap
    out_->bytes += m.size;
    out_->messages.push_back(std::move(m));
    return {};
  }
  void go_down(const Error& why) {
    if (std::exchange(is_down_, true)) return;
    out_->is_ended = true;
    resident->link_down(why);
  }

  std::shared_ptr<Queue> in_, out_;
  std::size_t capacity_;
  bool is_up_ = false, is_down_ = false;
};

}  // namespace

Line ssh_line(Dice& dice, TimePoint now) {
  const Duration latency = std::chrono::microseconds(dice.one_in(3) ? 0 : dice.below(50'000));
  const std::size_t capacity =
      dice.one_in(2) ? dice.between(500, 5000) : dice.between(5000, 300'000);
  auto there = std::make_shared<Pipe>(latency, capacity),
       back = std::make_shared<Pipe>(latency, capacity);
  Line line;
  line.ends[0] = std::make_unique<SshCarrier>(
      ssh::Role::client, limited(testing::client_config(), dice), back, there, dice.any(), now);
  ssh::Config server = limited(testing::server_config(), dice);
  server.algorithms.ciphers.clear();  // the client's choice
  line.ends[1] = std::make_unique<SshCarrier>(ssh::Role::server, std::move(server), there, back,
                                              dice.any(), now);
  return line;
}

Line queue_line(Dice& dice, TimePoint) {
  auto there = std::make_shared<Queue>(), back = std::make_shared<Queue>();
  const std::size_t capacity = dice.between(1000, 1 << 20);
  Line line;
  line.ends[0] = std::make_unique<QueueCarrier>(back, there, capacity);
  line.ends[1] = std::make_unique<QueueCarrier>(there, back, capacity);
  return line;
}

}  // namespace streamkit::simulation
