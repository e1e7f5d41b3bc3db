// Waiting for descriptors: one task a direction, and the interest that the reactor has in them.
#include "descriptor.hpp"

#include <poll.h>

namespace streamkit::io {
namespace {

constexpr std::uint32_t kReadable = EPOLLIN | EPOLLHUP | EPOLLERR;
constexpr std::uint32_t kWritable = EPOLLOUT | EPOLLHUP | EPOLLERR;

}  // namespace

std::shared_ptr<WatchedDescriptor> WatchedDescriptor::watch(std::shared_ptr<Loop> loop,
                                                            Descriptor& fd) {
  auto watched = std::make_shared<WatchedDescriptor>(std::move(loop));
  watched->fd_ = std::move(fd);
  return watched;
}

void WatchedDescriptor::wait(Direction direction, Task task) {
  if (!is_open() || loop_->is_stopped()) return;
  loop_->enlist(*this);
  const Task dropped = std::exchange(tasks_[direction], std::move(task));
  since_[direction] = loop_->collections();
  if (want(interest_ | (direction == reading ? EPOLLIN : EPOLLOUT))) return;
  // The kernel cannot wait for it (a regular file, say), so trying is the answer.
  loop_->post([weak = weak_from_this(), direction] {
    if (const auto self = weak.lock()) self->ready(direction == reading ? EPOLLIN : EPOLLOUT);
  });
}

bool WatchedDescriptor::want(std::uint32_t interest) noexcept {
  if (token_ == 0) token_ = loop_->reactor().enter(*this);
  if (!loop_->reactor().set_interest(number(), token_, interest_, interest)) return false;
  interest_ = interest;
  return true;
}

// A task usually waits again, so interest goes only when events come that nobody waits for. With
// none left the descriptor is taken out, or a broken one would be reported for ever.
void WatchedDescriptor::ready(std::uint32_t events) {
  const std::shared_ptr<WatchedDescriptor> alive = shared_from_this();
  std::uint32_t unwanted = 0;
  if ((events & kReadable) && !tasks_[reading]) unwanted |= EPOLLIN;
  if ((events & kWritable) && !tasks_[writing]) unwanted |= EPOLLOUT;
  if ((interest_ & unwanted) != 0) want(interest_ & ~unwanted);
  if (events & kReadable) call(reading);
  if (events & kWritable) call(writing);  // unless the other task has closed us
}

void WatchedDescriptor::call(Direction direction) {
  if (!tasks_[direction]) return;
  // The event may be about something that was dealt with before this wait began, but after the
  // collection that brought it did.
  if (since_[direction] == loop_->collections() && !is_ready(direction)) return;
  if (!tasks_[1 - direction]) loop_->dismiss(*this);
  Task due = std::move(tasks_[direction]);
  due();
}

bool WatchedDescriptor::is_ready(Direction direction) const {
  pollfd query{number(), static_cast<short>(direction == reading ? POLLIN : POLLOUT), 0};
  return ::poll(&query, 1, 0) != 0;
}

void WatchedDescriptor::close() {
  release().close();
}

Descriptor WatchedDescriptor::release() {
  if (!is_open()) return Descriptor();
  loop_->dismiss(*this);
  if (token_ != 0) {
    want(0);
    loop_->reactor().leave(std::exchange(token_, 0));
    interest_ = 0;
  }
  // Destroying a task may destroy its owner, and this object with it.
  const Task dropped[2] = {std::move(tasks_[reading]), std::move(tasks_[writing])};
  return std::move(fd_);
}

void WatchedDescriptor::abandon() {
  const Task dropped[2] = {std::move(tasks_[reading]), std::move(tasks_[writing])};
}

}  // namespace streamkit::io
