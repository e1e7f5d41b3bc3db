#include "http_front_support.hpp"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <cstdlib>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace streamkit::tunnel::http_tests {

// --- Wire ---

Wire::Wire(int fd) : fd_(fd) {
  const timeval patience{20, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

bool Wire::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

bool Wire::fill() {
  char buffer[64 * 1024];
  const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
  if (n < 0) reset_ = true;
  if (n <= 0) return false;
  in_.append(buffer, static_cast<std::size_t>(n));
  return true;
}

std::string Wire::read_until(std::string_view mark) {
  std::size_t from = 0, at = 0;
  while ((at = in_.find(mark, from)) == std::string::npos) {
    from = in_.size() < mark.size() ? 0 : in_.size() - mark.size();
    if (!fill()) return std::exchange(in_, {});
  }
  std::string out = in_.substr(0, at + mark.size());
  in_.erase(0, out.size());
  return out;
}

std::string Wire::read_exactly(std::size_t n) {
  while (in_.size() < n && fill()) {
  }
  std::string out = in_.substr(0, n);
  in_.erase(0, out.size());
  return out;
}

std::string Wire::read_to_end() {
  while (fill()) {
  }
  return std::exchange(in_, {});
}

void Wire::shut_write() {
  ::shutdown(fd_, SHUT_WR);
}

void Wire::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

// --- heads ---

std::string field(std::string_view head, std::string_view name) {
  const std::string line = "\r\n" + std::string(name) + ": ";
  const std::size_t at = head.find(line);
  if (at == std::string_view::npos) return {};
  const std::size_t begin = at + line.size();
  return std::string(head.substr(begin, head.find("\r\n", begin) - begin));
}

std::string get(std::string_view host, std::string_view path, std::string_view more) {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: " + std::string(host) + "\r\n" +
         std::string(more) + "\r\n";
}

std::string ok(std::string_view body, std::string_view more) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
         std::string(more) + "\r\n" + std::string(body);
}

std::string body_of(Wire& wire, const Origin::Request& request) {
  return wire.read_exactly(
      std::strtoul(field(request.head, "Content-Length").c_str(), nullptr, 10));
}

// --- Client ---

namespace {
int connect_to(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  return fd;
}
}  // namespace

Client::Client(std::uint16_t port) : Wire(connect_to(port)) {}

Response Client::read_response(bool answers_head) {
  return read_body_of(read_until("\r\n\r\n"), answers_head);
}

Response Client::read_body_of(std::string head, bool answers_head) {
  Response response;
  response.head = std::move(head);
  if (response.head.starts_with("HTTP/1.1 "))
    response.status = std::atoi(response.head.c_str() + 9);
  const std::string length = response["Content-Length"];
  if (answers_head || response.status < 200 || response.status == 204 || response.status == 304)
    return response;
  if (response["Transfer-Encoding"] == "chunked") {
    for (std::string chunk = read_chunk(); !chunk.empty(); chunk = read_chunk())
      response.body += chunk;
  } else if (!length.empty()) {
    response.body = read_exactly(std::strtoul(length.c_str(), nullptr, 10));
  } else {
    response.body = read_to_end();
  }
  return response;
}

std::string Client::read_chunk() {
  const std::size_t size = std::strtoul(read_until("\r\n").c_str(), nullptr, 16);
  if (size == 0) {
    while (read_until("\r\n").size() > 2) {  // trailers
    }
    return {};
  }
  std::string chunk = read_exactly(size);
  EXPECT_EQ(read_exactly(2), "\r\n");
  return chunk;
}

Response Client::ask(std::string_view request, bool answers_head) {
  EXPECT_TRUE(write(request));
  return read_response(answers_head);
}

// --- Origin ---

Origin::Origin(Serve serve) : serve_(std::move(serve)) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  EXPECT_EQ(::bind(listener_, reinterpret_cast<const sockaddr*>(&at), size), 0);
  EXPECT_EQ(::listen(listener_, 64), 0);
  ::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size);
  port_ = ntohs(at.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

Origin::~Origin() {
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  ::close(listener_);
  for (const auto& wire : wires_) ::shutdown(wire->fd(), SHUT_RDWR);
  for (std::thread& thread : threads_) thread.join();
}

void Origin::accept_all() {
  for (;;) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    const std::lock_guard guard(mutex_);
    Wire& wire = *wires_.emplace_back(std::make_unique<Wire>(fd));
    threads_.emplace_back([this, &wire, n = connections_++] { serve_one(wire, n); });
  }
}

