// Waiter: how a blocking form waits for the completion of its asynchronous one.
#pragma once

#include <streamkit/io/context.hpp>
#include <streamkit/peer/until.hpp>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>

namespace streamkit {

/// One wait of one thread. The completion may outlive the wait: what it brings then is dropped.
template <class T>
class Waiter {
 public:
  Completion<T> completion() {
    return [shared = shared_](Result<T> r) {
      const std::lock_guard lock(shared->mutex);
      shared->result.emplace(std::move(r));
      shared->changed.notify_all();
    };
  }

  /// Waits; at the deadline or when stopped calls `withdraw`, after which the completion will not come
  /// any more (or has come, and then its result is the answer).
  template <class Withdraw>
  Result<T> wait(const Until& until, Withdraw&& withdraw) {
    const std::stop_callback on_stop(until.stop, [shared = shared_] {
      const std::lock_guard lock(shared->mutex);
      shared->changed.notify_all();
    });
    std::unique_lock lock(shared_->mutex);
    const auto settled = [&] { return shared_->result.has_value() || until.stop.stop_requested(); };
    if (until.deadline == kNever) {
      shared_->changed.wait(lock, settled);
    } else {
      shared_->changed.wait_until(lock, until.deadline, settled);
    }
    if (!shared_->result) {
      lock.unlock();
      withdraw();
      lock.lock();
    }
    if (shared_->result) return std::move(*shared_->result);
    return until.stop.stop_requested() ? Error(Errc::cancelled) : Error(Errc::timeout);
  }

 private:
  struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<Result<T>> result;
  };
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

}  // namespace streamkit
