// The Context: its lock, its queue of posted tasks, its thread.
#include "loop.hpp"

#include <streamkit/io/context.hpp>

#include <asio/post.hpp>

#include <csignal>
#include <pthread.h>

namespace streamkit::io {
namespace {

thread_local Context* current_context = nullptr;  // the Context this thread is on
thread_local Loop* own_loop = nullptr;            // the Loop this thread was started for

// The background thread leaves the program's signals to the program's threads. Faults stay
// deliverable, and so does the profilers' signal.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t blocked;
    sigfillset(&blocked);
    for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, SIGPROF})
      sigdelset(&blocked, signal);
    pthread_sigmask(SIG_SETMASK, &blocked, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

TimePoint now() noexcept {
  return std::chrono::steady_clock::now();
}

// --- Loop ---

Loop::Loop(Context& owner) : owner_(owner) {}

void Loop::start() {
  const SignalsBlocked guard;  // a new thread inherits the mask
  thread_ = std::thread([this] { run(); });
  pthread_setname_np(thread_.native_handle(), "streamkit-io");
}

void Loop::run() {
  own_loop = this;
  io_.run();
  if (!ends_by_itself_.load()) return;
  const std::shared_ptr<Loop> alive = shared_from_this();
  drop_all();
  delete &owner_;
}

void Loop::end() {
  stopping_.store(true);
  io_.stop();
}

void Loop::stop() {
  if (stopped_) return;
  assert(!is_current() && "a Context cannot be destroyed on itself");
  end();
  thread_.join();
  drop_all();
}

void Loop::stop_by_itself() {
  ends_by_itself_.store(true);
  thread_.detach();
  end();
}

void Loop::drop_all() {
  enter_from_outside();
  stopped_ = true;
  drop_everything();
  leave_to_outside();
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

bool Loop::is_own_thread() const noexcept {
  return own_loop == this;
}

bool Loop::is_current() const noexcept {
  return current_context == &owner_;
}

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

void Loop::leave_to_outside() {
  // Another thread may end the Context as soon as the lock is free.
  std::shared_ptr<Loop> alive;
  if (std::exchange(wake_at_leave_, false)) alive = shared_from_this();
  current_context = nullptr;
  mutex_.unlock();
  if (!alive) return;
  {
    const std::lock_guard guard(post_mutex_);
    if (posted_.empty() || drain_scheduled_ || refuse_posts_) return;
    drain_scheduled_ = true;
  }
  schedule_drain();
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
  current_context = nullptr;
  mutex_.unlock();
}

void Loop::post(Task task) {
  {
    const std::lock_guard guard(post_mutex_);
    if (refuse_posts_) return;  // the task dies with the argument, after the guard
    posted_.push_back(std::move(task));
    if (drain_scheduled_) return;
    if (is_current() && own_loop != this) {
      // The loop's thread would wake up only to wait for the lock that this thread holds.
      wake_at_leave_ = true;
      return;
    }
    drain_scheduled_ = true;
  }
  schedule_drain();
}

void Loop::schedule_drain() {
  asio::post(io_, [this] { drain(); });
}

// Runs what was queued when it began; what those tasks post waits for the next round, so that the
// reactor gets its turn.
void Loop::drain() {
  const Entry entry(*this);
  {
    const std::lock_guard guard(post_mutex_);
    batch_.swap(posted_);
    drain_scheduled_ = false;
  }
  for (Task& next : batch_) {
    if (stopping_.load(std::memory_order_relaxed)) break;
    Task task = std::move(next);
    task();
  }
  batch_.clear();
  if (batch_.capacity() > kKeptBatch) std::vector<Task>().swap(batch_);
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

// --- Context ---

Context::Context() : impl_(std::make_unique<Impl>(*this)) {
  impl_->loop->start();
}
Context::~Context() {
  impl_->loop->stop();
}

std::shared_ptr<Context> Context::make() {
  return std::shared_ptr<Context>(new Context, [](Context* context) {
    if (context->impl_->loop->is_own_thread() || context->is_current()) {
      context->impl_->loop->stop_by_itself();
    } else {
      delete context;
    }
  });
}

void Context::post(Task task) {
  // The task may run, and end the Context as its last owner, before post() has returned.
  const std::shared_ptr<Loop> alive = impl_->loop;
  alive->post(std::move(task));
}
bool Context::is_current() const noexcept {
  return current_context == this;
}
bool Context::is_any_current() noexcept {
  return current_context != nullptr;
}

Context::Lock::Lock(Context& context)
    : context_(context.is_current() ? nullptr : &context), previous_(current_context) {
  if (!context_) return;
  assert(!previous_ && "never take the Lock of one Context while on another: post to it");
  context_->impl().loop->enter_from_outside();
}

Context::Lock::~Lock() {
  if (!context_) return;
  context_->impl().loop->leave_to_outside();
  current_context = previous_;
}

}  // namespace streamkit::io
