#include <streamkit/base/headers.hpp>
#include <streamkit/base/wire.hpp>

namespace streamkit::wire {

std::uint8_t Reader::u8() noexcept {
  const ByteView b = bytes(1);
  return b.empty() ? 0 : std::to_integer<std::uint8_t>(b[0]);
}

std::uint32_t Reader::u32() noexcept {
  const ByteView b = bytes(4);
  return b.empty() ? 0 : load_u32(b.data());
}

std::uint64_t Reader::u64() noexcept {
  const std::uint64_t high = u32();
  return high << 32 | u32();
}

ByteView Reader::bytes(std::size_t n) noexcept {
  if (n > rest_.size()) {
    fail();
    return {};
  }
  const ByteView out = rest_.first(n);
  rest_ = rest_.subspan(n);
  return out;
}

ByteView Reader::string() noexcept { return bytes(u32()); }

ByteView Reader::mpint() noexcept {
  ByteView v = string();
  if (v.empty()) return v;
  if (v.size() > kMaxMpintBytes) return fail(), ByteView{};
  const auto top = std::to_integer<unsigned>(v[0]);
  if (top & 0x80) return fail(), ByteView{};
  if (top != 0) return v;
  if (v.size() == 1 || !(std::to_integer<unsigned>(v[1]) & 0x80)) return fail(), ByteView{};
  return v.subspan(1);
}

std::vector<std::string_view> Reader::name_list(std::size_t max_names) {
  std::vector<std::string_view> names;
  std::string_view list = text();
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    const std::string_view name = list.substr(0, comma);
    list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
    if (name.empty()) continue;
    bool good = name.size() <= 64 && names.size() < max_names;
    for (const char c : name) good = good && c > ' ' && c < 0x7f;
    if (!good) return fail(), std::vector<std::string_view>{};
    names.push_back(name);
  }
  return names;
}

Writer& Writer::u8(std::uint8_t v) {
  out_->push_back(std::byte(v));
  return *this;
}

Writer& Writer::u32(std::uint32_t v) {
  std::byte b[4];
  store_u32(b, v);
  return bytes(b);
}

Writer& Writer::u64(std::uint64_t v) {
  return u32(static_cast<std::uint32_t>(v >> 32)).u32(static_cast<std::uint32_t>(v));
}

Writer& Writer::bytes(ByteView v) {
  append(*out_, v);
  return *this;
}

Writer& Writer::string(ByteView v) { return u32(static_cast<std::uint32_t>(v.size())).bytes(v); }

Writer& Writer::mpint(ByteView magnitude) {
  while (!magnitude.empty() && magnitude[0] == std::byte{0}) magnitude = magnitude.subspan(1);
  const bool pad = !magnitude.empty() && (magnitude[0] & std::byte{0x80}) != std::byte{0};
  u32(static_cast<std::uint32_t>(magnitude.size() + (pad ? 1 : 0)));
  if (pad) u8(0);
  return bytes(magnitude);
}

Writer& Writer::name_list(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) {
    if (!list.empty()) list += ',';
    list += name;
  }
  return string(list);
}

}  // namespace streamkit::wire

namespace streamkit {

std::optional<std::string_view> Headers::get(std::string_view key) const noexcept {
  for (const Pair& p : pairs_)
    if (p.first == key) return std::string_view(p.second);
  return std::nullopt;
}

std::size_t Headers::wire_size() const noexcept {
  std::size_t n = 4;
  for (const Pair& p : pairs_) n += 8 + p.first.size() + p.second.size();
  return n;
}

void Headers::write(wire::Writer& to) const {
  to.u32(static_cast<std::uint32_t>(pairs_.size()));
  for (const Pair& p : pairs_) to.string(p.first).string(p.second);
}

Result<Headers> Headers::read(wire::Reader& from, std::size_t max_bytes) {
  const std::size_t before = from.rest().size();
  const std::uint32_t n = from.u32();
  if (!from.ok() || n > from.rest().size() / 8) {
    from.fail();
    return Error(Errc::protocol, "headers: the count does not fit the message");
  }
  Headers out;
  for (std::uint32_t i = 0; i < n; ++i) {
    const std::string_view key = from.text();
    const std::string_view value = from.text();
    if (!from.ok()) return Error(Errc::protocol, "headers: a pair runs past the message");
    if (before - from.rest().size() > max_bytes) return Errc::header_too_large;
    out.add(std::string(key), std::string(value));
  }
  return out;
}

}  // namespace streamkit
