// What the tests of this room share: events to wait for, and work done on a Context from outside.
#pragma once

#include <streamkit/io/stream.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <stdlib.h>
#include <string>
#include <unistd.h>

namespace streamkit::io {

/// Long enough for a loaded machine under a sanitizer; only a failing test waits for it.
inline constexpr std::chrono::seconds kPatience{60};

/// A value that a callback brings and a test waits for. Copies are the same one.
template <class T>
class Awaited {
 public:
  void set(T value) {
    const std::lock_guard guard(shared_->mutex);
    shared_->value.emplace(std::move(value));
    shared_->changed.notify_all();
  }
  bool is_set() const {
    const std::lock_guard guard(shared_->mutex);
    return shared_->value.has_value();
  }
  /// nullopt, and a failure, when it does not come.
  std::optional<T> take() {
    std::unique_lock guard(shared_->mutex);
    if (!shared_->changed.wait_for(guard, kPatience, [&] { return shared_->value.has_value(); }))
      ADD_FAILURE() << "the awaited event did not come";
    return std::exchange(shared_->value, std::nullopt);
  }

 private:
  struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<T> value;
  };
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

class Event {
 public:
  void set() { awaited_.set(true); }
  bool is_set() const { return awaited_.is_set(); }
  void wait() { awaited_.take(); }
  Task setter() const {
    return [event = *this]() mutable { event.set(); };
  }

 private:
  Awaited<bool> awaited_;
};

/// Runs `work` on the Context, from this thread.
template <class F>
auto on(Context& context, F work) {
  const Context::Lock lock(context);
  return work();
}

/// Returns when the loop has looked at everything that was ready or due before the call: a timer
/// and a descriptor that became ready after it have had their turn, and then a posted task.
inline void let_pass(Context& context) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  auto reader = stream_from_fd(context, ends[0]);
  ASSERT_TRUE(reader);
  ASSERT_EQ(::write(ends[1], "x", 1), 1);
  Event readable, timed, posted;
  Timer timer(context);
  on(context, [&] {
    (*reader)->wait_readable(readable.setter());
    timer.start(now(), timed.setter());
  });
  readable.wait();
  timed.wait();
  context.post(posted.setter());
  posted.wait();
  on(context, [&] {
    reader->reset();
    timer.cancel();
  });
  ::close(ends[1]);
}

/// A folder of the test's own, removed with all that is in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "streamkit-io-XXXXXX").string();
    if (!::mkdtemp(pattern.data())) ADD_FAILURE() << "cannot make a temporary folder";
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ec;
    std::filesystem::remove_all(path_, ec);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline Address tcp(std::string host, std::uint16_t port = 0) {
  Address address;
  address.host = std::move(host);
  address.port = port;
  return address;
}

inline Address unix_path(std::string path) {
  Address address;
  address.kind = Address::Kind::unix_path;
  address.path = std::move(path);
  return address;
}

/// Connects and hands both ends over: the one that connected lives on `a`, the accepted one on `b`.
struct Connected {
  std::unique_ptr<Stream> connecting, accepted;
};

inline Connected connect_pair(Context& a, Context& b, const Address& at) {
  Awaited<std::unique_ptr<Stream>> accepted;
  Awaited<Result<std::unique_ptr<Stream>>> connecting;
  auto listener = on(b, [&] {
    return Listener::listen(
        b, at, [accepted](std::unique_ptr<Stream> s) mutable { accepted.set(std::move(s)); });
  });
  if (!listener) {
    ADD_FAILURE() << listener.error().message();
    return {};
  }
  auto connect = on(a, [&] {
    return Connect::start(
        a, (*listener)->address(), kNever,
        [connecting](Result<std::unique_ptr<Stream>> s) mutable { connecting.set(std::move(s)); });
  });
  Connected pair;
  auto result = connecting.take();
  if (result && *result)
    pair.connecting = std::move(**result);
  else
    ADD_FAILURE() << "not connected";
  if (auto stream = accepted.take()) pair.accepted = std::move(*stream);
  on(a, [&] { connect.reset(); });
  on(b, [&] { listener->reset(); });
  return pair;
}

}  // namespace streamkit::io
