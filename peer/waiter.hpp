// Waiter: how a blocking form waits for the completion of its asynchronous one.
#pragma once

#include <streamkit/io/context.hpp>
#include <streamkit/peer/until.hpp>

#include <atomic>
#include <memory>
#include <optional>

namespace streamkit {

/// One wait of one thread for something that completes on `context`. The completion may outlive the
/// wait: what it brings then is dropped.
template <class T>
class Waiter {
 public:
  explicit Waiter(io::Context& context) : shared_(std::make_shared<Shared>(context)) {}

  Completion<T> completion() {
    return [shared = shared_](Result<T> r) {
      shared->result.emplace(std::move(r));
      shared->has_result.store(true);
      shared->settled.set();
    };
  }

  bool is_settled() const noexcept { return shared_->settled.is_set(); }

  /// Waits; at the deadline or when stopped calls `withdraw`, which takes the Lock, and after which
  /// the completion will not come any more (or has come, and then its result is the answer).
  template <class Withdraw>
  Result<T> wait(const Until& until, Withdraw&& withdraw) {
    {
      const std::stop_callback on_stop(until.stop, [shared = shared_] { shared->settled.set(); });
      shared_->settled.wait(until.deadline);
    }
    if (!shared_->has_result.load()) withdraw();
    if (shared_->has_result.load()) return std::move(*shared_->result);
    if (until.stop.stop_requested()) return Error(Errc::cancelled);
    return Error(until.deadline == kNever ? Errc::closed : Errc::timeout);
  }

 private:
  struct Shared {
    explicit Shared(io::Context& context) : settled(context) {}
    io::Signal settled;  // by the completion or by the stop
    std::atomic<bool> has_result{false};
    std::optional<Result<T>> result;
  };
  std::shared_ptr<Shared> shared_;
};

}  // namespace streamkit
