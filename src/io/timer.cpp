// Timer: one deadline. Restarting it later, the usual life of an idle or keepalive timer, only
// writes the new deadline down: the reactor's timer goes off at the old one and is set again then.
#include "loop.hpp"

#include <asio/basic_waitable_timer.hpp>

#include <algorithm>

namespace streamkit::io {
namespace {

using Clock = std::chrono::steady_clock;
/// A deadline further away is approached in steps, which spares the reactor sums near the clock's
/// end.
constexpr std::chrono::hours kLongestStep{1};

}  // namespace

struct Timer::Impl final : std::enable_shared_from_this<Timer::Impl>, Waiting {
  explicit Impl(std::shared_ptr<Loop> of) : loop(std::move(of)), alarm(loop->io().get_executor()) {}

  void start(TimePoint when, Task next);
  void arm();
  void fire();
  void abandon() override { const Task dropped = std::move(task); }

  std::shared_ptr<Loop> loop;
  asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, Loop::Executor> alarm;
  Task task;
  TimePoint deadline = kNever;
  TimePoint armed_for = kNever;
  bool armed = false;
};

void Timer::Impl::start(TimePoint when, Task next) {
  if (loop->is_stopped()) return;
  loop->enlist(*this);
  const Task dropped = std::exchange(task, std::move(next));
  deadline = when;
  if (deadline != kNever && (!armed || armed_for > deadline)) arm();
}

void Timer::Impl::arm() {
  armed = true;
  armed_for = std::min(deadline, after(now(), kLongestStep));
  alarm.expires_at(armed_for);  // an earlier wait ends as cancelled
  alarm.async_wait([weak = weak_from_this(), at = loop.get()](const std::error_code& ec) {
    if (ec) return;
    const Loop::Entry entry(*at);
    if (const auto self = weak.lock()) self->fire();
  });
}

void Timer::Impl::fire() {
  armed = false;
  if (!task || deadline == kNever) return;
  // The alarm is from an earlier start. Set it again even when the later deadline has passed by
  // now: other timers that are due before it go first.
  if (armed_for < deadline || now() < deadline) return arm();
  loop->dismiss(*this);
  Task due = std::move(task);
  due();
}

Timer::Timer(Context& context) : impl_(std::make_shared<Impl>(context.impl().loop)) {}
Timer::~Timer() {
  cancel();
}
void Timer::start(TimePoint when, Task task) {
  impl_->start(when, std::move(task));
}

void Timer::cancel() {
  impl_->loop->dismiss(*impl_);
  const Task dropped = std::move(impl_->task);
}

}  // namespace streamkit::io
