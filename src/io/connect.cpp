// Connect: a name or path becomes a connected stream. Addresses of a name are tried one after
// another.
#include "os_error.hpp"
#include "socket.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <vector>

namespace streamkit::io {
namespace {

/// A unix socket whose queue is full is tried again after this; the system does not say when.
constexpr std::chrono::milliseconds kUnixRetry{10};
/// Addresses of one name that are tried at most.
constexpr std::size_t kMaxAddresses = 16;

// On loopback, a connect to a free port of the ephemeral range may be given that very port as its
// own and meet itself. Nobody listens there.
bool is_connected_to_itself(int fd, const SocketAddress& to) {
  if (to.family() == AF_UNIX) return false;
  const SocketAddress near = local_end(fd);
  if (near.port() != to.port()) return false;
  const SocketAddress far = remote_end(fd);
  return near.size != 0 && near.size == far.size &&
         std::memcmp(&near.storage, &far.storage, near.size) == 0;
}

// Begins to connect, or asks how it goes: 0 connected, EINPROGRESS under way, else what is wrong.
int go_on_connecting(int fd, const SocketAddress& to) {
  const int number = ::connect(fd, to.get(), to.size) == 0 ? 0 : errno;
  if (number == EALREADY) return EINPROGRESS;
  if (number != 0 && number != EISCONN) return number;
  return is_connected_to_itself(fd, to) ? ECONNREFUSED : 0;
}

class Connecting final : public std::enable_shared_from_this<Connecting>, Waiting {
 public:
  Connecting(Context& context, Address to, TimePoint deadline, Duration per_address,
             Connect::Done done)
      : loop_(context.impl().loop),
        to_(std::move(to)),
        deadline_(deadline),
        per_address_(per_address),
        done_(std::move(done)),
        timer_(context),
        last_error_(Errc::timeout) {}
  ~Connecting() { cancel(); }

  void start();
  void cancel();

 private:
  void begin();
  void resolve();
  void resolved(Resolver::Answer answer);
  void try_next();
  bool try_address(const SocketAddress& address);
  void wait_for_answer();
  void answered();
  void set_timer(TimePoint when);
  void on_timer();
  void note_failure(int number);
  Error timed_out() const;
  void finish(Result<std::unique_ptr<Stream>> result);
  void abandon() override { cancel(); }

