// The Context: posting, its lock, what happens to work that is left when it goes.
#include "awaited.hpp"

#include <atomic>
#include <future>
#include <memory>
#include <thread>
#include <vector>

namespace streamkit::io {
namespace {

TEST(Context, runs_posted_tasks_in_order_on_itself) {
  Context context;
  std::vector<int> order;
  Event done;
  for (int i = 0; i < 1000; ++i)
    context.post([&order, &context, i] {
      EXPECT_TRUE(context.is_current());
      order.push_back(i);
    });
  context.post(done.setter());
  done.wait();
  on(context, [&] {
    ASSERT_EQ(order.size(), 1000u);
    for (int i = 0; i < 1000; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
  });
}

TEST(Context, never_runs_a_task_inside_post) {
  Context context;
  const auto ran = std::make_shared<bool>(false);
  Event done;
  context.post([&context, ran, done] {
    context.post([ran, done]() mutable { *ran = true, done.set(); });
    EXPECT_FALSE(*ran);
  });
  done.wait();
}

TEST(Context, keeps_the_order_of_each_of_many_threads) {
  constexpr int kThreads = 8, kEach = 2000;
  Context context;
  std::vector<int> last(kThreads, -1);  // touched on the Context only: a race would show under TSan
  int count = 0;
  Event done;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i)
        context.post([&, t, i] {
          EXPECT_EQ(last[static_cast<std::size_t>(t)], i - 1);
          last[static_cast<std::size_t>(t)] = i;
          if (++count == kThreads * kEach) done.set();
        });
    });
  for (std::thread& thread : threads) thread.join();
  done.wait();
}

TEST(Context, keeps_the_order_of_a_post_under_the_lock_and_one_after_it) {
  Context context;
  std::vector<int> order;
  for (int i = 0; i < 200; ++i) {
    order.clear();
    Event done;
    on(context, [&] { context.post([&] { order.push_back(1); }); });
    context.post([&] { order.push_back(2), done.set(); });
    done.wait();
    on(context, [&] { EXPECT_EQ(order, (std::vector<int>{1, 2})); });
  }
}

TEST(Context, runs_a_task_posted_under_the_lock_after_the_lock_is_left) {
  Context context;
  Event done;
  std::atomic<bool> ran = false;
  {
    const Context::Lock lock(context);
    context.post([&] { ran = true, done.set(); });
    EXPECT_FALSE(ran);
  }
  done.wait();
}

TEST(Context, keeps_a_thing_until_who_is_on_it_has_left) {
  Context context;
  const auto kept = [&context] {
    auto thing = std::make_shared<int>(1);
    const std::weak_ptr<int> watch = thing;
    context.keep(std::move(thing));
    EXPECT_FALSE(watch.expired());
    return watch;
  };
  std::weak_ptr<int> under_the_lock;
  {
    const Context::Lock lock(context);
    under_the_lock = kept();
    { const Context::Lock inner(context); }
    EXPECT_FALSE(under_the_lock.expired());
  }
  EXPECT_TRUE(under_the_lock.expired());

  std::promise<std::weak_ptr<int>> in_a_task;
  context.post([&] { in_a_task.set_value(kept()); });
  const std::weak_ptr<int> watch = in_a_task.get_future().get();
  const Context::Lock lock(context);  // the task has left
  EXPECT_TRUE(watch.expired());
}

TEST(Context, lets_what_goes_keep_more) {
  Context context;
  std::weak_ptr<int> second;
  {
    const Context::Lock lock(context);
    const auto keeps = [&](void*) {
      auto thing = std::make_shared<int>(2);
      second = thing;
      context.keep(std::move(thing));
    };
    context.keep(std::shared_ptr<void>(nullptr, keeps));
  }
  EXPECT_TRUE(second.expired());
}

TEST(Context, lets_one_thread_in_at_a_time) {
  constexpr int kThreads = 4, kEach = 2000;
  Context context;
  int count = 0, inside = 0;
  Event done;
  const auto step = [&] {
    EXPECT_EQ(++inside, 1);
    ++count;
    --inside;
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) {
        context.post(step);
        const Context::Lock lock(context);
        step();
      }
    });
  for (std::thread& thread : threads) thread.join();
  context.post(done.setter());
  done.wait();
  on(context, [&] { EXPECT_EQ(count, 2 * kThreads * kEach); });
}

