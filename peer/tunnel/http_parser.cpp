// HttpParser's rules. The only file that includes Boost: Beast reads the start line and the fields
// of a complete head; lines are checked before it sees them and lengths, codings and hosts after.
#include "http_parser.hpp"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <charconv>
#include <cstring>

namespace streamkit::tunnel {
namespace {

namespace http = boost::beast::http;

// What release() does not bother to give back.
constexpr std::size_t kOrdinaryHead = 2 * 1024;
constexpr std::size_t kOrdinaryFields = 32;

std::string_view view(boost::beast::string_view text) noexcept {
  return {text.data(), text.size()};
}

// Beast's answers about one complete head, as views into the bytes it was given. Bodies never reach
// it.
template <bool IsRequest>
class HeadReader final : public http::basic_parser<IsRequest> {
 public:
  explicit HeadReader(HttpHead& head) : head_(head) {
    this->header_limit(kMaxHead + 1);
    // Beast 1.74 takes "no limit" for a limit of nothing.
    this->body_limit(std::numeric_limits<std::uint64_t>::max());
  }

 private:
  using Code = boost::beast::error_code;
  using Text = boost::beast::string_view;
  void on_request_impl(http::verb, Text method, Text target, int version, Code&) override {
    head_.method = view(method);
    head_.target = view(target);
    head_.minor = version % 10;
  }
  void on_response_impl(int code, Text reason, int version, Code&) override {
    head_.status = code;
    head_.reason = view(reason);
    head_.minor = version % 10;
  }
  void on_field_impl(http::field, Text name, Text value, Code&) override {
    head_.fields.push_back({view(name), view(value)});
  }
  void on_header_impl(Code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, Code&) override {}
  std::size_t on_body_impl(Text body, Code&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, Text, Code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, Text body, Code&) override { return body.size(); }
  void on_finish_impl(Code&) override {}

  HttpHead& head_;
};

template <bool IsRequest>
boost::beast::error_code read_with_beast(const std::string& text, HttpHead& head) {
  HeadReader<IsRequest> reader(head);
  boost::beast::error_code error;
  const std::size_t used = reader.put(boost::asio::const_buffer(text.data(), text.size()), error);
  if (!error && used != text.size()) error = http::error::unexpected_body;
  return error;
}

// "GET / HTTP/2.0": well-formed, but of a version that is not ours.
bool names_other_version(std::string_view line) noexcept {
  const std::size_t at = line.rfind(" HTTP/");
  if (at == std::string_view::npos) return false;
  const std::string_view version = line.substr(at + 6);
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return version.size() == 3 && digit(version[0]) && version[1] == '.' && digit(version[2]) &&
         version != "1.0" && version != "1.1";
}

}  // namespace

void HttpParser::start() {
  at_ = At::head;
  no_body_ = skipped_empty_line_ = false;
  text_.clear();
  line_start_ = lines_ = 0;
  std::vector<HttpField> fields = std::move(head_.fields);  // keep its room
  fields.clear();
  head_ = HttpHead{};
  head_.fields = std::move(fields);
  left_ = 0;
  chunks_.start();
  refusal_ = {};
}

void HttpParser::release() {
  start();
  if (text_.capacity() > kOrdinaryHead) std::string().swap(text_);
  if (head_.fields.capacity() > kOrdinaryFields) std::vector<HttpField>().swap(head_.fields);
  chunks_.release();
}

bool HttpParser::refuse(int status, std::string_view word, std::string_view sentence) {
  at_ = At::refused;
  refusal_ = {status, word, sentence};
  return false;
}

HttpStep HttpParser::next(ByteView input) {
  switch (at_) {
    case At::head:
      return take_head(input);
    case At::end:
      return {HttpEvent::end, 0, {}};
    case At::refused:
      return {HttpEvent::refused, 0, {}};
    default:
      return take_body(input);
  }
}

HttpEvent HttpParser::finish() {
  if (at_ == At::until_close) at_ = At::end;
  if (at_ == At::end) return HttpEvent::end;
  if (at_ != At::refused) bad("The message ends before it is complete.");
  return HttpEvent::refused;
}

HttpStep HttpParser::take_head(ByteView input) {
  const std::string_view in = as_text(input);
  std::size_t used = 0;
  bool complete = false;
  while (!complete && used < in.size()) {
    const std::size_t newline = in.find('\n', used);
    const std::size_t end = newline == std::string_view::npos ? in.size() : newline + 1;
    // Never more than the limit and one byte is kept, however much comes at once.
    text_.append(in.substr(used, std::min(end - used, kMaxHead + 1 - text_.size())));
    used = end;
    std::string_view line = std::string_view(text_).substr(line_start_);
    if (lines_ == 0 && !is_token(line.substr(0, 1)) && line[0] != '\r') {
      bad("This is not an HTTP message.");
    } else if (lines_ == 0 && line.size() > kMaxStartLine + 2) {
      refuse(role_ == Role::request ? 414 : 400, "request-line-too-long",
             "The first line is longer than 16 KiB.");
    } else if (text_.size() > kMaxHead) {
      refuse(431, "head-too-large", "The header fields take more than 64 KiB.");
    } else if (newline == std::string_view::npos) {
      break;  // an incomplete line waits for its end
    } else if (line.size() < 2 || line[line.size() - 2] != '\r') {
      bad("A line does not end with CRLF.");
    } else {
      line.remove_suffix(2);
      take_line(line, complete);
    }
    if (at_ == At::refused) return {HttpEvent::refused, used, {}};
  }
  if (!complete) return {HttpEvent::need_more, used, {}};
  if (!read_head()) return {HttpEvent::refused, used, {}};
  set_body();
  return {HttpEvent::head, used, {}};
}

bool HttpParser::take_line(std::string_view line, bool& complete) {
  if (line.empty() && lines_ == 0) {
    // One empty line before a request is forgiven: old clients end a POST with one too many.
    if (role_ == Role::response || skipped_empty_line_) return bad("The first line is empty.");
    skipped_empty_line_ = true;
    text_.clear();
    return true;
  }
  if (line.empty()) {
    complete = true;
    return true;
  }
  if (lines_ == 0) {
    if (!check_start_line(line)) return false;
  } else if (lines_ > kMaxHeaderFields) {
    return refuse(431, "too-many-fields", "There are more than 128 header fields.");
  } else if (const std::string_view wrong = complaint_about_field(line); !wrong.empty()) {
    return bad(wrong);
  }
  ++lines_;
  line_start_ = text_.size();
  return true;
}

bool HttpParser::check_start_line(std::string_view line) {
  if (!is_token(line.substr(0, 1)) || (role_ == Role::response && !line.starts_with("HTTP/")))
    return bad("This is not an HTTP message.");
  for (const char c : line) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) return bad("The first line holds a control character.");
  }
  return true;
}

