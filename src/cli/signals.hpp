// Signals: SIGINT, SIGTERM and SIGHUP as something to wait for. They are blocked in every thread
// from the start and taken out one at a time by the main thread, so that nothing ever runs inside a
// handler.
#pragma once

#include <functional>

namespace streamkit::cli {

class Signals {
 public:
  /// Before any thread is started. Also makes writes to a closed pipe ordinary errors.
  Signals();
  enum class Wake {
    end,     // SIGINT, SIGTERM, or a terminal that hung up
    reload,  // SIGHUP otherwise: somebody sent it
    bell,
  };
  /// Waits for a signal, or for ring().
  Wake wait() const;
  /// For a command that has nothing to end in order: a signal ends the process from now on.
  void end_at_once() const;
  /// Lets wait() return. Any thread, any number of times.
  static void ring();

  /// Runs `end` (which takes its time) on a thread of its own and waits for it; another signal
  /// during that ends the process at once with exit code 130.
  void finish(const std::function<void()>& end) const;

 private:
  const bool had_terminal_;
};

}  // namespace streamkit::cli
