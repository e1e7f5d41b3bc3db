// HttpParser: a strict, incremental HTTP/1.x message parser without I/O (RFC 9112).
//
// Two readers that disagree about where a message ends are how requests are smuggled past a proxy.
// So whatever could be read in two ways is refused here, and what is passed on is written anew from
// the parsed head (http_rewrite). A head is checked line by line as it arrives, read by
// Boost.Beast's parser when it is complete, and then judged by our own rules about lengths, codings
// and hosts.
#pragma once

#include "http_chunked.hpp"
#include "http_head.hpp"

#include <streamkit/base/bytes.hpp>

#include <span>
#include <string>

namespace streamkit::tunnel {

inline constexpr std::size_t kMaxStartLine = 16 * 1024;  ///< bytes, without CRLF; 414 beyond it
inline constexpr std::size_t kMaxHeaderFields = 128;     ///< 431 beyond it
inline constexpr std::size_t kMaxHead = 64 * 1024;  ///< bytes, start line included; 431 beyond it

/// Why a message is not acceptable, with the answer a request of that kind gets.
struct HttpRefusal {
  int status = 0;
  std::string_view word;      ///< for programs
  std::string_view sentence;  ///< for people
};

enum class HttpEvent {
  need_more,  ///< all input is used up
  head,       ///< head() is complete
  body,       ///< a piece of the body, already without chunk framing
  end,        ///< the message is complete; start() begins the next one
  refused,    ///< refusal() says why; nothing more can be read from this stream
};

struct HttpStep {
  HttpEvent event;
  std::size_t consumed;  ///< bytes of the input that are done with, the piece included
  ByteView body;         ///< part of the input
};

/// One direction of one connection. Holds at most kMaxHead + kMaxTrailer bytes.
class HttpParser {
 public:
  enum class Role { request, response };
  explicit HttpParser(Role role) noexcept : role_(role) {}

  /// Ready for the next message. Views of the one before become invalid.
  void start();
  /// The next response answers a HEAD request: it has no body, whatever its head says.
  void answers_head() noexcept { no_body_ = true; }
  /// The next thing in `input`; call again with the rest until it answers need_more, end or
  /// refused. After a head, an empty input gives `end` if the message has no body.
  HttpStep next(ByteView input);
  /// The input ended in good order: `end` if that completes the message, else `refused`.
  HttpEvent finish();

  /// Valid from `head` until start().
  const HttpHead& head() const noexcept { return head_; }
  /// Valid from `end` until start().
  std::span<const HttpField> trailers() const noexcept { return chunks_.trailers(); }
  const HttpRefusal& refusal() const noexcept { return refusal_; }
  /// Nothing of the next message has arrived (an empty line before it is nothing).
  bool is_idle() const noexcept { return at_ == At::head && text_.empty(); }
  /// The message is complete, whether `end` was asked for or not.
  bool is_done() const noexcept { return at_ == At::end; }
  /// start(), and gives back what memory is more than an ordinary head needs.
  void release();

 private:
  enum class At { head, length, chunked, until_close, end, refused };
  HttpStep take_head(ByteView input);
  HttpStep take_body(ByteView input);
  bool take_line(std::string_view line, bool& complete);
  bool check_start_line(std::string_view line);
  bool read_head();
  bool judge_fields();
  bool judge_coding();
  bool judge_lengths();
  bool judge_target();
  void set_body();
  bool refuse(int status, std::string_view word, std::string_view sentence);
  bool bad(std::string_view sentence) { return refuse(400, "bad-request", sentence); }

  Role role_;
  At at_ = At::head;
  bool no_body_ = false;
  bool skipped_empty_line_ = false;
  std::string text_;            // the head so far
  std::size_t line_start_ = 0;  // of the line that is still incomplete
  std::size_t lines_ = 0;       // complete ones
  HttpHead head_;
  std::uint64_t left_ = 0;
  ChunkDecoder chunks_;
  HttpRefusal refusal_;
  // what judge_fields() collects
  std::size_t hosts_ = 0, lengths_ = 0, codings_ = 0;
  std::string_view length_, coding_;
};

}  // namespace streamkit::tunnel
