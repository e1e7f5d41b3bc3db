// Station: one side of a link; a multiplexer on its carrier, the ledger between them, and an
// application that does what the dice say. It is driven by events only: it reads a lane after
// Readable and writes on after Writable, so an event that is missing shows as a standstill.
#pragma once

#include "carrier.hpp"
#include "conversation.hpp"

#include <support/channel_ledger.hpp>

namespace streamkit::simulation {

using Conversations = std::vector<std::shared_ptr<Conversation>>;

class Station final : public Resident {
 public:
  Station(int side, std::unique_ptr<Carrier> carrier, channel::Limits limits, Conversations& all,
          Dice& dice, Report& report, std::uint64_t& serials);
  ~Station();

  /// One thing that an application may do at any time.
  void act(TimePoint now);
  /// Answers and reads whatever waits; true if there was anything.
  bool tidy_up(TimePoint now);
  /// Closes what is open, in order.
  void close_all(TimePoint now);
  void set_time(TimePoint now);
  void handle_timeouts(TimePoint now);
  TimePoint next_timeout() const;
  bool write_some(std::size_t most);
  bool read_some(std::size_t most) { return carrier_->read_some(most); }

  /// What holds after every step: credit is conserved and memory bounded.
  void check() const;
  /// What holds when nothing moves any more.
  void check_quiet(const Station& other) const;
  void check_empty() const;

  Carrier& carrier() { return *carrier_; }
  const Carrier& carrier() const { return *carrier_; }
  bool is_up() const { return is_up_ && !carrier_->is_down(); }
  bool is_congested() const override;

 private:
  using At = Place::At;
  class Port;

  void link_up() override;
  Result<void> payload_came(ByteView payload, const Keeper& keeper) override;
  Result<void> given_came(ByteView header, Bytes body) override;
  void link_down(const Error& why) override;
  Result<void> judged(testing::ChannelLedger::Must must, Result<void> done);

  // what the application does
  void open();
  void answer_open(Conversation& c);
  void write(Conversation& c);
  bool write_piece(Conversation& c, channel::Lane lane);
  bool write_apart(Conversation& c, channel::Lane lane);
  void take_back(Conversation& c);
  void read(Conversation& c, channel::Lane lane, std::size_t most);
  void sync_dropped(Conversation& c);
  void took(Conversation& c, channel::Lane lane, ByteView bytes);
  void ask(Conversation& c);
  void answer(Conversation& c);
  void end(Conversation& c);
  void close(Conversation& c);
  void reset(Conversation& c);
  void ask_globally();
  void answer_globally();

  // what it hears
  void poll();
  void hear(channel::Opening& e);
  void hear(channel::Opened& e);
  void hear(channel::OpenFailed& e);
  void hear(channel::Readable& e);
  void hear(channel::Writable& e);
  void hear(channel::Request& e);
  void hear(channel::RequestReply& e);
  void hear(channel::StopSending& e);
  void hear(channel::Closed& e);
  void hear(channel::GlobalRequest& e);
  void hear(channel::GlobalReply& e);
  void finish(Conversation& c);
  void check_end(const Conversation& c) const;
  void check_end_of_data(const Conversation& c) const;
  void check_quiet(const Conversation& c, const Station& other) const;

  /// Something ended it, though its Closed may not have come yet.
  bool is_ending(const Conversation& c) const { return c.disturbed || !is_up(); }
  std::shared_ptr<Conversation> find(channel::ChannelId id) const;
  std::shared_ptr<Conversation> pick();
  Place& place(Conversation& c) const { return c.at[static_cast<std::size_t>(side_)]; }
  const Place& place(const Conversation& c) const { return c.at[static_cast<std::size_t>(side_)]; }
  Direction& ours(Conversation& c) const { return c.from[static_cast<std::size_t>(side_)]; }
  Direction& theirs(Conversation& c) const { return c.from[static_cast<std::size_t>(1 - side_)]; }
  bool expect(bool holds, const char* what, const Conversation& c) const {
    return report_.expect(holds, what, c.serial);
  }
  void note(const char* what, const Conversation& c, std::uint64_t n = 0) const {
    report_.note(what, side_, c.serial, n);
  }

  const int side_;
  const channel::Limits limits_;
  std::unique_ptr<Carrier> carrier_;
  Conversations& all_;
  Dice& dice_;
  Report& report_;
  std::uint64_t& serials_;
  testing::ChannelLedger ledger_;
  std::unique_ptr<Port> port_;
  channel::Multiplexer mux_;
  TimePoint now_{};
  bool is_up_ = false;
  std::deque<std::pair<std::uint64_t, std::uint64_t>> global_asked_;  ///< token and number
  std::deque<std::uint64_t> global_owes_;
};

}  // namespace streamkit::simulation
