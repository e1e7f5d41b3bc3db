// Listeners: what they bind, whom they refuse, their files, and what they do without descriptors.
#include "awaited.hpp"

#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <vector>

namespace streamkit::io {
namespace {

using OneStream = Awaited<std::unique_ptr<Stream>>;

Listener::OnAccept into(OneStream stream) {
  return [stream](std::unique_ptr<Stream> accepted) mutable { stream.set(std::move(accepted)); };
}

Listener::OnAccept ignore() {
  return [](std::unique_ptr<Stream>) {};
}

Result<std::unique_ptr<Listener>> listen(Context& context, const Address& at,
                                         Listener::OnAccept on_accept = ignore()) {
  return on(context, [&] { return Listener::listen(context, at, std::move(on_accept)); });
}

// A blocking client of the system's own.
int raw_client(const Address& to) {
  const int fd =
      ::socket(to.kind == Address::Kind::tcp ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (to.kind == Address::Kind::tcp) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(to.port);
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&in), sizeof in), 0)
        << std::strerror(errno);
  } else {
    sockaddr_un un{};
    un.sun_family = AF_UNIX;
    std::strncpy(un.sun_path, to.path.c_str(), sizeof un.sun_path - 1);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&un), sizeof un), 0)
        << std::strerror(errno);
  }
  return fd;
}

bool is_socket(const std::string& path) {
  struct stat status{};
  return ::lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode);
}

bool exists(const std::string& path) {
  struct stat status{};
  return ::lstat(path.c_str(), &status) == 0;
}

// The socket file of a program that ended without removing it.
void leave_stale_file(const std::string& path) {
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  std::strncpy(un.sun_path, path.c_str(), sizeof un.sun_path - 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&un), sizeof un), 0);
  ::close(fd);
}

class ListenerTest : public testing::Test {
 protected:
  TemporaryFolder folder;
  Context context;
};

TEST_F(ListenerTest, resolves_port_0) {
  auto listener = listen(context, tcp("127.0.0.1"));
  ASSERT_TRUE(listener);
  EXPECT_NE((*listener)->address().port, 0);
  EXPECT_EQ((*listener)->address().host, "127.0.0.1");
  on(context, [&] { listener->reset(); });
}

TEST_F(ListenerTest, says_what_to_do_about_a_port_in_use) {
  auto first = listen(context, tcp("127.0.0.1"));
  ASSERT_TRUE(first);
  const Address taken = (*first)->address();
  const auto second = listen(context, taken);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), std::make_error_code(std::errc::address_in_use));
  EXPECT_EQ(second.error().message(),
            "cannot listen on " + taken.text() +
                ": address already in use; choose another port, or 0 for any free one");
  on(context, [&] { (*first)->close(); });
  auto third = listen(context, taken);
  EXPECT_TRUE(third) << "a closed listener's port is free";
  on(context, [&] { first->reset(), third->reset(); });
}

TEST_F(ListenerTest, takes_a_port_again_whose_connections_linger) {
  Connected ends;
  Address at = tcp("127.0.0.1");
  {
    OneStream accepted;
    auto listener = listen(context, at, into(accepted)).value();
    at = listener->address();
    const int client = raw_client(at);
    auto stream = accepted.take().value();
    on(context,
       [&] { stream.reset(), listener.reset(); });  // ends first: this side is the one in TIME_WAIT
    ::close(client);
  }
  auto again = listen(context, at);
  EXPECT_TRUE(again);
  on(context, [&] { again->reset(); });
}

TEST_F(ListenerTest, listens_for_both_families_without_a_host) {
  OneStream accepted;
  auto listener = listen(context, tcp(""), into(accepted));
  ASSERT_TRUE(listener);
  const int client = raw_client((*listener)->address());  // by IPv4
  auto stream = accepted.take().value();
  EXPECT_EQ(stream->remote_address().host, "127.0.0.1") << "IPv4 inside IPv6 is shown as IPv4";
  EXPECT_FALSE((*listener)->address().is_loopback());
  ::close(client);
  on(context, [&] { stream.reset(), listener->reset(); });
}

