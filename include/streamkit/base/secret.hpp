// Bytes that are wiped when they go: keys, passwords, shared secrets.
#pragma once

#include <streamkit/base/bytes.hpp>

#include <utility>

namespace streamkit {

/// Overwrites memory in a way that the compiler keeps.
void wipe(MutableByteView bytes) noexcept;

/// Move-only owner of secret bytes; wiped on destruction and on assignment. Never printed.
class SecretBytes {
 public:
  SecretBytes() = default;
  explicit SecretBytes(std::size_t n) : bytes_(n) {}
  explicit SecretBytes(ByteView from) : bytes_(from.begin(), from.end()) {}
  explicit SecretBytes(Bytes&& from) noexcept : bytes_(std::move(from)) {}
  SecretBytes(SecretBytes&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  SecretBytes& operator=(SecretBytes&& other) noexcept {
    if (this != &other) wipe(bytes_), bytes_ = std::exchange(other.bytes_, {});
    return *this;
  }
  ~SecretBytes() { wipe(bytes_); }

  ByteView view() const noexcept { return bytes_; }
  MutableByteView span() noexcept { return bytes_; }
  std::size_t size() const noexcept { return bytes_.size(); }
  bool empty() const noexcept { return bytes_.empty(); }

 private:
  Bytes bytes_;
};

}  // namespace streamkit
