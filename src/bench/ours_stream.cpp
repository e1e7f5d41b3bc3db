// One channel, one way: bytes as an application streams them, and frames, each by blocking calls
// and by completions.
#include "ours.hpp"

#include <streamkit/io/context.hpp>

#include <optional>

namespace streamkit::bench {
namespace {

constexpr std::uint64_t kFrames64 = 20'000'000, kFrames1k = 5'000'000;
constexpr std::size_t kFrame32k = 32 * 1024;
constexpr std::size_t kFramesInFlight = 512;  // of completions

bool is_readiness(const Task& task) {
  return task.variant.find("readiness") != std::string::npos;
}

bool is_completion(const Task& task) {
  return task.variant.find("completion") != std::string::npos;
}

struct Run {
  double elapsed, cpu;
};

// Sends by `write`, and stops the clock when the other process has counted `expected`.
template <class Write>
Run measure_writer(Client& client, Control& other, std::uint64_t expected, Write write) {
  Channel channel = client.open("sink");
  const Stopwatch watch;
  write(channel);
  channel.close_write().value();
  const std::vector<double> got = other.hear(2);
  const Run run{watch.elapsed(), watch.cpu() + got[1]};
  if (got[0] != static_cast<double>(expected))
    fail("the receiver counted something else than was sent");
  return run;
}

template <class Read>
void serve_reader(const Task& task, Control& other, Read read) {
  if (!why_not(task).empty()) return;
  Server server(task);
  server.start(task, other);
  Channel channel = server.accept();
  const Stopwatch watch;
  const std::uint64_t got = read(channel);
  other.say({static_cast<double>(got), watch.cpu()});
  server.wait_for_end(other);
}

// ---------------------------------------------------------------- bytes

// Writes the same chunk again and again; each completion begins the next one.
struct ChunkWriter {
  Channel& channel;
  std::uint64_t left;
  const Bytes chunk = Bytes(kChunk);
  Finish finish{};

  void next() {
    if (left-- == 0) return finish.now();
    channel.async_write(chunk, [this](Result<void> r) {
      if (!r) return finish.failed(r.error());
      next();
    });
  }
};

struct ByteReader {
  Channel& channel;
  std::uint64_t got = 0;
  Bytes buffer = Bytes(kChunk);
  Finish finish{};

  void next() {
    channel.async_read(buffer, [this](Result<std::size_t> n) {
      if (!n) return n.error().is(Errc::eof) ? finish.now() : finish.failed(n.error());
      got += *n;
      next();
    });
  }
};

Outcome measure_stream(const Task& task, Control& other) {
  if (std::string why = why_not(task); !why.empty()) return skipped(std::move(why));
  Client client(task, other);
  const std::uint64_t chunks = scaled(kStreamBytes / kChunk, task);
  const Run run = measure_writer(client, other, chunks * kChunk, [&](Channel& channel) {
    if (is_completion(task)) {
      ChunkWriter writer{channel, chunks};
      auto done = writer.finish.future();
      writer.next();
      return done.get();
    }
    const Bytes chunk(kChunk);
    for (std::uint64_t i = 0; i < chunks; ++i) channel.write(chunk).value();
  });
  other.say({0});
  return throughput(chunks * kChunk, run.elapsed, run.cpu);
}

void serve_stream(const Task& task, Control& other) {
  serve_reader(task, other, [&](Channel& channel) {
    if (is_completion(task)) {
      ByteReader reader{channel};
      auto done = reader.finish.future();
      reader.next();
      done.get();
      return reader.got;
    }
    Bytes buffer(kChunk);
    std::uint64_t got = 0;
    while (true) {
      const Result<std::size_t> n = channel.read(buffer);
      if (!n && n.error().is(Errc::eof)) return got;
      got += Result<std::size_t>(n).value();
    }
  });
}

// ---------------------------------------------------------------- frames

std::size_t frame_size(const Task& task) {
  return task.row == "frames-64" ? 64 : task.row == "frames-1k" ? 1024 : kFrame32k;
}

std::uint64_t frame_count(const Task& task) {
  const std::size_t size = frame_size(task);
  return scaled(size == 64 ? kFrames64 : size == 1024 ? kFrames1k : kStreamBytes / kFrame32k, task);
}

// Keeps kFramesInFlight under way.
struct FrameWriter {
  Channel& channel;
  const Bytes frame;
  std::uint64_t to_start, to_finish = to_start;
  Finish finish{};

