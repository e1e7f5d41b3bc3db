// What one step of authentication asks the transport to do. Both roles' machines answer with it.
#pragma once

#include <streamkit/base/secret.hpp>
#include <streamkit/ssh/transport.hpp>

#include <optional>
#include <utility>
#include <vector>

namespace streamkit::ssh {

struct AuthStep {
  std::vector<Bytes> send;    ///< payloads, in order; wiped when sent
  std::vector<Event> events;  ///< in order; after the payloads
  bool question =
      false;            ///< the last event is a question: nothing more is read until it is answered
  bool failed = false;  ///< a refusal: waits for auth_failure_delay
  std::optional<Authenticated> success;  ///< done; the payloads go first

  std::optional<Error> end;  ///< after all of that, there is no way on

  AuthStep() = default;
  AuthStep(AuthStep&&) = default;
  AuthStep& operator=(AuthStep&&) = default;
  ~AuthStep() {
    for (Bytes& payload : send) wipe(payload);
  }
};

}  // namespace streamkit::ssh
