// In process: two multiplexers and a queue. No SSH, no cryptography, the same channels.
#pragma once

#include "link.hpp"

#include <streamkit/io/context.hpp>

#include <functional>

#include <memory>
#include <string>
#include <utility>

namespace streamkit {

/// One end of a queue of messages between two connections, each on its own Context.
class InprocLink final : public Link {
 public:
  struct End;  // the shared half that the other side writes into
  /// Both ends; give each its owner with attach() before start().
  static std::pair<std::unique_ptr<InprocLink>, std::unique_ptr<InprocLink>> pair(
      std::shared_ptr<io::Context> a, std::shared_ptr<io::Context> b);
  ~InprocLink() override;

  void attach(LinkOwner& owner, std::weak_ptr<void> alive);

  std::size_t sendable_bytes() const noexcept override;
  Result<void> send(ByteView header, ByteView body) override;
  void start() override;
  void pump() override;
  bool flush() override;
  bool has_output() const noexcept override { return false; }
  void close(const Error& why) override;
  Result<void> handle_timeout() override { return {}; }
  TimePoint next_timeout() const override { return kNever; }
  TimePoint last_input() const override { return io::now(); }
  const ssh::ConnectionInfo* info() const override { return nullptr; }
  void set_max_send_packet(std::size_t) override {}

 private:
  InprocLink(std::shared_ptr<End> ours, std::shared_ptr<End> theirs);

  std::shared_ptr<End> ours_, theirs_;
  LinkOwner* owner_ = nullptr;
  bool is_down_ = false;
};

/// Names of inproc:// endpoints in this process. Thread-safe.
class InprocRegistry {
 public:
  /// Called on the connecting thread with no lock held; hands the link over to the listener's Context.
  using OnConnect = std::function<void(std::unique_ptr<InprocLink>, const crypto::PublicKey& from)>;
  struct Entry {
    std::shared_ptr<io::Context> context;
    crypto::PublicKey key;
    OnConnect on_connect;
  };
  static Result<void> bind(const std::string& name, std::shared_ptr<const Entry> entry);
  static void unbind(const std::string& name);
  static std::shared_ptr<const Entry> find(const std::string& name);
};

}  // namespace streamkit