bool HttpParser::read_head() {
  const bool request = role_ == Role::request;
  const auto error =
      request ? read_with_beast<true>(text_, head_) : read_with_beast<false>(text_, head_);
  if (error == http::error::bad_version &&
      names_other_version(std::string_view(text_).substr(0, text_.find('\r'))))
    return refuse(505, "unsupported-version", "Only HTTP/1.0 and HTTP/1.1 are spoken here.");
  if (error == http::error::bad_content_length) return bad("The Content-Length is not one number.");
  if (error == http::error::bad_transfer_encoding)
    return bad("The Transfer-Encoding is not exactly \"chunked\".");
  if (error) return bad("The head of the message is malformed.");
  if (!request && (head_.status < 100 || head_.status > 599))
    return bad("The status is not 1xx to 5xx.");
  return judge_fields() && judge_coding() && judge_lengths() && (!request || judge_target());
}

bool HttpParser::judge_fields() {
  hosts_ = lengths_ = codings_ = 0;
  bool close = false, stay = false, names_upgrade = false, has_upgrade = false;
  for (const HttpField& field : head_.fields) {
    if (same_word(field.name, "host")) {
      ++hosts_;
      head_.host = field.value;
    } else if (same_word(field.name, "content-length")) {
      ++lengths_;
      length_ = field.value;
    } else if (same_word(field.name, "transfer-encoding")) {
      ++codings_;
      coding_ = field.value;
    } else if (same_word(field.name, "connection")) {
      close = close || list_has(field.value, "close");
      stay = stay || list_has(field.value, "keep-alive");
      names_upgrade = names_upgrade || list_has(field.value, "upgrade");
    } else if (same_word(field.name, "upgrade")) {
      has_upgrade = has_upgrade || !field.value.empty();
    } else if (same_word(field.name, "expect")) {
      head_.expect_continue = head_.expect_continue || same_word(field.value, "100-continue");
    }
  }
  head_.keep_alive = !close && (head_.minor == 1 || stay);
  head_.upgrade = names_upgrade && has_upgrade && head_.minor == 1;
  head_.expect_continue = head_.expect_continue && head_.minor == 1;
  return true;
}

