#include "http_pages.hpp"

#include <streamkit/base/text.hpp>

namespace streamkit::tunnel {
namespace {

std::string_view reason_of(int status) noexcept {
  switch (status) {
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Error";
  }
}

std::string for_html(std::string_view text) {
  std::string out;
  for (const char c : escape(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string for_json(std::string_view text) {
  std::string out = "\"";
  for (const char c : escape(text)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string html(const ErrorPage& page) {
  const std::string number = std::to_string(page.status);
  std::string out =
      "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>";
  out +=
      number + " " + for_html(page.title) +
      "</title>\n<style>\n"
      ":root{color-scheme:light dark}\n"
      "body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:15vh auto;padding:0 1.5rem}\n"
      "h1{font-size:1.4rem;margin:0 0 .75rem}\np{margin:.5rem 0}\nsmall{opacity:.65}\n"
      "</style>\n<h1>";
  out += for_html(page.title) + "</h1>\n<p>" + for_html(page.detail) + "</p>\n";
  if (!page.hint.empty()) out += "<p>" + for_html(page.hint) + "</p>\n";
  out += "<p><small>" + number + " " + std::string(reason_of(page.status)) + " &middot; " +
         for_html(page.word) + " &middot; streamkit</small></p>\n</html>\n";
  return out;
}

std::string plain(const ErrorPage& page) {
  std::string out =
      std::to_string(page.status) + " " + escape(page.title) + "\n" + escape(page.detail) + "\n";
  if (!page.hint.empty()) out += escape(page.hint) + "\n";
  return out;
}

std::string json(const ErrorPage& page) {
  std::string out =
      "{\"status\":" + std::to_string(page.status) + ",\"error\":" + for_json(page.word);
  out += ",\"title\":" + for_json(page.title) + ",\"detail\":" + for_json(page.detail);
  if (!page.hint.empty()) out += ",\"hint\":" + for_json(page.hint);
  if (page.retry_after > 0) out += ",\"retry_after\":" + std::to_string(page.retry_after);
  return out + "}\n";
}

// The weight of one Accept element in thousandths; "text/html;q=0.9" is 900.
int weight_of(std::string_view element) noexcept {
  const std::size_t at = element.find("q=");
  if (at == std::string_view::npos) return 1000;
  const std::string_view q = trim(element.substr(at + 2));
  if (q.empty() || q[0] == '1') return 1000;
  int weight = 0, unit = 100;
  for (std::size_t i = 2; i < q.size() && i < 5 && q[i] >= '0' && q[i] <= '9'; ++i, unit /= 10)
    weight += (q[i] - '0') * unit;
  return weight;
}

bool mentions(std::string_view text, std::string_view word) noexcept {
  for (std::size_t i = 0; i + word.size() <= text.size(); ++i)
    if (starts_with_word(text.substr(i), word)) return true;
  return false;
}

std::string quoted(std::string_view text) {
  return "\"" + escape(text, 300) + "\"";
}

// The sentence that the far end gave, without our own words before it.
std::string words_of(const Error& error) {
  if (const Status* status = error.remote(); status && !status->message.empty())
    return status->message;
  return error.message();
}

// The error's sentence if somebody wrote one for it, else ours.
std::string detail_or(const Error& error, std::string ours) {
  const std::string theirs = words_of(error);
  return theirs == error.code().message() ? std::move(ours) : theirs;
}

ErrorPage reconnecting(std::string_view what, const Error& error) {
  ErrorPage page;
  page.status = 503;
  page.word = "reconnecting";
  page.title = std::string(what) + " is reconnecting";
  page.detail =
      detail_or(error, "Its tunnel client lost the connection to this relay and is coming back.");
  page.hint = "Try again in a few seconds.";
  page.retry_after = kReconnectRetrySeconds;
  return page;
}

bool is_refused_connect(const Error& error) {
  if (error.code() == std::errc::connection_refused) return true;
  return mentions(words_of(error), "connection refused");
}

bool is_timeout(const Error& error) {
  if (error.is(Errc::timeout) || error.code() == std::errc::timed_out) return true;
  return error.remote() != nullptr && error.remote()->code == Code::deadline_exceeded;
}

bool is_lost_link(const Error& error) {
  return error.is(Errc::peer_not_connected) || error.is(Errc::connection_lost) ||
         error.is(Errc::disconnected);
}

}  // namespace

ErrorPage page_for_refusal(const HttpRefusal& refusal) {
  return {refusal.status,
          refusal.word,
          std::string(reason_of(refusal.status)),
          std::string(refusal.sentence),
          "",
          0};
}

ErrorPage page_for_connect() {
  return {501,
          "connect-not-supported",
          "CONNECT is not supported",
          "This is a relay for tunnels, not a forward proxy.",
          "",
          0};
}

ErrorPage page_for_header_timeout() {
  return {408,
          "header-timeout",
          "The request did not arrive in time",
          "The request's header was not complete before the time for it was over.",
          "",
          0};
}

ErrorPage page_for_body_timeout() {
  return {408,
          "body-timeout",
          "The request did not arrive in time",
          "The request's body stopped arriving before it was complete.",
          "",
          0};
}

ErrorPage page_for_crowd() {
  return {503,
          "too-many-visitors",
          "Too many connections",
          "This relay serves as many connections as it is allowed to.",
          "Try again in a few seconds.",
          kReconnectRetrySeconds};
}

ErrorPage page_for_route(std::string_view host, const Error& error) {
  if (error.is(Errc::peer_not_connected)) return reconnecting(escape(host, 300), error);
  ErrorPage page;
  page.detail = error.message();
  if (error.is(Errc::no_such_service)) {
    page.status = 404;
    page.word = "unknown-name";
    page.title = "There is no tunnel named " + quoted(host);
    page.detail = detail_or(error, "No tunnel client has claimed it on this relay.");
    page.hint = "Check the spelling, or start the tunnel again under this name.";
  } else {
    page.status = 502;
    page.word = "no-route";
    page.title = quoted(host) + " cannot be reached";
  }
  return page;
}

ErrorPage page_for_upstream(std::string_view target, const Error& error) {
  const std::string name = escape(target, 300);
  if (is_lost_link(error)) return reconnecting(name, error);
  ErrorPage page;
  page.detail = words_of(error);
  if (is_timeout(error)) {
    page.status = 504;
    page.word = "upstream-timeout";
    page.title = name + " did not answer in time";
    page.hint = "The tunnel works; the application behind it is slow or stuck.";
  } else if (is_refused_connect(error)) {
    page.status = 502;
    page.word = "nothing-listening";
    page.title = "Nothing is listening on " + name;
    page.hint = "The tunnel works. Start the application on " + name + " and reload.";
  } else if (error.is(Errc::no_such_service)) {
    return page_for_route(target, error);
  } else {
    page.status = 502;
    page.word = "upstream-failed";
    page.title = name + " cannot be reached";
    page.hint = "The tunnel works; look at the application behind it.";
  }
  return page;
}

ErrorPage page_for_bad_response(std::string_view target, std::string_view sentence) {
  const std::string name = escape(target, 300);
  return {502,
          "bad-response",
          name + " did not answer in HTTP",
          std::string(sentence),
          "Check that an HTTP server, without TLS, listens on " + name + ".",
          0};
}

PageFormat choose_format(std::string_view accept) noexcept {
  PageFormat best = PageFormat::text;
  int best_weight = 0;
  for (std::string_view e = next_element(accept); !e.empty(); e = next_element(accept)) {
    const std::string_view type = trim(e.substr(0, e.find(';')));
    PageFormat format = PageFormat::text;
    if (same_word(type, "text/html") || same_word(type, "application/xhtml+xml")) {
      format = PageFormat::html;
    } else if (same_word(type, "application/json") || same_word(type, "application/problem+json")) {
      format = PageFormat::json;
    } else if (!same_word(type, "text/plain") && !same_word(type, "text/*") && type != "*/*") {
      continue;
    }
    if (const int weight = weight_of(e); weight > best_weight) {
      best = format;
      best_weight = weight;
    }
  }
  return best;
}

std::size_t write_page(const ErrorPage& page, const PageFrame& frame, ByteQueue& to) {
  std::string body, type;
  switch (frame.format) {
    case PageFormat::html:
      body = html(page);
      type = "text/html; charset=utf-8";
      break;
    case PageFormat::json:
      body = json(page);
      type = "application/json";
      break;
    case PageFormat::text:
      body = plain(page);
      type = "text/plain; charset=utf-8";
      break;
  }
  std::string head = "HTTP/1.1 " + std::to_string(page.status) + " ";
  head += reason_of(page.status);
  head += "\r\nContent-Type: " + type + "\r\nContent-Length: " + std::to_string(body.size());
  head +=
      "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nContent-Security-Policy: ";
  head +=
      "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'\r\nStreamkit-Error: ";
  head += page.word;
  head += "\r\nVary: Accept\r\n";
  if (page.retry_after > 0) head += "Retry-After: " + std::to_string(page.retry_after) + "\r\n";
  if (!frame.keep_alive) {
    head += "Connection: close\r\n";
  } else if (frame.visitor_minor == 0) {
    head += "Connection: keep-alive\r\n";
  }
  head += "\r\n";
  to.append(as_bytes(head));
  if (frame.answers_head) return 0;
  to.append(as_bytes(body));
  return body.size();
}

}  // namespace streamkit::tunnel
