// ControlLink: the connection protocol through somebody else's SSH connection, that of `ssh -M -S
// PATH`, in the proxy mode of its control socket (OpenSSH's PROTOCOL.mux sections 1 and 9). The ssh
// has authenticated and encrypts; it translates channel numbers and passes on what channels say. It
// passes on no other global request than tcpip-forward, and no answers to them.
#pragma once

#include "link.hpp"

#include <streamkit/base/buffer.hpp>
#include <streamkit/io/stream.hpp>

#include <memory>

namespace streamkit {

class ControlLink final : public Link {
 public:
  ControlLink(LinkOwner& owner, std::unique_ptr<io::Stream> stream);

  std::size_t sendable_bytes() const noexcept override;
  Result<void> send(ByteView header, ByteView body) override;
  void start() override;
  void pump(TimePoint now) override;
  bool flush() override;
  bool await_room() override;
  bool has_output() const noexcept override {
    return !is_down_ && !waits_writable_ && !out_.empty();
  }
  void close(const Error& why) override;
  Result<void> handle_timeout() override;
  TimePoint next_timeout() const override {
    return is_down_ || phase_ == Phase::open ? kNever : deadline_;
  }
  TimePoint last_input() const override { return last_input_; }
  const ssh::ConnectionInfo* info() const override { return nullptr; }
  void set_send_batch(std::size_t bytes) override { send_batch_ = bytes; }

 private:
  enum class Phase { hello, request, open };

  void want_input();
  void read();
  Result<bool> take_packet(TimePoint now);
  Result<void> handle_control(ByteView packet);
  void go_down(const Error& error);

  LinkOwner& owner_;
  const std::unique_ptr<io::Stream> stream_;
  ByteQueue in_, out_;
  std::size_t send_batch_ = 0;
  TimePoint last_input_, deadline_;
  Phase phase_ = Phase::hello;
  bool waits_readable_ = false, waits_writable_ = false, is_down_ = false;
};

}  // namespace streamkit