  void begin() {
    const std::uint64_t first = std::min<std::uint64_t>(to_start, kFramesInFlight);
    const io::Context::Lock lock(channel.context());
    for (std::uint64_t i = 0; i < first; ++i) next();
  }

  void next() {
    if (to_start == 0) return;
    --to_start;
    channel.async_write_frame(frame, [this](Result<void> r) {
      if (!r) return finish.failed(r.error());
      if (--to_finish == 0) return finish.now();
      next();
    });
  }
};

// The same for reads; done when the last of them has ended.
struct FrameReader {
  Channel& channel;
  const std::size_t expected;
  std::uint64_t got = 0;
  std::size_t under_way = 0;
  std::optional<Error> end{};
  Finish finish{};

  void begin() {
    const io::Context::Lock lock(channel.context());
    for (std::size_t i = 0; i < kFramesInFlight; ++i) next();
  }

  void next() {
    ++under_way;
    channel.async_read_frame([this](Result<Bytes> frame) {
      --under_way;
      if (frame && frame->size() == expected) {
        ++got;
        return next();
      }
      if (!end) end = frame ? Error(Errc::codec, "a frame is not what was sent") : frame.error();
      if (under_way == 0) end->is(Errc::eof) ? finish.now() : finish.failed(*end);
    });
  }
};

Outcome measure_frames(const Task& task, Control& other) {
  if (std::string why = why_not(task); !why.empty()) return skipped(std::move(why));
  Client client(task, other);
  const std::uint64_t frames = frame_count(task);
  const std::size_t size = frame_size(task);
  const Run run = measure_writer(client, other, frames, [&](Channel& channel) {
    if (is_completion(task)) {
      FrameWriter writer{channel, Bytes(size, std::byte{1}), frames};
      auto done = writer.finish.future();
      writer.begin();
      return done.get();
    }
    if (is_readiness(task)) {
      ReadyWriter writer{channel, Bytes(size, std::byte{1}), frames};
      auto done = writer.finish.future();
      writer.begin();
      return done.get();
    }
    const Bytes frame(size, std::byte{1});
    for (std::uint64_t i = 0; i < frames; ++i) channel.write_frame(frame).value();
  });
  other.say({0});
  Outcome outcome = throughput(frames * size, run.elapsed, run.cpu);
  if (task.row != "frames-32k") outcome.value = static_cast<double>(frames) / run.elapsed;
  return outcome;
}

void serve_frames(const Task& task, Control& other) {
  serve_reader(task, other, [&](Channel& channel) {
    if (is_completion(task)) {
      FrameReader reader{channel, frame_size(task)};
      auto done = reader.finish.future();
      reader.begin();
      done.get();
      return reader.got;
    }
    if (is_readiness(task)) {
      ReadyReader reader{channel, frame_size(task)};
      auto done = reader.finish.future();
      reader.begin();
      done.get();
      return reader.got;
    }
    std::uint64_t got = 0;
    while (true) {
      Result<Bytes> frame = channel.read_frame();
      if (!frame && frame.error().is(Errc::eof)) return got;
      if (std::move(frame).value().size() != frame_size(task)) fail("a frame is not what was sent");
      ++got;
    }
  });
}

}  // namespace

Rows our_stream_rows() {
  Rows rows;
  for (const char* variant :
       {"aes128-gcm", "aes256-gcm", "chacha20-poly1305", "aes128-gcm-fast", "aes256-gcm-fast",
        "aes128-gcm-completion", "aes128-gcm-completion-fast"})
    rows.push_back({{"stream", "ours", variant, "MB/s"}, measure_stream, serve_stream});
  for (const char* variant : {"readiness", "readiness-fast"}) {
    rows.push_back({{"frames-64", "ours", variant, "frames/s"}, measure_frames, serve_frames});
    rows.push_back({{"frames-1k", "ours", variant, "frames/s"}, measure_frames, serve_frames});
  }
  for (const char* variant : {"completion", "blocking", "completion-fast", "blocking-fast"}) {
    rows.push_back({{"frames-64", "ours", variant, "frames/s"}, measure_frames, serve_frames});
    rows.push_back({{"frames-1k", "ours", variant, "frames/s"}, measure_frames, serve_frames});
    rows.push_back({{"frames-32k", "ours", variant, "MB/s"}, measure_frames, serve_frames});
  }
  return rows;
}

}  // namespace streamkit::bench
