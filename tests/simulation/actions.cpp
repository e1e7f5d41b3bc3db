// What a station's application does: opens, answers, writes in every way there is, reads, asks and
// ends, as the dice say.
#include "station.hpp"

namespace streamkit::simulation {

using channel::ChannelId;
using channel::Lane;

namespace {

constexpr std::size_t kMostConversations = 24;
constexpr std::uint32_t kStopCode = 7;

std::size_t index(Lane lane) {
  return static_cast<std::size_t>(lane);
}

}  // namespace

/// One with which something can be done here, if the dice find one.
std::shared_ptr<Conversation> Station::pick() {
  if (all_.empty()) return std::make_shared<Conversation>();
  for (int tries = 0; tries < 5; ++tries) {
    const auto& c = all_[dice_.below(all_.size())];
    if (place(*c).at != At::ended && place(*c).at != At::nowhere && !place(*c).has_closed) return c;
  }
  return all_[dice_.below(all_.size())];
}

void Station::act(TimePoint now) {
  set_time(now);
  if (!is_up()) return;
  const auto held = pick();
  Conversation& c = *held;
  const bool is_open = place(c).at == At::open && !place(c).has_reset;
  const std::size_t what = dice_.below(100);
  if (what < 6) {
    open();
  } else if (what < 14) {
    if (place(c).at == At::announced && dice_.one_in(3)) answer_open(c);
  } else if (what < 48) {
    if (is_open) write(c);
  } else if (what < 76) {
    const Lane lane = dice_.one_in(4) ? Lane::error : Lane::data;
    if (is_open || place(c).at == At::closing)
      read(c, lane, dice_.one_in(8) ? SIZE_MAX : dice_.below(6000));
  } else if (what < 82) {
    if (is_open) dice_.one_in(2) ? ask(c) : answer(c);
  } else if (what < 84) {
    dice_.one_in(2) ? ask_globally() : answer_globally();
  } else if (what < 86) {
    if (is_open) end(c);
  } else if (what < 88) {
    if (is_open && dice_.one_in(2)) close(c);
  } else if (what < 89) {
    if (dice_.one_in(4)) reset(c);
  } else if (what < 90) {
    if (is_open && c.kind == Kind::own && mux_.stop_sending(place(c).id, kStopCode))
      note("stop asked", c);
  } else if (what < 92) {
    if (is_open) take_back(c);
  } else if (what < 93) {
    mux_.set_round_trip(std::chrono::milliseconds(dice_.below(100)));
  } else if (is_open && place(c).was_told_to_stop) {
    end(c);
  }
  poll();
}

bool Station::tidy_up(TimePoint now) {
  set_time(now);
  bool any = false;
  for (const auto& held : Conversations(all_)) {
    Conversation& c = *held;
    if (place(c).at == At::announced && is_up()) answer_open(c), any = true;
    for (const Lane lane : {Lane::data, Lane::error}) {
      if (place(c).at != At::open && place(c).at != At::closing) continue;
      if (!place(c).is_readable[index(lane)]) continue;
      read(c, lane, SIZE_MAX);
      any = true;
    }
    for (; is_up() && !place(c).owes.empty(); any = true) answer(c);
  }
  for (; is_up() && !global_owes_.empty(); any = true) answer_globally();
  poll();
  return any;
}

void Station::close_all(TimePoint now) {
  set_time(now);
  if (!is_up()) return;
  for (const auto& held : Conversations(all_))
    if (place(*held).at == At::open && !place(*held).has_closed && !place(*held).has_reset &&
        dice_.one_in(2))
      close(*held);
  poll();
}

// ---- opening

void Station::open() {
  if (all_.size() >= kMostConversations) return;
  auto c = std::make_shared<Conversation>();
  c->serial = ++serials_;
  c->opener = side_;
  const std::size_t kind = dice_.below(10);
  c->kind = kind < 7 ? Kind::own : kind < 8 ? Kind::session : Kind::other;
  c->framed = c->kind == Kind::own && dice_.one_in(2);
  for (std::uint64_t way = 0; way < 4; ++way)
    c->from[way / 2].text[way % 2] = Text(mix(c->serial, way), c->framed && way % 2 == 0);
  const std::string name = std::to_string(c->serial);
  const auto priority = static_cast<std::uint32_t>(90 + dice_.below(20));
  Result<ChannelId> id = Errc::closed;
  if (c->kind == Kind::own) {
    channel::OpenInfo info;
    info.service = name, info.headers = c->headers(), info.framed = c->framed,
    info.priority = priority;
    if (dice_.one_in(3)) {
      Cursor& at = ours(*c).written[0];
      info.first = c->first = ours(*c).text[0].take(
          at, std::min(channel::kMaxFirst, ours(*c).text[0].left_of_piece(at)));
    }
    const auto parent = pick();
    const bool attached = dice_.one_in(3) && place(*parent).at == At::open &&
                          !place(*parent).has_closed && !place(*parent).has_reset;
    if (attached) c->parent = parent;
    id = mux_.open_service(std::move(info),
                           attached ? std::optional(place(*parent).id) : std::nullopt, now_);
  } else {
    id = mux_.open(c->kind == Kind::session ? "session" : "simulated", as_bytes(name), now_,
                   priority);
  }
  if (!id) {
    const bool parent_ends = c->parent && c->parent->disturbed;
    expect(id.error().is(Errc::limit) || parent_ends || !is_up(),
           ("an open was refused here: " + id.error().message()).c_str(), *c);
    return;
  }
  place(*c).at = At::opening;
  place(*c).id = *id;
  all_.push_back(c);
  note(c->parent ? "open attached" : "open", *c, static_cast<std::uint64_t>(*id));
}

void Station::answer_open(Conversation& c) {
  const ChannelId id = place(c).id;
  if (dice_.one_in(6)) {
    place(c).refuses = true;
    place(c).at = At::ended;
    note("refuse", c);
    expect(mux_.refuse(id, channel::OpenFailure::prohibited, "no").has_value(), "a refusal failed",
           c);
    return;
  }
  place(c).at = At::open;
  note("confirm", c);
  const Result<void> done =
      c.kind == Kind::own ? mux_.confirm(id, c.headers(), now_) : mux_.confirm_raw(id, {}, now_);
  expect(done.has_value() || !is_up(), "a confirmation failed", c);
}

// ---- writing

void Station::write(Conversation& c) {
  const Lane lane = dice_.one_in(6) ? Lane::error : Lane::data;
  const Direction& d = ours(c);
  if (d.has_ended) {
    const auto written = mux_.write(place(c).id, lane, as_bytes("late"), now_);
    expect(!written && !written.error().is(Errc::would_block), "written after the end", c);
    return;
  }
  if (place(c).waits[index(lane)] && !dice_.one_in(16)) return;
  if (mux_.lent_bytes(place(c).id, lane) > 0) return;
  const bool whole = d.text[index(lane)].left_of_piece(d.written[index(lane)]) >= 4 &&
                     d.written[index(lane)].offset == 0;
  const bool taken = whole && dice_.one_in(2) ? write_apart(c, lane) : write_piece(c, lane);
  if (!taken) place(c).waits[index(lane)] = true;
}

/// By copy, as much as fits. False: it was cut.
bool Station::write_piece(Conversation& c, Lane lane) {
  Direction& d = ours(c);
  const Text& text = d.text[index(lane)];
  Cursor ahead = d.written[index(lane)];
  Bytes bytes;
  for (std::size_t pieces = dice_.between(1, 4); pieces > 0; --pieces)
    append(bytes, text.take(ahead, text.left_of_piece(ahead)));
  const std::size_t promised = mux_.writable_bytes(place(c).id, lane);
  const Result<std::size_t> n = mux_.write(place(c).id, lane, bytes, now_);
  note("write", c, n ? *n : 0);
  if (!n) {
    expect(n.error().is(Errc::would_block) || is_ending(c), "a write failed", c);
    expect(promised == 0 || is_ending(c), "writable_bytes() promised more", c);
    return false;
  }
  expect(*n <= bytes.size() && *n >= std::min(promised, bytes.size()),
         "write() took another amount than promised", c);
  text.skip(d.written[index(lane)], *n);
  return *n == bytes.size();
}

/// A head and a body, copied together, given away or lent. False: there was no room, or it is lent.
bool Station::write_apart(Conversation& c, Lane lane) {
  Direction& d = ours(c);
  const ChannelId id = place(c).id;
  const Cursor before = d.written[index(lane)];
  Cursor& at = d.written[index(lane)];
  const Bytes head = d.text[index(lane)].take(at, 4);
  Bytes body = at.piece == before.piece
                   ? d.text[index(lane)].take(at, d.text[index(lane)].left_of_piece(at))
                   : Bytes();
  const std::size_t size = head.size() + body.size();
  const std::size_t how = dice_.below(3);
  Result<bool> taken = true;
  if (how == 0) {
    taken = mux_.append(id, lane, head, body);
    note("append", c, taken && *taken ? size : 0);
  } else if (how == 1) {
    taken = mux_.give(id, lane, head, body);
    note("give", c, taken && *taken ? size : 0);
  } else {
    place(c).lent[index(lane)] = std::move(body);
    place(c).before_lent[index(lane)] = before;
    const Result<void> lent = mux_.lend(id, lane, head, place(c).lent[index(lane)]);
    expect(lent.has_value() || is_ending(c), "lend() failed", c);
    note("lend", c, size);
    return false;
  }
  const bool too_much = how == 0 && size > limits_.send_buffer;
  if (too_much && !taken && taken.error().is(Errc::usage)) {
    at = before;
    return true;  // nothing to wait for
  }
  expect((taken.has_value() && !too_much) || is_ending(c), "append() or give() failed", c);
  if (!taken || !*taken) at = before;
  return taken && *taken;
}

void Station::take_back(Conversation& c) {
  for (const Lane lane : {Lane::data, Lane::error}) {
    if (mux_.lent_bytes(place(c).id, lane) == 0) continue;
    const std::size_t lent = 4 + place(c).lent[index(lane)].size();
    const std::size_t left = mux_.take_back(place(c).id, lane);
    expect(left <= lent, "more was taken back than was lent", c);
    Cursor& at = ours(c).written[index(lane)];
    at = place(c).before_lent[index(lane)];
    ours(c).text[index(lane)].skip(at, lent - left);
    ours(c).was_taken_back = true;
    place(c).waits[index(lane)] = false;
    note("take back", c, left);
  }
}

// ---- reading

void Station::sync_dropped(Conversation& c) {
  const std::uint64_t dropped = mux_.dropped_error_bytes(place(c).id);
  std::uint64_t& known = place(c).dropped;
  if (dropped > known) note("dropped", c, dropped - known);
  theirs(c).text[1].skip(theirs(c).read[1], dropped - known);
  known = dropped;
}

void Station::read(Conversation& c, Lane lane, std::size_t most) {
  const ChannelId id = place(c).id;
  std::size_t got = 0;
  while (got < most && !report_.has_failed()) {
    if (c.framed && lane == Lane::data && dice_.one_in(2)) {
      if (const std::optional<Bytes> frame = mux_.take_frame(id, lane)) {
        Bytes whole(4);
        wire::store_u32(whole.data(), static_cast<std::uint32_t>(frame->size()));
        append(whole, *frame);
        took(c, lane, whole);
        got += whole.size();
        continue;
      }
    }
    ByteView view = mux_.peek(id, lane);
    view = view.first(std::min(view.size(), most - got));
    if (view.empty()) break;
    took(c, lane, view);
    got += view.size();
    expect(mux_.consume(id, lane, view.size(), now_).has_value() || !is_up(), "consume() failed",
           c);
  }
  if (got > 0) note("read", c, got);
  if (mux_.readable_bytes(id, lane) > 0) return;
  place(c).is_readable[index(lane)] = false;
  const bool is_dry =
      mux_.readable_bytes(id, Lane::data) + mux_.readable_bytes(id, Lane::error) == 0;
  if (place(c).at == At::closing && is_dry) return finish(c);
  if (lane == Lane::data && place(c).at == At::open && mux_.is_eof(id)) {
    expect(theirs(c).has_ended || c.disturbed, "an end that nobody made", c);
    check_end_of_data(c);
  }
}

void Station::took(Conversation& c, Lane lane, ByteView bytes) {
  Direction& d = theirs(c);
  expect(d.text[index(lane)].matches(d.read[index(lane)], bytes), "other bytes than were written",
         c);
  expect(d.read[index(lane)].total <= d.written[index(lane)].total, "read what was never written",
         c);
}

// ---- asking and ending

void Station::ask(Conversation& c) {
  if (place(c).has_closed) return;
  const std::uint64_t number = ++serials_;
  Bytes payload;
  wire::Writer(payload).u64(number).u64(ours(c).written[0].total);
  const bool want_reply = !dice_.one_in(3);
  const Result<void> asked = mux_.request(place(c).id, "question@simulation", want_reply, payload);
  if (!asked) {
    expect(asked.error().is(Errc::limit) || is_ending(c), "a request failed", c);
    return;
  }
  if (want_reply) place(c).asked.push_back(number);
  note("ask", c, number);
}

void Station::answer(Conversation& c) {
  if (place(c).owes.empty()) return;
  const bool ok = mix(place(c).owes.front(), 1) % 2 == 0;
  place(c).owes.pop_front();
  const Result<void> done = mux_.reply(place(c).id, ok);
  expect(done.has_value() || place(c).has_closed || c.disturbed, "a reply failed", c);
}

void Station::end(Conversation& c) {
  Direction& d = ours(c);
  if (d.has_ended) return;
  if (c.kind == Kind::own && !d.has_trailers && dice_.one_in(2)) {
    d.has_trailers = true;
    expect(mux_.write_trailers(place(c).id, c.trailers(side_)).has_value() || is_ending(c),
           "write_trailers() failed", c);
  }
  d.has_ended = true;
  note("end", c, d.written[0].total);
  expect(mux_.end_write(place(c).id).has_value() || is_ending(c), "end_write() failed", c);
}

void Station::close(Conversation& c) {
  if (place(c).has_closed) return;
  Direction& d = ours(c);
  const bool trailers = c.kind == Kind::own && !d.has_trailers && !d.has_ended && dice_.one_in(2);
  d.has_trailers = d.has_trailers || trailers;
  d.has_ended = place(c).has_closed = true;
  place(c).status = Status(static_cast<Code>(dice_.below(17)), "r", std::to_string(c.serial));
  note("close", c, d.written[0].total);
  const Result<void> done =
      mux_.close(place(c).id, place(c).status, trailers ? c.trailers(side_) : Headers(), now_);
  expect(done.has_value() || is_ending(c), "close() failed", c);
}

void Station::reset(Conversation& c) {
  if ((place(c).at != At::open && place(c).at != At::opening) || place(c).has_reset) return;
  c.disturbed = place(c).has_reset = true;
  note(place(c).at == At::open ? "reset" : "withdraw", c);
  expect(mux_.reset(place(c).id, Code::aborted, "simulated", now_).has_value() || !is_up(),
         "reset() failed", c);
}

void Station::ask_globally() {
  const std::uint64_t number = ++serials_;
  Bytes payload;
  wire::Writer(payload).u64(number);
  const bool want_reply = !dice_.one_in(4);
  const Result<std::uint64_t> token =
      mux_.global_request("question@simulation", want_reply, payload);
  if (!token)
    return void(
        report_.expect(token.error().is(Errc::limit) || !is_up(), "a global request failed"));
  if (want_reply) global_asked_.emplace_back(*token, number);
}

void Station::answer_globally() {
  if (global_owes_.empty()) return;
  const std::uint64_t number = global_owes_.front();
  global_owes_.pop_front();
  Bytes payload;
  wire::Writer(payload).u64(number);
  report_.expect(mux_.reply_global(mix(number, 1) % 2 == 0, payload).has_value() || !is_up(),
                 "a global reply failed");
}

}  // namespace streamkit::simulation
