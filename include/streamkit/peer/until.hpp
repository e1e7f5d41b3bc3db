// Until: how long a call may wait, and who may end the wait.
#pragma once

#include <streamkit/base/function.hpp>
#include <streamkit/base/result.hpp>
#include <streamkit/base/time.hpp>

#include <stop_token>

namespace streamkit {

/// A deadline and a stop token; a bare duration converts. Empty: as long as it takes.
struct Until {
  TimePoint deadline = kNever;
  std::stop_token stop{};

  Until() = default;
  template <class R, class P>
  Until(std::chrono::duration<R, P> wait)
      : deadline(from_now(std::chrono::duration_cast<Duration>(wait))) {}
  Until(TimePoint at, std::stop_token s = {}) : deadline(at), stop(std::move(s)) {}
  Until(std::stop_token s) : stop(std::move(s)) {}

  static TimePoint from_now(Duration wait) noexcept;
};

/// Called exactly once, on the Context, never from inside the call that started the operation.
template <class T>
using Completion = Function<void(Result<T>)>;

}  // namespace streamkit
