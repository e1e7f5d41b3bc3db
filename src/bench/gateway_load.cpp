#include "gateway_load.hpp"

#include <future>

namespace streamkit::bench {
namespace {

constexpr std::uint64_t kGatewayBytes = 2ull << 30;
constexpr std::uint64_t kGatewayConnects = 5'000;

}  // namespace

Outcome stream_through(const Task& task, std::uint16_t entry, Sink& sink,
                       const std::function<double()>& cpu) {
  const std::uint64_t chunks = scaled(kGatewayBytes / kChunk, task);
  auto counted = std::async(std::launch::async, [&] {
    const Fd socket = accept_tcp(sink.listener());
    Bytes buffer(kChunk);
    std::uint64_t got = 0;
    while (const std::size_t n = read_some(socket, buffer)) got += n;
    return got;
  });
  const Bytes chunk(kChunk);
  const double cpu_before = cpu();
  const Stopwatch watch;
  const Fd socket = connect_tcp(entry);
  for (std::uint64_t i = 0; i < chunks; ++i) write_all(socket, chunk);
  end_write(socket);
  if (counted.get() != chunks * kChunk) fail("what came out is not what went in");
  const double elapsed = watch.elapsed();
  return throughput(chunks * kChunk, elapsed, cpu() - cpu_before);
}

Outcome connect_through(const Task& task, std::uint16_t entry, Sink& sink) {
  const std::uint64_t count = scaled(kGatewayConnects, task, 4);
  auto echo = std::async(std::launch::async, [&] {
    for (std::uint64_t i = 0; i < count; ++i) {
      const Fd socket = accept_tcp(sink.listener());
      std::byte byte;
      if (!read_all(socket, {&byte, 1})) fail("a connection ended before its byte came out");
      write_all(socket, {&byte, 1});
      read_some(socket, {&byte, 1});  // its end
    }
  });
  const Stopwatch watch;
  for (std::uint64_t i = 0; i < count; ++i) {
    const Fd socket = connect_tcp(entry);
    std::byte byte{1};
    write_all(socket, {&byte, 1});
    if (!read_all(socket, {&byte, 1})) fail("a connection ended before its byte came back");
  }
  const double elapsed = watch.elapsed();
  echo.get();
  Outcome outcome;
  outcome.value = static_cast<double>(count) / elapsed;
  return outcome;
}

}  // namespace streamkit::bench
