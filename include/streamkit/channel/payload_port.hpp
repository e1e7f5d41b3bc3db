// PayloadPort: the seam between the connection protocol and whatever carries its messages, be it an
// SSH transport or a queue in this process.
#pragma once

#include <streamkit/base/bytes.hpp>
#include <streamkit/base/result.hpp>

namespace streamkit::channel {

class PayloadPort {
 public:
  /// Bytes of one message that may be sent right now; 0 while the link is full or exchanging keys.
  virtual std::size_t sendable_bytes() const noexcept = 0;
  /// Sends one message, `header` and `body` end to end; neither is kept. Data messages are sent only
  /// within sendable_bytes(). Control messages may be sent at any time: the link queues them. Of those that
  /// an application can have many and long ones of, the multiplexer sends only while there is room for data.
  virtual Result<void> send(ByteView header, ByteView body) = 0;
  /// The same for a body that is given away: a link inside one process moves it to the other side.
  virtual Result<void> send_owned(ByteView header, Bytes body) { return send(header, body); }

 protected:
  ~PayloadPort() = default;
};

}  // namespace streamkit::channel
