// What is particular to streams over descriptors: pipes, terminals, files, flags and signals.
#include "awaited.hpp"

#include <csignal>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace streamkit::io {
namespace {

int flags_of(int fd) {
  return ::fcntl(fd, F_GETFL);
}

Result<std::size_t> write(Stream& stream, std::string_view text) {
  const ByteView piece[] = {as_bytes(text)};
  return stream.write_some(piece);
}

TEST(DescriptorStream, answers_a_pipe_without_reader_with_an_error_and_no_signal) {
  Context context;
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  auto writer = stream_from_fd(context, pipe[1]);
  ASSERT_TRUE(writer);
  ::close(pipe[0]);
  const auto n = on(context, [&] { return write(**writer, "x"); });
  ASSERT_FALSE(n);
  EXPECT_EQ(n.error().code(), std::make_error_code(std::errc::broken_pipe));
  sigset_t pending;
  sigpending(&pending);
  EXPECT_EQ(sigismember(&pending, SIGPIPE), 0);
  Event done;  // and the same on the loop's thread
  context.post([&] {
    EXPECT_FALSE(write(**writer, "x"));
    done.set();
  });
  done.wait();
}

TEST(DescriptorStream, gives_back_the_blocking_mode_of_what_it_shares) {
  Context context;
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const int shared = ::dup(pipe[0]);  // as a shell shares its terminal
  auto reader = stream_from_fd(context, pipe[0]);
  ASSERT_TRUE(reader);
  EXPECT_TRUE(flags_of(shared) & O_NONBLOCK);
  on(context, [&] { (*reader)->close(); });
  EXPECT_FALSE(flags_of(shared) & O_NONBLOCK);
  ::close(shared), ::close(pipe[1]);
}

TEST(DescriptorStream, gives_back_the_mode_when_both_sides_are_one_open_file) {
  Context context;
  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY);
  ASSERT_GE(terminal, 0);
  const int same = ::dup(terminal), shared = ::dup(terminal);
  auto stream = stream_from_fds(context, terminal, same);
  ASSERT_TRUE(stream);
  EXPECT_TRUE(flags_of(shared) & O_NONBLOCK);
  on(context, [&] { stream->reset(); });
  EXPECT_FALSE(flags_of(shared) & O_NONBLOCK);
  ::close(shared);
}

TEST(DescriptorStream, talks_to_a_terminal) {
  Context context;
  const int master = ::posix_openpt(O_RDWR | O_NOCTTY);
  ASSERT_GE(master, 0);
  ASSERT_EQ(::grantpt(master), 0);
  ASSERT_EQ(::unlockpt(master), 0);
  const int terminal = ::open(::ptsname(master), O_RDWR | O_NOCTTY);
  ASSERT_GE(terminal, 0);
  auto stream = stream_from_fd(context, terminal);
  ASSERT_TRUE(stream);
  Event readable;
  on(context, [&] { (*stream)->wait_readable(readable.setter()); });
  ASSERT_EQ(::write(master, "line\n", 5), 5);
  readable.wait();
  on(context, [&] {
    std::byte buffer[20];
    EXPECT_EQ(*(*stream)->read_some(buffer), 5u);
    EXPECT_TRUE((*stream)->shutdown_write());
    EXPECT_TRUE((*stream)->read_some(buffer).error().is(Errc::would_block));
    stream->reset();
  });
  ::close(master);
}

TEST(DescriptorStream, reads_a_regular_file_which_is_always_ready) {
  Context context;
  TemporaryFolder folder;
  const int file = ::open((folder / "file").c_str(), O_RDWR | O_CREAT, 0600);
  ASSERT_EQ(::write(file, "text", 4), 4);
  ::lseek(file, 0, SEEK_SET);
  auto stream = stream_from_fd(context, file);
  ASSERT_TRUE(stream);
  Event readable, writable;
  on(context, [&] {
    (*stream)->wait_readable(readable.setter());
    (*stream)->wait_writable(writable.setter());
  });
  readable.wait(), writable.wait();
  on(context, [&] {
    std::byte buffer[20];
    EXPECT_EQ(*(*stream)->read_some(buffer), 4u);
    EXPECT_TRUE((*stream)->read_some(buffer).error().is(Errc::eof));
    stream->reset();
  });
}

TEST(DescriptorStream, refuses_what_is_not_open_and_leaves_the_other_descriptor_alone) {
  Context context;
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const int closed = ::dup(pipe[0]);
  ::close(closed);
  EXPECT_EQ(stream_from_fd(context, closed).error().code(),
            std::make_error_code(std::errc::bad_file_descriptor));
  EXPECT_FALSE(stream_from_fd(context, -1));
  EXPECT_FALSE(stream_from_fds(context, pipe[0], closed));
  EXPECT_FALSE(stream_from_fds(context, closed, pipe[1]));
  EXPECT_GE(flags_of(pipe[0]), 0);
  EXPECT_FALSE(flags_of(pipe[0]) & O_NONBLOCK);
  EXPECT_GE(flags_of(pipe[1]), 0);
  ::close(pipe[0]), ::close(pipe[1]);
}

TEST(DescriptorStream, refuses_a_datagram_socket) {
  Context context;
  const int socket = ::socket(AF_INET, SOCK_DGRAM, 0);
  ASSERT_GE(socket, 0);
  EXPECT_TRUE(stream_from_fd(context, socket).error().is(Errc::usage));
  ::close(socket);
}

TEST(DescriptorStream, sets_no_delay_and_does_not_pace_at_both_ends_of_local_tcp) {
  Context context;
  const int first = ::dup(STDERR_FILENO);  // the next descriptors are near this number
  ::close(first);
  Connected ends = connect_pair(context, context, tcp("127.0.0.1"));
  ASSERT_TRUE(ends.connecting && ends.accepted);
  int sockets = 0;
  for (int fd = first; fd < first + 64; ++fd) {
    sockaddr_storage remote{};
    socklen_t size = sizeof remote;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&remote), &size) != 0) continue;
    if (remote.ss_family != AF_INET) continue;
    int no_delay = 0;
    socklen_t length = sizeof no_delay;
    ASSERT_EQ(::getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &length), 0);
    EXPECT_NE(no_delay, 0);
    char congestion[16] = {};
    length = sizeof congestion;
    ASSERT_EQ(::getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion, &length), 0);
    EXPECT_STREQ(congestion, "reno");
    EXPECT_TRUE(::fcntl(fd, F_GETFD) & FD_CLOEXEC);
    ++sockets;
  }
  EXPECT_EQ(sockets, 2);
  on(context, [&] { ends = Connected{}; });
}

TEST(DescriptorStream, waits_for_reading_and_for_writing_in_turn) {
  Context context;
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  auto a = stream_from_fd(context, fds[0]).value(), b = stream_from_fd(context, fds[1]).value();
  for (int i = 0; i < 100; ++i) {
    Event writable, readable;
    on(context, [&] { a->wait_writable(writable.setter()); });
    writable.wait();
    on(context, [&] { a->wait_readable(readable.setter()); });
    on(context, [&] { EXPECT_TRUE(write(*b, "x")); });
    readable.wait();
    on(context, [&] {
      std::byte buffer[10];
      EXPECT_EQ(*a->read_some(buffer), 1u);
    });
  }
  on(context, [&] { a.reset(), b.reset(); });
}

}  // namespace
}  // namespace streamkit::io
