// Headers: ordered, repeatable, binary-safe pairs; what a channel carries as headers and trailers.
#pragma once

#include <streamkit/base/result.hpp>
#include <streamkit/base/wire.hpp>

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace streamkit {

class Headers {
 public:
  using Pair = std::pair<std::string, std::string>;

  Headers() = default;
  Headers(std::initializer_list<Pair> pairs) : pairs_(pairs) {}

  void add(std::string key, std::string value) { pairs_.emplace_back(std::move(key), std::move(value)); }
  /// The first value under `key`; keys are compared byte by byte.
  std::optional<std::string_view> get(std::string_view key) const noexcept;
  std::string_view get_or(std::string_view key, std::string_view other) const noexcept {
    return get(key).value_or(other);
  }
  std::size_t size() const noexcept { return pairs_.size(); }
  bool empty() const noexcept { return pairs_.empty(); }
  auto begin() const noexcept { return pairs_.begin(); }
  auto end() const noexcept { return pairs_.end(); }
  friend bool operator==(const Headers&, const Headers&) = default;

  /// Bytes of `uint32 n, n x (string key, string value)`.
  std::size_t wire_size() const noexcept;
  void write(wire::Writer& to) const;
  /// Reads that form. More than `max_bytes` in all, or a count that the bytes left cannot hold,
  /// is header_too_large or protocol.
  static Result<Headers> read(wire::Reader& from, std::size_t max_bytes);

 private:
  std::vector<Pair> pairs_;
};

}  // namespace streamkit
