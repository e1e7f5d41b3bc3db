// One way, as fast as it goes: records in batches, frames packed into records, and plain TCP.
#include "records.hpp"
#include "row.hpp"

#include <streamkit/base/wire.hpp>

namespace streamkit::bench {
namespace {

constexpr std::size_t kFrameHeader = 4;
constexpr std::size_t kFrames64 = 100'000'000, kFrames1k = 10'000'000;

struct Shape {
  std::size_t batch = 256 * 1024, read = 256 * 1024;
};

// "tuned" and "tuned-fast": what is opened is still in the cache.
Shape shape_of(const Task& task) {
  return task.variant.starts_with("tuned") ? Shape{128 * 1024, 64 * 1024} : Shape{};
}

std::unique_ptr<RecordCipher> cipher_of(const Task& task) {
  if (auto named = make_cipher(task.variant)) return named;
  if (task.variant.ends_with("-fast")) return make_cipher("aes128-gcm-fast");
  return make_cipher("aes128-gcm");
}

// The second process of everything here: takes one connection, hands it to `read_all` and says how
// much it got.
template <class Read>
void serve_reader(Control& other, Read read) {
  std::uint16_t port = 0;
  const Fd listener = listen_tcp(port);
  other.say({static_cast<double>(port)});
  const Fd socket = accept_tcp(listener);
  const Stopwatch watch;
  const std::uint64_t got = read(socket);
  other.say({static_cast<double>(got), watch.cpu()});
}

// The first one: sends by `write_all`, and stops the clock when the other side has everything.
struct Run {
  double elapsed, cpu;
};
template <class Write>
Run measure_writer(Control& other, std::uint64_t expected, Write write) {
  const Fd socket = connect_tcp(static_cast<std::uint16_t>(other.hear()));
  const Stopwatch watch;
  write(socket);
  end_write(socket);
  const std::vector<double> got = other.hear(2);
  if (got[0] != static_cast<double>(expected))
    fail("the receiver counted something else than was sent");
  return {watch.elapsed(), watch.cpu() + got[1]};
}

// ---------------------------------------------------------------- stream

Outcome measure_stream(const Task& task, Control& other) {
  const auto cipher = cipher_of(task);
  if (!cipher) return skipped(kNoFastAead);
  const std::uint64_t records = scaled(kStreamBytes / kRecordBody, task);
  const Run run = measure_writer(other, records * kRecordBody, [&](const Fd& socket) {
    RecordWriter writer(socket, *cipher, shape_of(task).batch);
    const Bytes body(kRecordBody);
    for (std::uint64_t i = 0; i < records; ++i) writer.write(body);
    writer.flush();
  });
  return throughput(records * kRecordBody, run.elapsed, run.cpu);
}

void serve_stream(const Task& task, Control& other) {
  const auto cipher = cipher_of(task);
  if (!cipher) return;
  serve_reader(other, [&](const Fd& socket) {
    RecordReader reader(socket, *cipher, shape_of(task).read);
    std::uint64_t got = 0;
    while (const auto body = reader.read()) got += body->size();
    return got;
  });
}

Outcome measure_tcp(const Task& task, Control& other) {
  const std::uint64_t chunks = scaled(kStreamBytes / kChunk, task);
  const Run run = measure_writer(other, chunks * kChunk, [&](const Fd& socket) {
    const Bytes chunk(kChunk);
    for (std::uint64_t i = 0; i < chunks; ++i) write_all(socket, chunk);
  });
  return throughput(chunks * kChunk, run.elapsed, run.cpu);
}

void serve_tcp(const Task&, Control& other) {
  serve_reader(other, [](const Fd& socket) {
    Bytes buffer(kChunk);
    std::uint64_t got = 0;
    while (const std::size_t n = read_some(socket, buffer)) got += n;
    return got;
  });
}

// ---------------------------------------------------------------- frames

std::size_t frame_size(const Task& task) {
  return task.row == "frames-64" ? 64 : task.row == "frames-1k" ? 1024 : kRecordBody - kFrameHeader;
}

std::uint64_t frame_count(const Task& task) {
  const std::size_t size = frame_size(task);
  return scaled(size == 64     ? kFrames64
                : size == 1024 ? kFrames1k
                               : kStreamBytes / kRecordBody,
                task);
}

Outcome measure_frames(const Task& task, Control& other) {
  const auto cipher = cipher_of(task);
  if (!cipher) return skipped(kNoFastAead);
  const std::uint64_t frames = frame_count(task);
  const Bytes frame(frame_size(task), std::byte{1});
  const Run run = measure_writer(other, frames, [&](const Fd& socket) {
    RecordWriter writer(socket, *cipher, shape_of(task).batch);
    Bytes record(kRecordBody);
    std::size_t used = 0;
    for (std::uint64_t i = 0; i < frames; ++i) {
      if (used + kFrameHeader + frame.size() > record.size()) {
        writer.write(ByteView(record).first(used));
        used = 0;
      }
      wire::store_u32(record.data() + used, static_cast<std::uint32_t>(frame.size()));
      std::memcpy(record.data() + used + kFrameHeader, frame.data(), frame.size());
      used += kFrameHeader + frame.size();
    }
    writer.write(ByteView(record).first(used));
    writer.flush();
  });
  Outcome outcome = throughput(frames * frame.size(), run.elapsed, run.cpu);
  if (task.row != "frames-32k") outcome.value = static_cast<double>(frames) / run.elapsed;
  return outcome;
}

void serve_frames(const Task& task, Control& other) {
  const auto cipher = cipher_of(task);
  if (!cipher) return;
  const std::size_t expected = frame_size(task);
  serve_reader(other, [&](const Fd& socket) {
    RecordReader reader(socket, *cipher, shape_of(task).read);
    std::uint64_t frames = 0;
    while (auto body = reader.read()) {
      while (!body->empty()) {
        const std::size_t size = wire::load_u32(body->data());
        if (size != expected || (*body)[kFrameHeader] != std::byte{1})
          fail("a frame is not what was sent");
        *body = body->subspan(kFrameHeader + size);
        ++frames;
      }
    }
    return frames;
  });
}

}  // namespace

Rows limit_stream_rows() {
  Rows rows;
  for (const char* variant : {"aes128-gcm", "aes256-gcm", "chacha20-poly1305", "aes128-gcm-fast",
                              "aes256-gcm-fast", "tuned", "tuned-fast"})
    rows.push_back({{"stream", "limit", variant, "MB/s"}, measure_stream, serve_stream});
  rows.push_back({{"stream", "tcp", "plain", "MB/s"}, measure_tcp, serve_tcp});
  for (const char* variant : {"batched", "batched-fast"}) {
    rows.push_back({{"frames-64", "limit", variant, "frames/s"}, measure_frames, serve_frames});
    rows.push_back({{"frames-1k", "limit", variant, "frames/s"}, measure_frames, serve_frames});
    rows.push_back({{"frames-32k", "limit", variant, "MB/s"}, measure_frames, serve_frames});
  }
  return rows;
}

}  // namespace streamkit::bench
