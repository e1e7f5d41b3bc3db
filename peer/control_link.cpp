#include "control_link.hpp"

#include <streamkit/base/text.hpp>
#include <streamkit/base/wire.hpp>

#include <utility>

namespace streamkit {
namespace {

constexpr std::size_t kRead = 64 * 1024;  // bytes a read
// What ssh takes in one packet, and what we do.
constexpr std::size_t kMaxControlPacket = 256 * 1024;
constexpr std::size_t kMaxControlMessage = 4 * 1024;  // before the proxy mode
constexpr std::chrono::seconds kControlTimeout{10};   // for its greeting and its answer
constexpr std::uint32_t kMuxVersion = 4, kRequestId = 0;
constexpr std::uint32_t kHello = 0x00000001, kProxy = 0x1000000f, kProxyGranted = 0x8000000f,
                        kPermissionDenied = 0x80000002, kFailure = 0x80000003;

}  // namespace

ControlLink::ControlLink(LinkOwner& owner, std::unique_ptr<io::Stream> stream)
    : StreamLink(owner, std::move(stream), "the control socket"),
      deadline_(after(last_input_, kControlTimeout)) {}

void ControlLink::start() {
  Bytes hello;
  wire::Writer(hello).u32(8).u32(kHello).u32(kMuxVersion);
  out_.append(hello);
  flush();
  want_input();
}

std::size_t ControlLink::sendable_bytes() const noexcept {
  if (is_down_ || awaits_room_ || phase_ != Phase::open) return 0;
  return send_batch_ > out_.size() ? send_batch_ - out_.size() : 0;
}

// Length, no padding, the payload.
Result<void> ControlLink::send(ByteView header, ByteView body) {
  if (is_down_ || phase_ != Phase::open) return Errc::closed;
  const std::size_t size = 1 + header.size() + body.size();
  if (size > kMaxControlPacket)
    return Error(Errc::limit, "a message to a control socket has at most 256 KiB");
  Bytes begin;
  wire::Writer(begin).u32(static_cast<std::uint32_t>(size)).u8(0);
  out_.append(begin);
  out_.append(header);
  out_.append(body);
  return {};
}

MutableByteView ControlLink::prepare_input() { return in_.prepare(kRead); }

Result<void> ControlLink::take_input(std::size_t size) {
  in_.commit(size);
  return {};
}

void ControlLink::input_ended() {
  go_down(Error(Errc::connection_lost, "the ssh of the control socket has ended the connection"));
}

void ControlLink::pump(TimePoint now) {
  while (!is_down_) {
    const Result<bool> taken = take_packet(now);
    if (!taken) {
      close(taken.error());
      return owner_.link_down(taken.error());
    }
    if (!*taken) break;
  }
  want_input();
}

// False: there is no whole one yet.
Result<bool> ControlLink::take_packet(TimePoint now) {
  if (in_.size() < 4) return false;
  const std::size_t length = wire::Reader(in_.data()).u32();
  if (length > (phase_ == Phase::open ? kMaxControlPacket : kMaxControlMessage))
    return Error(Errc::protocol,
                 "what the control socket says is longer than it may be: is it one of ssh -M?");
  if (in_.size() < 4 + length) return false;
  const ByteView packet = in_.data().subspan(4, length);
  Result<void> handled;
  if (phase_ != Phase::open) {
    handled = handle_control(packet);
  } else if (packet.size() < 2 || packet[0] != std::byte(0)) {
    handled = Error(Errc::protocol, "the control socket sent a message that is none");
  } else {
    handled = owner_.link_payload(packet.subspan(1), {}, now);
  }
  if (!handled) return handled.error();
  in_.consume(4 + length);
  return true;
}

Result<void> ControlLink::handle_control(ByteView packet) {
  wire::Reader in(packet);
  const std::uint32_t type = in.u32(), number = in.u32();
  if (phase_ == Phase::hello) {
    // Extensions may follow, and there are none that we know.
    if (!in.ok() || type != kHello)
      return Error(Errc::protocol, "the control socket does not greet as ssh -M does");
    if (number != kMuxVersion)
      return Error(Errc::version_mismatch, "the control socket speaks version " +
                                               std::to_string(number) +
                                               " of its protocol, this side 4");
    Bytes request;
    wire::Writer(request).u32(8).u32(kProxy).u32(kRequestId);
    out_.append(request);
    phase_ = Phase::request;
    return {};
  }
  if (type == kPermissionDenied || type == kFailure) {
    const std::string_view reason = in.text();
    return Error(Errc::refused, "the ssh of the control socket refused: " + escape(reason, 512));
  }
  if (!in.end() || type != kProxyGranted || number != kRequestId)
    return Error(Errc::protocol, "the control socket did not answer as ssh -M does");
  phase_ = Phase::open;
  owner_.link_authenticated({}, {});
  return {};
}

void ControlLink::go_down(const Error& error) {
  if (is_down_) return;
  end();
  owner_.link_down(error);
}

// The protocol has no goodbye.
void ControlLink::close(const Error&) {
  if (is_down_) return;
  flush();
  if (is_down_) return;
  end();
}

Result<void> ControlLink::handle_timeout() {
  go_down(Error(Errc::timeout, "the control socket did not answer"));
  return {};
}

}  // namespace streamkit