bool HttpParser::judge_coding() {
  if (codings_ == 0) return true;
  if (head_.minor == 0) return bad("Transfer-Encoding does not exist in HTTP/1.0.");
  if (lengths_ != 0) return bad("There is a Transfer-Encoding and a Content-Length.");
  if (codings_ > 1) return bad("There is more than one Transfer-Encoding.");
  if (same_word(coding_, "chunked")) return true;
  if (is_token(coding_))
    return refuse(501, "unknown-transfer-coding", "The only transfer coding here is \"chunked\".");
  return bad("The Transfer-Encoding is not exactly \"chunked\".");
}

bool HttpParser::judge_lengths() {
  if (lengths_ == 0) return true;
  if (lengths_ > 1) return bad("There is more than one Content-Length.");
  if (length_.empty() || length_.find_first_not_of("0123456789") != std::string_view::npos)
    return bad("The Content-Length is not one number.");
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(length_.data(), length_.data() + length_.size(), value);
  if (error != std::errc{} || value >> 63 != 0)
    return refuse(413, "body-too-large", "The Content-Length is larger than can be counted.");
  head_.content_length = value;
  return true;
}

// RFC 9112 section 3.2. An absolute target must name the same host as the Host field: a request
// that says two things could be routed by one and served by the other.
bool HttpParser::judge_target() {
  if (hosts_ > 1) return bad("There is more than one Host field.");
  if (hosts_ == 0 && head_.minor == 1)
    return refuse(400, "missing-host", "The request has no Host field, which HTTP/1.1 requires.");
  if (hosts_ == 1 && !split_host(head_.host)) return bad("The Host field is not a host name.");
  const std::string_view target = head_.target;
  if (target.front() == '/') {
    head_.path = target;
    return true;
  }
  if (head_.method == "CONNECT") return true;  // the caller's to refuse
  if (target == "*" && head_.method == "OPTIONS") {
    head_.path = target;
    return true;
  }
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!starts_with_word(target, scheme)) continue;
    const std::string_view rest = target.substr(scheme.size());
    const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
    if (hosts_ == 0) head_.host = rest.substr(0, end);
    if (!split_host(head_.host) || !same_word(rest.substr(0, end), head_.host))
      return bad("The request's target and its Host field name different hosts.");
    head_.path = rest.substr(end);
    return true;
  }
  return bad("The request's target is not a path.");
}

void HttpParser::set_body() {
  const int status = head_.status;
  const bool request = role_ == Role::request;
  if (!request && (no_body_ || status < 200 || status == 204 || status == 304)) {
    head_.body = HttpBody::none;
  } else if (codings_ != 0) {
    head_.body = HttpBody::chunked;
  } else if (head_.content_length) {
    head_.body = HttpBody::length;
    left_ = *head_.content_length;
  } else {
    head_.body = request ? HttpBody::none : HttpBody::until_close;
  }
  if (head_.body == HttpBody::until_close) head_.keep_alive = false;
  switch (head_.body) {
    case HttpBody::none:
      at_ = At::end;
      break;
    case HttpBody::length:
      at_ = left_ == 0 ? At::end : At::length;
      break;
    case HttpBody::chunked:
      at_ = At::chunked;
      break;
    case HttpBody::until_close:
      at_ = At::until_close;
      break;
  }
}

HttpStep HttpParser::take_body(ByteView input) {
  if (at_ == At::chunked) {
    const ChunkDecoder::Step step = chunks_.next(input);
    switch (step.state) {
      case ChunkDecoder::State::need_more:
        return {HttpEvent::need_more, step.consumed, {}};
      case ChunkDecoder::State::data:
        return {HttpEvent::body, step.consumed, step.data};
      case ChunkDecoder::State::end:
        at_ = At::end;
        return {HttpEvent::end, step.consumed, {}};
      case ChunkDecoder::State::refused:
        bad(chunks_.complaint());
        return {HttpEvent::refused, step.consumed, {}};
    }
  }
  if (input.empty()) return {HttpEvent::need_more, 0, {}};
  if (at_ == At::until_close) return {HttpEvent::body, input.size(), input};
  const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size()));
  left_ -= n;
  if (left_ == 0) at_ = At::end;
  return {HttpEvent::body, n, input.first(n)};
}

}  // namespace streamkit::tunnel
