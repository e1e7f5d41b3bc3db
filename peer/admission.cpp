#include "admission.hpp"

#include <streamkit/base/text.hpp>
#include <streamkit/base/wire.hpp>

#include <algorithm>
#include <array>

namespace streamkit {
namespace {

constexpr std::string_view kEverybodyElse;  // no source has an empty name
constexpr std::size_t kMaxReason = 300;     // bytes of a reason that is remembered

Error over(std::string_view limit, std::size_t value, std::string_view what) {
  return Error(Errc::limit,
               std::string(limit) + " (" + std::to_string(value) + ") " + std::string(what));
}

}  // namespace

Result<void> Admission::check(const std::string& source, const PeerLimits& limits, TimePoint now) {
  if (half_open_.size() >= limits.max_half_open)
    return over("max_half_open", limits.max_half_open, "connections are not authenticated yet");
  const auto from_there = std::count_if(half_open_.begin(), half_open_.end(),
                                        [&](const auto& h) { return h.second == source; });
  if (!source.empty() && static_cast<std::size_t>(from_there) >= limits.max_half_open_per_source)
    return over("max_half_open_per_source", limits.max_half_open_per_source,
                "connections from there are not authenticated yet");
  if (is_dropped(limits))
    return over("early_drop_start", limits.early_drop_start,
                "connections or more are not authenticated yet, and chance was against this one");
  if (!source.empty() && !may_exchange(source, limits, now))
    return over("kex_rate_per_source", limits.kex_rate_per_source,
                "key exchanges a second are exceeded from there");
  return {};
}

// Whoever fills the door has to do it again and again, and those who only want to come in get
// through with some luck: at a full door nobody would. The shape is that of sshd's MaxStartups.
bool Admission::is_dropped(const PeerLimits& limits) {
  const std::size_t start = limits.early_drop_start, full = limits.max_half_open;
  if (half_open_.size() < start || start >= full) return false;
  const double at_start = std::min(limits.early_drop_percent, 100u) / 100.0;
  const double part =
      static_cast<double>(half_open_.size() - start) / static_cast<double>(full - start);
  std::array<std::byte, 4> drawn{};
  if (!random_.fill(drawn)) return true;
  return wire::load_u32(drawn.data()) < (at_start + (1 - at_start) * part) * 0x1p32;
}

// A bucket of tokens for each source. A full one says no more than none does.
bool Admission::may_exchange(const std::string& source, const PeerLimits& limits, TimePoint now) {
  const double rate = static_cast<double>(limits.kex_rate_per_source);
  const double burst =
      static_cast<double>(std::max(limits.kex_burst_per_source, limits.kex_rate_per_source));
  if (rate == 0) return true;
  const auto tokens_of = [&](const Bucket& bucket) {
    return std::min(burst,
                    bucket.tokens + rate * std::chrono::duration<double>(now - bucket.at).count());
  };
  auto it = buckets_.find(source);
  if (it == buckets_.end()) {
    if (buckets_.size() >= kMaxSources)
      std::erase_if(buckets_, [&](const auto& entry) { return tokens_of(entry.second) >= burst; });
    const bool has_room = buckets_.size() < kMaxSources;
    it = buckets_.try_emplace(has_room ? source : std::string(kEverybodyElse), Bucket{burst, now})
             .first;
  }
  Bucket& bucket = it->second;
  bucket = {tokens_of(bucket), now};
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

void Admission::begin(std::uint64_t link, std::string source) {
  half_open_[link] = std::move(source);
}

std::string Admission::source_of(std::uint64_t link) const {
  const auto it = half_open_.find(link);
  return it == half_open_.end() ? std::string() : it->second;
}

// ---------------------------------------------------------------- notices

bool RefusalNotices::add(const std::string& source, const Error& why, TimePoint now) {
  if (groups_.empty() && now >= after(began_, kInterval)) {
    began_ = now;
    told_ = 0;
  }
  if (told_ < kSingly) return ++told_, true;
  const Error cut(why.code(), why.message().substr(0, kMaxReason));
  const auto same = [&](const Group& g) {
    return g.source == source && g.why.message() == cut.message();
  };
  const auto it = std::find_if(groups_.begin(), groups_.end(), same);
  if (it != groups_.end()) {
    ++it->times;
  } else if (groups_.size() < kMaxGroups) {
    groups_.push_back({source, cut, 1});
  } else {  // the last one stands for all others
    Group& rest = groups_.back();
    rest = {"others",
            Error(Errc::limit, "for different reasons, the last one " + escape(source, 64) + ": " +
                                   cut.message()),
            rest.times + 1};
  }
  return false;
}

std::vector<RefusalNotices::Notice> RefusalNotices::take() {
  std::vector<Notice> notices;
  for (const Group& g : groups_)
    notices.push_back(
        {g.source, Error(g.why.code(), std::to_string(g.times) + " more: " + g.why.message())});
  groups_.clear();
  began_ = after(began_, kInterval);
  told_ = 0;
  return notices;
}

}  // namespace streamkit
