// Connects: the outcome, its words, deadlines, cancelling, names.
#include "awaited.hpp"

#include <cstring>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <vector>

namespace streamkit::io {
namespace {

using std::chrono::milliseconds;
using Outcome = Awaited<Result<std::unique_ptr<Stream>>>;

Connect::Done into(Outcome outcome) {
  return
      [outcome](Result<std::unique_ptr<Stream>> result) mutable { outcome.set(std::move(result)); };
}

// A listening socket of the system's own that never accepts and whose queue is full: a further TCP
// connect gets no answer at all, a further unix one is told to come again.
class FullListener {
 public:
  explicit FullListener(Address at) : at_(std::move(at)) {
    size_ = fill_in(at_);
    listening_ = ::socket(address_.ss_family, SOCK_STREAM, 0);
    EXPECT_EQ(::bind(listening_, get(), size_), 0);
    EXPECT_EQ(::listen(listening_, 0), 0);
    socklen_t size = sizeof address_;
    EXPECT_EQ(::getsockname(listening_, get(), &size), 0);
    if (at_.kind == Address::Kind::tcp)
      at_.port = ntohs(reinterpret_cast<sockaddr_in*>(&address_)->sin_port);
    fill();
  }
  ~FullListener() {
    for (const int client : clients_) ::close(client);
    ::close(listening_);
  }
  FullListener(const FullListener&) = delete;
  FullListener& operator=(const FullListener&) = delete;

  const Address& address() const { return at_; }
  void accept_one() { ::close(::accept(listening_, nullptr, nullptr)); }

 private:
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&address_); }
  socklen_t fill_in(const Address& at) {
    if (at.kind == Address::Kind::tcp) {
      auto* in = reinterpret_cast<sockaddr_in*>(&address_);
      in->sin_family = AF_INET;
      in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      return sizeof *in;
    }
    auto* un = reinterpret_cast<sockaddr_un*>(&address_);
    un->sun_family = AF_UNIX;
    std::strncpy(un->sun_path, at.path.c_str(), sizeof un->sun_path - 1);
    return sizeof *un;
  }
  void fill() {
    // One connection fits a queue of 0; the second client's connect is what stays unanswered.
    for (int i = 0; i < 2; ++i) {
      const int client = ::socket(address_.ss_family, SOCK_STREAM | (i > 0 ? SOCK_NONBLOCK : 0), 0);
      EXPECT_EQ(::connect(client, get(), size_), i == 0 ? 0 : -1);
      clients_.push_back(client);
    }
  }

  Address at_;
  sockaddr_storage address_{};
  socklen_t size_ = 0;
  int listening_ = -1;
  std::vector<int> clients_;
};

// A port of 127.0.0.1 where nothing listens, kept so by being bound.
class UnusedPort {
 public:
  UnusedPort() : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&in), sizeof in), 0);
    socklen_t size = sizeof in;
    EXPECT_EQ(::getsockname(fd_, reinterpret_cast<sockaddr*>(&in), &size), 0);
    port_ = ntohs(in.sin_port);
  }
  ~UnusedPort() { ::close(fd_); }
  UnusedPort(const UnusedPort&) = delete;
  UnusedPort& operator=(const UnusedPort&) = delete;
  std::uint16_t number() const { return port_; }

 private:
  int fd_;
  std::uint16_t port_ = 0;
};

class ConnectTest : public testing::Test {
 protected:
  Result<std::unique_ptr<Stream>> connect(const Address& to, TimePoint deadline = kNever,
                                          Duration per_address = std::chrono::seconds(5)) {
    Outcome outcome;
    auto connecting = on(
        context, [&] { return Connect::start(context, to, deadline, into(outcome), per_address); });
    auto result = outcome.take();
    on(context, [&] { connecting.reset(); });
    return result ? std::move(*result) : Result<std::unique_ptr<Stream>>(Errc::timeout);
  }
  void close(Result<std::unique_ptr<Stream>>& stream) {
    on(context, [&] { stream->reset(); });
  }