void Origin::serve_one(Wire& wire, std::size_t connection) {
  for (std::size_t number = 0;; ++number) {
    Request request;
    request.head = wire.read_until("\r\n\r\n");
    if (!request.head.ends_with("\r\n\r\n")) break;
    request.method = request.head.substr(0, request.head.find(' '));
    const std::size_t begin = request.method.size() + 1;
    request.target = request.head.substr(begin, request.head.find(' ', begin) - begin);
    request.number = number;
    request.connection = connection;
    if (!serve_(wire, request)) break;
  }
  ::shutdown(wire.fd(), SHUT_RDWR);  // closed by the destructor, when nobody names it any more
}

// --- ReadyConnect ---

struct ReadyConnect::State {
  Result<std::unique_ptr<io::Stream>> outcome;
  Done done;
};

ReadyConnect::ReadyConnect(io::Context& context, Result<std::unique_ptr<io::Stream>> outcome,
                           Done done)
    : state_(std::make_shared<State>(State{std::move(outcome), std::move(done)})) {
  context.post([weak = std::weak_ptr<State>(state_)] {
    if (const auto state = weak.lock()) state->done(std::move(state->outcome));
  });
}

// --- TestRouter ---

Result<Target> TestRouter::find(std::string_view host) {
  if (const auto at = errors_.find(host); at != errors_.end()) return at->second;
  const auto at = entries_.find(host);
  if (at == entries_.end()) return Errc::no_such_service;
  return at->second.target;
}

std::unique_ptr<io::Connect> TestRouter::open(const Target& target, const io::Address&,
                                              io::Connect::Done done) {
  return entries_.find(target.pool_key)->second.open(std::move(done));
}

void TestRouter::add(const std::string& host, std::uint16_t port, const std::string& host_header) {
  io::Address at;
  at.host = "127.0.0.1";
  at.port = port;
  Open open = [this, at](io::Connect::Done done) {
    return io::Connect::start(context_, at, kNever, std::move(done));
  };
  const io::Context::Lock lock(context_);
  entries_[host] = {{host, host_header, at.text()}, std::move(open)};
}

void TestRouter::add(const std::string& host, Open open) {
  const io::Context::Lock lock(context_);
  entries_[host] = {{host, "", "127.0.0.1:3000"}, std::move(open)};
}

void TestRouter::add_error(const std::string& host, Error error) {
  const io::Context::Lock lock(context_);
  errors_.emplace(host, std::move(error));
}

// --- Stage ---

Stage::Stage(HttpFrontOptions options) {
  io::Context::Lock lock(context);
  front =
      std::make_unique<HttpFront>(context, router, std::move(options), [this](const RequestLog& l) {
        const std::lock_guard guard(mutex_);
        logs_.push_back({std::string(l.method), std::string(l.path), std::string(l.host),
                         std::string(l.error), l.visitor.host, l.status, l.bytes_in, l.bytes_out,
                         l.duration});
        changed_.notify_all();
      });
  io::Address any;
  any.host = "127.0.0.1";
  const Result<io::Address> bound = front->listen(any);
  EXPECT_TRUE(bound) << bound.error().message();
  port = bound->port;
}

Stage::~Stage() {
  io::Context::Lock lock(context);
  front.reset();
}

std::vector<Stage::Log> Stage::logs(std::size_t n) {
  std::unique_lock guard(mutex_);
  EXPECT_TRUE(
      changed_.wait_for(guard, std::chrono::seconds(20), [&] { return logs_.size() >= n; }));
  return logs_;
}

void Stage::wait_until(std::function<bool()> done) {
  const TimePoint patience = io::now() + std::chrono::seconds(20);
  for (bool yes = false; !yes;) {
    ASSERT_LT(io::now(), patience);
    std::promise<bool> answer;
    context.post([&] { answer.set_value(done()); });
    yes = answer.get_future().get();
  }
}

}  // namespace streamkit::tunnel::http_tests
