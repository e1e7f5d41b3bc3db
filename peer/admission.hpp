// Admission: how many strangers may stand at the door, for how long, and how often one may come.
// And what is said about those who were turned away. No clock and no I/O: time and randomness are
// arguments.
#pragma once

#include <streamkit/base/random.hpp>
#include <streamkit/base/time.hpp>
#include <streamkit/peer/options.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace streamkit {

/// Counts incoming connections that are not authenticated yet (half-open) and limits how often one
/// source begins a key exchange. From early_drop_start half-open ones on there is a crowd:
/// newcomers are turned away by chance, slow sources always, and whoever has stood there for long
/// makes room.
class Admission {
 public:
  /// Sources that are remembered, by their rate and as slow ones. When there are more, the quiet
  /// ones are forgotten, slow ones last; those for whom no room is left share one rate.
  static constexpr std::size_t kMaxSources = 4096;

  /// `random` must outlive this.
  explicit Admission(Random& random) : random_(random) {}

  /// May one more connection come in from `source` (an address; empty: it has none, and what holds
  /// for one source does not hold)? Errc::limit names the limit that says no. A yes counts towards
  /// the rate.
  Result<void> check(const std::string& source, const PeerLimits& limits, TimePoint now);
  void begin(std::uint64_t link, std::string source, TimePoint now);
  /// In a crowd: who has been half-open for longer than handshake_timeout_crowded.
  std::vector<std::uint64_t> overdue(const PeerLimits& limits, TimePoint now) const;
  /// It is authenticated: its source is not a slow one.
  void authenticated(std::uint64_t link);
  /// It is gone. False: it was not half-open.
  bool end(std::uint64_t link) { return half_open_.erase(link) > 0; }
  /// A handshake from there ran out of time.
  void was_slow(const std::string& source, const PeerLimits& limits, TimePoint now);
  void clear() noexcept { half_open_.clear(); }

  std::size_t half_open() const noexcept { return half_open_.size(); }
  std::size_t sources() const noexcept { return sources_.size(); }
  /// The source of a half-open connection; empty if it has none.
  std::string source_of(std::uint64_t link) const;

 private:
  struct HalfOpen {
    std::string source;
    TimePoint since;
  };
  struct Source {
    double tokens;  ///< key exchanges that it may begin, as of `at`
    TimePoint at;
    TimePoint slow_until{};
  };
  bool is_crowded(const PeerLimits& limits) const {
    return half_open_.size() >= limits.early_drop_start;
  }
  bool is_slow(const std::string& source, TimePoint now) const;
  bool is_dropped(const PeerLimits& limits);
  bool may_exchange(const std::string& source, const PeerLimits& limits, TimePoint now);
  Source* remember(const std::string& source, const PeerLimits& limits, TimePoint now);

  Random& random_;
  std::map<std::uint64_t, HalfOpen> half_open_;
  std::map<std::string, Source> sources_;
};

/// Who was turned away, without a word for each in a flood.
class RefusalNotices {
 public:
  static constexpr std::size_t kSingly = 10;  ///< told one by one in an interval
  static constexpr Duration kInterval = std::chrono::seconds(5);
  static constexpr std::size_t kMaxGroups =
      8;  ///< sources and reasons told apart in what is only counted

  struct Notice {
    std::string address;
    Error why;
  };
  /// True: tell it now. False: it is counted, and take() says it when due().
  bool add(const std::string& source, const Error& why, TimePoint now);
  TimePoint due() const noexcept { return groups_.empty() ? kNever : after(began_, kInterval); }
  /// What was counted, one notice for each source and reason. Begins anew.
  std::vector<Notice> take();

 private:
  struct Group {
    std::string source;
    Error why;
    std::uint64_t times;
  };
  TimePoint began_{};
  std::size_t told_ = 0;
  std::vector<Group> groups_;
};

}  // namespace streamkit
