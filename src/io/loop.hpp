// Loop: what a Context is made of. A reactor, timers, a queue of posted tasks, one mutex that
// decides who is on the Context, and the list of what has to be dropped when it stops.
//
// Who drives. One thread at a time waits for events and handles them: the driver. A thread that
// waits for a Signal drives if nobody else does, so that what it waits for is done by itself, without
// a hand-over (waking a sleeping thread costs more than all the rest of a small message). The
// Context's own thread drives when no caller does; it steps back after a caller had to wait beside
// it, and comes back when callers stay away for a moment (kStandBy).
//
// Objects (streams, timers, ...) share the Loop, so it outlives each of them; the Context only
// decides how long it runs. The reactor says "ready", the reading is the streams'.
#pragma once

#include "busy_poll.hpp"
#include "reactor.hpp"
#include "resolver.hpp"
#include "timers.hpp"

#include <streamkit/io/context.hpp>

#include <atomic>
#include <cassert>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace streamkit::io {

/// Something that holds a task of the user's while it waits. A Loop that stops makes it drop the
/// task.
class Waiting {
 public:
  Waiting() = default;
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  /// Destroys the held tasks, which may destroy this object: the last thing it does to itself.
  virtual void abandon() = 0;

 protected:
  ~Waiting() = default;

 private:
  friend class Loop;
  Waiting* before_ = nullptr;
  Waiting* behind_ = nullptr;
};

class Loop : public std::enable_shared_from_this<Loop> {
 public:
  explicit Loop(Context& owner);
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void start();
  /// Stops and joins the thread, then drops every queued and waiting task. Called once.
  void stop();
  /// For a caller who is on the Context: the loop's thread ends when the caller has left, and
  /// destroys the Context, which has no other owner, as the last thing it does.
  void stop_by_itself();
  /// Never to be set back; read on the Context.
  bool is_stopped() const noexcept { return stopped_; }

  /// `can_wait`: nobody is woken for it while callers come and go.
  void post(Task task, bool can_wait = false);
  /// On the Context.
  void keep(std::shared_ptr<const void> thing) { kept_.push_back(std::move(thing)); }
  bool is_current() const noexcept;
  /// The Context that the calling thread is on, or nullptr.
  static Context* current() noexcept;
  /// The calling thread is the driver.
  bool is_driven_here() const noexcept;
  Reactor& reactor() noexcept { return reactor_; }
  /// The number of the turn's collection of events: the one that is handled, or under way. Read on the
  /// Context.
  std::uint64_t collections() const noexcept { return collections_.load(); }
  /// Looks names up on a thread of its own, which starts with the first question.
  Resolver& resolver();

  /// On the Context.
  void set_alarm(Alarm& alarm, TimePoint at);
  void clear_alarm(Alarm& alarm) noexcept { timers_.clear(alarm); }

  /// Puts the calling thread on the Context and takes it off again. `outside` is any thread but the
  /// driver. A Loop is entered by one thread at a time and never twice by the same. `is_waiting`:
  /// the thread goes on to wait(), which sees to what was posted.
  void enter_from_outside();
  void leave_to_outside(bool is_waiting = false);

  /// Waits until `signal` is set, and drives meanwhile if nobody else does. False: the deadline
  /// came first, or the Loop is stopping.
  bool wait(Signal& signal, TimePoint deadline);
  /// For a caller who comes often and need not wait: looks after the loop if nobody has for a while.
  void pass_by();
  /// For who left to wait and need not: has what was posted seen to.
  void see_to_posts() noexcept {
    if (unseen_posts_.exchange(false)) call_driver();
  }
  /// A signal that somebody waits for was set by the calling thread.
  void tell(Signal& signal) noexcept;
  BusyPoll& busy_poll() noexcept { return busy_poll_; }

  /// On the Context. `waiting` must be dismissed before it is destroyed.
  void enlist(Waiting& waiting) noexcept;
  void dismiss(Waiting& waiting) noexcept;

