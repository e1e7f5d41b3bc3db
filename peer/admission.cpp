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

// A bucket of tokens for each source. A full one says no more than none does.
double burst_of(const PeerLimits& limits) {
  return static_cast<double>(std::max(limits.kex_burst_per_source, limits.kex_rate_per_source));
}
double tokens_at(double tokens, TimePoint at, const PeerLimits& limits, TimePoint now) {
  const double seconds = std::chrono::duration<double>(now - at).count();
  return std::min(burst_of(limits),
                  tokens + static_cast<double>(limits.kex_rate_per_source) * seconds);
}

}  // namespace

Result<void> Admission::check(const std::string& source, const PeerLimits& limits, TimePoint now) {
  if (half_open_.size() >= limits.max_half_open)
    return over("max_half_open", limits.max_half_open, "connections are not authenticated yet");
  const auto from_there = std::count_if(half_open_.begin(), half_open_.end(),
                                        [&](const auto& h) { return h.second.source == source; });
  if (!source.empty() && static_cast<std::size_t>(from_there) >= limits.max_half_open_per_source)
    return over("max_half_open_per_source", limits.max_half_open_per_source,
                "connections from there are not authenticated yet");
  if (is_crowded(limits) && is_slow(source, now))
    return over(
        "early_drop_start", limits.early_drop_start,
        "connections or more are not authenticated yet, and one from there ran out of time lately");
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
  if (!is_crowded(limits) || start >= full) return false;
  const double at_start = std::min(limits.early_drop_percent, 100u) / 100.0;
  const double part =
      static_cast<double>(half_open_.size() - start) / static_cast<double>(full - start);
  std::array<std::byte, 4> drawn{};
  if (!random_.fill(drawn)) return true;
  return wire::load_u32(drawn.data()) < (at_start + (1 - at_start) * part) * 0x1p32;
}

bool Admission::is_slow(const std::string& source, TimePoint now) const {
  const auto it = sources_.find(source);
  return it != sources_.end() && now < it->second.slow_until;
}

bool Admission::may_exchange(const std::string& source, const PeerLimits& limits, TimePoint now) {
  if (limits.kex_rate_per_source == 0) return true;
  Source* known = remember(source, limits, now);
  if (known == nullptr)
    known = &sources_.try_emplace(std::string(kEverybodyElse), Source{burst_of(limits), now})
                 .first->second;
  known->tokens = tokens_at(known->tokens, known->at, limits, now);
  known->at = now;
  if (known->tokens < 1) return false;
  known->tokens -= 1;
  return true;
}

// Null: there is no room.
Admission::Source* Admission::remember(const std::string& source, const PeerLimits& limits,
                                       TimePoint now) {
  const auto it = sources_.find(source);
  if (it != sources_.end()) return &it->second;
  for (const bool slow_too : {false, true})
    if (sources_.size() >= kMaxSources)
      std::erase_if(sources_, [&](const auto& entry) {
        const Source& s = entry.second;
        return (slow_too || s.slow_until <= now) &&
               tokens_at(s.tokens, s.at, limits, now) >= burst_of(limits);
      });
  if (sources_.size() >= kMaxSources) return nullptr;
  return &sources_.try_emplace(source, Source{burst_of(limits), now}).first->second;
}

void Admission::begin(std::uint64_t link, std::string source, TimePoint now) {
  half_open_[link] = {std::move(source), now};
}

std::vector<std::uint64_t> Admission::overdue(const PeerLimits& limits, TimePoint now) const {
  std::vector<std::uint64_t> links;
  if (!is_crowded(limits)) return links;
  for (const auto& [link, h] : half_open_)
    if (now >= after(h.since, limits.handshake_timeout_crowded)) links.push_back(link);
  return links;
}

void Admission::authenticated(std::uint64_t link) {
  const auto it = half_open_.find(link);
  if (it == half_open_.end()) return;
  const auto known = sources_.find(it->second.source);
  if (known != sources_.end()) known->second.slow_until = {};
  half_open_.erase(it);
}

void Admission::was_slow(const std::string& source, const PeerLimits& limits, TimePoint now) {
  if (source.empty()) return;
  if (Source* known = remember(source, limits, now))
    known->slow_until = after(now, limits.slow_source_memory);
}

std::string Admission::source_of(std::uint64_t link) const {
  const auto it = half_open_.find(link);
  return it == half_open_.end() ? std::string() : it->second.source;
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
