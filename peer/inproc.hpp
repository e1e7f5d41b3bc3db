// In process: two multiplexers and a queue. No SSH, no cryptography, the same channels.
#pragma once

#include "link.hpp"

#include <streamkit/io/context.hpp>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace streamkit {

/// One end of a queue of messages between two connections, each on its own Context.
class InprocLink final : public Link {
 public:
  static constexpr std::size_t kHandOver = 512 * 1024;  ///< bytes that go over at once, at most
  static constexpr std::size_t kMovedCounts = 1024;     ///< of a body that moves, in that and in what waits

  struct End;  // the shared half that the other side writes into
  /// Both ends; give each its owner with attach() before start().
  static std::pair<std::unique_ptr<InprocLink>, std::unique_ptr<InprocLink>> pair(
      std::shared_ptr<io::Context> a, std::shared_ptr<io::Context> b);
  ~InprocLink() override;

  void attach(LinkOwner& owner, std::weak_ptr<void> alive);

  std::size_t sendable_bytes() const noexcept override;
  Result<void> send(ByteView header, ByteView body) override;
  Result<void> send_owned(ByteView header, Bytes body) override;
  void start() override;
  void pump(TimePoint now) override;
  bool flush() override;
  bool await_room() override { return false; }
  bool has_output() const noexcept override { return !outgoing_.empty(); }
  void close(const Error& why) override;
  Result<void> handle_timeout() override { return {}; }
  TimePoint next_timeout() const override { return kNever; }
  TimePoint last_input() const override { return io::now(); }
  const ssh::ConnectionInfo* info() const override { return nullptr; }
  void set_send_batch(std::size_t) override {}

 private:
  // A message in two parts, or all of it in `body`. Data has a header of at most 17 bytes, with the
  // beginning of its frame; so a body that was given away goes on as it is.
  struct Message {
    std::array<std::byte, 20> header;
    std::size_t header_size = 0;
    Bytes body;
  };

  InprocLink(std::shared_ptr<End> ours, std::shared_ptr<End> theirs);

  void queue(ByteView header, Bytes body, std::size_t most);
  void hand_over();
  static void forget(std::vector<Message>& messages);

  std::shared_ptr<End> ours_, theirs_;
  std::vector<Message> outgoing_;  // since the last hand-over
  std::size_t outgoing_bytes_ = 0;
  std::vector<Message> incoming_;
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
