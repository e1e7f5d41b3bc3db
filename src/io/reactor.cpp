#include "reactor.hpp"

#include <streamkit/io/context.hpp>

#include <cerrno>
#include <sys/eventfd.h>
#include <system_error>
#include <unistd.h>

namespace streamkit::io {
namespace {

/// The token of our own wake-up.
constexpr Reactor::Token kWakeToken = 0;

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

Reactor::Reactor() {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) fail("cannot make an event loop");
  wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  // Edge-triggered: it is told of every write to it, and never needs to be read.
  epoll_event event{EPOLLIN | EPOLLET, {.u64 = kWakeToken}};
  if (wake_ < 0 || ::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) != 0) {
    const int kept = errno;
    if (wake_ >= 0) ::close(wake_);
    ::close(epoll_);
    errno = kept;
    fail("cannot make an event loop");
  }
}

Reactor::~Reactor() {
  ::close(wake_);
  ::close(epoll_);
}

Reactor::Token Reactor::enter(WatchedDescriptor& user) {
  std::uint32_t at = 0;
  if (free_slots_.empty()) {
    at = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back();
    free_slots_.reserve(slots_.capacity());  // leaving must not need memory
  } else {
    at = free_slots_.back();
    free_slots_.pop_back();
  }
  slots_[at].user = &user;
  return Token{slots_[at].generation} << 32 | at;
}

void Reactor::leave(Token token) noexcept {
  const auto at = static_cast<std::uint32_t>(token);
  slots_[at].user = nullptr;
  if (++slots_[at].generation == 0) slots_[at].generation = 1;  // 0 is the wake-up's
  free_slots_.push_back(at);
}

WatchedDescriptor* Reactor::find(Token token) const noexcept {
  const auto at = static_cast<std::uint32_t>(token);
  if (at >= slots_.size() || slots_[at].generation != token >> 32) return nullptr;
  return slots_[at].user;
}

bool Reactor::set_interest(int fd, Token token, std::uint32_t before,
                           std::uint32_t wanted) noexcept {
  if (before == wanted) return true;
  epoll_event event{wanted, {.u64 = token}};
  const int what = before == 0 ? EPOLL_CTL_ADD : wanted == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
  return ::epoll_ctl(epoll_, what, fd, &event) == 0;
}

int Reactor::wait_for_events(TimePoint until) noexcept {
  constexpr int most = kMaxEvents;
  if (until == kNever) return ::epoll_wait(epoll_, events_.data(), most, -1);
  const Duration left = until - now();
  if (left <= Duration::zero()) return ::epoll_wait(epoll_, events_.data(), most, 0);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  if (has_fine_wait_) {
    const timespec wait{seconds.count(), std::chrono::nanoseconds(left - seconds).count()};
    const int n = ::epoll_pwait2(epoll_, events_.data(), most, &wait, nullptr);
    if (n >= 0 || (errno != ENOSYS && errno != EPERM)) return n;
    has_fine_wait_ = false;
  }
  constexpr std::chrono::milliseconds longest = std::chrono::hours(1);
  const auto wait = std::min(longest, std::chrono::ceil<std::chrono::milliseconds>(left));
  return ::epoll_wait(epoll_, events_.data(), most, static_cast<int>(wait.count()));
}

std::span<const epoll_event> Reactor::wait(TimePoint until) noexcept {
  const int n = wait_for_events(until);
  return {events_.data(), n > 0 ? static_cast<std::size_t>(n) : 0};
}

void Reactor::wake() noexcept {
  const std::uint64_t one = 1;
  // It fails only when the counter is full, and then a wake-up is due anyhow.
  [[maybe_unused]] const ssize_t n = ::write(wake_, &one, sizeof one);
}

}  // namespace streamkit::io