  TemporaryFolder folder;
  Context context;
};

TEST_F(ConnectTest, says_the_address_of_a_refusal) {
  const UnusedPort port;
  const auto result = connect(tcp("127.0.0.1", port.number()));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code(), std::make_error_code(std::errc::connection_refused));
  EXPECT_EQ(result.error().message(),
            "cannot connect to 127.0.0.1:" + std::to_string(port.number()) +
                ": connection refused; nothing listens there");
}

TEST_F(ConnectTest, says_the_name_and_the_address_of_a_refusal) {
  const UnusedPort port;
  const auto result = connect(tcp("localhost", port.number()));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message().find(
                "cannot connect to localhost:" + std::to_string(port.number()) + " ("),
            0u)
      << result.error().message();
}

TEST_F(ConnectTest, resolves_localhost_and_tries_its_addresses_in_turn) {
  Awaited<std::unique_ptr<Stream>> accepted;
  auto listener = on(context, [&] {
    return Listener::listen(
        context, tcp("127.0.0.1"),
        [accepted](std::unique_ptr<Stream> s) mutable { accepted.set(std::move(s)); });
  });
  ASSERT_TRUE(listener);
  auto result = connect(tcp("localhost", (*listener)->address().port));
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ((*result)->remote_address().text(), (*listener)->address().text());
  auto other = accepted.take().value();
  EXPECT_EQ(other->remote_address().text(), (*result)->local_address().text());
  close(result);
  on(context, [&] { other.reset(), listener->reset(); });
}

TEST_F(ConnectTest, reaches_an_ipv6_listener) {
  auto listener = on(context, [&] { return Listener::listen(context, tcp("::1"), [](auto) {}); });
  if (!listener) GTEST_SKIP() << "no IPv6 here: " << listener.error().message();
  auto result = connect((*listener)->address());
  ASSERT_TRUE(result) << result.error().message();
  EXPECT_EQ((*result)->remote_address().host, "::1");
  close(result);
  on(context, [&] { listener->reset(); });
}

TEST_F(ConnectTest, says_that_a_name_has_no_address) {
  const auto result = connect(tcp("no-such-host.invalid", 80));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code(), std::make_error_code(std::errc::host_unreachable));
  EXPECT_EQ(result.error().message().find(
                "cannot connect to no-such-host.invalid:80: the name has no address"),
            0u);
}

TEST_F(ConnectTest, refuses_hosts_that_cannot_be_one) {
  EXPECT_TRUE(connect(tcp("", 80)).error().is(Errc::bad_endpoint));
  EXPECT_TRUE(connect(tcp(std::string(256, 'a'), 80)).error().is(Errc::bad_endpoint));
  EXPECT_TRUE(connect(tcp(std::string("a\0b", 3), 80)).error().is(Errc::bad_endpoint));
  EXPECT_TRUE(connect(unix_path(std::string(108, 'a'))).error().is(Errc::bad_endpoint));
}

TEST_F(ConnectTest, gives_up_at_the_deadline) {
  const FullListener silent(tcp("127.0.0.1"));
  const TimePoint deadline = after(now(), milliseconds(30));
  const auto result = connect(silent.address(), deadline);
  ASSERT_FALSE(result);
  EXPECT_TRUE(result.error().is(Errc::timeout));
  EXPECT_EQ(result.error().message(),
            "cannot connect to " + silent.address().text() + ": no answer in time");
  EXPECT_GE(now(), deadline);
}

TEST_F(ConnectTest, gives_up_on_an_address_that_stays_silent) {
  const FullListener silent(tcp("127.0.0.1"));
  const TimePoint start = now();
  const auto result = connect(silent.address(), kNever, milliseconds(30));
  ASSERT_FALSE(result);
  EXPECT_TRUE(result.error().is(Errc::timeout));
  EXPECT_GE(now(), start + milliseconds(30));
}