TEST(Context, knows_who_is_on_it) {
  Context context, other;
  EXPECT_FALSE(context.is_current());
  EXPECT_FALSE(Context::is_any_current());
  {
    const Context::Lock lock(context);
    EXPECT_TRUE(context.is_current());
    EXPECT_FALSE(other.is_current());
    EXPECT_TRUE(Context::is_any_current());
    std::thread([&] { EXPECT_FALSE(context.is_current()); }).join();
  }
  EXPECT_FALSE(context.is_current());
  EXPECT_FALSE(Context::is_any_current());
}

TEST(Context, allows_a_lock_inside_a_lock_and_inside_a_task) {
  Context context;
  {
    const Context::Lock outer(context);
    {
      const Context::Lock inner(context);
      EXPECT_TRUE(context.is_current());
    }
    EXPECT_TRUE(context.is_current());
  }
  EXPECT_FALSE(context.is_current());
  Event done;
  context.post([&] {
    {
      const Context::Lock inner(context);
    }
    EXPECT_TRUE(context.is_current());
    done.set();
  });
  done.wait();
}

// A task that is always in the queue again: whenever the Context goes, it holds one.
struct Forever {
  Context* context;
  std::shared_ptr<std::atomic<int>> runs;
  void operator()() {
    ++*runs;
    context->post(*this);
  }
};

TEST(Context, lets_other_threads_in_while_its_loop_is_busy) {
  Context context;
  const auto runs = std::make_shared<std::atomic<int>>(0);
  context.post(Forever{&context, runs});
  for (int i = 0; i < 200; ++i) on(context, [] {});
  EXPECT_GE(*runs, 0);
}

TEST(Context, destroys_queued_tasks_without_running_them) {
  const auto runs = std::make_shared<std::atomic<int>>(0);
  {
    Context context;
    context.post(Forever{&context, runs});
    Event started;
    context.post(started.setter());
    started.wait();
  }
  EXPECT_GT(*runs, 0);
  EXPECT_EQ(runs.use_count(), 1) << "a queued task still exists";
}

TEST(Context, destroys_waiting_tasks_without_running_them) {
  auto token = std::make_shared<int>(0);
  auto context = std::make_unique<Context>();
  auto [a, b] = memory_stream_pair(*context, *context);
  Timer timer(*context);
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  auto pipe = stream_from_fd(*context, ends[0]);
  ASSERT_TRUE(pipe);
  const auto task = [&token] { return Task([held = token] { ADD_FAILURE() << "ran"; }); };
  auto listener = on(*context, [&] {
    a->wait_readable(task());
    (*pipe)->wait_readable(task());
    timer.start(kNever, task());
    return Listener::listen(*context, tcp("127.0.0.1"), [held = token](std::unique_ptr<Stream>) {});
  });
  ASSERT_TRUE(listener);
  EXPECT_EQ(token.use_count(), 5);
  context.reset();
  EXPECT_EQ(token.use_count(), 1);
  // All of these outlive their Context. They wait for nothing any more and can be destroyed.
  a->wait_readable(task());
  (*pipe)->wait_readable(task());
  timer.start(now(), task());
  EXPECT_EQ(token.use_count(), 1);
  ::close(ends[1]);
}

TEST(Context, frees_a_stream_that_only_its_own_wait_keeps_alive) {
  std::weak_ptr<Stream> watched;
  {
    Context context;
    auto [a, b] = memory_stream_pair(context, context);
    const std::shared_ptr<Stream> stream = std::move(a);
    watched = stream;
    on(context, [&] { stream->wait_readable([held = stream] {}); });
  }
  EXPECT_TRUE(watched.expired());
}

struct PostsWhenDestroyed {
  PostsWhenDestroyed(Context& c, std::shared_ptr<int> t) : context(c), token(std::move(t)) {}
  ~PostsWhenDestroyed() {
    EXPECT_TRUE(context.is_current());
    context.post([kept = token] { ADD_FAILURE() << "ran"; });
  }
  Context& context;
  std::shared_ptr<int> token;
};

TEST(Context, destroys_what_a_dropped_task_posts_in_turn) {
  const auto token = std::make_shared<int>(0);
  auto context = std::make_unique<Context>();
  Timer timer(*context);
  on(*context, [&] {
    timer.start(kNever, [kept = std::make_unique<PostsWhenDestroyed>(*context, token)] {});
  });
  context.reset();
  EXPECT_EQ(token.use_count(), 1);
}

TEST(Context, made_by_make_may_be_dropped_by_its_own_task) {
  Event done;
  std::shared_ptr<Context> context = Context::make();
  Context& ref = *context;
  // The task is the last owner: it is destroyed on the loop's own thread.
  ref.post([last = std::move(context), done]() mutable { done.set(); });
  done.wait();
}

}  // namespace
}  // namespace streamkit::io
