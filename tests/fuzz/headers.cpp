// Headers: what is read is what would be written, within the limit, or it is an error.
#include <streamkit/base/headers.hpp>

#include <fuzz/check.hpp>

using namespace streamkit;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView in = std::as_bytes(std::span(data, size));
  constexpr std::size_t kLimit = 512;
  wire::Reader reader(in);
  const Result<Headers> headers = Headers::read(reader, kLimit);
  if (!headers) {
    require(headers.error().is(Errc::protocol) || headers.error().is(Errc::header_too_large));
    return 0;
  }
  require(headers->wire_size() <= kLimit);
  Bytes again;
  wire::Writer writer(again);
  headers->write(writer);
  require(again.size() == headers->wire_size());
  require(again == to_bytes(in.first(in.size() - reader.rest().size())));
  return 0;
}
