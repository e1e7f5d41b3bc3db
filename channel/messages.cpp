// Messages 80 to 100 (RFC 4254 sections 4, 5, 6.10, 9), field by field.
#include "messages.hpp"

namespace streamkit::channel {
namespace {

/// `value` when everything was read and nothing is left over.
template <class T>
std::optional<T> if_at_end(const wire::Reader& in, T value) {
  if (!in.end()) return std::nullopt;
  return value;
}

/// `value` when what was read was there; the rest of the message is part of it.
template <class T>
std::optional<T> if_read(const wire::Reader& in, T value) {
  if (!in.ok()) return std::nullopt;
  return value;
}

Bytes begin(Number number, std::size_t more) {
  Bytes out;
  out.reserve(1 + more);
  out.push_back(std::byte{static_cast<std::uint8_t>(number)});
  return out;
}

}  // namespace

// ---- read

std::optional<GlobalRequestMessage> read_global_request(wire::Reader in) {
  GlobalRequestMessage m{};
  m.type = in.text();
  m.want_reply = in.boolean();
  m.payload = in.rest();
  return if_read(in, m);
}

std::optional<OpenMessage> read_open(wire::Reader in) {
  OpenMessage m{};
  m.type = in.text();
  m.sender = in.u32();
  m.window = in.u32();
  m.max_packet = in.u32();
  m.extra = in.rest();
  return if_read(in, m);
}

std::optional<ConfirmationMessage> read_confirmation(wire::Reader in) {
  ConfirmationMessage m{};
  m.sender = in.u32();
  m.window = in.u32();
  m.max_packet = in.u32();
  m.extra = in.rest();
  return if_read(in, m);
}

std::optional<FailureMessage> read_failure(wire::Reader in) {
  FailureMessage m{};
  m.reason = in.u32();
  m.description = in.text();
  if (in.ok() && !in.rest().empty()) static_cast<void>(in.string());  // the language tag
  return if_at_end(in, m);
}

std::optional<std::uint32_t> read_window_adjust(wire::Reader in) {
  const std::uint32_t bytes = in.u32();
  return if_at_end(in, bytes);
}

std::optional<ByteView> read_data(wire::Reader in, std::size_t apart) {
  const std::size_t size = in.u32();
  if (!in.ok() || size != in.rest().size() + apart) return std::nullopt;
  return in.rest();
}

std::optional<ExtendedDataMessage> read_extended_data(wire::Reader in, std::size_t apart) {
  const std::uint32_t code = in.u32();
  const std::optional<ByteView> bytes = read_data(in, apart);
  if (!bytes) return std::nullopt;
  return ExtendedDataMessage{code, *bytes};
}

std::optional<std::uint32_t> read_exit_status(ByteView payload) {
  wire::Reader in(payload);
  const std::uint32_t code = in.u32();
  return if_at_end(in, code);
}

std::optional<ExitSignalMessage> read_exit_signal(ByteView payload) {
  wire::Reader in(payload);
  ExitSignalMessage m{};
  m.signal = in.text();
  m.core_dumped = in.boolean();
  m.message = in.text();
  static_cast<void>(in.string());  // the language tag
  return if_at_end(in, m);
}

std::optional<ResetMessage> read_reset(ByteView payload) {
  wire::Reader in(payload);
  ResetMessage m{};
  m.code = in.u32();
  m.message = in.text();
  return if_at_end(in, m);
}

std::optional<std::uint32_t> read_stop(ByteView payload) {
  return read_exit_status(payload);
}

// ---- write

Bytes write_global_request(std::string_view type, bool want_reply, ByteView payload) {
  Bytes out = begin(Number::global_request, 5 + type.size() + payload.size());
  wire::Writer(out).string(type).boolean(want_reply).bytes(payload);
  return out;
}

Bytes write_global_reply(bool ok, ByteView payload) {
  Bytes out = begin(ok ? Number::request_success : Number::request_failure, payload.size());
  append(out, payload);  // of a failure: only for who sent a hello
  return out;
}

Bytes write_open(std::string_view type, std::uint32_t sender, std::uint32_t window,
                 std::uint32_t max_packet, ByteView extra) {
  Bytes out = begin(Number::channel_open, 16 + type.size() + extra.size());
  wire::Writer(out).string(type).u32(sender).u32(window).u32(max_packet).bytes(extra);
  return out;
}

Bytes write_confirmation(std::uint32_t recipient, std::uint32_t sender, std::uint32_t window,
                         std::uint32_t max_packet, ByteView extra) {
  Bytes out = begin(Number::open_confirmation, 16 + extra.size());
  wire::Writer(out).u32(recipient).u32(sender).u32(window).u32(max_packet).bytes(extra);
  return out;
}

Bytes write_failure(std::uint32_t recipient, std::uint32_t reason, std::string_view description) {
  description = description.substr(0, kMaxDescription);
  Bytes out = begin(Number::open_failure, 16 + description.size());
  wire::Writer(out).u32(recipient).u32(reason).string(description).string(std::string_view());
  return out;
}

Bytes write_request(std::uint32_t recipient, std::string_view type, bool want_reply,
                    ByteView payload) {
  Bytes out = begin(Number::channel_request, 9 + type.size() + payload.size());
  wire::Writer(out).u32(recipient).string(type).boolean(want_reply).bytes(payload);
  return out;
}

std::array<std::byte, 9> write_window_adjust(std::uint32_t recipient,
                                             std::uint32_t bytes) noexcept {
  std::array<std::byte, 9> out{std::byte{static_cast<std::uint8_t>(Number::window_adjust)}};
  wire::store_u32(&out[1], recipient);
  wire::store_u32(&out[5], bytes);
  return out;
}

std::array<std::byte, 5> write_bare(Number number, std::uint32_t recipient) noexcept {
  std::array<std::byte, 5> out{std::byte{static_cast<std::uint8_t>(number)}};
  wire::store_u32(&out[1], recipient);
  return out;
}

DataHeader::DataHeader(std::uint32_t recipient, bool error_lane, std::uint32_t size,
                       ByteView first) noexcept
    : bytes_{}, size_(size_of(error_lane)) {
  const Number number = error_lane ? Number::extended_data : Number::data;
  bytes_[0] = std::byte{static_cast<std::uint8_t>(number)};
  wire::store_u32(&bytes_[1], recipient);
  if (error_lane) wire::store_u32(&bytes_[5], kStderr);
  wire::store_u32(&bytes_[size_ - 4], size);
  for (const std::byte b : first) bytes_[size_++] = b;
}

}  // namespace streamkit::channel
