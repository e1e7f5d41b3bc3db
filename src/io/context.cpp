// Context, its Lock and Signal: the faces of the Loop.
#include "loop.hpp"

#include <streamkit/io/context.hpp>

#include <algorithm>

namespace streamkit::io {

TimePoint now() noexcept {
  return std::chrono::steady_clock::now();
}

std::uint64_t unix_seconds() noexcept {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::max<std::int64_t>(0, std::chrono::floor<std::chrono::seconds>(since).count()));
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
    if (context->impl_->loop->is_driven_here() || context->is_current()) {
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
void Context::post_lazily(Task task) {
  const std::shared_ptr<Loop> alive = impl_->loop;
  alive->post(std::move(task), true);
}
void Context::keep(std::shared_ptr<const void> thing) {
  impl_->loop->keep(std::move(thing));
}
bool Context::is_current() const noexcept {
  return Loop::current() == this;
}
bool Context::is_any_current() noexcept {
  return Loop::current() != nullptr;
}
void Context::pass_by() {
  if (!is_any_current()) impl_->loop->pass_by();
}
void Context::set_busy_poll(std::optional<Duration> duration) noexcept {
  impl_->loop->busy_poll().choose(duration);
}

// --- Lock ---

Context::Lock::Lock(Context& context)
    : context_(context.is_current() ? nullptr : &context) {
  if (!context_) return;
  assert(!Loop::current() && "never take the Lock of one Context while on another: post to it");
  context_->impl().loop->enter_from_outside();
}

Context::Lock::~Lock() {
  if (context_) context_->impl().loop->leave_to_outside();
}

void Context::Lock::leave_to_wait() {
  if (context_) std::exchange(context_, nullptr)->impl().loop->leave_to_outside(true);
}

// --- Signal ---

Signal::Signal(Context& context) : loop_(context.impl().loop) {}
Signal::~Signal() = default;

void Signal::set() noexcept {
  set_.store(true);
  if (waiter_.load() != Waiter::none) loop_->tell(*this);
}

bool Signal::wait(TimePoint deadline) {
  assert(!Context::is_any_current() && "waiting on a Context would wait for itself");
  if (!is_set()) return loop_->wait(*this, deadline);
  loop_->see_to_posts();
  return true;
}

}  // namespace streamkit::io
