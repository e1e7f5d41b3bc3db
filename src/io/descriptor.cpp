// Waiting for descriptors with Asio's reactor (epoll).
#include "descriptor.hpp"

#include "os_error.hpp"

#include <poll.h>

namespace streamkit::io {

WatchedDescriptor::WatchedDescriptor(std::shared_ptr<Loop> loop)
    : loop_(std::move(loop)), handle_(loop_->io().get_executor()) {}

Result<std::shared_ptr<WatchedDescriptor>> WatchedDescriptor::watch(std::shared_ptr<Loop> loop,
                                                                    Descriptor& fd) {
  auto watched = std::make_shared<WatchedDescriptor>(std::move(loop));
  std::error_code ec;
  watched->handle_.assign(fd.number(), ec);
  if (ec) return os_error(ec.value(), "cannot watch a descriptor");
  fd.release();
  return watched;
}

void WatchedDescriptor::wait(Direction direction, Task task) {
  if (!is_open() || loop_->is_stopped()) return;
  loop_->enlist(*this);
  Wait& wait = waits_[direction];
  const Task dropped = std::exchange(wait.task, std::move(task));
  if (wait.armed)
    wait.replaced = true;
  else
    arm(direction);
}

void WatchedDescriptor::arm(Direction direction) {
  if (direction == writing)
    writing_registered_ = true;
  else if (writing_registered_ && !waits_[writing].armed)
    forget_writing();
  waits_[direction].armed = true;
  const auto ready = direction == reading ? asio::posix::descriptor_base::wait_read
                                          : asio::posix::descriptor_base::wait_write;
  handle_.async_wait(
      ready, [weak = weak_from_this(), loop = loop_.get(), direction](const std::error_code& ec) {
        if (ec == asio::error::operation_aborted) return;
        // Any other error: the system cannot wait for it (a regular file, say), so trying is the
        // answer.
        const Loop::Entry entry(*loop);
        if (const auto self = weak.lock()) self->fire(direction);
      });
}

// Once asked for, Asio's registration includes "writable" for good, and then every wait for reading
// wakes the loop at once for nothing, as a socket is nearly always writable. So register it anew.
void WatchedDescriptor::forget_writing() {
  std::error_code ec;
  const int fd = handle_.release();
  handle_.assign(fd, ec);
  if (ec) ::close(fd);  // out of kernel memory: the waits will answer, and so will reads and writes
  writing_registered_ = false;
}

void WatchedDescriptor::fire(Direction direction) {
  Wait& wait = waits_[direction];
  wait.armed = false;
  if (!wait.task) return;
  if (std::exchange(wait.replaced, false) && !is_ready(direction)) return arm(direction);
  if (!waits_[1 - direction].task) loop_->dismiss(*this);
  Task due = std::move(wait.task);
  due();
}

bool WatchedDescriptor::is_ready(Direction direction) {
  pollfd query{number(), static_cast<short>(direction == reading ? POLLIN : POLLOUT), 0};
  return ::poll(&query, 1, 0) != 0;
}

void WatchedDescriptor::close() {
  release().close();
}

Descriptor WatchedDescriptor::release() {
  if (!is_open()) return Descriptor();
  loop_->dismiss(*this);
  // Destroying a task may destroy its owner, and this object with it.
  const Task dropped[2] = {std::move(waits_[reading].task), std::move(waits_[writing].task)};
  return Descriptor(handle_.release());
}

void WatchedDescriptor::abandon() {
  const Task dropped[2] = {std::move(waits_[reading].task), std::move(waits_[writing].task)};
}

}  // namespace streamkit::io