 private:
  /// So many handlers may run while another thread waits for the lock; then it goes first. A plain
  /// mutex would let a busy loop take the lock back for as long as it likes.
  static constexpr unsigned kMaxOvertakes = 4;
  /// A batch of tasks larger than this gives its memory back.
  static constexpr std::size_t kKeptBatch = 1024;
  /// The own thread drives again when no caller has for so long.
  static constexpr std::chrono::milliseconds kStandBy{1};
  /// A passing caller looks after a loop that nobody has driven for so long.
  static constexpr std::chrono::microseconds kUnattended{200};

  /// How the driver enters for one handler.
  class Entry {
   public:
    explicit Entry(Loop& loop) : loop_(loop) { loop_.enter_from_loop(); }
    ~Entry() { loop_.leave_to_loop(); }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

   private:
    Loop& loop_;
  };

  void enter_from_loop();
  void leave_to_loop();
  void drop_kept();

  // ---- driving: loop.cpp
  void turn(TimePoint until);
  std::span<const epoll_event> sleep(TimePoint until);
  std::span<const epoll_event> look(TimePoint until);
  bool is_idle();
  bool is_called();
  void dispatch(const epoll_event& event);
  void ring_alarms();
  void run_posted();

  // ---- who drives: driver.cpp
  enum class Driver { none, own_thread, caller };
  struct Follower {
    std::condition_variable woken;
    Signal* signal = nullptr;
    bool is_called = false;  // to drive
  };
  void run();
  void stand_by(std::unique_lock<std::mutex>& lock);
  template <class Run>
  void drive_as_caller(std::unique_lock<std::mutex>& lock, Run run);
  void drive_for(Signal& signal, TimePoint deadline);
  void follow(std::unique_lock<std::mutex>& lock, Signal& signal, TimePoint deadline);
  void pass_on();
  void call_driver() noexcept;
  void end();
  void drop_all();
  void drop_everything();

  Context& owner_;
  Reactor reactor_;
  Timers timers_;
  std::unique_ptr<Resolver> resolver_;  // on the Context
  std::thread thread_;

  std::mutex mutex_;                  // held = on the Context
  std::mutex gate_;                   // held by the outside thread that is next
  std::atomic<unsigned> outside_{0};  // threads that wait for mutex_
  unsigned overtakes_ = 0;            // the driver's own

  std::mutex post_mutex_;
  std::vector<Task> posted_;      // guarded by post_mutex_
  bool refuse_posts_ = false;     // guarded by post_mutex_
  bool called_ = false;           // somebody was called to what is posted; guarded by post_mutex_
  std::vector<Task> batch_;       // the driver's own
  bool wake_at_leave_ = false;    // on the Context
  std::vector<std::shared_ptr<const void>> kept_;  // on the Context, until who is on it leaves
  std::atomic<bool> unseen_posts_{false};  // of a thread that has left to wait
  std::atomic<std::uint64_t> collections_{0};
  std::atomic<bool> sleeping_{false};  // the driver waits for events, or is about to

  std::mutex drive_mutex_;
  std::atomic<Driver> driver_{Driver::none};  // changed under drive_mutex_
  std::deque<Follower*> followers_;           // guarded by drive_mutex_
  std::condition_variable own_thread_;        // with drive_mutex_
  std::condition_variable driver_gone_;       // with drive_mutex_
  std::atomic<TimePoint> driven_at_{TimePoint()};  // when the last caller stopped driving
  std::uint64_t caller_turns_ = 0;            // guarded by drive_mutex_
  bool own_thread_wanted_ = false;            // guarded by drive_mutex_
  bool sleeps_deeply_ = false;                // guarded by drive_mutex_
  std::atomic<bool> yield_wanted_{false};     // a caller had to wait beside the own thread
  BusyPoll busy_poll_;

  std::atomic<bool> stopping_{false};
  std::atomic<bool> ends_by_itself_{false};
  bool stopped_ = false;
  Waiting* first_waiting_ = nullptr;
};

struct Context::Impl {
  explicit Impl(Context& owner) : loop(std::make_shared<Loop>(owner)) {}
  std::shared_ptr<Loop> loop;
};

}  // namespace streamkit::io
