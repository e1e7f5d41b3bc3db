// ChannelLedger: a reference model of RFC 4254 that sits between a multiplexer and its link, and
// sees every message that passes. It knows what each side may still send on each channel and which
// directions have ended, and says so when the multiplexer sends what it must not, or takes what it
// must refuse. It knows nothing of what the multiplexer keeps inside.
#pragma once

#include <streamkit/base/wire.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

namespace streamkit::testing {

class ChannelLedger {
 public:
  /// What must become of a message that came in.
  enum class Must : std::uint8_t { take, refuse, either };

  struct Entry {
    std::uint32_t remote = 0;
    bool is_open = false;          ///< both sides know both numbers
    std::uint64_t may_come = 0;    ///< bytes that the other side may still send
    std::uint64_t may_go = 0;      ///< bytes that we may still send
    std::uint64_t largest_in = 0;  ///< largest data message we accept
    std::uint64_t largest_out = 0;
    bool sent_eof = false, sent_close = false, got_eof = false, got_close = false;
    std::uint64_t owed = 0;  ///< replies to their requests
  };

  /// A message leaves, `size` bytes with its header, which holds at least 13 bytes of data messages
  /// and the whole of all others. Nothing, or the rule that it breaks.
  const char* sent(ByteView header, std::size_t size) {
    wire::Reader in(header);
    const unsigned number = in.u8();
    if (number == 90) return sent_open(in);
    if (number < 91) return nullptr;
    const std::uint32_t recipient = in.u32();
    if (number == 91) return sent_confirmation(recipient, in);
    if (number == 92) return take_pending(recipient) ? nullptr : "a refusal of what nobody opened";
    const auto at = by_remote_.find(recipient);
    const auto it = at == by_remote_.end() ? entries_.end() : entries_.find(at->second);
    if (it == entries_.end()) return "a message for a channel that does not exist";
    const char* wrong = sent_on(it->second, number, in, size);
    if (number == 97 && it->second.got_close) forget(it);
    return wrong;
  }

  /// A message came and is about to be handed to the multiplexer; `apart` bytes of it lie
  /// elsewhere.
  Must received(ByteView payload, std::size_t apart = 0) {
    wire::Reader in(payload);
    const unsigned number = in.u8();
    if (number == 90) return received_open(in);
    if (number < 91 || number > 100) return Must::either;
    const std::uint32_t recipient = in.u32();
    const auto it = entries_.find(recipient);
    if (!in.ok()) return Must::refuse;
    // A channel that nobody answered yet has a number of ours that only we know.
    if (it == entries_.end()) return Must::refuse;
    Entry& e = it->second;
    if (number == 91) return received_confirmation(it->first, e, in);
    if (number == 92) return received_failure(it);
    if (!e.is_open) return number >= 99 ? Must::either : Must::refuse;
    const Must must = received_on(e, number, in, apart);
    if (number == 97 && must == Must::take && e.sent_close) forget(it);
    return must;
  }

  /// The multiplexer let an open go that nobody answered: its window no longer counts.
  void abandon(std::uint32_t id) {
    if (const auto it = entries_.find(id); it != entries_.end()) it->second.may_come = 0;
  }
  const Entry* find(std::uint32_t id) const {
    const auto it = entries_.find(id);
    return it == entries_.end() ? nullptr : &it->second;
  }
  const std::map<std::uint32_t, Entry>& entries() const { return entries_; }
  /// The other side used one number for two channels, so what is sent to it cannot be told apart.
  bool is_ambiguous() const { return ambiguous_; }

 private:
  using Entries = std::map<std::uint32_t, Entry>;
  struct Offer {
    std::uint64_t window, packet;
  };

  void forget(Entries::iterator it) {
    const auto at = by_remote_.find(it->second.remote);
    if (at != by_remote_.end() && at->second == it->first) by_remote_.erase(at);
    entries_.erase(it);
  }
  std::optional<Offer> take_pending(std::uint32_t remote) {
    const auto it = pending_.find(remote);
    if (it == pending_.end()) return std::nullopt;
    const Offer offer = it->second;
    pending_.erase(it);
    return offer;
  }

