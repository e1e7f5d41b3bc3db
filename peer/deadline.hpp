// with_deadline: a completion that is called with the answer or with timeout, whichever comes first.
#pragma once

#include <streamkit/io/context.hpp>
#include <streamkit/peer/until.hpp>

#include <memory>
#include <optional>

namespace streamkit {

/// Wraps `done`. When the deadline passes (or the stop token fires) first, `done` gets timeout
/// (cancelled), `expired` is called to withdraw the operation, and what comes later is dropped. Call it,
/// and the completion, on the Context.
template <class T>
Completion<T> with_deadline(const std::shared_ptr<io::Context>& context, const Until& until, Completion<T> done,
                            Task expired) {
  if (until.deadline == kNever && !until.stop.stop_possible()) return done;
  struct Race {
    explicit Race(io::Context& c) : timer(c) {}
    io::Timer timer;
    Completion<T> done;
    Task expired;
    std::optional<std::stop_callback<Task>> on_stop;

    void end(const Error& error) {
      if (!done) return;
      Completion<T> call = std::move(done);
      done = {};
      timer.cancel();
      if (expired) expired();
      call(error);
    }
  };
  auto race = std::make_shared<Race>(*context);
  race->done = std::move(done);
  race->expired = std::move(expired);
  if (until.deadline != kNever) race->timer.start(until.deadline, [race] { race->end(Errc::timeout); });
  if (until.stop.stop_possible()) {
    std::weak_ptr<io::Context> weak = context;
    race->on_stop.emplace(until.stop, Task([weak, race_weak = std::weak_ptr<Race>(race)] {
      if (const auto c = weak.lock())
        c->post([race_weak] {
          if (const auto r = race_weak.lock()) r->end(Errc::cancelled);
        });
    }));
  }
  return [race](Result<T> result) {
    if (!race->done) return;
    Completion<T> call = std::move(race->done);
    race->done = {};
    race->expired = {};
    race->timer.cancel();
    call(std::move(result));
  };
}

}  // namespace streamkit
