// The yardstick for a gateway: two processes, plain TCP in, sealed records between, plain TCP out;
// and the same without cipher, as two relays in a row. One direction, one loop each.
#include "gateway_load.hpp"
#include "records.hpp"

#include <streamkit/crypto/implementation.hpp>

namespace streamkit::bench {
namespace {

// Numbers, because the two processes tell each other numbers.
constexpr double kNothing = -1, kEntry = 0, kExit = 1;

std::unique_ptr<RecordCipher> cipher_of(const Task& task) {
  // "default": the same AES-GCM as our gateway, which has no say in it.
  const bool is_fast = crypto::implementation_of(crypto::AesGcm::automatic) ==
                       crypto::implementation_of(crypto::AesGcm::ipsec_mb);
  if (task.variant == "default") return make_cipher(is_fast ? "aes128-gcm-fast" : "aes128-gcm");
  return make_cipher(task.variant);
}

void copy(const Fd& from, const Fd& to) {
  Bytes buffer(kChunk);
  while (const std::size_t n = read_some(from, buffer)) write_all(to, ByteView(buffer).first(n));
  end_write(to);
}

void seal_all(const Fd& from, const Fd& to, RecordCipher& cipher) {
  RecordWriter writer(to, cipher, kChunk);
  Bytes buffer(kChunk);
  while (const std::size_t n = read_some(from, buffer)) {
    ByteView rest = ByteView(buffer).first(n);
    for (; !rest.empty(); rest = rest.subspan(std::min(rest.size(), kRecordBody)))
      writer.write(rest.first(std::min(rest.size(), kRecordBody)));
    writer.flush();
  }
  end_write(to);
}

void open_all(const Fd& from, const Fd& to, RecordCipher& cipher) {
  RecordReader reader(from, cipher, kChunk);
  while (const auto body = reader.read()) write_all(to, *body);
  end_write(to);
}

// Hears which half it is and where to connect to, says where it listens, and carries one stream.
void serve_half(const Task& task, Control& other) {
  const std::vector<double> told = other.hear(2);
  if (told[0] == kNothing) return;
  std::uint16_t port = 0;
  const Fd listener = listen_tcp(port);
  other.say({static_cast<double>(port)});
  const Fd from = accept_tcp(listener);
  const Fd to = connect_tcp(static_cast<std::uint16_t>(told[1]));
  if (task.subject == "tcp") {
    copy(from, to);
  } else if (told[0] == kEntry) {
    seal_all(from, to, *cipher_of(task));
  } else {
    open_all(from, to, *cipher_of(task));
  }
  other.hear();
  other.say({cpu_seconds()});
}

Outcome measure_pair(const Task& task, Control& exit) {
  if (task.subject == "limit" && !cipher_of(task)) {
    exit.say({kNothing, 0});
    return skipped(kNoFastAead);
  }
  Sink sink;
  exit.say({kExit, static_cast<double>(sink.port())});
  const double between = exit.hear();
  Other entry(task);
  entry.control().say({kEntry, between});
  const auto port = static_cast<std::uint16_t>(entry.control().hear());
  bool has_begun = false;
  Outcome outcome = stream_through(task, port, sink, [&] {
    if (!std::exchange(has_begun, true)) return 0.0;
    exit.say({0});
    entry.control().say({0});
    return exit.hear() + entry.control().hear();
  });
  entry.finish();
  return outcome;
}

Outcome measure_direct(const Task& task, Control&) {
  Sink sink;
  return connect_through(task, sink.port(), sink);
}

}  // namespace

Rows limit_gateway_rows() {
  return {
      {{"gateway", "limit", "default", "MB/s"}, measure_pair, serve_half},
      {{"gateway", "limit", "aes128-gcm", "MB/s"}, measure_pair, serve_half},
      {{"gateway", "limit", "aes128-gcm-fast", "MB/s"}, measure_pair, serve_half},
      {{"gateway", "tcp", "plain", "MB/s"}, measure_pair, serve_half},
      {{"gateway-connect", "tcp", "direct", "connects/s"}, measure_direct, nullptr},
  };
}

}  // namespace streamkit::bench