TEST_F(ListenerTest, listens_on_a_name_so_that_numeric_clients_reach_it) {
  OneStream accepted;
  auto listener = listen(context, tcp("localhost"), into(accepted));
  ASSERT_TRUE(listener) << listener.error().message();
  EXPECT_TRUE((*listener)->address().is_loopback());
  const int client = raw_client((*listener)->address());  // 127.0.0.1, though ::1 may come first
  auto stream = accepted.take().value();
  ::close(client);
  on(context, [&] { stream.reset(), listener->reset(); });
}

TEST_F(ListenerTest, refuses_hosts_that_are_none_of_this_machine) {
  const auto foreign = listen(context, tcp("192.0.2.1", 4000));
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().message(),
            "cannot listen on 192.0.2.1:4000: cannot assign requested address; this machine has no "
            "such address");
  EXPECT_TRUE(listen(context, tcp(std::string(256, 'a'))).error().is(Errc::bad_endpoint));
  EXPECT_TRUE(listen(context, tcp(std::string("a\0b", 3))).error().is(Errc::bad_endpoint));
  const auto unknown = listen(context, tcp("no-such-host.invalid"));
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message().find("no-such-host.invalid"), std::string::npos);
}

TEST_F(ListenerTest, accepts_many_connections) {
  constexpr int kMany = 100;  // several turns of the loop
  std::vector<std::unique_ptr<Stream>> streams;
  Event all;
  auto listener = listen(context, tcp("127.0.0.1"), [&](std::unique_ptr<Stream> stream) {
    EXPECT_TRUE(context.is_current());
    streams.push_back(std::move(stream));
    if (streams.size() == kMany) all.set();
  });
  ASSERT_TRUE(listener);
  std::vector<int> clients;
  {
    const Context::Lock lock(context);  // so that they all wait at once
    for (int i = 0; i < kMany; ++i) clients.push_back(raw_client((*listener)->address()));
  }
  all.wait();
  for (const int client : clients) ::close(client);
  on(context, [&] { streams.clear(), listener->reset(); });
}

TEST_F(ListenerTest, can_be_destroyed_in_its_own_callback) {
  std::unique_ptr<Listener> listener;
  Event done;
  const auto token = std::make_shared<int>(0);
  auto made =
      listen(context, tcp("127.0.0.1"), [&listener, done, token](std::unique_ptr<Stream>) mutable {
        listener.reset();
        EXPECT_EQ(token.use_count(), 2) << "a running callback must not be destroyed";
        done.set();
      });
  ASSERT_TRUE(made);
  const Address at = (*made)->address();
  std::vector<int> clients;
  {
    const Context::Lock lock(context);
    listener = std::move(*made);
    for (int i = 0; i < 3; ++i) clients.push_back(raw_client(at));
  }
  done.wait();
  let_pass(context);
  EXPECT_EQ(token.use_count(), 1);
  for (const int client : clients) ::close(client);
}

TEST_F(ListenerTest, accepts_nothing_after_close) {
  auto listener = listen(context, tcp("127.0.0.1"),
                         [](std::unique_ptr<Stream>) { ADD_FAILURE() << "accepted"; });
  ASSERT_TRUE(listener);
  int client = -1;
  on(context, [&] {
    client = raw_client((*listener)->address());
    (*listener)->close();
    (*listener)->close();
  });
  let_pass(context);
  ::close(client);
  on(context, [&] { listener->reset(); });
}

TEST_F(ListenerTest, goes_on_when_descriptors_were_short_for_a_while) {
  OneStream accepted;
  auto listener = listen(context, tcp("127.0.0.1"), into(accepted));
  ASSERT_TRUE(listener);
  const int client = raw_client((*listener)->address());
  auto first = accepted.take().value();
  // The client comes first and only its connecting later: it needs its descriptor.
  const int second = ::socket(AF_INET, SOCK_STREAM, 0);
  int fence[2];
  ASSERT_EQ(::pipe(fence), 0);
  auto reader = stream_from_fd(context, fence[0]);
  ASSERT_TRUE(reader);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int lowest_free = ::dup(client);
  ::close(lowest_free);
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(lowest_free);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);

  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons((*listener)->address().port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int connected = ::connect(second, reinterpret_cast<sockaddr*>(&to), sizeof to);
  // Readiness that comes later is seen later, so after it accepting has been tried in vain.
  Event readable, passed;
  on(context, [&] { (*reader)->wait_readable(readable.setter()); });
  const ssize_t written = ::write(fence[1], "x", 1);
  readable.wait();
  context.post(passed.setter());
  passed.wait();
  const bool accepted_too_early = accepted.is_set();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(connected, 0);
  EXPECT_EQ(written, 1);
  EXPECT_FALSE(accepted_too_early);

  auto stream = accepted.take();  // nothing else happens: its own timer brings it back
  ASSERT_TRUE(stream && *stream);
  ::close(client), ::close(second), ::close(fence[1]);
  on(context, [&] { first.reset(), stream->reset(), reader->reset(), listener->reset(); });
}