  const char* sent_open(wire::Reader in) {
    in.string();
    const std::uint32_t id = in.u32();
    Entry e;
    e.may_come = in.u32(), e.largest_in = in.u32();
    if (!in.ok()) return "an open that is cut off";
    return entries_.emplace(id, e).second ? nullptr : "a number that is in use already";
  }
  const char* sent_confirmation(std::uint32_t recipient, wire::Reader in) {
    const std::optional<Offer> offer = take_pending(recipient);
    if (!offer) return "a confirmation of what nobody opened";
    Entry e;
    e.remote = recipient, e.is_open = true;
    const std::uint32_t id = in.u32();
    e.may_come = in.u32(), e.largest_in = in.u32();
    e.may_go = offer->window, e.largest_out = offer->packet;
    by_remote_[recipient] = id;
    return entries_.emplace(id, e).second ? nullptr : "a number that is in use already";
  }
  static const char* sent_on(Entry& e, unsigned number, wire::Reader in, std::size_t size) {
    if (e.sent_close) return "a message after CLOSE";
    switch (number) {
      case 93:
        e.may_come += in.u32();
        return e.may_come > 0xffffffff ? "a window over 2^32 - 1" : nullptr;
      case 94:
      case 95: {
        const std::size_t n = size - (number == 94 ? 9 : 13);
        if (e.sent_eof) return "data after EOF";
        if (n == 0) return "an empty data message";
        if (n > e.may_go) return "data over the window";
        if (n > e.largest_out) return "data over the largest packet";
        e.may_go -= n;
        return nullptr;
      }
      case 96:
        if (e.sent_eof) return "a second EOF";
        e.sent_eof = true;
        return nullptr;
      case 97:
        e.sent_close = true, e.may_come = 0;
        return nullptr;
      case 98:
        return nullptr;
      case 99:
      case 100:
        if (e.owed == 0) return "a reply that nobody asked for";
        --e.owed;
        return nullptr;
      default:
        return "a number that RFC 4254 does not define";
    }
  }

  Must received_open(wire::Reader in) {
    in.string();
    const std::uint32_t remote = in.u32();
    const std::uint64_t window = in.u32(), packet = in.u32();
    if (!in.ok()) return Must::refuse;
    if (pending_.count(remote) != 0 || by_remote_.count(remote) != 0) ambiguous_ = true;
    pending_.emplace(remote, Offer{window, packet});
    return Must::take;
  }
  Must received_confirmation(std::uint32_t id, Entry& e, wire::Reader in) {
    if (e.is_open) return Must::refuse;
    e.remote = in.u32(), e.may_go = in.u32(), e.largest_out = in.u32();
    if (!in.ok()) return Must::refuse;
    if (by_remote_.count(e.remote) != 0 || pending_.count(e.remote) != 0) ambiguous_ = true;
    e.is_open = true;
    by_remote_[e.remote] = id;
    return Must::take;
  }
  Must received_failure(Entries::iterator it) {
    if (it->second.is_open) return Must::refuse;
    entries_.erase(it);
    return Must::either;
  }
  static Must received_on(Entry& e, unsigned number, wire::Reader in, std::size_t apart) {
    if (e.got_close) return Must::refuse;
    switch (number) {
      case 93: {
        const std::uint32_t bytes = in.u32();
        if (e.sent_close) return Must::take;
        if (!in.end() || e.may_go + bytes > 0xffffffff) return Must::refuse;
        e.may_go += bytes;
        return Must::take;
      }
      case 94:
      case 95:
        return received_data(e, number, in, apart);
      case 96:
        if (!in.end()) return e.got_eof ? Must::either : Must::refuse;
        e.got_eof = true;
        return Must::take;
      case 97:
        if (!in.end()) return Must::refuse;
        e.got_close = true;
        return Must::take;
      case 98: {
        in.string();
        const bool want_reply = in.boolean();
        if (!in.ok()) return Must::refuse;
        e.owed += want_reply ? 1 : 0;
        return Must::take;
      }
      default:
        return Must::either;
    }
  }
  static Must received_data(Entry& e, unsigned number, wire::Reader in, std::size_t apart) {
    if (e.got_eof) return Must::refuse;
    if (e.sent_close) return Must::take;  // it crossed our CLOSE, and nobody looks at it
    if (number == 95) in.u32();
    const std::size_t n = in.u32();
    if (!in.ok() || in.rest().size() + apart != n) return Must::refuse;
    if (n == 0) return Must::either;  // legal, but too many are not
    if (n > e.may_come || n > e.largest_in) return Must::refuse;
    e.may_come -= n;
    return Must::take;
  }

  Entries entries_;
  std::map<std::uint32_t, std::uint32_t> by_remote_;
  std::multimap<std::uint32_t, Offer> pending_;  ///< opens of theirs without an answer
  bool ambiguous_ = false;
};

}  // namespace streamkit::testing
