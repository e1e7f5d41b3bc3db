// A station's joints: the port with its ledger, events and what they have to say, the checks. What
// the application does by itself is in actions.cpp.
#include "station.hpp"

#include <charconv>

namespace streamkit::simulation {

using channel::ChannelId;
using channel::Lane;

namespace {

constexpr std::size_t kCongested = 1 << 20;
constexpr std::size_t kMostWaiting = 4 << 20;  ///< bytes that may wait to leave, whatever happens

std::size_t index(Lane lane) {
  return static_cast<std::size_t>(lane);
}

}  // namespace

/// Hands on what the multiplexer sends, when the ledger has seen it.
class Station::Port final : public channel::PayloadPort {
 public:
  explicit Port(Station& station) : station_(station) {}
  std::size_t sendable_bytes() const noexcept override {
    return station_.carrier_->sendable_bytes();
  }
  Result<void> send(ByteView header, ByteView body) override {
    see(header, body.size());
    return station_.carrier_->send(header, body);
  }
  Result<void> send_owned(ByteView header, Bytes body) override {
    see(header, body.size());
    return station_.carrier_->send_owned(header, std::move(body));
  }

 private:
  void see(ByteView header, std::size_t body) {
    const char* const broken = station_.ledger_.sent(header, header.size() + body);
    if (broken != nullptr) station_.report_.expect(false, broken);
  }
  Station& station_;
};

Station::Station(int side, std::unique_ptr<Carrier> carrier, channel::Limits limits,
                 Conversations& all, Dice& dice, Report& report, std::uint64_t& serials)
    : side_(side),
      limits_(limits),
      carrier_(std::move(carrier)),
      all_(all),
      dice_(dice),
      report_(report),
      serials_(serials),
      port_(std::make_unique<Port>(*this)),
      mux_(*port_, limits) {
  carrier_->resident = this;
}

Station::~Station() = default;

// ---- time and the link

void Station::set_time(TimePoint now) {
  now_ = carrier_->now = now;
}

TimePoint Station::next_timeout() const {
  return std::min(carrier_->next_timeout(), mux_.next_timeout().value_or(kNever));
}

void Station::handle_timeouts(TimePoint now) {
  set_time(now);
  if (carrier_->next_timeout() <= now) carrier_->handle_timeout();
  if (mux_.next_timeout().value_or(kNever) <= now)
    report_.expect(mux_.handle_timeout(now).has_value(), "handle_timeout() failed");
  poll();
}

bool Station::write_some(std::size_t most) {
  if (is_up()) report_.expect(mux_.port_ready(now_).has_value(), "port_ready() failed");
  poll();
  return carrier_->write_some(most);
}

bool Station::is_congested() const {
  return mux_.owed_bytes() > kCongested;
}

void Station::link_up() {
  is_up_ = true;
  report_.note("up", side_, 0, 0);
}

void Station::link_down(const Error& why) {
  report_.note("down", side_, 0, 0);
  report_.expect(!why.is(Errc::protocol) && !why.is(Errc::mac) && !why.is(Errc::key_exchange) &&
                     !why.is(Errc::limit),
                 "the link broke a rule");
  for (const auto& c : all_) c->disturbed = true;
  mux_.link_lost(Errc::connection_lost);
  for (const auto& [id, entry] : ledger_.entries()) ledger_.abandon(id);
  global_owes_.clear();
  poll();
}

Result<void> Station::judged(testing::ChannelLedger::Must must, Result<void> done) {
  report_.expect(done.has_value(), "a good message was refused");
  report_.expect(must != testing::ChannelLedger::Must::refuse, "a message came that must not");
  for (const auto& c : all_)
    if (place(*c).at == At::open) sync_dropped(*c);  // before a Closed makes the number void
  poll();
  return done;
}

Result<void> Station::payload_came(ByteView payload, const Keeper& keeper) {
  const auto must = ledger_.received(payload);
  return judged(must, mux_.handle_payload(payload, now_, keeper));
}

Result<void> Station::given_came(ByteView header, Bytes body) {
  const auto must = ledger_.received(header, body.size());
  return judged(must, mux_.handle_given(header, std::move(body), now_));
}

// ---- events

std::shared_ptr<Conversation> Station::find(ChannelId id) const {
  for (const auto& c : all_) {
    const At at = place(*c).at;
    if (at != At::nowhere && at != At::ended && place(*c).id == id) return c;
  }
  report_.expect(false, "an event for a channel that nobody knows");
  return std::make_shared<Conversation>();
}

void Station::poll() {
  while (std::optional<channel::Event> event = mux_.poll_event()) {
    if (report_.has_failed()) return;
    std::visit([this](auto& e) { hear(e); }, *event);
  }
}

void Station::hear(channel::Opening& e) {
  std::uint64_t serial = 0;
  const std::string_view name = e.info ? std::string_view(e.info->service) : as_text(e.extra);
  std::from_chars(name.data(), name.data() + name.size(), serial);
  for (const auto& c : all_) {
    if (c->serial != serial) continue;
    expect(place(*c).at == At::nowhere && c->opener != side_, "a channel was announced twice", *c);
    place(*c).at = At::announced;
    place(*c).id = e.id;
    note("announced", *c);
    if (e.info)
      expect(e.info->headers == c->headers() && e.info->framed == c->framed,
             "other headers than were sent", *c);
    expect(e.parent.has_value() == (c->parent != nullptr), "a parent was lost", *c);
    if (e.parent && c->parent) expect(*e.parent == place(*c->parent).id, "another parent", *c);
    return;
  }
  report_.expect(false, "a channel was announced that nobody opened", serial);
}

void Station::hear(channel::Opened& e) {
  Conversation& c = *find(e.id);
  const Place& there = c.at[static_cast<std::size_t>(1 - side_)];
  expect(place(c).at == At::opening, "opened twice", c);
  expect(there.at != At::nowhere && there.at != At::announced && !there.refuses,
         "opened without a yes", c);
  if (c.kind == Kind::own)
    expect(e.headers == c.headers(), "the confirmation has other headers", c);
  place(c).at = At::open;
  note("opened", c);
}

void Station::hear(channel::OpenFailed& e) {
  const auto held = find(e.id);
  Conversation& c = *held;
  expect(place(c).at == At::opening, "an open failed that was none", c);
  note(e.timed_out ? "open timed out" : "open failed", c, static_cast<std::uint64_t>(e.reason));
  ledger_.abandon(static_cast<std::uint32_t>(e.id));
  const Place& there = c.at[static_cast<std::size_t>(1 - side_)];
  const bool withdrawn = e.timed_out || place(c).has_reset;
  if (withdrawn) c.disturbed = true;
  const bool too_many = e.reason == channel::OpenFailure::resource_shortage;
  const bool parent_gone = c.parent && e.reason == channel::OpenFailure::connect_failed;
  expect(withdrawn || there.refuses || too_many || parent_gone, "an open failed without a no", c);
  place(c).at = At::ended;
}

void Station::hear(channel::Readable& e) {
  place(*find(e.id)).is_readable[index(e.lane)] = true;
}

void Station::hear(channel::Writable& e) {
  const auto c = find(e.id);
  place(*c).waits = {};
  note("writable", *c);
}

void Station::hear(channel::Request& e) {
  Conversation& c = *find(e.id);
  wire::Reader in(e.payload);
  const std::uint64_t number = in.u64(), position = in.u64();
  const std::uint64_t came = theirs(c).read[0].total + mux_.readable_bytes(e.id, Lane::data);
  const bool exact = !theirs(c).was_taken_back && place(c).at == At::open && !place(c).has_closed;
  expect(!exact || came == position, "a request overtook data, or data a request", c);
  if (e.want_reply) place(c).owes.push_back(number);
  note("request", c, number);
}

void Station::hear(channel::RequestReply& e) {
  const auto held = find(e.id);
  std::deque<std::uint64_t>& asked = place(*held).asked;
  if (!expect(!asked.empty(), "a reply to nothing", *held)) return;
  expect(!e.ok || mix(asked.front(), 1) % 2 == 0, "a reply to another request", *held);
  asked.pop_front();
  note("reply", *held, e.ok);
}

void Station::hear(channel::StopSending& e) {
  const auto held = find(e.id);
  expect(e.code == 7, "another code than was sent", *held);
  place(*held).was_told_to_stop = true;
  note("stop", *held);
}

void Station::hear(channel::Closed& e) {
  const auto held = find(e.id);
  Conversation& c = *held;
  const Place& there = c.at[static_cast<std::size_t>(1 - side_)];
  note(e.error ? "closed badly" : "closed", c, static_cast<std::uint64_t>(e.status.code));
  if (e.error && (e.error->is(Errc::timeout) || e.error->is(Errc::connection_lost)))
    c.disturbed = true;
  const bool quiet = !c.disturbed && place(c).at != At::announced;
  // Only who closed can have said how; and who was the only one to close was heard to the end.
  if (e.has_status && c.kind == Kind::own)
    expect(there.has_closed && e.status == there.status, "another status than was sent", c);
  if (quiet && !place(c).has_closed) {
    expect(!e.error, "an orderly end looks like none", c);
    if (c.kind == Kind::own) expect(e.has_status, "the status was lost", c);
    if (c.kind == Kind::own && theirs(c).has_trailers)
      expect(e.trailers == c.trailers(1 - side_), "the trailers were lost", c);
  }
  expect(place(c).asked.empty(), "a request is left without an answer", c);
  place(c).at = At::closing;
  place(c).owes.clear();
  place(c).waits = {};
  place(c).is_readable = {true, true};
  // With nothing unread the number may be another channel's from now on.
  if (mux_.readable_bytes(e.id, Lane::data) + mux_.readable_bytes(e.id, Lane::error) == 0)
    finish(c);
}

void Station::hear(channel::GlobalRequest& e) {
  wire::Reader in(e.payload);
  if (e.want_reply) global_owes_.push_back(in.u64());
}

void Station::hear(channel::GlobalReply& e) {
  if (!report_.expect(!global_asked_.empty(), "a global reply to nothing")) return;
  const auto [token, number] = global_asked_.front();
  global_asked_.pop_front();
  report_.expect(token == e.token, "global replies out of order");
  if (e.ok)
    report_.expect(wire::Reader(e.payload).u64() == number, "a global reply to another request");
  report_.note("global reply", side_, 0, number);
}

/// After Closed: what is left was read, and the number may be used again.
void Station::finish(Conversation& c) {
  check_end(c);
  mux_.release(place(c).id);
  place(c).at = At::ended;
}

void Station::check_end_of_data(const Conversation& c) const {
  const Direction& theirs = c.from[static_cast<std::size_t>(1 - side_)];
  if (c.disturbed || place(c).has_closed) return;
  expect(theirs.read[0].total == theirs.written[0].total, "the end came before the data", c);
}

void Station::check_end(const Conversation& c) const {
  check_end_of_data(c);
  if (c.disturbed || place(c).has_closed) return;
  const Direction& theirs = c.from[static_cast<std::size_t>(1 - side_)];
  expect(theirs.read[1].total == theirs.written[1].total, "the end came before the error lane", c);
}

// ---- checks

void Station::check() const {
  std::uint64_t granted = 0, slack = 0, unread_in_all = 0;
  std::size_t windows = 0;
  for (const auto& held : all_) {
    const Conversation& c = *held;
    const Place& here = place(c);
    if (here.at == At::nowhere || here.at == At::ended || here.at == At::announced) continue;
    const std::uint64_t all_unread =
        mux_.readable_bytes(here.id, Lane::data) + mux_.readable_bytes(here.id, Lane::error);
    const std::uint64_t consumed = c.from[static_cast<std::size_t>(1 - side_)].read[0].total;
    const std::uint64_t early =
        c.opener == side_ || consumed > c.first.size() ? 0 : c.first.size() - consumed;
    const std::uint64_t unread = all_unread - early;
    const auto* const entry =
        here.at == At::closing ? nullptr : ledger_.find(static_cast<std::uint32_t>(here.id));
    const std::uint64_t left = entry != nullptr ? entry->may_come : 0;
    granted += left + unread;
    unread_in_all += unread;
    if (entry == nullptr && here.at == At::opening) {  // its window is promised, and has not left yet
      ++windows;
      slack += limits_.initial_window;
    }
    if (entry == nullptr || entry->sent_close) continue;
    ++windows;
    // What was read and not returned yet is less than an eighth of the window, or than half of a
    // small one; after EOF it need not be returned.
    const std::uint64_t known = left + unread;
    const bool returns = entry->is_open && !entry->got_eof;
    slack += returns
                 ? std::max<std::uint64_t>(known / 7 + 1, std::min<std::uint64_t>(known, 32 * 1024))
                 : limits_.max_window;
  }
  const std::uint64_t actual = mux_.granted_bytes();
  report_.expect(actual >= granted, "credit was lost: less is counted than is out or unread");
  report_.expect(actual <= granted + slack, "credit is held back: read, but not returned");
  report_.expect(actual <= limits_.max_receive_bytes + windows * limits_.min_window + unread_in_all,
                 "more was granted than the link may cost");
  report_.expect(mux_.open_channels() <= limits_.max_channels, "more channels than max_channels");
  report_.expect(mux_.owed_bytes() <= kCongested + (1 << 20), "too much is owed");
  report_.expect(carrier_->waiting() <= kMostWaiting, "too much waits to leave");
}

void Station::check_quiet(const Station& other) const {
  for (const auto& c : all_)
    if (!report_.has_failed()) check_quiet(*c, other);
  if (!is_up()) return;
  report_.expect(global_asked_.empty(), "a global request has no answer");
  report_.expect(carrier_->waiting() == 0, "output does not leave");
}

/// Nothing moves any more, and everything that waits was read and answered: then nothing may wait.
void Station::check_quiet(const Conversation& c, const Station& other) const {
  const Place& here = place(c);
  const Place& there = other.place(c);
  expect(here.at != At::announced, "an open was not answered", c);
  const bool ends = here.has_closed || here.has_reset;
  expect(!is_up() || !ends || here.at == At::ended, "a channel that was ended here goes on", c);
  if (c.disturbed || here.at != At::open || there.at != At::open) {
    // Who closed, or whose other side closed, has heard the end.
    if (!c.disturbed)
      expect(here.at != At::open && here.at != At::opening && here.at != At::closing,
             "an ending does not end", c);
    return;
  }
  expect(!here.has_closed && !there.has_closed, "a CLOSE is missing", c);
  expect(mux_.is_flushed(here.id), "what was written does not leave", c);
  expect(!here.waits[0] && !here.waits[1], "a writer was not woken", c);
  expect(here.asked.empty(), "a request has no answer", c);
  const Direction& ours = c.from[static_cast<std::size_t>(side_)];
  expect(ours.read[0].total == ours.written[0].total, "data did not arrive", c);
  expect(ours.read[1].total == ours.written[1].total, "the error lane did not arrive", c);
  expect(!ours.has_ended || other.mux_.is_eof(there.id), "the end of data did not arrive", c);
  if (ours.has_trailers && c.kind == Kind::own) {
    const Headers* const came = other.mux_.trailers(there.id);
    expect(came != nullptr && *came == c.trailers(side_), "the trailers did not arrive", c);
  }
  // Nothing is under way, so both sides have one opinion of the window.
  const auto* const granted = other.ledger_.find(static_cast<std::uint32_t>(there.id));
  const auto* const known = ledger_.find(static_cast<std::uint32_t>(here.id));
  if (expect(granted != nullptr && known != nullptr, "a channel without windows", c))
    expect(granted->may_come == known->may_go, "the two sides disagree about the window", c);
}

void Station::check_empty() const {
  report_.expect(mux_.open_channels() == 0, "a channel is left");
  report_.expect(mux_.granted_bytes() == 0, "credit is left");
  report_.expect(mux_.owed_bytes() == 0, "something is owed");
  report_.expect(!mux_.next_timeout(), "a timer is left");
}

}  // namespace streamkit::simulation