  std::shared_ptr<Loop> loop_;
  Address to_;
  TimePoint deadline_;
  Duration per_address_;
  Connect::Done done_;
  Timer timer_;
  std::vector<SocketAddress> addresses_;
  std::size_t next_ = 0;                        // the address that is tried or to be tried
  TimePoint give_up_ = kNever;                  // on that address
  std::shared_ptr<WatchedDescriptor> watched_;  // waits for its answer
  bool queue_full_ = false;                     // a unix socket had no room: the timer tries again
  Error last_error_;
};

void Connecting::start() {
  if (loop_->is_stopped()) return;
  loop_->enlist(*this);
  loop_->post([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->begin();
  });
}

void Connecting::cancel() {
  loop_->dismiss(*this);
  timer_.cancel();
  if (watched_) watched_->close();
  const Connect::Done dropped = std::move(done_);  // may own the Connect
}

void Connecting::begin() {
  if (!done_) return;
  if (deadline_ <= now()) return finish(timed_out());
  if (to_.kind == Address::Kind::unix_path) {
    const auto address = unix_socket_address(to_.path);
    if (!address) return finish(address.error());
    addresses_.push_back(*address);
    return try_next();
  }
  if (to_.host.empty())
    return finish(
        Error(Errc::bad_endpoint, "cannot connect without a host: name one, such as 127.0.0.1"));
  if (const auto checked = check_host(to_.host); !checked) return finish(checked.error());
  const auto numeric = numeric_address(to_.host, to_.port);
  if (!numeric) return resolve();
  addresses_.push_back(*numeric);
  try_next();
}

void Connecting::resolve() {
  set_timer(deadline_);
  loop_->resolver().resolve(
      to_.host, to_.port, kMaxAddresses,
      [weak = weak_from_this(), loop = loop_->weak_from_this()](Resolver::Answer answer) {
        const std::shared_ptr<Loop> alive = loop.lock();
        if (!alive) return;
        alive->post([weak, answer = std::move(answer)]() mutable {
          if (const auto self = weak.lock()) self->resolved(std::move(answer));
        });
      });
}

void Connecting::resolved(Resolver::Answer answer) {
  if (!done_) return;
  addresses_ = std::move(answer.addresses);
  if (addresses_.empty())
    return finish(
        Error(os_code(EHOSTUNREACH),
              fmt::format("cannot connect to {}: the name has no address ({}); check its spelling",
                          to_.text(), answer.error)));
  try_next();
}

// --- one address after another ---

void Connecting::try_next() {
  for (; next_ < addresses_.size(); ++next_) {
    if (deadline_ <= now()) return finish(timed_out());
    if (give_up_ == kNever) give_up_ = std::min(deadline_, after(now(), per_address_));
    if (try_address(addresses_[next_])) return;
    give_up_ = kNever;
  }
  finish(last_error_);
}

// True when the attempt is under way or has succeeded, false when this address is done with.
bool Connecting::try_address(const SocketAddress& address) {
  Descriptor fd = open_socket(address.family());
  if (!fd) return note_failure(errno), false;
  if (address.family() != AF_UNIX) set_low_latency(fd.number());
  do_not_pace(fd.number(), address);
  int number = go_on_connecting(fd.number(), address);
  // On loopback all is done by now, though the first call does not say so.
  if (number == EINPROGRESS) number = go_on_connecting(fd.number(), address);
  if (number == 0) return finish(socket_stream(loop_, std::move(fd), address)), true;
  if (number == EAGAIN && address.family() == AF_UNIX) {
    queue_full_ = true;
    set_timer(std::min(give_up_, after(now(), kUnixRetry)));
    return true;
  }
  if (number != EINPROGRESS) return note_failure(number), false;
  watched_ = WatchedDescriptor::watch(loop_, fd);
  wait_for_answer();
  set_timer(give_up_);
  return true;
}

void Connecting::wait_for_answer() {
  watched_->wait(WatchedDescriptor::writing, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->answered();
  });
}

void Connecting::answered() {
  const SocketAddress& address = addresses_[next_];
  const int number = go_on_connecting(watched_->number(), address);
  if (number == EINPROGRESS) return wait_for_answer();  // woken for nothing
  if (number == 0) return finish(socket_stream(loop_, watched_->release(), address));
  watched_->close();
  note_failure(number);
  ++next_;
  give_up_ = kNever;
  try_next();
}

void Connecting::set_timer(TimePoint when) {
  timer_.start(when, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->on_timer();
  });
}

void Connecting::on_timer() {
  if (deadline_ <= now()) return finish(timed_out());
  if (std::exchange(queue_full_, false) && now() < give_up_) return try_next();
  if (watched_) watched_->close();
  last_error_ = timed_out();
  ++next_;
  give_up_ = kNever;
  try_next();
}

void Connecting::note_failure(int number) {
  const std::string tried = addresses_[next_].address().text();
  const std::string what = tried == to_.text()
                               ? fmt::format("cannot connect to {}", tried)
                               : fmt::format("cannot connect to {} ({})", to_.text(), tried);
  std::string_view advice;
  if (number == ECONNREFUSED) advice = "nothing listens there";
  if (number == ENOENT) advice = "nothing listens there, or the path is another one";
  if (number == EMFILE) advice = "raise the limit of open files (ulimit -n)";
  last_error_ = os_error(number, what, advice);
}

Error Connecting::timed_out() const {
  return Error(Errc::timeout, fmt::format("cannot connect to {}: no answer in time", to_.text()));
}

void Connecting::finish(Result<std::unique_ptr<Stream>> result) {
  loop_->dismiss(*this);
  timer_.cancel();
  if (watched_) watched_->close();
  Connect::Done done = std::move(done_);
  done(std::move(result));
}

class SocketConnect final : public Connect {
 public:
  explicit SocketConnect(std::shared_ptr<Connecting> connecting)
      : connecting_(std::move(connecting)) {}
  ~SocketConnect() override { connecting_->cancel(); }

 private:
  std::shared_ptr<Connecting> connecting_;
};

}  // namespace

std::unique_ptr<Connect> Connect::start(Context& context, const Address& to, TimePoint deadline,
                                        Done done, Duration per_address) {
  const auto connecting =
      std::make_shared<Connecting>(context, to, deadline, per_address, std::move(done));
  connecting->start();
  return std::make_unique<SocketConnect>(connecting);
}

}  // namespace streamkit::io
