// Loop: what a Context is made of. One Asio io_context run by one thread, one mutex that decides
// who is on the Context, one queue of posted tasks, and the list of what has to be dropped when it
// stops.
//
// Objects (streams, timers, ...) share the Loop, so the reactor outlives each of them; the Context
// only decides how long it runs. Asio's handlers hold weak pointers to objects, so that nothing
// circular is left when the loop stops. Asio is used as a reactor: it says "ready", the reading is
// ours.
#pragma once

#include <streamkit/io/context.hpp>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>

#include <atomic>
#include <cassert>
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
  using Executor = asio::io_context::executor_type;

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

  void post(Task task);
  bool is_current() const noexcept;
  bool is_own_thread() const noexcept;
  asio::io_context& io() noexcept { return io_; }

  /// Puts the calling thread on the Context and takes it off again. `outside` is any thread but the
  /// loop's own. A Loop is entered by one thread at a time and never twice by the same.
  void enter_from_outside();
  void leave_to_outside();

  /// How a handler of the reactor enters.
  class Entry {
   public:
    explicit Entry(Loop& loop) : loop_(loop) { loop_.enter_from_loop(); }
    ~Entry() { loop_.leave_to_loop(); }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

   private:
    Loop& loop_;
  };

  /// On the Context. `waiting` must be dismissed before it is destroyed.
  void enlist(Waiting& waiting) noexcept;
  void dismiss(Waiting& waiting) noexcept;

 private:
  /// So many handlers may run while another thread waits for the lock; then it goes first. A plain
  /// mutex would let a busy loop take the lock back for as long as it likes.
  static constexpr unsigned kMaxOvertakes = 4;
  /// A batch of tasks larger than this gives its memory back.
  static constexpr std::size_t kKeptBatch = 1024;

  void enter_from_loop();
  void leave_to_loop();
  void run();
  void schedule_drain();
  void drain();
  void end();
  void drop_all();
  void drop_everything();

  Context& owner_;
  asio::io_context io_{1};
  asio::executor_work_guard<Executor> work_{io_.get_executor()};
  std::thread thread_;

  std::mutex mutex_;                  // held = on the Context
  std::mutex gate_;                   // held by the outside thread that is next
  std::atomic<unsigned> outside_{0};  // threads that wait for mutex_
  unsigned overtakes_ = 0;            // the loop thread's own

  std::mutex post_mutex_;
  std::vector<Task> posted_;      // guarded by post_mutex_
  bool drain_scheduled_ = false;  // guarded by post_mutex_
  bool refuse_posts_ = false;     // guarded by post_mutex_
  std::vector<Task> batch_;       // on the Context
  bool wake_at_leave_ = false;    // on the Context

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