// --- unix sockets ---

TEST_F(ListenerTest, makes_a_socket_file_and_removes_it) {
  const std::string path = folder / "socket";
  OneStream accepted;
  auto listener = listen(context, unix_path(path), into(accepted));
  ASSERT_TRUE(listener);
  EXPECT_EQ((*listener)->address().text(), path);
  EXPECT_TRUE(is_socket(path));
  const int client = raw_client(unix_path(path));
  auto stream = accepted.take().value();
  on(context, [&] { (*listener)->close(); });
  EXPECT_FALSE(exists(path));
  ::close(client);
  on(context, [&] { stream.reset(), listener->reset(); });
}

TEST_F(ListenerTest, refuses_a_path_where_a_program_listens) {
  const Address at = unix_path(folder / "socket");
  auto first = listen(context, at);
  ASSERT_TRUE(first);
  const auto second = listen(context, at);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), std::make_error_code(std::errc::address_in_use));
  EXPECT_NE(second.error().message().find(at.path), std::string::npos);
  EXPECT_TRUE(is_socket(at.path));
  const int client = raw_client(at);  // the first still listens
  ::close(client);
  on(context, [&] { first->reset(); });
}

TEST_F(ListenerTest, replaces_a_stale_socket_file) {
  const std::string path = folder / "socket";
  leave_stale_file(path);
  ASSERT_TRUE(is_socket(path));
  OneStream accepted;
  auto listener = listen(context, unix_path(path), into(accepted));
  ASSERT_TRUE(listener) << listener.error().message();
  const int client = raw_client(unix_path(path));
  auto stream = accepted.take().value();
  ::close(client);
  on(context, [&] { stream.reset(), listener->reset(); });
  EXPECT_FALSE(exists(path));
}

TEST_F(ListenerTest, never_replaces_a_file_that_is_no_socket) {
  const std::string path = folder / "file";
  ::close(::creat(path.c_str(), 0600));
  const auto listener = listen(context, unix_path(path));
  ASSERT_FALSE(listener);
  EXPECT_EQ(listener.error().code(), std::make_error_code(std::errc::file_exists));
  EXPECT_TRUE(exists(path));
}

TEST_F(ListenerTest, leaves_a_file_alone_that_another_has_put_in_its_place) {
  const std::string path = folder / "socket";
  auto listener = listen(context, unix_path(path));
  ASSERT_TRUE(listener);
  ASSERT_EQ(::rename(path.c_str(), (folder / "moved").c_str()), 0);  // keeps the inode in use
  leave_stale_file(path);
  on(context, [&] { listener->reset(); });
  EXPECT_TRUE(is_socket(path));
}

TEST_F(ListenerTest, says_how_long_a_path_may_be) {
  const auto listener = listen(context, unix_path("/tmp/" + std::string(103, 'x')));
  ASSERT_FALSE(listener);
  EXPECT_TRUE(listener.error().is(Errc::bad_endpoint));
  EXPECT_NE(listener.error().message().find("may have 107 bytes and this one has 108"),
            std::string::npos);
  EXPECT_TRUE(listen(context, unix_path("")).error().is(Errc::bad_endpoint));
  EXPECT_TRUE(
      listen(context, unix_path(std::string("/tmp/a\0b", 8))).error().is(Errc::bad_endpoint));
}

TEST_F(ListenerTest, says_that_a_folder_is_missing) {
  const auto listener = listen(context, unix_path(folder / "none/socket"));
  ASSERT_FALSE(listener);
  EXPECT_EQ(listener.error().code(), std::make_error_code(std::errc::no_such_file_or_directory));
  EXPECT_NE(listener.error().message().find("make the folder first"), std::string::npos);
}

}  // namespace
}  // namespace streamkit::io
