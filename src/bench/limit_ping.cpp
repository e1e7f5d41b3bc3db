// There and back: 64 bytes, sealed or in clear text, waiting in the kernel, in epoll or spinning.
#include "records.hpp"
#include "row.hpp"

#include <streamkit/io/context.hpp>

#include <cerrno>
#include <sys/epoll.h>

namespace streamkit::bench {
namespace {

constexpr std::uint64_t kWarmUp = 1000;

bool is_spinning(const Task& task) {
  return task.variant.starts_with("spinning");
}
bool is_by_epoll(const Task& task) {
  return task.variant.starts_with("epoll");
}
// What an epoll said is there does not have to be waited for again.
Wait wait_of(const Task& task) {
  return is_spinning(task) || is_by_epoll(task) ? Wait::spinning : Wait::blocking;
}

/// What an event loop does before it reads: asks epoll, which says when there is something.
class Readiness {
 public:
  Readiness(const Task& task, const Fd& socket) {
    if (!is_by_epoll(task)) return;
    epoll_ = Fd(::epoll_create1(EPOLL_CLOEXEC));
    epoll_event readable{};
    readable.events = EPOLLIN;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket.get(), &readable) != 0) fail_errno("epoll");
  }
  void wait() const {
    epoll_event event{};
    while (epoll_.get() >= 0 && ::epoll_wait(epoll_.get(), &event, 1, -1) < 1)
      if (errno != EINTR) fail_errno("epoll_wait");
  }

 private:
  Fd epoll_;
};

std::unique_ptr<RecordCipher> cipher_of(const Task& task) {
  return make_cipher(task.variant.ends_with("-fast") ? "aes128-gcm-fast" : "aes128-gcm");
}

template <class Exchange>
Outcome measure_exchanges(const Task& task, Exchange exchange) {
  const std::uint64_t count = scaled(is_spinning(task) ? kSpinningPings : kPings, task, 10);
  for (std::uint64_t i = 0; i < std::min(kWarmUp, count); ++i) exchange();
  Samples samples(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    const TimePoint from = io::now();
    exchange();
    samples.add(from, io::now());
  }
  return round_trips(samples);
}

Outcome measure_sealed(const Task& task, Control& other) {
  const auto cipher = cipher_of(task);
  if (!cipher) return skipped(kNoFastAead);
  const Fd socket = connect_tcp(static_cast<std::uint16_t>(other.hear()));
  RecordWriter writer(socket, *cipher, 0, wait_of(task));
  RecordReader reader(socket, *cipher, kRecordBody, wait_of(task));
  const Readiness readiness(task, socket);
  const Bytes body(kPingSize);
  return measure_exchanges(task, [&] {
    writer.write(body);
    readiness.wait();
    if (const auto answer = reader.read(); !answer || answer->size() != kPingSize)
      fail("no answer to a ping");
  });
}

void serve_sealed(const Task& task, Control& other) {
  const auto cipher = cipher_of(task);
  if (!cipher) return;
  std::uint16_t port = 0;
  const Fd listener = listen_tcp(port);
  other.say({static_cast<double>(port)});
  const Fd socket = accept_tcp(listener);
  RecordWriter writer(socket, *cipher, 0, wait_of(task));
  RecordReader reader(socket, *cipher, kRecordBody, wait_of(task));
  const Readiness readiness(task, socket);
  for (readiness.wait(); const auto body = reader.read(); readiness.wait()) writer.write(*body);
}

Outcome measure_tcp(const Task& task, Control& other) {
  const Fd socket = connect_tcp(static_cast<std::uint16_t>(other.hear()));
  const Wait wait = wait_of(task);
  const Readiness readiness(task, socket);
  Bytes ping(kPingSize);
  return measure_exchanges(task, [&] {
    write_all(socket, ping, wait);
    readiness.wait();
    if (!read_all(socket, ping, wait)) fail("no answer to a ping");
  });
}

void serve_tcp(const Task& task, Control& other) {
  std::uint16_t port = 0;
  const Fd listener = listen_tcp(port);
  other.say({static_cast<double>(port)});
  const Fd socket = accept_tcp(listener);
  const Wait wait = wait_of(task);
  const Readiness readiness(task, socket);
  Bytes ping(kPingSize);
  for (readiness.wait(); read_all(socket, ping, wait); readiness.wait())
    write_all(socket, ping, wait);
}

}  // namespace

Rows limit_ping_rows() {
  Rows rows;
  for (const char* variant :
       {"blocking", "epoll", "spinning", "blocking-fast", "epoll-fast", "spinning-fast"})
    rows.push_back({{"ping", "limit", variant, "us", false}, measure_sealed, serve_sealed});
  for (const char* variant : {"blocking", "epoll", "spinning"})
    rows.push_back({{"ping", "tcp", variant, "us", false}, measure_tcp, serve_tcp});
  return rows;
}

}  // namespace streamkit::bench
