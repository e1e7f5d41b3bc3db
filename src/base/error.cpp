#include <streamkit/base/error.hpp>

#include <array>
#include <optional>

namespace streamkit {
namespace {

constexpr std::array<std::string_view, 17> kCodeNames = {
    "ok",           "cancelled",           "unknown",           "invalid_argument",
    "deadline_exceeded", "not_found",      "already_exists",    "permission_denied",
    "resource_exhausted", "failed_precondition", "aborted",     "out_of_range",
    "unimplemented", "internal",           "unavailable",       "data_loss",
    "unauthenticated"};

struct Condition {
  Errc errc;
  Code code;
  const char* words;
};

constexpr Condition kConditions[] = {
    {Errc::would_block, Code::unavailable, "nothing can be read or written right now"},
    {Errc::eof, Code::ok, "end of data"},
    {Errc::closed, Code::cancelled, "closed"},
    {Errc::reset, Code::aborted, "the other side aborted the channel"},
    {Errc::timeout, Code::deadline_exceeded, "the deadline passed"},
    {Errc::cancelled, Code::cancelled, "cancelled"},
    {Errc::usage, Code::invalid_argument, "invalid use"},
    {Errc::bad_endpoint, Code::invalid_argument, "invalid endpoint"},
    {Errc::bad_name, Code::invalid_argument, "invalid name"},
    {Errc::would_deadlock, Code::failed_precondition,
     "a blocking call on the Context's own thread would wait for itself; use the async_ form"},
    {Errc::shutting_down, Code::unavailable, "shutting down"},
    {Errc::peer_not_connected, Code::unavailable, "no link to that peer"},
    {Errc::no_such_service, Code::not_found, "the remote peer has no such service"},
    {Errc::refused, Code::permission_denied, "the remote peer refused the channel"},
    {Errc::auth_denied, Code::unauthenticated, "authentication failed"},
    {Errc::host_key_unknown, Code::unauthenticated, "the server's host key is not known"},
    {Errc::host_key_mismatch, Code::unauthenticated, "the server's host key has changed"},
    {Errc::name_taken, Code::already_exists, "the name is held by another key"},
    {Errc::version_mismatch, Code::failed_precondition, "the two sides speak different versions"},
    {Errc::frame_too_large, Code::resource_exhausted, "frame longer than max_frame"},
    {Errc::header_too_large, Code::resource_exhausted, "headers over their limit"},
    {Errc::limit, Code::resource_exhausted, "a limit was reached"},
    {Errc::protocol, Code::internal, "protocol error"},
    {Errc::negotiation, Code::failed_precondition, "no algorithm in common"},
    {Errc::key_exchange, Code::internal, "key exchange failed"},
    {Errc::mac, Code::data_loss, "a packet failed its integrity check"},
    {Errc::crypto, Code::internal, "cryptographic operation failed"},
    {Errc::disconnected, Code::unavailable, "the remote peer disconnected"},
    {Errc::connection_lost, Code::unavailable, "the connection was lost"},
    {Errc::bad_key, Code::invalid_argument, "malformed or unsupported key"},
    {Errc::key_encrypted, Code::failed_precondition, "the key file needs a passphrase"},
    {Errc::bad_file, Code::invalid_argument, "malformed file or unsafe permissions"},
    {Errc::codec, Code::invalid_argument, "the message does not decode"},
};

const Condition* find(int value) noexcept {
  for (const Condition& c : kConditions)
    if (static_cast<int>(c.errc) == value) return &c;
  return nullptr;
}

class CodeCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "streamkit.code"; }
  std::string message(int value) const override {
    return std::string(to_string(static_cast<Code>(value)));
  }
};

class ErrcCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "streamkit"; }
  std::string message(int value) const override {
    const Condition* c = find(value);
    return c ? c->words : "unknown streamkit error";
  }
};

// Never destroyed, for an Error may outlive the statics of a process that ends; and without the heap,
// for there may be none left when an Error is made.
template <class Category>
union Immortal {
  constexpr Immortal() : category() {}
  ~Immortal() {}
  Category category;
};
constinit Immortal<CodeCategory> the_code_category;
constinit Immortal<ErrcCategory> the_errc_category;

}  // namespace

const std::error_category& code_category() noexcept { return the_code_category.category; }
const std::error_category& errc_category() noexcept { return the_errc_category.category; }
std::error_code make_error_code(Code c) noexcept { return {static_cast<int>(c), code_category()}; }
std::error_code make_error_code(Errc e) noexcept { return {static_cast<int>(e), errc_category()}; }

Code code_of(const std::error_code& code) noexcept {
  if (!code) return Code::ok;
  if (code.category() == code_category()) return static_cast<Code>(code.value());
  if (code.category() == errc_category()) {
    const Condition* c = find(code.value());
    return c ? c->code : Code::unknown;
  }
  if (code == std::errc::permission_denied) return Code::permission_denied;
  if (code == std::errc::no_such_file_or_directory) return Code::not_found;
  if (code == std::errc::timed_out) return Code::deadline_exceeded;
  return Code::unavailable;
}

std::string_view to_string(Code c) noexcept {
  const auto i = static_cast<std::size_t>(c);
  return i < kCodeNames.size() ? kCodeNames[i] : "unknown";
}

struct Error::Words {
  std::string detail;
  std::optional<Status> remote;
};

Error::Error(std::error_code code, std::string detail)
    : code_(code), words_(std::make_shared<const Words>(Words{std::move(detail), std::nullopt})) {}

Error::Error(Errc code, Status remote)
    : code_(make_error_code(code)), words_(std::make_shared<const Words>(Words{{}, std::move(remote)})) {}

const Status* Error::remote() const noexcept {
  return words_ && words_->remote ? &*words_->remote : nullptr;
}

std::string Error::message() const {
  if (words_ && !words_->detail.empty()) return words_->detail;
  if (const Status* s = remote(); s && !s->message.empty())
    return code_.message() + ": " + s->message;
  return code_.message();
}

}  // namespace streamkit
