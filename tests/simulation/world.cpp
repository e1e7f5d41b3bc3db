#include "world.hpp"

#include <cstdlib>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace streamkit::simulation {

namespace {

constexpr std::size_t kLinks = 4;            ///< the last of them in process
constexpr std::size_t kMostRounds = 50'000;  ///< until a link must have come to rest
constexpr std::size_t kMostMemory = std::size_t{64} << 20;
constexpr std::size_t kEverything = std::size_t{1} << 30;

}  // namespace

World::World(std::uint64_t seed) : seed_(seed), dice_(seed), links_(kLinks) {
  for (std::size_t i = 0; i < links_.size(); ++i) make(links_[i], i);
}

channel::Limits World::limits(bool large) {
  channel::Limits l;
  l.max_channels = dice_.between(4, 40);
  l.max_unaccepted = dice_.between(2, 20);
  l.min_window = static_cast<std::uint32_t>(dice_.between(1000, 4000));
  l.initial_window =
      l.min_window + static_cast<std::uint32_t>(dice_.below(large ? 1 << 20 : 20'000));
  l.max_window = l.initial_window * 4;
  l.max_receive_bytes = dice_.between(1, 8) * l.initial_window;
  l.max_packet = static_cast<std::uint32_t>(dice_.between(256, large ? 200'000 : 6000));
  l.send_buffer = dice_.between(500, large ? 100'000 : 20'000);
  l.max_error_bytes = dice_.between(500, 20'000);
  l.max_pending_requests = dice_.between(2, 20);
  return l;
}

void World::make(Link& link, std::size_t which) {
  link.stations[0].reset(), link.stations[1].reset();
  link.conversations.clear();
  link.exchanges = 0;
  Line line = which + 1 == kLinks ? queue_line(dice_, now_) : ssh_line(dice_, now_);
  const bool large = dice_.one_in(3);
  for (int side = 0; side < 2; ++side) {
    link.stations[side] = std::make_unique<Station>(side, std::move(line.ends[side]), limits(large),
                                                    link.conversations, dice_, report_, serials_);
    link.stations[side]->set_time(now_);
  }
  report_.note("link", 0, which, 0);
}

bool World::run(std::uint64_t steps) {
  for (std::uint64_t n = 0; n < steps && !report_.has_failed(); ++n) {
    ++step_;
    step();
    for (Link& link : links_)
      for (const auto& station : link.stations) station->check();
  }
  return !report_.has_failed();
}

void World::step() {
  const std::size_t which = dice_.below(links_.size());
  Link& link = links_[which];
  const std::size_t what = dice_.below(1000);
  if (what < 600) {
    link.stations[dice_.below(2)]->act(now_);
  } else if (what < 900) {
    move_some(link);
  } else if (what < 975) {
    pass(std::chrono::microseconds(dice_.below(dice_.one_in(20) ? 2'000'000 : 10'000)));
  } else if (what < 990) {
    pump(link);
  } else if (what < 994) {
    if (link.stations[dice_.below(2)]->carrier().rekey()) report_.note("rekey", 0, which, 0);
  } else if (what < 998) {
    settle(link);
    if (dice_.one_in(8)) close_all(link);
  } else if (what < 999) {
    if (dice_.one_in(3)) fail(link);
  } else if (dice_.one_in(10)) {
    idle();
  }
  forget_ended(link, false);
  if (link.stations[0]->carrier().is_down() || link.stations[1]->carrier().is_down())
    finish(link, which);
}

// ---- bytes and time

void World::move_some(Link& link) {
  for (const auto& station : link.stations) station->set_time(now_);
  Station& station = *link.stations[dice_.below(2)];
  const std::size_t most = dice_.one_in(4) ? dice_.between(1, 20) : dice_.between(1, 40'000);
  dice_.one_in(2) ? station.write_some(most) : station.read_some(most);
}

/// Everything that can move does, and time passes as far as that takes.
void World::pump(Link& link) {
  for (std::size_t round = 0; !report_.has_failed(); ++round) {
    if (!report_.expect(round < kMostRounds, "bytes do not come to rest")) return;
    bool moved = false;
    for (const auto& station : link.stations) {
      station->set_time(now_);
      moved = station->write_some(kEverything) || moved;
    }
    for (const auto& station : link.stations) moved = station->read_some(kEverything) || moved;
    if (moved) continue;
    const TimePoint next = std::min(link.stations[0]->carrier().next_arrival(),
                                    link.stations[1]->carrier().next_arrival());
    if (next == kNever || next <= now_) break;
    now_ = next;
  }
  const std::uint64_t exchanges = link.stations[0]->carrier().exchanges();
  if (exchanges > link.exchanges) report_.note("keys", 0, 0, exchanges);
  link.exchanges = exchanges;
}

void World::pass(Duration time) {
  now_ = after(now_, time);
  for (Link& link : links_)
    for (const auto& station : link.stations)
      if (station->next_timeout() <= now_) station->handle_timeouts(now_);
}

/// Long enough for every timer, with links that work and applications that do nothing.
void World::idle() {
  report_.note("idle", 0, 0, 0);
  for (int i = 0; i < 8 && !report_.has_failed(); ++i) {
    for (Link& link : links_) pump(link);
    pass(std::chrono::seconds(5));
  }
}

/// Until nothing moves and nothing waits for an application; then nobody may be left waiting.
void World::settle(Link& link) {
  for (std::size_t round = 0; !report_.has_failed(); ++round) {
    if (!report_.expect(round < kMostRounds, "a link does not come to rest")) return;
    pump(link);
    bool any = false;
    for (const auto& station : link.stations) any = station->tidy_up(now_) || any;
    if (!any) break;
  }
  if (report_.has_failed()) return;
  report_.note("settled", 0, 0, link.conversations.size());
  const bool both = link.stations[0]->is_up() && link.stations[1]->is_up();
  if (!both) return;
  link.stations[0]->check_quiet(*link.stations[1]);
  link.stations[1]->check_quiet(*link.stations[0]);
}

void World::close_all(Link& link) {
  forget_ended(link, false);
  for (int round = 0; round < 100 && !link.conversations.empty() && !report_.has_failed();
       ++round) {
    for (const auto& station : link.stations) station->close_all(now_);
    settle(link);
    forget_ended(link, true);
  }
  if (!link.stations[0]->is_up() || !link.stations[1]->is_up()) return;
  for (const auto& station : link.stations) station->check_empty();
  check_memory();
}

// ---- ends

void World::fail(Link& link) {
  Station& station = *link.stations[dice_.below(2)];
  if (!station.is_up()) return;
  const std::size_t what = dice_.below(3);
  if (what == 0) {
    report_.note("disconnect", 0, 0, 0);
    station.carrier().disconnect();
  } else if (what == 1) {
    report_.note("half-close", 0, 0, 0);
    station.carrier().end_outgoing();
  } else {
    report_.note("cut", 0, 0, 0);
    for (const auto& each : link.stations) each->carrier().cut_outgoing(dice_.below(4));
  }
}

/// One side is gone: so will be the other, and what was received is still to be read.
void World::finish(Link& link, std::size_t which) {
  settle(link);
  if (report_.has_failed()) return;
  for (const auto& station : link.stations) {
    report_.expect(station->carrier().is_down(), "one side did not hear of the end");
    station->check_empty();
  }
  make(link, which);
}

bool World::end() {
  for (Link& link : links_) {
    settle(link);
    close_all(link);
    report_.expect(link.conversations.empty() || !link.stations[0]->is_up(),
                   "a channel is left at the end");
  }
  return !report_.has_failed();
}

/// Lets go of what both sides have ended. Where one withdrew, the other may still hear of it.
void World::forget_ended(Link& link, bool at_rest) {
  std::erase_if(link.conversations, [at_rest](const std::shared_ptr<Conversation>& c) {
    const Place::At other = c->at[static_cast<std::size_t>(1 - c->opener)].at;
    return c->at[static_cast<std::size_t>(c->opener)].at == Place::At::ended &&
           (other == Place::At::ended ||
            (other == Place::At::nowhere && (at_rest || !c->disturbed)));
  });
}

void World::check_memory() {
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
  report_.expect(mallinfo2().uordblks <= kMostMemory, "memory grows");
#endif
}

std::string World::failure() const {
  return report_.failure() + "\nseed " + std::to_string(seed_) + ", step " + std::to_string(step_) +
         "; to see it again: ./run simulate --seed " + std::to_string(seed_) + " --steps " +
         std::to_string(step_) + "\nbefore it:\n" + report_.last_notes();
}

}  // namespace streamkit::simulation
