// The yardstick for a ping beside bulk: one loop writes a batch whenever the socket takes one, and
// a ping that is due goes at the head of the next batch. "lowat" keeps little in the kernel; "deep"
// does not.
#include "records.hpp"
#include "row.hpp"

#include <streamkit/io/context.hpp>

#include <cerrno>
#include <poll.h>
#include <sys/socket.h>

namespace streamkit::bench {
namespace {

constexpr std::uint64_t kPingsBeside = 5'000;
constexpr std::uint64_t kBulkWarmUp = 256 << 20;
constexpr int kNotSent = 128 * 1024;

bool is_deep(const Task& task) {
  return task.variant == "deep";
}
std::unique_ptr<RecordCipher> cipher_of(const Task& task) {
  return make_cipher(task.variant.ends_with("-fast") ? "aes128-gcm-fast" : "aes128-gcm");
}

// What is on its way out; sealed anew when all of it has gone.
class Outgoing {
 public:
  Outgoing(const Fd& socket, RecordCipher& cipher, std::size_t records)
      : socket_(socket),
        cipher_(cipher),
        records_(records),
        buffer_(records * (kRecordBody + kRecordOverhead) + kPingSize + kRecordOverhead) {}

  bool is_empty() const { return at_ == used_; }
  void fill(bool with_ping) {
    at_ = used_ = 0;
    if (with_ping) seal(ByteView(body_).first(kPingSize));
    for (std::size_t i = 0; i < records_; ++i) seal(body_);
  }
  void send_some() {
    const ssize_t n =
        ::send(socket_.get(), buffer_.data() + at_, used_ - at_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) at_ += static_cast<std::size_t>(n);
    if (n < 0 && errno != EAGAIN && errno != EINTR) fail_errno("send");
  }

 private:
  void seal(ByteView body) {
    cipher_.seal(body, buffer_.data() + used_);
    used_ += body.size() + kRecordOverhead;
  }

  const Fd& socket_;
  RecordCipher& cipher_;
  const std::size_t records_;
  const Bytes body_ = Bytes(kRecordBody);
  Bytes buffer_;
  std::size_t at_ = 0, used_ = 0;
};

Outcome measure_beside(const Task& task, Control& other) {
  const auto cipher = cipher_of(task);
  if (!cipher) return skipped(kNoFastAead);
  const Fd socket = connect_tcp(static_cast<std::uint16_t>(other.hear()));
  if (!is_deep(task)) set_notsent_lowat(socket, kNotSent);
  const std::size_t records = is_deep(task) ? 8 : 2;
  const std::size_t batch = records * kRecordBody;
  Outgoing out(socket, *cipher, records);
  RecordReader in(socket, *cipher, kRecordBody);

  for (std::uint64_t sent = 0; sent < scaled(kBulkWarmUp, task); sent += batch)
    for (out.fill(false); !out.is_empty();) out.send_some();

  const std::uint64_t count = scaled(kPingsBeside, task, 10);
  Samples samples(count);
  std::uint64_t bulk = 0;
  bool is_due = true;
  TimePoint from = io::now();
  const Stopwatch watch;
  while (samples.count() < count || bulk == 0) {
    pollfd ready{socket.get(), POLLIN | POLLOUT, 0};
    if (::poll(&ready, 1, -1) < 0) fail_errno("poll");
    if ((ready.revents & POLLIN) != 0) {
      if (!in.read()) fail("no answer to a ping");
      samples.add(from, io::now());
      from = io::now();
      is_due = true;
    }
    if ((ready.revents & POLLOUT) != 0) {
      if (out.is_empty()) {
        out.fill(std::exchange(is_due, false));
        bulk += batch;
      }
      out.send_some();
    }
  }
  const double elapsed = watch.elapsed();
  Outcome outcome = round_trips(samples);
  outcome.bulk_mb_s = static_cast<double>(bulk) / elapsed / 1e6;
  return outcome;
}

void serve_beside(const Task& task, Control& other) {
  const auto cipher = cipher_of(task);
  if (!cipher) return;
  std::uint16_t port = 0;
  const Fd listener = listen_tcp(port);
  other.say({static_cast<double>(port)});
  const Fd socket = accept_tcp(listener);
  RecordReader reader(socket, *cipher, is_deep(task) ? kChunk : kChunk / 4);
  RecordWriter writer(socket, *cipher, 0);
  try {
    while (const auto body = reader.read())
      if (body->size() == kPingSize) writer.write(*body);
  } catch (const std::exception&) {
    // The measuring side ends with bulk on its way: a reset.
  }
}

}  // namespace

Rows limit_beside_rows() {
  Rows rows;
  for (const char* variant : {"lowat", "deep", "lowat-fast"})
    rows.push_back(
        {{"ping-beside-bulk", "limit", variant, "us", false}, measure_beside, serve_beside});
  return rows;
}

}  // namespace streamkit::bench