TEST_F(ConnectTest, answers_a_deadline_that_has_passed_but_not_inside_start) {
  const Context::Lock lock(context);
  Outcome outcome;
  auto connecting =
      Connect::start(context, tcp("127.0.0.1", 1), now() - milliseconds(1), into(outcome));
  EXPECT_FALSE(outcome.is_set());
  connecting.reset();
}

TEST_F(ConnectTest, answers_a_deadline_that_has_passed) {
  EXPECT_TRUE(connect(tcp("127.0.0.1", 1), now() - milliseconds(1)).error().is(Errc::timeout));
}

TEST_F(ConnectTest, never_answers_after_it_was_destroyed) {
  auto listener =
      on(context, [&] { return Listener::listen(context, tcp("127.0.0.1"), [](auto) {}); });
  ASSERT_TRUE(listener);
  const FullListener silent(tcp("127.0.0.1"));
  int captured = 0;
  for (const Address& to :
       {(*listener)->address(), tcp("localhost", (*listener)->address().port), silent.address(),
        unix_path(folder / "none"), tcp("no-such-host.invalid", 1)}) {
    const auto destroyed = std::make_shared<bool>(false);  // touched on the Context only
    const auto answer = [destroyed](Result<std::unique_ptr<Stream>>) { EXPECT_FALSE(*destroyed); };
    std::unique_ptr<Connect> at_once, under_way;
    on(context, [&] { under_way = Connect::start(context, to, kNever, answer); });
    on(context, [&] {  // wherever it is by now
      *destroyed = true;
      under_way.reset();
      at_once = Connect::start(context, to, kNever, answer);
      at_once.reset();
    });
    let_pass(context);
    on(context, [&] { captured += static_cast<int>(destroyed.use_count()); });
  }
  EXPECT_EQ(captured, 2 * 5) << "`destroyed` and `answer` hold one each, dropped answers none";
  on(context, [&] { listener->reset(); });
}

TEST_F(ConnectTest, can_be_destroyed_in_its_own_answer) {
  const UnusedPort port;
  Event done;
  std::unique_ptr<Connect> connecting;
  on(context, [&] {
    connecting =
        Connect::start(context, tcp("127.0.0.1", port.number()), kNever,
                       [&connecting, done](Result<std::unique_ptr<Stream>> result) mutable {
                         EXPECT_FALSE(result);
                         connecting.reset();
                         done.set();
                       });
  });
  done.wait();
}

TEST_F(ConnectTest, drops_its_answer_with_the_context) {
  const FullListener silent(tcp("127.0.0.1"));
  const auto token = std::make_shared<int>(0);
  auto own = std::make_unique<Context>();
  auto connecting = on(*own, [&] {
    return Connect::start(*own, silent.address(), kNever,
                          [token](auto) { ADD_FAILURE() << "answered"; });
  });
  own.reset();
  EXPECT_EQ(token.use_count(), 1);
  connecting.reset();
}

TEST_F(ConnectTest, says_that_nothing_listens_at_a_path) {
  const Address at = unix_path(folder / "none");
  const auto result = connect(at);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code(), std::make_error_code(std::errc::no_such_file_or_directory));
  EXPECT_NE(result.error().message().find(at.path), std::string::npos);
}

TEST_F(ConnectTest, waits_for_room_in_the_queue_of_a_unix_socket) {
  FullListener full(unix_path(folder / "socket"));
  EXPECT_TRUE(connect(full.address(), after(now(), milliseconds(30))).error().is(Errc::timeout));
  EXPECT_TRUE(connect(full.address(), kNever, milliseconds(30)).error().is(Errc::timeout));
  Outcome outcome;
  auto connecting =
      on(context, [&] { return Connect::start(context, full.address(), kNever, into(outcome)); });
  let_pass(context);
  EXPECT_FALSE(outcome.is_set());
  full.accept_one();
  auto result = outcome.take().value();
  EXPECT_TRUE(result);
  close(result);
  on(context, [&] { connecting.reset(); });
}

}  // namespace
}  // namespace streamkit::io
