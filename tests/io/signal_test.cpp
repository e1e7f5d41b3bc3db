// Signal: waiting for one, and who drives the loop meanwhile.
#include "awaited.hpp"

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace streamkit::io {
namespace {

using namespace std::chrono_literals;

TEST(Signal, that_is_set_already_is_not_waited_for) {
  Context context;
  Signal signal(context);
  EXPECT_FALSE(signal.is_set());
  signal.set();
  EXPECT_TRUE(signal.is_set());
  EXPECT_TRUE(signal.wait());
}

TEST(Signal, is_waited_for_until_the_deadline) {
  Context context;
  Signal signal(context);
  const TimePoint deadline = now() + 20ms;
  EXPECT_FALSE(signal.wait(deadline));
  EXPECT_GE(now(), deadline);
  EXPECT_FALSE(signal.wait(now() - 1s));
}

TEST(Signal, set_by_a_task_of_the_context_ends_the_wait) {
  Context context;
  for (int i = 0; i < 500; ++i) {
    const auto signal = std::make_shared<Signal>(context);  // which must outlive set()
    context.post([signal] { signal->set(); });
    ASSERT_TRUE(signal->wait());
  }
}

TEST(Signal, set_by_another_thread_ends_the_wait_of_a_driver_and_of_a_follower) {
  Context context;
  for (int i = 0; i < 100; ++i) {
    Signal first(context), second(context);
    std::thread a([&] { EXPECT_TRUE(first.wait()); });
    std::thread b([&] { EXPECT_TRUE(second.wait()); });
    std::thread c([&] { second.set(), first.set(); });
    a.join(), b.join(), c.join();
  }
}

// The point of it all: no other thread is woken for what a waiting thread waits for.
TEST(Signal, a_waiting_thread_runs_the_handlers_itself) {
  Context context;
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  auto stream = stream_from_fd(context, ends[0]);
  ASSERT_TRUE(stream);
  std::thread::id ran_on;
  // The first waits may come while the context's own thread drives; it steps back for the next.
  for (int i = 0; i < 1000 && ran_on != std::this_thread::get_id(); ++i) {
    const auto readable = std::make_shared<Signal>(context);
    on(context, [&] {
      (*stream)->wait_readable([&, readable] {
        std::byte drop[1];
        (void)(*stream)->read_some(drop);
        ran_on = std::this_thread::get_id();
        readable->set();
      });
    });
    ASSERT_EQ(::write(ends[1], "x", 1), 1);
    ASSERT_TRUE(readable->wait());
  }
  EXPECT_EQ(ran_on, std::this_thread::get_id());
  on(context, [&] { stream->reset(); });
  ::close(ends[1]);
}

TEST(Signal, threads_that_wait_at_once_are_all_served) {
  constexpr int kThreads = 6, kEach = 300;
  Context context;
  std::atomic<int> served = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) {
        Signal signal(context);
        Timer timer(context);
        on(context, [&] { timer.start(after(now(), std::chrono::microseconds(i % 50)), [&] { signal.set(); }); });
        if (signal.wait()) ++served;
        on(context, [&] { timer.cancel(); });
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(served, kThreads * kEach);
}

// Who leaves the Lock to wait, and then need not wait, has posted a task that nobody was told of.
TEST(Signal, a_task_posted_before_a_wait_that_is_over_at_once_is_run) {
  Context context;
  for (int i = 0; i < 500; ++i) {
    Signal signal(context);
    Event ran;
    {
      Context::Lock lock(context);
      context.post(ran.setter());
      signal.set();
      lock.leave_to_wait();
    }
    EXPECT_TRUE(signal.wait());
    ran.wait();
  }
}

TEST(Signal, the_loop_goes_on_by_itself_when_callers_stay_away) {
  Context context;
  for (int i = 0; i < 20; ++i) {
    const auto signal = std::make_shared<Signal>(context);
    context.post([signal] { signal->set(); });
    ASSERT_TRUE(signal->wait());  // this thread has driven, or made the own thread step back
    Event rang;
    Timer timer(context);
    on(context, [&] { timer.start(now(), rang.setter()); });
    rang.wait();
    on(context, [&] { timer.cancel(); });
  }
}

TEST(Signal, a_deadline_beside_a_driver_is_kept) {
  Context context;
  Signal never(context), done(context);
  std::thread driver([&] { EXPECT_TRUE(done.wait()); });
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(never.wait(now() + 1ms));
  done.set();
  driver.join();
}

TEST(Signal, busy_polling_sees_what_comes_and_sleeps_in_the_end) {
  Context context;
  context.set_busy_poll(2ms);
  for (int i = 0; i < 20; ++i) {
    const auto signal = std::make_shared<Signal>(context);
    std::thread setter([&] { context.post([signal] { signal->set(); }); });
    EXPECT_TRUE(signal->wait());
    setter.join();
  }
  Signal never(context);
  EXPECT_FALSE(never.wait(now() + 10ms));  // longer than it polls
}

TEST(Signal, a_wait_ends_with_its_context) {
  auto context = std::make_unique<Context>();
  Signal never(*context);
  Event waiting;
  context->post(waiting.setter());
  std::thread waiter([&] { EXPECT_FALSE(never.wait()); });
  waiting.wait();
  context.reset();
  waiter.join();
}

}  // namespace
}  // namespace streamkit::io
