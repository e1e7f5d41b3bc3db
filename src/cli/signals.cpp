// Signals: sigwait(3) on the main thread; SIGUSR1 to ourselves is the bell.
#include "signals.hpp"

#include "exit_codes.hpp"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <signal.h>
#include <thread>
#include <unistd.h>

namespace streamkit::cli {
namespace {

sigset_t awaited() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) sigaddset(&set, number);
  return set;
}

}  // namespace

Signals::Signals() {
  std::signal(SIGPIPE, SIG_IGN);
  const sigset_t set = awaited();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

bool Signals::wait() const {
  const sigset_t set = awaited();
  int number = 0;
  while (sigwait(&set, &number) != 0) {
  }
  return number != SIGUSR1;
}

void Signals::end_at_once() const {
  const sigset_t set = awaited();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

void Signals::ring() {
  ::kill(::getpid(), SIGUSR1);
}

void Signals::finish(const std::function<void()>& end) const {
  std::atomic<bool> done = false;
  std::thread worker([&] {
    end();
    done = true;
    ring();
  });
  while (!done) {
    if (wait()) ::_exit(kExitInterrupted);
  }
  worker.join();
}

}  // namespace streamkit::cli
