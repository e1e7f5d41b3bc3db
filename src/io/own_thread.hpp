// own_thread: how this room starts a thread.
#pragma once

#include <csignal>
#include <pthread.h>
#include <thread>
#include <utility>

namespace streamkit::io {

/// A thread of ours leaves the program's signals to the program's threads. Faults stay deliverable,
/// and so does the profilers' signal. `name` has at most 15 bytes.
template <class F>
std::thread own_thread(const char* name, F run) {
  sigset_t blocked, before;
  sigfillset(&blocked);
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, SIGPROF})
    sigdelset(&blocked, signal);
  pthread_sigmask(SIG_SETMASK, &blocked, &before);  // a new thread inherits the mask
  struct Restored {
    const sigset_t& mask;
    ~Restored() { pthread_sigmask(SIG_SETMASK, &mask, nullptr); }
  } const restored{before};
  std::thread thread(std::move(run));
  pthread_setname_np(thread.native_handle(), name);
  return thread;
}

}  // namespace streamkit::io
