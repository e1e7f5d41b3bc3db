// The yardsticks' cipher: records as SSH has them (4 bytes of length, body, 16 bytes of tag) with
// the library called directly, one context a direction, and nothing else around it. The keys are
// fixed: a measurement has no secrets.
#pragma once

#include <streamkit/base/bytes.hpp>

#include <memory>
#include <string>

namespace streamkit::bench {

inline constexpr std::size_t kLengthSize = 4;
inline constexpr std::size_t kTagSize = 16;
inline constexpr std::size_t kRecordOverhead = kLengthSize + kTagSize;

class RecordCipher {
 public:
  virtual ~RecordCipher() = default;
  /// Writes a whole record: body.size() + kRecordOverhead bytes.
  virtual void seal(ByteView body, std::byte* record) = 0;
  /// The size of the body of the record that begins with these kLengthSize bytes.
  virtual std::size_t body_size(const std::byte* record) = 0;
  /// Opens a whole record in its place; its body begins kLengthSize bytes in.
  virtual void open(std::byte* record, std::size_t body) = 0;
};

/// aes128-gcm, aes256-gcm, chacha20-poly1305 (the construct of OpenSSH), or the first two with
/// "-fast": the second AES-GCM. Null for that one where this build or machine has none.
std::unique_ptr<RecordCipher> make_cipher(const std::string& name);

/// Words for a row that needs it and cannot have it.
inline constexpr const char* kNoFastAead = "built without ipsec-mb";

}  // namespace streamkit::bench
