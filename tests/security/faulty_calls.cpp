#include "faulty_calls.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace streamkit::testing::calls {
namespace {

std::atomic<int> left = 0;
std::atomic<bool> failed = false;
std::atomic<Fault> fault = Fault::reset;

/// Whether this call is the one.
bool is_to_fail(int fd) {
  struct stat about{};
  if (left <= 0 || ::fstat(fd, &about) != 0 || !S_ISSOCK(about.st_mode)) return false;
  if (--left != 0) return false;
  failed = true;
  return true;
}

/// The failure itself; a connection that was reset stays so.
ssize_t fail_on(int fd) {
  if (fault == Fault::reset) ::shutdown(fd, SHUT_RDWR);
  errno = fault == Fault::interrupted ? EINTR : fault == Fault::would_block ? EAGAIN : ECONNRESET;
  return -1;
}

}  // namespace

void fail(int n, Fault how) noexcept {
  failed = false, fault = how, left = n;
}
bool has_failed() noexcept {
  return failed;
}

}  // namespace streamkit::testing::calls

// NOLINTBEGIN: the names are the linker's
namespace calls = streamkit::testing::calls;

extern "C" ssize_t __real_read(int, void*, size_t);
extern "C" ssize_t __wrap_read(int, void*, size_t);
extern "C" ssize_t __wrap_read(int fd, void* out, size_t size) {
  if (!calls::is_to_fail(fd)) return __real_read(fd, out, size);
  if (calls::fault == calls::Fault::one_byte)
    return __real_read(fd, out, std::min<size_t>(size, 1));
  return calls::fail_on(fd);
}

extern "C" ssize_t __real_sendmsg(int, const msghdr*, int);
extern "C" ssize_t __wrap_sendmsg(int, const msghdr*, int);
extern "C" ssize_t __wrap_sendmsg(int fd, const msghdr* message, int flags) {
  if (!calls::is_to_fail(fd)) return __real_sendmsg(fd, message, flags);
  if (calls::fault == calls::Fault::one_byte) {
    iovec first = message->msg_iov[0];
    first.iov_len = std::min<size_t>(first.iov_len, 1);
    msghdr shorter = *message;
    shorter.msg_iov = &first;
    shorter.msg_iovlen = 1;
    return __real_sendmsg(fd, &shorter, flags);
  }
  return calls::fail_on(fd);
}
// NOLINTEND
