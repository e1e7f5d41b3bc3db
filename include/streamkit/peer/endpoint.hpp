// Endpoint: where a Peer binds or connects. To: whom it opens a channel to.
#pragma once

#include <streamkit/base/result.hpp>
#include <streamkit/channel/metadata.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace streamkit {

/// Characters of a tcp host's name (RFC 1035 section 2.3.4, without the root's dot).
inline constexpr std::size_t kMaxHostName = 253;
/// Bytes of a unix socket's path: what sockaddr_un holds.
inline constexpr std::size_t kMaxUnixPath = 107;
/// Bytes of an inproc name.
inline constexpr std::size_t kMaxInprocName = 255;

/// Bytes of a user's name.
inline constexpr std::size_t kMaxUserName = 255;
/// SSH servers on the way to an endpoint.
inline constexpr std::size_t kMaxBastions = 8;

/// tcp://[USER@]HOST:PORT[?OPTIONS]   unix:///PATH[?OPTIONS]   inproc://NAME   mux:///PATH
///
/// HOST is a name, an IPv4 address, an IPv6 address in brackets, or `*` for every interface (host() is
/// then empty). PORT is 0..65535 and always there; binding to 0 chooses one. PATH is absolute. NAME is
/// 1..255 bytes of UTF-8 that print as they are. Nothing is percent-decoded.
///
/// For connecting only: USER is who we are there, in place of the peer's name: letters, digits, `.`, `-`, `_` and
/// `+`. BASTIONS are 1..8 of [USER@]HOST:PORT with commas between, the nearest first: SSH servers that open a
/// channel to the next one, and the last one to HOST:PORT or PATH. Each is a link of its own, with its own host
/// key; what runs inside is sealed end to end. The PATH of mux is the control socket of an `ssh -M -S PATH` that
/// has connected to the other side: who is there, that ssh has judged, and whoever may open the socket is believed.
///
/// OPTIONS are via=BASTIONS and wire=duplex, at most once each, with & between. With wire=duplex, links of this
/// endpoint speak the wire of go-streamkit (PROTOCOL.md section 9) and nothing else.
class Endpoint {
 public:
  enum class Kind { tcp, unix_path, inproc, mux };

  Endpoint(const char* text) : Endpoint(std::string(text)) {}
  /// Never fails: an invalid one says so in check(), and bind() and connect() answer with that.
  Endpoint(std::string text);
  /// bad_endpoint with a sentence that says what is wrong.
  Result<void> check() const;

  const std::string& text() const noexcept { return text_; }
  Kind kind() const noexcept { return kind_; }
  const std::string& host() const noexcept { return host_; }  ///< tcp; lower case; IPv6 without its brackets
  std::uint16_t port() const noexcept { return port_; }       ///< tcp
  const std::string& path() const noexcept { return host_; }  ///< unix and mux
  const std::string& name() const noexcept { return host_; }  ///< inproc
  const std::string& user() const noexcept { return user_; }  ///< tcp; empty: none was given
  /// The last SSH server on the way, which has those before it as its own way; nothing: the way is direct.
  std::optional<Endpoint> via() const;
  channel::Wire wire() const noexcept { return wire_; }
  friend bool operator==(const Endpoint& a, const Endpoint& b) noexcept { return a.text_ == b.text_; }

 private:
  std::string text_, host_, user_, via_, problem_;
  Kind kind_ = Kind::tcp;
  channel::Wire wire_ = channel::Wire::streamkit;
  std::uint16_t port_ = 0;
};

/// A peer's name, one certain link, or whoever is there (in turns).
class To {
 public:
  To(const char* name) : name_(name) {}
  To(std::string name) : name_(std::move(name)) {}
  static To link(std::uint64_t id) {
    To to("");
    to.link_ = id;
    return to;
  }
  static To anyone() { return To(""); }

  bool is_anyone() const noexcept { return name_.empty() && link_ == 0; }
  const std::string& name() const noexcept { return name_; }
  std::uint64_t link() const noexcept { return link_; }

 private:
  std::string name_;
  std::uint64_t link_ = 0;
};

}  // namespace streamkit
