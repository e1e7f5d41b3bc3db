// Signals: sigwait(3) on the main thread; SIGUSR1 to ourselves is the bell.
#include "signals.hpp"

#include "exit_codes.hpp"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
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

// The kernel takes it from us before it says so.
bool has_terminal() {
  const int fd = ::open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
  if (fd >= 0) ::close(fd);
  return fd >= 0;
}

}  // namespace

Signals::Signals() : had_terminal_(has_terminal()) {
  std::signal(SIGPIPE, SIG_IGN);
  const sigset_t set = awaited();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

Signals::Wake Signals::wait() const {
  const sigset_t set = awaited();
  int number = 0;
  while (sigwait(&set, &number) != 0) {
  }
  if (number == SIGUSR1) return Wake::bell;
  if (number == SIGHUP && !(had_terminal_ && !has_terminal())) return Wake::reload;
  return Wake::end;
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
    if (wait() == Wake::end) ::_exit(kExitInterrupted);
  }
  worker.join();
}

}  // namespace streamkit::cli
