// ControlLink: the connection protocol through somebody else's SSH connection, that of `ssh -M -S
// PATH`, in the proxy mode of its control socket (OpenSSH's PROTOCOL.mux sections 1 and 9). The ssh
// has authenticated and encrypts; it translates channel numbers and passes on what channels say. It
// passes on no other global request than tcpip-forward, and no answers to them.
#pragma once

#include "stream_link.hpp"

#include <streamkit/base/buffer.hpp>

#include <memory>

namespace streamkit {

class ControlLink final : public StreamLink {
 public:
  ControlLink(LinkOwner& owner, std::unique_ptr<io::Stream> stream);

  std::size_t sendable_bytes() const noexcept override;
  Result<void> send(ByteView header, ByteView body) override;
  void start() override;
  void pump(TimePoint now) override;
  void close(const Error& why) override;
  Result<void> handle_timeout() override;
  TimePoint next_timeout() const override {
    return is_down_ || phase_ == Phase::open ? kNever : deadline_;
  }
  const ssh::ConnectionInfo* info() const override { return nullptr; }
  void set_send_batch(std::size_t bytes) override { send_batch_ = bytes; }

 private:
  enum class Phase { hello, request, open };

  bool wants_input() const override { return true; }
  MutableByteView prepare_input() override;
  Result<void> take_input(std::size_t size) override;
  void input_ended() override;
  ByteView output() const noexcept override { return out_.data(); }
  void consume_output(std::size_t size) override { out_.consume(size); }
  void go_down(const Error& error) override;
  Result<bool> take_packet(TimePoint now);
  Result<void> handle_control(ByteView packet);

  ByteQueue in_, out_;
  std::size_t send_batch_ = 0;
  TimePoint deadline_;
  Phase phase_ = Phase::hello;
};

}  // namespace streamkit
