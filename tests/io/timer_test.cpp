// Timers: order, restarting, cancelling, and the end of one in its own task.
#include "awaited.hpp"

#include <vector>

namespace streamkit::io {
namespace {

using std::chrono::milliseconds;

TEST(Timer, calls_its_task_once_and_not_before_the_deadline) {
  Context context;
  Timer timer(context);
  int calls = 0;
  Awaited<TimePoint> at;
  const TimePoint when = after(now(), milliseconds(20));
  on(context, [&] {
    timer.start(when, [&] {
      EXPECT_TRUE(context.is_current());
      ++calls;
      at.set(now());
    });
  });
  EXPECT_GE(at.take().value(), when);
  let_pass(context);
  on(context, [&] {
    EXPECT_EQ(calls, 1);
    timer.cancel();
  });
}

TEST(Timer, never_calls_inside_start) {
  Context context;
  Timer timer(context);
  Event done;
  on(context, [&] {
    timer.start(now() - milliseconds(5), done.setter());
    EXPECT_FALSE(done.is_set());
  });
  done.wait();
}

TEST(Timer, goes_off_in_the_order_of_deadlines) {
  Context context;
  Timer first(context), second(context), third(context);
  std::vector<int> order;
  Event done;
  on(context, [&] {
    const TimePoint start = now();
    third.start(start + milliseconds(30), [&] { order.push_back(3), done.set(); });
    first.start(start + milliseconds(10), [&] { order.push_back(1); });
    second.start(start + milliseconds(20), [&] { order.push_back(2); });
  });
  done.wait();
  on(context, [&] { EXPECT_EQ(order, (std::vector<int>{1, 2, 3})); });
}

TEST(Timer, drops_the_task_of_a_cancelled_start_even_when_it_was_due) {
  Context context;
  Timer timer(context);
  const auto token = std::make_shared<int>(0);
  on(context, [&] {
    timer.start(now() - milliseconds(1), [token] { ADD_FAILURE() << "ran"; });
    // The loop cannot run it while this thread is on the Context, however due it is.
    timer.cancel();
    EXPECT_EQ(token.use_count(), 1);
  });
  let_pass(context);
}

TEST(Timer, replaces_an_earlier_start_by_a_later_and_by_a_sooner_one) {
  Context context;
  Timer timer(context);
  for (const auto wait : {milliseconds(30), milliseconds(0)}) {
    Awaited<TimePoint> at;
    TimePoint when{};
    on(context, [&] {
      timer.start(now() + milliseconds(10), [] { ADD_FAILURE() << "the replaced task ran"; });
      when = now() + wait;
      timer.start(when, [&] { at.set(now()); });
    });
    EXPECT_GE(at.take().value(), when);
  }
  let_pass(context);
  on(context, [&] { timer.cancel(); });
}

TEST(Timer, waits_for_the_new_deadline_after_a_cancel_and_a_start) {
  Context context;
  Timer timer(context);
  Awaited<TimePoint> at;
  TimePoint when{};
  on(context, [&] {
    timer.start(now(), [] { ADD_FAILURE() << "the cancelled task ran"; });
    timer.cancel();
    when = now() + milliseconds(20);
    timer.start(when, [&] { at.set(now()); });
  });
  EXPECT_GE(at.take().value(), when);
}

TEST(Timer, can_be_started_again_in_its_own_task) {
  Context context;
  Timer timer(context);
  int calls = 0;
  Event done;
  struct Again {
    Timer& timer;
    int& calls;
    Event done;
    void operator()() {
      if (++calls == 5) return done.set();
      timer.start(now(), *this);
    }
  };
  on(context, [&] { timer.start(now(), Again{timer, calls, done}); });
  done.wait();
}

TEST(Timer, can_be_destroyed_in_its_own_task) {
  Context context;
  auto timer = std::make_unique<Timer>(context);
  Event done;
  on(context, [&] {
    timer->start(now(), [&timer, done]() mutable {
      timer.reset();
      done.set();
    });
  });
  done.wait();
}

TEST(Timer, never_calls_when_destroyed_before_its_deadline) {
  Context context;
  on(context, [&] {
    Timer timer(context);
    timer.start(now() + milliseconds(1), [] { ADD_FAILURE() << "ran"; });
  });
  Timer later(context);
  Event done;
  on(context, [&] { later.start(now() + milliseconds(5), done.setter()); });
  done.wait();
}

TEST(Timer, frees_itself_when_its_task_owns_it_and_is_replaced) {
  Context context;
  std::weak_ptr<Timer> watched;
  on(context, [&] {
    const auto timer = std::make_shared<Timer>(context);
    watched = timer;
    timer->start(kNever, [timer] {});
  });
  EXPECT_FALSE(watched.expired());
  on(context, [&] { watched.lock()->cancel(); });
  EXPECT_TRUE(watched.expired());
}

TEST(Timer, takes_deadlines_at_the_end_of_time) {
  Context context;
  Timer never(context), almost_never(context), soon(context);
  Event done;
  on(context, [&] {
    never.start(kNever, [] { ADD_FAILURE() << "ran"; });
    almost_never.start(kNever - milliseconds(1), [] { ADD_FAILURE() << "ran"; });
    soon.start(after(now(), milliseconds(1)), done.setter());
  });
  done.wait();
  on(context, [&] { never.cancel(), almost_never.cancel(); });
}

}  // namespace
}  // namespace streamkit::io
