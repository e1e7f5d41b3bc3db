// A Context is one event loop. Everything that belongs to it is touched by one thread at a time.
//
// "On the Context" means: in a task or handler that the Context calls, or while holding its Lock.
// A thread that calls in takes the Lock for a moment, works inline as if it were the loop, and
// leaves. A thread that waits (for a Signal) drives the loop meanwhile, if nobody else does: what
// it waits for is then done on that very thread, and so are other tasks and handlers of the Context.
// Its own thread drives when no caller does. So neither a call from outside nor a wait costs a
// hand-over to another thread.
#pragma once

#include <streamkit/base/function.hpp>
#include <streamkit/base/result.hpp>
#include <streamkit/base/time.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

namespace streamkit::io {

/// steady_clock's now. The one place where the library reads that clock.
TimePoint now() noexcept;
/// The wall clock: seconds since 1970. For what people write dates into; waits use now().
std::uint64_t unix_seconds() noexcept;

class Loop;

/// Thread-safe. Destroying it stops the loop, joins its thread and destroys (does not run) what is
/// still queued or waiting, on the Context; it must not be destroyed on itself. Its thread takes no
/// signals. Streams, timers and the like may outlive it: they wait for nothing then.
class Context {
 public:
  /// Throws std::system_error when the system has no thread or no descriptor left.
  Context();
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  /// A Context whose last owner may be anybody, even one of its own tasks: its thread then ends by
  /// itself.
  static std::shared_ptr<Context> make();

  /// Queues `task`; the loop runs it soon, in order, never inside this call. Any thread.
  void post(Task task);
  /// The same for a task that whoever calls in next would do the work of: it wakes a driver that sleeps, but
  /// while callers come and go it may wait until one drives, or for the own thread, some 1 ms.
  void post_lazily(Task task);
  /// On the Context: `thing` lives at least until whoever is on it now has left. For what must outlive
  /// its caller; a task posted for that would wake the loop.
  void keep(std::shared_ptr<const void> thing);
  /// Whether the calling thread is on this Context.
  bool is_current() const noexcept;
  /// Whether the calling thread is on any Context.
  static bool is_any_current() noexcept;
  /// For threads that call in often and seldom wait: does what is due, without waiting, when nobody
  /// has driven the loop for a moment (200 us), so that the Context's own thread can stay asleep.
  void pass_by();
  /// How long whoever drives looks for events again and again before it sleeps until the next one, and
  /// lets others have the processor in between. Sleeping and being woken cost some 25 us each; not
  /// sleeping costs a processor. 0: not at all. Default (nothing): by itself, up to 100 us after turns
  /// that moved at most 4 KiB, while what is waited for mostly comes within that time; not where the
  /// process has one processor only, or a quota (cgroup v2). Any thread.
  void set_busy_poll(std::optional<Duration> duration) noexcept;

  /// Holds the loop still and puts the calling thread on it. Nesting on the same Context is free.
  /// Never take one while on another Context (post instead): two threads doing so could wait for
  /// each other. Waiting for an event while holding it is a deadlock.
  class Lock {
   public:
    explicit Lock(Context& context);
    ~Lock();
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;
    /// Leaves early; the caller goes on to Signal::wait() at once, which sees to what was posted
    /// meanwhile. No effect when nested.
    void leave_to_wait();

   private:
    Context* context_;  // nullptr when nested
  };

  struct Impl;
  Impl& impl() noexcept { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

/// A flag that one thread waits for. While it waits it may drive the Context's loop, so tasks and
/// handlers of the Context run on it. It must live until set() has returned.
class Signal {
 public:
  explicit Signal(Context& context);
  ~Signal();
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;
  /// For good. Any thread.
  void set() noexcept;
  bool is_set() const noexcept { return set_.load(std::memory_order_acquire); }
  /// True once it is set; false when the deadline came first, or the Context ended. Not on any
  /// Context, and one thread only.
  bool wait(TimePoint deadline = kNever);

 private:
  friend class Loop;
  enum class Waiter : std::uint8_t { none, driving, following };

  const std::shared_ptr<Loop> loop_;
  std::atomic<bool> set_{false};
  std::atomic<Waiter> waiter_{Waiter::none};
};

/// One deadline of a Context; use it on the Context only (a debug build asserts it). Destroying it
/// cancels. Starting it again for later is cheap: made for deadlines that move with every packet.
class Timer {
 public:
  explicit Timer(Context& context);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  /// Calls `task` once, on the Context, at `when` or soon after. Replaces an earlier start.
  void start(TimePoint when, Task task);
  /// The task of an earlier start is dropped and will not be called, even if it was already due.
  void cancel();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace streamkit::io
