// HttpFront: where visitors come in. It accepts HTTP/1.x connections and routes every request by
// its Host, so that one keep-alive connection may speak to several tunnels.
//
// Both sides are io::Streams: the visitor's, and an upstream that a Router opens (a channel through
// a tunnel, or anything else). Bodies pass through bounded buffers, never whole. After `101
// Switching Protocols` (WebSocket and its kin) bytes pass unread. No TLS, no HTTP/2, no caching
// here.
#pragma once

#include <streamkit/base/function.hpp>
#include <streamkit/base/result.hpp>
#include <streamkit/base/time.hpp>
#include <streamkit/io/stream.hpp>

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

namespace streamkit::tunnel {

/// Where a request goes.
struct Target {
  std::string
      pool_key;  ///< upstreams under one key are interchangeable; name one claim, not one name
  std::string host_header;  ///< what Host becomes; "" keeps the visitor's
  std::string description;  ///< for error pages: "127.0.0.1:3000"
};

/// Decides and connects. Called on the front's Context; outlives the front.
class Router {
 public:
  virtual ~Router() = default;
  /// By the Host field without its port, as the visitor wrote it. Errc::no_such_service becomes
  /// 404, Errc::peer_not_connected 503 "reconnecting".
  virtual Result<Target> find(std::string_view host_without_port) = 0;
  /// Connects an upstream for one visitor. `done` runs once, on the Context and never inside this
  /// call; destroying the Connect withdraws it. A failure becomes 502, 503 or 504 with the error's
  /// message, and so does an upstream that fails before the first byte of a response.
  virtual std::unique_ptr<io::Connect> open(const Target& target, const io::Address& visitor,
                                            io::Connect::Done done) = 0;
};

struct HttpFrontOptions {
  /// From the first byte of a request (or the accept) to the end of its head. Then 408.
  Duration header_timeout = std::chrono::seconds(10);
  /// How long a keep-alive visitor may stay silent between requests. Then it is closed.
  Duration idle_timeout = std::chrono::seconds(75);
  /// From the last progress of a request to the head of its response, opening included. Then 504;
  /// or 408 when it was the visitor who stopped sending the body.
  Duration response_timeout = std::chrono::seconds(60);
  /// How long a visitor may take nothing of what waits for it. Then it is cut off.
  Duration stall_timeout = std::chrono::seconds(300);
  /// How long, after a final answer, we take and discard what the visitor still sends, so that the
  /// answer is not lost to a connection reset.
  Duration linger_timeout = std::chrono::seconds(5);
  /// More connections at once are answered 503 and closed.
  std::size_t max_visitors = 10000;
  std::size_t max_idle_upstreams = 32;          ///< kept for reuse, of one pool key
  std::size_t max_idle_upstreams_total = 1024;  ///< kept for reuse, of all; the oldest goes first
  Duration upstream_idle_timeout = std::chrono::seconds(30);  ///< how long one is kept
  /// A request that could not be repeated reuses an upstream only when it was idle for less than
  /// this: the origin may be closing an older one at this moment.
  Duration upstream_fresh = std::chrono::seconds(2);
  /// Bytes of one request body; 413 beyond it.
  std::uint64_t max_request_body = std::numeric_limits<std::uint64_t>::max();
  /// What visitors speak to get here; it goes into X-Forwarded-Proto.
  std::string scheme = "http";
};

/// One request, when it is over. Views live for the call only.
struct RequestLog {
  std::string_view method;  ///< empty when the request was not understood
  std::string_view path;    ///< without the query
  std::string_view host;
  int status = 0;               ///< 0: no response head was sent
  std::uint64_t bytes_in = 0;   ///< of the request's body (or the visitor's bytes after an upgrade)
  std::uint64_t bytes_out = 0;  ///< of the response's body, likewise
  Duration duration{};          ///< from the complete request head
  io::Address visitor;
  std::string_view
      error;  ///< the word of Streamkit-Error, or why it broke off; empty when all went well
};

struct HttpShared;

/// Use it on its Context only, destruction included; that closes every connection at once.
class HttpFront {
 public:
  using OnRequest = Function<void(const RequestLog&)>;
  /// Serves nothing yet: listen() and adopt() bring visitors. `on_request` runs once a request and
  /// must not touch the front.
  HttpFront(io::Context& context, Router& router, HttpFrontOptions options = {},
            OnRequest on_request = {});
  ~HttpFront();
  HttpFront(const HttpFront&) = delete;
  HttpFront& operator=(const HttpFront&) = delete;

  /// Binds and accepts; may be called for several addresses. Answers the bound address.
  Result<io::Address> listen(const io::Address& at);
  /// Serves one connection that came some other way.
  void adopt(std::unique_ptr<io::Stream> visitor);
  /// Closes the idle upstreams under `pool_key`, such as when its tunnel went away.
  void drop_upstreams(std::string_view pool_key);
  /// Accepts nobody any more and closes each connection after the request it is at.
  void drain();
  std::size_t visitors() const noexcept;
  std::size_t idle_upstreams() const noexcept;

 private:
  std::unique_ptr<HttpShared> shared_;
};

}  // namespace streamkit::tunnel
