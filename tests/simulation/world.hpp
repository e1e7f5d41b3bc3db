// World: some links between stations, one clock, and chance. Every step does one thing: an
// application acts, bytes move, time passes, keys are exchanged, the network fails. After each step
// what must always hold is checked; now and then everything comes to rest, and what must hold then.
#pragma once

#include "station.hpp"

namespace streamkit::simulation {

class World {
 public:
  explicit World(std::uint64_t seed);

  /// Runs so many steps, or fewer when something is wrong: then false, and failure() says what.
  bool run(std::uint64_t steps);
  /// Ends every channel in order and checks that nothing was lost or left. False as above.
  bool end();

  /// For people: what is wrong, the seed and the step to see it again, and what was done before.
  std::string failure() const;
  const Report& report() const { return report_; }
  std::uint64_t steps() const { return step_; }

 private:
  struct Link {
    Conversations conversations;
    std::unique_ptr<Station> stations[2];
    std::uint64_t exchanges = 0;
  };

  void make(Link& link, std::size_t which);
  channel::Limits limits(bool large);
  void step();
  void move_some(Link& link);
  void pump(Link& link);
  void settle(Link& link);
  void close_all(Link& link);
  void finish(Link& link, std::size_t which);
  void fail(Link& link);
  void pass(Duration time);
  void idle();
  void forget_ended(Link& link, bool at_rest);
  void check_memory();
  Link& pick() { return links_[dice_.below(links_.size())]; }

  const std::uint64_t seed_;
  Dice dice_;
  Report report_;
  TimePoint now_{std::chrono::hours(1)};
  std::uint64_t serials_ = 0, step_ = 0;
  std::vector<Link> links_;
};

}  // namespace streamkit::simulation
