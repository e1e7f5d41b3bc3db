// Messages 80 to 100 of RFC 4254 as plain structs: what each field is, how it is read and written.
// What a message means, and whether it may come now, is decided elsewhere (channel_state.hpp,
// multiplexer.cpp). Views point into the payload that was decoded.
#pragma once

#include "numbers.hpp"

#include <streamkit/base/bytes.hpp>
#include <streamkit/base/wire.hpp>

#include <array>
#include <optional>

namespace streamkit::channel {

// ---- read. Each takes what follows the message number (and, from 91 on, the recipient), and gives
// nothing when the fields do not fit the message exactly.

struct GlobalRequestMessage {
  std::string_view type;
  bool want_reply;
  ByteView payload;
};
std::optional<GlobalRequestMessage> read_global_request(wire::Reader in);

struct OpenMessage {
  std::string_view type;
  std::uint32_t sender;
  std::uint32_t window;
  std::uint32_t max_packet;
  ByteView extra;
};
std::optional<OpenMessage> read_open(wire::Reader in);

struct ConfirmationMessage {
  std::uint32_t sender;
  std::uint32_t window;
  std::uint32_t max_packet;
  ByteView extra;
};
std::optional<ConfirmationMessage> read_confirmation(wire::Reader in);

struct FailureMessage {
  std::uint32_t reason;
  std::string_view description;
};
/// The language tag may be missing: some implementations leave it out.
std::optional<FailureMessage> read_failure(wire::Reader in);

struct ExtendedDataMessage {
  std::uint32_t code;
  ByteView bytes;
};
std::optional<std::uint32_t> read_window_adjust(wire::Reader in);
/// Of data, `apart` bytes may lie elsewhere: its size counts them, and the view ends before them.
std::optional<ByteView> read_data(wire::Reader in, std::size_t apart = 0);
std::optional<ExtendedDataMessage> read_extended_data(wire::Reader in, std::size_t apart = 0);

/// The same fields as a global request.
using RequestMessage = GlobalRequestMessage;
inline std::optional<RequestMessage> read_request(wire::Reader in) {
  return read_global_request(in);
}

struct ExitSignalMessage {
  std::string_view signal;
  bool core_dumped;
  std::string_view message;
};
std::optional<std::uint32_t> read_exit_status(ByteView payload);
std::optional<ExitSignalMessage> read_exit_signal(ByteView payload);

struct ResetMessage {
  std::uint32_t code;
  std::string_view message;
};
std::optional<ResetMessage> read_reset(ByteView payload);
std::optional<std::uint32_t> read_stop(ByteView payload);

// ---- write

Bytes write_global_request(std::string_view type, bool want_reply, ByteView payload);
Bytes write_global_reply(bool ok, ByteView payload);
Bytes write_open(std::string_view type, std::uint32_t sender, std::uint32_t window,
                 std::uint32_t max_packet, ByteView extra);
Bytes write_confirmation(std::uint32_t recipient, std::uint32_t sender, std::uint32_t window,
                         std::uint32_t max_packet, ByteView extra);
Bytes write_failure(std::uint32_t recipient, std::uint32_t reason, std::string_view description);
Bytes write_request(std::uint32_t recipient, std::string_view type, bool want_reply,
                    ByteView payload);

std::array<std::byte, 9> write_window_adjust(std::uint32_t recipient, std::uint32_t bytes) noexcept;
/// EOF, CLOSE, CHANNEL_SUCCESS and CHANNEL_FAILURE: the number and the recipient, nothing else.
std::array<std::byte, 5> write_bare(Number number, std::uint32_t recipient) noexcept;

/// What comes before the bytes of a data message: 9 bytes, or 13 on the error lane, and the first
/// of those bytes when they lie apart from the others (`first`, at most 4; `size` counts them).
class DataHeader {
 public:
  DataHeader(std::uint32_t recipient, bool error_lane, std::uint32_t size,
             ByteView first = {}) noexcept;
  ByteView view() const noexcept { return ByteView(bytes_).first(size_); }
  static constexpr std::size_t size_of(bool error_lane) noexcept { return error_lane ? 13 : 9; }

 private:
  std::array<std::byte, 17> bytes_;
  std::size_t size_;
};

}  // namespace streamkit::channel
