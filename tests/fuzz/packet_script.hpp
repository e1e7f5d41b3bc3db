// A session as a script of whole packets and of what happens between them, and a mutator that works
// on whole records of it: it drops, doubles, swaps and moves them, gives a packet another number,
// changes or cuts its fields. Packets are sealed when they are played, so a changed one is still a
// packet, and gets as far as its contents do.
//
// A script is a byte of circumstances, then records: uint8 kind, uint16 length, so many bytes.
#pragma once

#include <streamkit/base/bytes.hpp>

#include <cstring>
#include <optional>
#include <support/fixed_random.hpp>
#include <vector>

extern "C" __attribute__((weak)) std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size,
                                                              std::size_t max_size);

namespace streamkit::fuzz {

struct Record {
  enum Kind : std::uint8_t { packet, application, exchange, rekey, time, step, kinds };
  Kind kind;
  Bytes body;
};
struct Script {
  unsigned circumstances = 0;
  std::vector<Record> records;
};
inline constexpr std::size_t kMaxRecords = 400;

inline Script read_script(ByteView in) {
  Script out;
  if (in.empty()) return out;
  out.circumstances = std::to_integer<unsigned>(in[0]);
  in = in.subspan(1);
  while (in.size() >= 3 && out.records.size() < kMaxRecords) {
    const auto kind = static_cast<Record::Kind>(std::to_integer<unsigned>(in[0]) % Record::kinds);
    const std::size_t size =
        std::to_integer<std::size_t>(in[1]) << 8 | std::to_integer<std::size_t>(in[2]);
    in = in.subspan(3);
    const ByteView body = in.first(std::min(size, in.size()));
    out.records.push_back({kind, to_bytes(body)});
    in = in.subspan(body.size());
  }
  return out;
}

inline Bytes write_script(const Script& script) {
  Bytes out{std::byte(script.circumstances)};
  for (const Record& r : script.records) {
    const std::size_t size = std::min<std::size_t>(r.body.size(), 0xffff);
    append(out, Bytes{std::byte(r.kind), std::byte(size >> 8), std::byte(size)});
    append(out, ByteView(r.body).first(size));
  }
  return out;
}

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_(seed) {}

  void change(Script& script) {
    std::vector<Record>& all = script.records;
    if (all.empty()) return all.push_back({Record::packet, Bytes(1, std::byte{90})});
    const std::size_t at = below(all.size()), other = below(all.size());
    const auto place = [&all](std::size_t i) {
      return all.begin() + static_cast<std::ptrdiff_t>(i);
    };
    switch (below(9)) {
      case 0:
        all.erase(place(at));
        break;
      case 1:
        if (all.size() < kMaxRecords) all.insert(place(other), Record(all[at]));
        break;
      case 2:
        std::swap(all[at], all[other]);
        break;
      case 3:
        number(all[at]);
        break;
      case 4:
        field(all[at]);
        break;
      case 5:
        if (!all[at].body.empty()) all[at].body.resize(below(all[at].body.size()));
        break;
      case 6:
        grow(all[at]);
        break;
      case 7:
        all.insert(place(other), {static_cast<Record::Kind>(1 + below(Record::kinds - 1)),
                                  Bytes(2 + below(6), std::byte(random_.next()))});
        break;
      default:
        inside(all[at]);
    }
  }

 private:
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_.next() % n); }
  void number(Record& r) {
    static constexpr std::uint8_t kNumbers[] = {1,  2,  4,  5,  7,   20,  21,  30,  31, 50,
                                                52, 80, 81, 82, 90,  91,  92,  93,  94, 95,
                                                96, 97, 98, 99, 100, 101, 127, 192, 193};
    if (!r.body.empty()) r.body[0] = std::byte{kNumbers[below(std::size(kNumbers))]};
  }
  /// Four bytes in a row are often a number, a channel or a length: a value that is worth trying.
  void field(Record& r) {
    static constexpr std::uint32_t kValues[] = {
        0,      1,      2,     3,     4,          7,          255,        256,
        0x7fff, 0x8000, 32768, 65536, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
    if (r.body.size() < 5) return;
    const std::size_t at =
        1 + (below(2) == 0 ? 4 * below((r.body.size() - 1) / 4) : below(r.body.size() - 4));
    if (at + 4 > r.body.size()) return;
    const std::uint32_t value = kValues[below(std::size(kValues))];
    for (std::size_t i = 0; i < 4; ++i) r.body[at + i] = std::byte(value >> (8 * (3 - i)));
  }
  void grow(Record& r) {
    const std::size_t n = 1 + below(below(8) == 0 ? 2000 : 16);
    if (r.body.size() + n < 0xffff) r.body.resize(r.body.size() + n, std::byte(random_.next()));
  }
  /// What libFuzzer knows about bytes, inside one record; one byte when it is not there.
  void inside(Record& r) {
    if (r.body.empty()) return;
    if (LLVMFuzzerMutate == nullptr) {
      r.body[below(r.body.size())] = std::byte(random_.next());
      return;
    }
    const std::size_t size = r.body.size();
    r.body.resize(std::min<std::size_t>(size + 64, 0xffff));
    r.body.resize(
        LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(r.body.data()), size, r.body.size()));
  }

  testing::FixedRandom random_;
};

/// The body of LLVMFuzzerCustomMutator.
inline std::size_t mutate_script(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                 unsigned seed) {
  Script script = read_script(std::as_bytes(std::span(data, size)));
  Mutator mutator(seed);
  for (unsigned n = 1 + seed % 3; n > 0; --n) mutator.change(script);
  const Bytes out = write_script(script);
  const std::size_t kept = std::min(out.size(), max_size);
  std::memcpy(data, out.data(), kept);
  return kept;
}

}  // namespace streamkit::fuzz
