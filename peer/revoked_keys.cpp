// Reader of revocation lists: plain lists of keys, and KRLs as OpenSSH's PROTOCOL.krl lays them
// out. A list is read whole or not at all. Key blobs are compared as bytes and never parsed, so
// that a list may name keys of types that we do not have. No file is opened here.
#include "trust_file.hpp"

#include <streamkit/base/wire.hpp>
#include <streamkit/crypto/digest.hpp>

namespace streamkit {
namespace {

using namespace trust_file;
using crypto::Hash;

constexpr std::string_view kMagic("SSHKRL\n\0", 8);
constexpr std::uint32_t kFormatVersion = 1;

enum SectionType : std::uint8_t {
  kCertificates = 1,
  kExplicitKeys = 2,
  kSha1 = 3,
  kSignature = 4,
  kSha256 = 5
};
enum PartType : std::uint8_t {
  kSerialList = 0x20,
  kSerialRange = 0x21,
  kSerialBitmap = 0x22,
  kKeyIds = 0x23
};

Error malformed() {
  return Error(Errc::bad_file, "the key revocation list is malformed");
}

/// Strings to the end of the data, all of `size` bytes if that is given.
Result<void> read_strings(ByteView data, std::set<std::string, std::less<>>& to,
                          std::size_t size = 0) {
  for (wire::Reader in(data); !in.end();) {
    const std::string_view text = in.text();
    if (!in.ok() || (size > 0 && text.size() != size)) return malformed();
    to.emplace(text);
  }
  return {};
}

}  // namespace

bool RevokedKeys::Range::has(std::uint64_t serial) const noexcept {
  if (serial < first || serial > last) return false;
  if (bits.empty()) return true;
  const std::uint64_t bit = serial - first;
  const std::byte holder = bits[bits.size() - 1 - bit / 8];
  return (std::to_integer<unsigned>(holder) >> (bit % 8) & 1u) != 0;
}

Result<void> RevokedKeys::read_part(std::uint8_t type, ByteView data, Section& to) {
  wire::Reader in(data);
  switch (type) {
    case kSerialList:
      while (!in.end()) {
        const std::uint64_t serial = in.u64();
        if (!in.ok()) return malformed();
        to.serials.push_back({serial, serial, {}});
      }
      return {};
    case kSerialRange: {
      const std::uint64_t first = in.u64(), last = in.u64();
      if (!in.end() || first > last) return malformed();
      to.serials.push_back({first, last, {}});
      return {};
    }
    case kSerialBitmap: {
      // An mpint, and longer than wire::Reader takes them.
      const std::uint64_t first = in.u64();
      const ByteView bits = in.string();
      const std::uint64_t more = bits.size() * 8;
      if (!in.end() || bits.empty() || (bits[0] & std::byte{0x80}) != std::byte{} ||
          more - 1 > ~first)
        return malformed();
      to.serials.push_back({first, first + more - 1, to_bytes(bits)});
      return {};
    }
    case kKeyIds:
      return read_strings(data, to.key_ids);
    default:
      return Error(Errc::bad_file,
                   "the key revocation list has a part of a kind that is not known here");
  }
}

Result<RevokedKeys::Section> RevokedKeys::read_section(ByteView data) {
  wire::Reader in(data);
  Section section;
  section.authority = to_bytes(in.string());
  in.string();  // reserved
  if (!in.ok()) return malformed();
  while (!in.end()) {
    const std::uint8_t type = in.u8();
    const ByteView part = in.string();
    if (!in.ok()) return malformed();
    if (auto read = read_part(type, part, section); !read) return read.error();
  }
  return section;
}

Result<void> RevokedKeys::read_list(ByteView file) {
  wire::Reader in(file);
  in.bytes(kMagic.size());
  const std::uint32_t version = in.u32();
  if (in.ok() && version != kFormatVersion)
    return Error(Errc::bad_file, "the key revocation list is of format " + std::to_string(version) +
                                     ", and only 1 is known");
  in.u64(), in.u64(), in.u64();  // number of the list, when it was made, flags
  in.string(), in.string();      // reserved, comment
  if (!in.ok()) return malformed();
  while (!in.end()) {
    const std::uint8_t type = in.u8();
    const ByteView data = in.string();
    if (!in.ok()) return malformed();
    Result<void> read;
    if (type == kCertificates) {
      Result<Section> section = read_section(data);
      if (!section) return section.error();
      sections_.push_back(std::move(*section));
    } else if (type == kExplicitKeys) {
      read = read_strings(data, keys_);
    } else if (type == kSha1) {
      read = read_strings(data, sha1_, crypto::hash_size(Hash::sha1));
    } else if (type == kSha256) {
      read = read_strings(data, sha256_, crypto::hash_size(Hash::sha256));
    } else if (type == kSignature) {
      return Error(Errc::bad_file,
                   "the key revocation list is signed, which is not supported; make it without");
    } else {
      return Error(Errc::bad_file,
                   "the key revocation list has a section of a kind that is not known here");
    }
    if (!read) return read;
  }
  return {};
}

Result<void> RevokedKeys::read_lines(std::string_view text) {
  Result<void> read;
  for_each_line(text, [&](std::size_t number, std::string_view line) {
    if (!read) return;
    const std::string_view type = take_field(line);
    const Result<Bytes> blob = base64_decode(take_field(line));
    wire::Reader in(blob ? ByteView(*blob) : ByteView());
    const bool good = in.text() == type && in.ok();
    if (good && !crypto::is_certificate_algorithm(type)) {
      keys_.insert(to_string(*blob));
      return;
    }
    // A certificate in the list means the key in it, as OpenSSH reads it.
    const Result<crypto::Certificate> certificate =
        good ? crypto::Certificate::from_blob(*blob) : Result<crypto::Certificate>(Errc::bad_key);
    if (!certificate) {
      read = Error(Errc::bad_file, "line " + std::to_string(number) + " is no public key");
      return;
    }
    keys_.insert(to_string(certificate->key().blob()));
  });
  return read;
}

Result<RevokedKeys> RevokedKeys::parse(std::string_view file) {
  RevokedKeys out;
  const Result<void> read =
      file.starts_with(kMagic) ? out.read_list(as_bytes(file)) : out.read_lines(file);
  if (!read) return read.error();
  return out;
}

bool RevokedKeys::has(const crypto::PublicKey& key) const {
  if (keys_.contains(as_text(key.blob()))) return true;
  for (const auto& [hash, digests] :
       {std::pair(Hash::sha1, &sha1_), std::pair(Hash::sha256, &sha256_)}) {
    if (digests->empty()) continue;
    const Result<Bytes> digest = crypto::digest(hash, {key.blob()});
    if (!digest || digests->contains(as_text(*digest)))
      return true;  // what cannot be looked up is not let in
  }
  return false;
}

bool RevokedKeys::has(const crypto::Certificate& certificate) const {
  if (has(certificate.key()) || has(certificate.signature_key())) return true;
  const ByteView authority = certificate.signature_key().blob();
  return std::any_of(sections_.begin(), sections_.end(), [&](const Section& section) {
    if (!section.authority.empty() &&
        !std::equal(section.authority.begin(), section.authority.end(), authority.begin(),
                    authority.end()))
      return false;
    return section.key_ids.contains(certificate.key_id()) ||
           std::any_of(section.serials.begin(), section.serials.end(),
                       [&](const Range& range) { return range.has(certificate.serial()); });
  });
}

}  // namespace streamkit
