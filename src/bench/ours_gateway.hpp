// A relay and a tunnel of ours, each a process.
#pragma once

#include "row.hpp"

#include <memory>

namespace streamkit::bench {

inline constexpr const char* kTunnelName = "bench";

/// Both of them, while it lives. `relay` is the row's second process, which becomes the relay; a
/// third one becomes the tunnel.
class Gateway {
 public:
  Gateway(const Task& task, Control& relay, bool http, std::uint16_t target);
  /// The port of 127.0.0.1 where visitors come in.
  std::uint16_t entry() const noexcept { return entry_; }
  /// CPU seconds of both so far.
  double cpu();
  void finish();

 private:
  Control& relay_;
  std::unique_ptr<Other> tunnel_;
  std::uint16_t entry_ = 0;
};

/// The second and the third process.
void serve_gateway(const Task& task, Control& other);

}  // namespace streamkit::bench
