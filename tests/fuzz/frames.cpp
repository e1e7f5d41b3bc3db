// Frames: cut in any way, the same bytes give the same frames, and a reader never holds more than
// came.
#include <streamkit/channel/frame.hpp>

#include <algorithm>
#include <fuzz/check.hpp>
#include <vector>

using namespace streamkit;
using namespace streamkit::channel;

namespace {

constexpr std::size_t kMaxFrame = 300;

struct Outcome {
  std::vector<Bytes> frames;
  bool failed = false;
  bool cut_off = false;
  bool operator==(const Outcome&) const = default;
};

Outcome read_in_pieces_of(std::size_t piece, ByteView in) {
  Outcome out;
  FrameReader reader(kMaxFrame);
  while (!in.empty() && !out.failed) {
    ByteView part = in.first(std::min(piece, in.size()));
    std::size_t used = 0;
    Result<std::optional<Bytes>> frame = reader.take(part, used);
    require(used <= part.size());
    if (!frame) {
      out.failed = true;
      break;
    }
    require(frame->has_value() || used == part.size());
    if (frame->has_value()) out.frames.push_back(std::move(**frame));
    in = in.subspan(used);
  }
  out.cut_off = reader.is_mid_frame();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView in = std::as_bytes(std::span(data, size));
  const Outcome whole = read_in_pieces_of(std::max<std::size_t>(size, 1), in);
  require(whole == read_in_pieces_of(1, in));
  require(whole == read_in_pieces_of(7, in));
  Bytes again;
  for (const Bytes& frame : whole.frames) {
    require(frame.size() <= kMaxFrame);
    append(again, frame_header(frame.size()));
    append(again, frame);
  }
  require(std::equal(again.begin(), again.end(), in.begin()));
  return 0;
}
