// The Loop: its lock, its queue of posted tasks, one turn of driving. Who drives is in driver.cpp.
#include "loop.hpp"

#include "descriptor.hpp"

#include <sched.h>

namespace streamkit::io {
namespace {

thread_local Context* current_context = nullptr;  // the Context this thread is on

bool looks_by_itself() {
  static const bool answer = has_processors_to_spare();
  return answer;
}

}  // namespace

Context* Loop::current() noexcept {
  return current_context;
}

Loop::Loop(Context& owner) : owner_(owner), busy_poll_(looks_by_itself()) {}

bool Loop::is_current() const noexcept {
  return current_context == &owner_;
}

Resolver& Loop::resolver() {
  if (!resolver_) resolver_ = std::make_unique<Resolver>();
  return *resolver_;
}

// ---- in and out

void Loop::enter_from_outside() {
  if (!mutex_.try_lock()) {
    outside_.fetch_add(1, std::memory_order_relaxed);
    {
      const std::lock_guard next(gate_);
      mutex_.lock();
    }
    outside_.fetch_sub(1, std::memory_order_relaxed);
  }
  current_context = &owner_;
}

void Loop::leave_to_outside(bool is_waiting) {
  // Another thread may end the Context as soon as the lock is free.
  std::shared_ptr<Loop> alive;
  if (!kept_.empty()) {
    alive = shared_from_this();
    drop_kept();
  }
  bool wakes = false;
  if (std::exchange(wake_at_leave_, false)) {
    wakes = !is_waiting;
    if (is_waiting)
      unseen_posts_ = true;
    else
      alive = shared_from_this();
  }
  current_context = nullptr;
  mutex_.unlock();
  if (wakes) call_driver();
}

void Loop::enter_from_loop() {
  if (outside_.load(std::memory_order_relaxed) != 0 && ++overtakes_ > kMaxOvertakes) {
    overtakes_ = 0;
    const std::lock_guard after_the_next(gate_);
  }
  mutex_.lock();
  current_context = &owner_;
}

void Loop::leave_to_loop() {
  if (!kept_.empty()) drop_kept();
  current_context = nullptr;
  mutex_.unlock();
}

// What goes may let go of more.
void Loop::drop_kept() {
  while (!kept_.empty()) {
    const std::shared_ptr<const void> last = std::move(kept_.back());
    kept_.pop_back();
  }
}

// ---- posting

void Loop::post(Task task, bool can_wait) {
  {
    const std::lock_guard guard(post_mutex_);
    if (refuse_posts_) return;  // the task dies with the argument, after the guard
    posted_.push_back(std::move(task));
    if (called_) return;  // who posted before us has seen to it
    // The own thread looks by itself when nobody has driven for a moment.
    if (can_wait && driver_ == Driver::none) return;
    called_ = true;
  }
  if (is_driven_here()) return;  // the driver looks before it sleeps
  if (is_current()) {
    // The driver would wake up only to wait for the lock that this thread holds.
    wake_at_leave_ = true;
    return;
  }
  call_driver();
}

bool Loop::is_idle() {
  const std::lock_guard guard(post_mutex_);
  return posted_.empty();
}

bool Loop::is_called() {
  const std::lock_guard guard(post_mutex_);
  return called_;
}

// Runs what was queued when it began; what those tasks post waits for the next turn, so that the
// descriptors get theirs.
void Loop::run_posted() {
  {
    const std::lock_guard guard(post_mutex_);
    if (posted_.empty()) return;
    batch_.swap(posted_);
    called_ = false;
  }
  const Entry entry(*this);
  for (Task& next : batch_) {
    if (stopping_.load(std::memory_order_relaxed)) break;
    Task task = std::move(next);
    task();
  }
  batch_.clear();
  if (batch_.capacity() > kKeptBatch) std::vector<Task>().swap(batch_);
}

// ---- one turn

void Loop::turn(TimePoint until) {
  for (const epoll_event& event : sleep(until)) dispatch(event);
  ring_alarms();
  run_posted();
}

std::span<const epoll_event> Loop::sleep(TimePoint until) {
  // From here on whoever brings work wakes us; what came before is looked at after it.
  sleeping_.store(true);
  // Counted before it begins: who reads meanwhile and waits anew must not be told of what is gone.
  collections_.fetch_add(1);
  until = std::min(until, timers_.next());
  if (!is_idle() || stopping_.load()) until = kAtOnce;
  std::span<const epoll_event> events;
  if (until != kAtOnce) events = look(until);
  if (events.empty()) events = reactor_.wait(until);
  sleeping_.store(false);
  return events;
}

std::span<const epoll_event> Loop::look(TimePoint until) {
  const Duration longest = busy_poll_.next();
  if (longest <= Duration::zero()) return {};
  const TimePoint end = std::min(until, after(now(), longest));
  std::span<const epoll_event> events;
  TimePoint seen{};
  do {
    events = reactor_.wait(kAtOnce);
    if (events.empty()) ::sched_yield();  // the other side may need this processor
    seen = now();
  } while (events.empty() && seen < end);
  busy_poll_.looked(!events.empty(), seen - end);
  return events;
}

void Loop::dispatch(const epoll_event& event) {
  const Entry entry(*this);
  if (WatchedDescriptor* const descriptor = reactor_.find(event.data.u64))
    descriptor->ready(event.events);
}

void Loop::ring_alarms() {
  if (timers_.next() == kNever) return;
  const TimePoint due = now();
  // As many as there are at first: one that is set anew while it rings has its turn later.
  std::size_t left = 0;
  do {
    const Entry entry(*this);
    if (stopping_.load(std::memory_order_relaxed)) return;
    if (left == 0) left = timers_.size();
    if (Alarm* const alarm = timers_.take_due(due)) alarm->ring();
  } while (--left > 0 && timers_.next() <= due);
}

void Loop::set_alarm(Alarm& alarm, TimePoint at) {
  const TimePoint before = timers_.next();
  timers_.set(alarm, at);
  if (at < before && !is_driven_here() && sleeping_.exchange(false)) reactor_.wake();
}

// ---- what is dropped at the end

void Loop::drop_all() {
  enter_from_outside();
  stopped_ = true;
  drop_everything();
  const std::unique_ptr<Resolver> resolver = std::move(resolver_);
  leave_to_outside();
  // The resolver's thread may post, so it is joined off the Context.
}

void Loop::drop_everything() {
  std::vector<Task> left;
  {
    const std::lock_guard guard(post_mutex_);
    refuse_posts_ = true;
    left.swap(posted_);
  }
  left.clear();
  while (first_waiting_) {
    Waiting& waiting = *first_waiting_;
    dismiss(waiting);
    waiting.abandon();
  }
}

void Loop::enlist(Waiting& waiting) noexcept {
  assert(is_current() && "this object may be used on its Context only: take a Context::Lock");
  if (waiting.before_) return;
  if (first_waiting_) {
    waiting.behind_ = first_waiting_;
    waiting.before_ = first_waiting_->before_;
    waiting.before_->behind_ = &waiting;
    waiting.behind_->before_ = &waiting;
  } else {
    waiting.before_ = waiting.behind_ = &waiting;
  }
  first_waiting_ = &waiting;
}

void Loop::dismiss(Waiting& waiting) noexcept {
  if (!waiting.before_) return;
  assert(is_current() && "this object may be used on its Context only: take a Context::Lock");
  if (first_waiting_ == &waiting)
    first_waiting_ = waiting.behind_ == &waiting ? nullptr : waiting.behind_;
  waiting.before_->behind_ = waiting.behind_;
  waiting.behind_->before_ = waiting.before_;
  waiting.before_ = waiting.behind_ = nullptr;
}

}  // namespace streamkit::io
