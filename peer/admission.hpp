// Admission: how many strangers may stand at the door, and how often one may come. And what is said
// about those who were turned away. No clock and no I/O: time and randomness are arguments.
#pragma once

#include <streamkit/base/random.hpp>
#include <streamkit/base/time.hpp>
#include <streamkit/peer/options.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace streamkit {

/// Counts incoming connections that are not authenticated yet (half-open), turns newcomers away at
/// random before their number is full, and limits how often one source begins a key exchange.
class Admission {
 public:
  /// Sources whose rate is remembered. Those beyond share one rate until others have been quiet for
  /// long enough to be forgotten.
  static constexpr std::size_t kMaxSources = 4096;

  /// `random` must outlive this.
  explicit Admission(Random& random) : random_(random) {}

  /// May one more connection come in from `source` (an address; empty: it has none, and what holds
  /// for one source does not hold)? Errc::limit names the limit that says no. A yes counts towards
  /// the rate.
  Result<void> check(const std::string& source, const PeerLimits& limits, TimePoint now);
  void begin(std::uint64_t link, std::string source);
  /// It is authenticated, or gone. False: it was not half-open.
  bool end(std::uint64_t link) { return half_open_.erase(link) > 0; }
  void clear() noexcept { half_open_.clear(); }

  std::size_t half_open() const noexcept { return half_open_.size(); }
  std::size_t sources() const noexcept { return buckets_.size(); }
  /// The source of a half-open connection; empty if it has none.
  std::string source_of(std::uint64_t link) const;

 private:
  struct Bucket {
    double tokens;
    TimePoint at;
  };
  bool is_dropped(const PeerLimits& limits);
  bool may_exchange(const std::string& source, const PeerLimits& limits, TimePoint now);

  Random& random_;
  std::map<std::uint64_t, std::string> half_open_;
  std::map<std::string, Bucket> buckets_;
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
