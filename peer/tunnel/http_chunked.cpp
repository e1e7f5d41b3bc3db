#include "http_chunked.hpp"

#include <algorithm>

namespace streamkit::tunnel {
namespace {

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_control(char c) noexcept {
  return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
}

// A trailer must not change what the head said (RFC 9110 section 6.5.1).
bool may_trail(std::string_view name) noexcept {
  static constexpr std::string_view kNever[] = {"transfer-encoding",
                                                "content-length",
                                                "host",
                                                "connection",
                                                "keep-alive",
                                                "te",
                                                "trailer",
                                                "upgrade",
                                                "content-encoding",
                                                "content-type",
                                                "content-range",
                                                "authorization",
                                                "cookie",
                                                "set-cookie",
                                                "cache-control",
                                                "expect",
                                                "max-forwards",
                                                "range",
                                                "forwarded",
                                                "www-authenticate",
                                                "location",
                                                "x-real-ip"};
  for (const std::string_view never : kNever)
    if (same_word(name, never)) return false;
  return !starts_with_word(name, "proxy-") && !starts_with_word(name, "x-forwarded-") &&
         !starts_with_word(name, "if-");
}

}  // namespace

void ChunkDecoder::start() {
  at_ = At::size;
  left_ = 0;
  digits_ = extension_ = line_ = 0;
  trailer_.clear();
  trailers_.clear();
  complaint_ = {};
}

void ChunkDecoder::release() {
  std::string().swap(trailer_);
  std::vector<HttpField>().swap(trailers_);
}

bool ChunkDecoder::refuse(std::string_view complaint) {
  complaint_ = complaint;
  return false;
}

ChunkDecoder::Step ChunkDecoder::next(ByteView input) {
  std::size_t used = 0;
  while (at_ != At::end) {
    if (used == input.size()) return {State::need_more, used, {}};
    if (at_ == At::data) {
      const std::size_t n =
          static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size() - used));
      left_ -= n;
      if (left_ == 0) at_ = At::data_cr;
      return {State::data, used + n, input.subspan(used, n)};
    }
    const char c = static_cast<char>(input[used++]);
    if (!(at_ == At::trailer ? take_trailer_byte(c) : take_line_byte(c)))
      return {State::refused, used, {}};
  }
  return {State::end, used, {}};
}

bool ChunkDecoder::take_line_byte(char c) {
  switch (at_) {
    case At::size:
      if (const int digit = hex_value(c); digit >= 0) {
        if (++digits_ > kMaxChunkSizeDigits || left_ >> 59 != 0)
          return refuse("A chunk is larger than can be counted.");
        left_ = left_ << 4 | static_cast<unsigned>(digit);
        return true;
      }
      if (digits_ == 0 || (c != ';' && c != '\r')) return refuse("A chunk size is not a number.");
      at_ = c == ';' ? At::extension : At::size_lf;
      return true;
    case At::extension:
      if (c == '\r') {
        at_ = At::size_lf;
        return true;
      }
      if (is_control(c)) return refuse("A chunk extension holds a control character.");
      return ++extension_ <= kMaxChunkExtension || refuse("A chunk extension is too long.");
    case At::size_lf:
      if (c != '\n') return refuse("A chunk line does not end with CRLF.");
      at_ = left_ == 0 ? At::trailer : At::data;
      digits_ = extension_ = 0;
      return true;
    case At::data_cr:
      at_ = At::data_lf;
      return c == '\r' || refuse("A chunk does not end with CRLF.");
    case At::data_lf:
      at_ = At::size;
      return c == '\n' || refuse("A chunk does not end with CRLF.");
    default:
      return false;
  }
}

bool ChunkDecoder::take_trailer_byte(char c) {
  if (trailer_.size() >= kMaxTrailer) return refuse("The trailer section is too large.");
  trailer_.push_back(c);
  if (c != '\n') return true;
  const std::size_t length = trailer_.size() - line_;
  if (length < 2 || trailer_[trailer_.size() - 2] != '\r')
    return refuse("A trailer line does not end with CRLF.");
  if (length == 2) return finish_trailers();
  const std::string_view line = std::string_view(trailer_).substr(line_, length - 2);
  if (const std::string_view wrong = complaint_about_field(line); !wrong.empty())
    return refuse(wrong);
  line_ = trailer_.size();
  return true;
}

bool ChunkDecoder::finish_trailers() {
  std::string_view rest = std::string_view(trailer_).substr(0, line_);
  while (!rest.empty()) {
    const std::size_t end = rest.find("\r\n");
    const std::string_view line = rest.substr(0, end);
    const std::size_t colon = line.find(':');
    if (trailers_.size() == kMaxTrailerFields) return refuse("There are too many trailer fields.");
    trailers_.push_back({line.substr(0, colon), trim(line.substr(colon + 1))});
    rest.remove_prefix(end + 2);
  }
  at_ = At::end;
  return true;
}

ChunkPrefix::ChunkPrefix(std::size_t size) noexcept : begin_(sizeof text_) {
  text_[--begin_] = '\n';
  text_[--begin_] = '\r';
  do {
    text_[--begin_] = "0123456789abcdef"[size & 15];
    size >>= 4;
  } while (size != 0);
}

void write_last_chunk(std::span<const HttpField> trailers, ByteQueue& to) {
  to.append(as_bytes("0\r\n"));
  for (const HttpField& field : trailers) {
    if (!may_trail(field.name)) continue;
    to.append(as_bytes(field.name));
    to.append(as_bytes(": "));
    to.append(as_bytes(field.value));
    to.append(as_bytes("\r\n"));
  }
  to.append(as_bytes("\r\n"));
}

std::string_view complaint_about_field(std::string_view line) noexcept {
  if (line.front() == ' ' || line.front() == '\t') return "A field is folded over two lines.";
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return "A field has no colon.";
  if (!is_token(line.substr(0, colon)))
    return "A field name holds a character that is not allowed.";
  for (const char c : line.substr(colon + 1))
    if (is_control(c)) return "A field value holds a control character.";
  return {};
}

}  // namespace streamkit::tunnel
