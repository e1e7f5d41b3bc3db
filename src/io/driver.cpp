// Who drives the Loop: the rule is at the top of loop.hpp.
#include "loop.hpp"
#include "own_thread.hpp"

#include <algorithm>

namespace streamkit::io {
namespace {

thread_local const Loop* driven_loop = nullptr;  // the Loop that this thread is driving

class Driving {
 public:
  explicit Driving(const Loop& loop) noexcept { driven_loop = &loop; }
  ~Driving() { driven_loop = nullptr; }
  Driving(const Driving&) = delete;
  Driving& operator=(const Driving&) = delete;
};

}  // namespace

bool Loop::is_driven_here() const noexcept {
  return driven_loop == this;
}

// ---- the own thread

void Loop::start() {
  thread_ = own_thread("streamkit-io", [this] { run(); });
}

void Loop::run() {
  {
    std::unique_lock lock(drive_mutex_);
    while (!stopping_) {
      if (driver_ == Driver::none) {
        driver_ = Driver::own_thread;
        own_thread_wanted_ = false;
        lock.unlock();
        {
          const Driving here(*this);
          do turn(kNever);
          while (!stopping_ && !yield_wanted_.exchange(false));
        }
        lock.lock();
        driver_ = Driver::none;
        pass_on();
      }
      stand_by(lock);
    }
    driver_gone_.wait(lock, [this] { return driver_ == Driver::none; });
  }
  if (!ends_by_itself_) return;
  const std::shared_ptr<Loop> alive = shared_from_this();
  drop_all();
  delete &owner_;
}

// Callers drive. The own thread looks now and then whether they still do, and while one of them
// waits for long it sleeps until that one has gone.
void Loop::stand_by(std::unique_lock<std::mutex>& lock) {
  while (!stopping_) {
    const std::uint64_t turns = caller_turns_;
    own_thread_.wait_for(lock, kStandBy, [this] { return stopping_ || own_thread_wanted_; });
    own_thread_wanted_ = own_thread_wanted_ && driver_ == Driver::none;
    if (own_thread_wanted_) return;
    if (turns != caller_turns_) continue;
    if (driver_ == Driver::none) return;
    sleeps_deeply_ = true;
    own_thread_.wait(lock, [this] { return stopping_ || !sleeps_deeply_; });
  }
}

// ---- callers

template <class Run>
void Loop::drive_as_caller(std::unique_lock<std::mutex>& lock, Run run) {
  driver_ = Driver::caller;
  ++caller_turns_;
  lock.unlock();
  {
    const Driving here(*this);
    run();
  }
  driven_at_.store(now(), std::memory_order_relaxed);
  lock.lock();
  driver_ = Driver::none;
  pass_on();
}

// Callers that never have to wait never drive, and the own thread would come between them; so they
// look after the loop as they pass.
void Loop::pass_by() {
  if (driver_ == Driver::own_thread) yield_wanted_ = true;
  if (driver_ != Driver::none || now() < after(driven_at_.load(std::memory_order_relaxed), kUnattended)) return;
  const std::shared_ptr<Loop> alive = shared_from_this();
  std::unique_lock lock(drive_mutex_);
  if (driver_ != Driver::none || stopping_) return;
  drive_as_caller(lock, [this] { turn(kAtOnce); });
}

bool Loop::wait(Signal& signal, TimePoint deadline) {
  const std::shared_ptr<Loop> alive = shared_from_this();
  std::unique_lock lock(drive_mutex_);
  while (!signal.is_set() && !stopping_ && (deadline == kNever || now() < deadline)) {
    if (driver_ != Driver::none) {
      follow(lock, signal, deadline);
      continue;
    }
    drive_as_caller(lock, [&] { drive_for(signal, deadline); });
  }
  lock.unlock();
  see_to_posts();
  return signal.is_set();
}

void Loop::drive_for(Signal& signal, TimePoint deadline) {
  signal.waiter_.store(Signal::Waiter::driving);
  while (!signal.is_set() && !stopping_ && (deadline == kNever || now() < deadline)) {
    unseen_posts_ = false;
    turn(deadline);
  }
  signal.waiter_.store(Signal::Waiter::none);
}

void Loop::follow(std::unique_lock<std::mutex>& lock, Signal& signal, TimePoint deadline) {
  if (driver_ == Driver::own_thread) yield_wanted_ = true;
  if (unseen_posts_.exchange(false) && sleeping_.exchange(false)) reactor_.wake();
  Follower me;
  me.signal = &signal;
  followers_.push_back(&me);
  signal.waiter_.store(Signal::Waiter::following);
  const auto settled = [&] { return me.is_called || signal.is_set() || stopping_; };
  if (deadline == kNever) {
    me.woken.wait(lock, settled);
  } else {
    me.woken.wait_until(lock, deadline, settled);
  }
  signal.waiter_.store(Signal::Waiter::none);
  std::erase(followers_, &me);
  if (me.is_called && driver_ == Driver::none && signal.is_set()) pass_on();
}

void Loop::tell(Signal& signal) noexcept {
  if (is_driven_here() && signal.waiter_.load() == Signal::Waiter::driving) return;
  const std::lock_guard lock(drive_mutex_);
  for (Follower* const follower : followers_)
    if (follower->signal == &signal) return follower->woken.notify_one();
  reactor_.wake();  // it drives
}

/// With drive_mutex_: nobody drives any more.
void Loop::pass_on() {
  for (Follower* const follower : followers_) {
    if (follower->signal->is_set()) continue;
    follower->is_called = true;
    return follower->woken.notify_one();
  }
  if (stopping_) driver_gone_.notify_all();
  own_thread_wanted_ = is_called();
  if (std::exchange(sleeps_deeply_, false) || own_thread_wanted_) own_thread_.notify_one();
}

void Loop::call_driver() noexcept {
  if (driver_ == Driver::none) {
    const std::lock_guard lock(drive_mutex_);
    own_thread_wanted_ = driver_ == Driver::none;
    if (own_thread_wanted_) return own_thread_.notify_one();
  }
  if (sleeping_.exchange(false)) reactor_.wake();
}

// ---- the end

void Loop::end() {
  const std::lock_guard lock(drive_mutex_);
  stopping_ = true;
  own_thread_.notify_one();
  for (Follower* const follower : followers_) follower->woken.notify_one();
  reactor_.wake();
}

void Loop::stop() {
  if (stopped_) return;
  assert(!is_current() && "a Context cannot be destroyed on itself");
  end();
  thread_.join();
  drop_all();
}

void Loop::stop_by_itself() {
  ends_by_itself_ = true;
  thread_.detach();
  end();
}

}  // namespace streamkit::io
