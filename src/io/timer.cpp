// Timer: one deadline. Restarting it later, the usual life of an idle or keepalive timer, only
// writes the new deadline down: the alarm rings at the old one and is set again then.
#include "loop.hpp"

namespace streamkit::io {

struct Timer::Impl final : std::enable_shared_from_this<Timer::Impl>, Alarm, Waiting {
  explicit Impl(std::shared_ptr<Loop> of) : loop(std::move(of)) {}

  void start(TimePoint when, Task next);
  void cancel();
  void ring() override;
  void abandon() override {
    loop->clear_alarm(*this);
    const Task dropped = std::move(task);
  }

  std::shared_ptr<Loop> loop;
  Task task;
  TimePoint deadline = kNever;
};

void Timer::Impl::start(TimePoint when, Task next) {
  if (loop->is_stopped()) return;
  loop->enlist(*this);
  const Task dropped = std::exchange(task, std::move(next));
  deadline = when;
  if (deadline != kNever && (!is_set() || at() > deadline)) loop->set_alarm(*this, deadline);
}

void Timer::Impl::ring() {
  if (!task || deadline == kNever) return;
  // The alarm is from an earlier start. Set it again even when the later deadline has passed by
  // now: other timers that are due before it go first.
  if (at() < deadline) return loop->set_alarm(*this, deadline);
  const std::shared_ptr<Impl> alive = shared_from_this();
  loop->dismiss(*this);
  Task due = std::move(task);
  due();
}

void Timer::Impl::cancel() {
  loop->dismiss(*this);
  loop->clear_alarm(*this);
  const Task dropped = std::move(task);
}

Timer::Timer(Context& context) : impl_(std::make_shared<Impl>(context.impl().loop)) {}
Timer::~Timer() {
  cancel();
}
void Timer::start(TimePoint when, Task task) {
  impl_->start(when, std::move(task));
}
void Timer::cancel() {
  impl_->cancel();
}

}  // namespace streamkit::io
