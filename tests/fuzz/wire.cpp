// RFC 4251 section 5: the first bytes of the input say which fields to read from the rest.
#include <streamkit/base/wire.hpp>

#include <fuzz/check.hpp>

using namespace streamkit;

namespace {

void read_one(wire::Reader& reader, unsigned kind) {
  switch (kind) {
    case 0:
      reader.u8();
      break;
    case 1:
      reader.u32();
      break;
    case 2:
      reader.u64();
      break;
    case 3:
      reader.string();
      break;
    case 4: {
      // What is read as an mpint is what would be written for it.
      const ByteView before = reader.rest();
      const ByteView magnitude = reader.mpint();
      if (!reader.ok()) break;
      require(magnitude.size() <= wire::kMaxMpintBytes);
      Bytes again;
      wire::Writer(again).mpint(magnitude);
      require(again == to_bytes(before.first(before.size() - reader.rest().size())));
      break;
    }
    case 5: {
      const auto names = reader.name_list();
      require(names.size() <= 256);
      for (const std::string_view name : names) require(!name.empty() && name.size() <= 64);
      break;
    }
    default:
      reader.boolean();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView in = std::as_bytes(std::span(data, size));
  if (in.size() < 8) return 0;
  wire::Reader reader(in.subspan(8));
  for (const std::byte kind : in.first(8)) {
    read_one(reader, std::to_integer<unsigned>(kind) % 7);
    const ByteView rest = reader.rest();
    require(rest.empty() || rest.data() + rest.size() == in.data() + in.size());
    require(reader.ok() || rest.empty());
  }
  return 0;
}
