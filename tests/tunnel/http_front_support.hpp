// What the tests of the HTTP front stand on: an origin server on real sockets with a thread a
// connection, a blocking client, and a router that the tests fill.
#pragma once

#include "http_front.hpp"

#include <streamkit/io/context.hpp>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <future>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace streamkit::tunnel::http_tests {

/// A blocking socket with what HTTP tests read and write. Gives up after 20 s of silence.
class Wire {
 public:
  explicit Wire(int fd);
  ~Wire() { close(); }
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  bool write(std::string_view bytes);
  /// Up to and including `mark`; what was there when the stream ended otherwise.
  std::string read_until(std::string_view mark);
  std::string read_exactly(std::size_t n);
  /// All up to the end. `reset()` says whether that end was one in good order.
  std::string read_to_end();
  bool was_reset() const { return reset_; }
  void shut_write();
  void close();
  int fd() const { return fd_; }

 private:
  bool fill();
  int fd_;
  std::string in_;
  bool reset_ = false;
};

/// "Name: value" out of a raw head; "" if there is none.
std::string field(std::string_view head, std::string_view name);

struct Response {
  int status = 0;
  std::string head;
  std::string body;
  std::string operator[](std::string_view name) const { return field(head, name); }
};

/// A visitor.
class Client : public Wire {
 public:
  explicit Client(std::uint16_t port);
  /// One response with its body, however that is framed.
  Response read_response(bool answers_head = false);
  Response read_body_of(std::string head, bool answers_head = false);
  Response ask(std::string_view request, bool answers_head = false);
  std::string read_chunk();
};

std::string get(std::string_view host, std::string_view path = "/", std::string_view more = "");

/// A web server on 127.0.0.1. `serve` runs once a request, after its head; false ends the
/// connection.
class Origin {
 public:
  struct Request {
    std::string head;
    std::string method, target;
    std::size_t number;      ///< of this connection's requests, from 0
    std::size_t connection;  ///< of the origin's connections, from 0
  };
  using Serve = std::function<bool(Wire&, const Request&)>;
  explicit Origin(Serve serve);
  ~Origin();
  std::uint16_t port() const { return port_; }
  std::size_t connections() const { return connections_; }

 private:
  void accept_all();
  void serve_one(Wire& wire, std::size_t connection);
  Serve serve_;
  int listener_;
  std::uint16_t port_ = 0;
  std::atomic<std::size_t> connections_{0};
  std::mutex mutex_;
  std::list<std::unique_ptr<Wire>> wires_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

/// "200 OK" with a length.
std::string ok(std::string_view body, std::string_view more = "");
/// The request's body, by its Content-Length.
std::string body_of(Wire& wire, const Origin::Request& request);

/// Completes a connect with what it is given, a turn later.
class ReadyConnect final : public io::Connect {
 public:
  ReadyConnect(io::Context& context, Result<std::unique_ptr<io::Stream>> outcome, Done done);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Filled from any thread, asked on the Context.
class TestRouter final : public Router {
 public:
  using Open = std::function<std::unique_ptr<io::Connect>(io::Connect::Done)>;
  struct Entry {
    Target target;
    Open open;
  };
  explicit TestRouter(io::Context& context) : context_(context) {}
  Result<Target> find(std::string_view host) override;
  std::unique_ptr<io::Connect> open(const Target& target, const io::Address& visitor,
                                    io::Connect::Done done) override;
  void add(const std::string& host, std::uint16_t port, const std::string& host_header = "");
  void add(const std::string& host, Open open);
  void add_error(const std::string& host, Error error);

 private:
  io::Context& context_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::map<std::string, Error, std::less<>> errors_;
};

/// A front on 127.0.0.1 with its own Context.
class Stage {
 public:
  explicit Stage(HttpFrontOptions options = {});
  ~Stage();
  struct Log {
    std::string method, path, host, error, visitor;
    int status;
    std::uint64_t in, out;
    Duration duration;
  };
  /// Waits until `n` requests are over.
  std::vector<Log> logs(std::size_t n);
  /// Runs `f` on the Context.
  template <class F>
  auto on_context(F f) {
    io::Context::Lock lock(context);
    return f();
  }
  /// Waits until `done` says so, asking on the Context in turns with everything else there.
  void wait_until(std::function<bool()> done);

  io::Context context;
  TestRouter router{context};
  std::unique_ptr<HttpFront> front;
  std::uint16_t port = 0;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Log> logs_;
};

}  // namespace streamkit::tunnel::http_tests
