// Frames: four bytes of length, then the bytes. The reader's memory follows what has come.
#include <streamkit/base/wire.hpp>
#include <streamkit/channel/frame.hpp>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

namespace streamkit::channel {

std::array<std::byte, 4> frame_header(std::size_t size) noexcept {
  std::array<std::byte, 4> out{};
  wire::store_u32(out.data(), static_cast<std::uint32_t>(size));
  return out;
}

Result<std::optional<Bytes>> FrameReader::take(ByteView in, std::size_t& used) {
  used = 0;
  if (header_have_ < header_.size()) {
    used = std::min(header_.size() - header_have_, in.size());
    if (used > 0) std::memcpy(header_.data() + header_have_, in.data(), used);
    header_have_ += used;
    if (header_have_ < header_.size()) return std::optional<Bytes>();
    need_ = wire::load_u32(header_.data());
  }
  if (need_ > max_frame_) {
    return Error(Errc::frame_too_large, "a frame of " + std::to_string(need_) +
                                            " bytes was announced; at most " +
                                            std::to_string(max_frame_) + " are accepted");
  }
  const ByteView part = in.subspan(used, std::min(need_ - body_.size(), in.size() - used));
  used += part.size();
  if (part.size() == need_) body_.reserve(need_);  // it came whole: exactly one allocation
  append(body_, part);
  if (body_.size() < need_) return std::optional<Bytes>();
  header_have_ = 0;
  return std::optional<Bytes>(std::exchange(body_, {}));
}

}  // namespace streamkit::channel
