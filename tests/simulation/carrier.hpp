// Carrier: what one side's multiplexer stands on. Over SSH it is a transport on two pipes; in
// process it is a queue of messages. It does in virtual time what the driver of the library does in
// real time, and nothing by itself.
#pragma once

#include "pipe.hpp"

#include <streamkit/channel/payload_port.hpp>
#include <streamkit/ssh/transport.hpp>

#include <memory>

namespace streamkit::simulation {

/// Who lives on top.
class Resident {
 public:
  virtual void link_up() = 0;
  virtual Result<void> payload_came(ByteView payload, const Keeper& keeper) = 0;
  virtual Result<void> given_came(ByteView header, Bytes body) = 0;
  virtual void link_down(const Error& why) = 0;
  virtual bool is_congested() const = 0;

 protected:
  ~Resident() = default;
};

class Carrier : public channel::PayloadPort {
 public:
  virtual ~Carrier() = default;
  Resident* resident = nullptr;
  TimePoint now{};

  /// Moves at most `most` bytes (messages, in process) out or in. False: nothing could move.
  virtual bool write_some(std::size_t most) = 0;
  virtual bool read_some(std::size_t most) = 0;
  virtual void handle_timeout() {}
  virtual TimePoint next_timeout() const { return kNever; }
  virtual TimePoint next_arrival() const = 0;
  /// True if it did: a rekey by our own will.
  virtual bool rekey() { return false; }
  virtual std::uint64_t exchanges() const { return 0; }
  virtual void disconnect() = 0;
  virtual bool is_down() const = 0;
  /// Bytes that wait to leave.
  virtual std::size_t waiting() const = 0;
  /// `why` ends the link, and the other side is told if that is possible.
  virtual void fail(const Error& why) = 0;

  /// The network's doings: our direction ends, or breaks with all but `kept` pieces lost.
  virtual void end_outgoing() = 0;
  virtual void cut_outgoing(std::size_t kept) = 0;
};

struct Line {
  std::unique_ptr<Carrier> ends[2];
};

/// Two transports with these limits on a stream like that. The dice say how each end is made.
Line ssh_line(Dice& dice, TimePoint now);
/// A queue of messages in one process, which moves what is given away.
Line queue_line(Dice& dice, TimePoint now);

}  // namespace streamkit::simulation
