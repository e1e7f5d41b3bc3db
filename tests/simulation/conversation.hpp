// What both sides should agree about: one channel, from the open to the end, with what was written
// and read in each direction. The two stations of a link share it; the multiplexers do not know it.
#pragma once

#include "dice.hpp"

#include <streamkit/channel/multiplexer.hpp>

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace streamkit::simulation {

enum class Kind : std::uint8_t { own, session, other };

/// One direction: what its writer did and its reader saw.
struct Direction {
  std::array<Text, 2> text;  ///< a lane each
  std::array<Cursor, 2> written, read;
  bool has_ended = false;  ///< end_write() or close() was called
  bool has_trailers = false;
  bool was_taken_back = false;  ///< a lent write ended early, so positions said before are off
};

/// How one side sees the channel.
struct Place {
  enum class At : std::uint8_t { nowhere, opening, announced, open, closing, ended };
  At at = At::nowhere;
  channel::ChannelId id{};
  bool refuses = false;               ///< it said no, or could not say yes
  std::array<bool, 2> waits{};        ///< a write was cut: Writable has to come
  std::array<bool, 2> is_readable{};  ///< Readable came, and the lane was not read dry since
  std::array<Bytes, 2> lent;          ///< what the multiplexer sends from where it is
  std::array<Cursor, 2> before_lent;
  std::uint64_t dropped = 0;  ///< bytes of the error lane that nobody was fast enough for
  std::deque<std::uint64_t> asked, owes;  ///< requests of ours without a reply, of theirs to answer
  Status status;                          ///< what we closed with
  bool has_closed = false, has_reset = false, was_told_to_stop = false;
};

struct Conversation {
  std::uint64_t serial = 0;
  int opener = 0;
  Kind kind = Kind::own;
  bool framed = false;
  std::shared_ptr<Conversation> parent;
  Bytes first;
  std::array<Direction, 2> from;
  std::array<Place, 2> at;
  /// Something else than an orderly end happened: bytes may be missing at the end, never wrong.
  bool disturbed = false;
  Headers headers() const { return {{"serial", std::to_string(serial)}, {"", "\xff"}}; }
  Headers trailers(int side) const {
    return {{"total", std::to_string(mix(serial, std::uint64_t(side)))}};
  }
};

/// The first thing that went wrong, and what was done before it.
class Report {
 public:
  bool expect(bool holds, const char* what, std::uint64_t serial = 0) {
    if (holds || has_failed()) return holds;
    failure_ = std::string(what) + " (channel " + std::to_string(serial) + ")";
    failed_channel_ = serial;
    return false;
  }
  void note(const char* what, int side, std::uint64_t serial, std::uint64_t n) {
    ++counts_[what];
    notes_[next_++ % notes_.size()] = {what, side, serial, n};
    digest =
        mix(digest, mix(static_cast<unsigned char>(what[0]) * 64u + static_cast<unsigned>(side),
                        mix(serial, n)));
  }
  bool has_failed() const { return !failure_.empty(); }
  const std::string& failure() const { return failure_; }
  std::uint64_t count(const std::string& what) const {
    const auto it = counts_.find(what);
    return it == counts_.end() ? 0 : it->second;
  }
  const std::map<std::string, std::uint64_t, std::less<>>& counts() const { return counts_; }
  /// What was done at last, and before that on the channel that failed.
  std::string last_notes() const {
    std::string out;
    for (std::size_t i = 0; i < notes_.size(); ++i) {
      const Note& n = notes_[(next_ + i) % notes_.size()];
      const bool is_recent = i + kShown >= notes_.size();
      if (n.what == nullptr || (!is_recent && n.serial != failed_channel_)) continue;
      out += std::string("  ") + n.what + ", side " + std::to_string(n.side) + ", channel " +
             std::to_string(n.serial) + ", " + std::to_string(n.n) + "\n";
    }
    return out;
  }
  std::uint64_t digest = 0;  ///< of everything that was noted

 private:
  static constexpr std::size_t kShown = 30;
  struct Note {
    const char* what = nullptr;
    int side = 0;
    std::uint64_t serial = 0, n = 0;
  };
  std::string failure_;
  std::vector<Note> notes_ = std::vector<Note>(4096);
  std::uint64_t failed_channel_ = 0;
  std::size_t next_ = 0;
  std::map<std::string, std::uint64_t, std::less<>> counts_;
};

}  // namespace streamkit::simulation
