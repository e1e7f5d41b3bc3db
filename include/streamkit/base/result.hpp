// Result<T>: a value or an Error, in every language mode the same type.
#pragma once

#include <streamkit/base/error.hpp>

#include <cassert>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

namespace streamkit {

/// Shaped like std::expected<T, Error>. Accessors other than value() do not check: ask first.
template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}
  Result(Errc code) : Result(Error(code)) {}
  Result(Code code) : Result(Error(code)) {}
  Result(std::error_code code) : Result(Error(code)) {}

  explicit operator bool() const noexcept { return state_.index() == 0; }
  bool has_value() const noexcept { return state_.index() == 0; }

  T& operator*() & noexcept { return *std::get_if<0>(&state_); }
  const T& operator*() const& noexcept { return *std::get_if<0>(&state_); }
  T&& operator*() && noexcept { return std::move(*std::get_if<0>(&state_)); }
  T* operator->() noexcept { return std::get_if<0>(&state_); }
  const T* operator->() const noexcept { return std::get_if<0>(&state_); }
  const Error& error() const noexcept { return *std::get_if<1>(&state_); }

  /// The only accessor that throws: std::system_error with the error's code and message.
  T value() && {
    if (!*this) throw std::system_error(error().code(), error().message());
    return std::move(*std::get_if<0>(&state_));
  }
  T value_or(T other) && { return *this ? std::move(**this) : std::move(other); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;

  Result() = default;
  Result(Error error) : error_(std::move(error)) {}
  Result(Errc code) : Result(Error(code)) {}
  Result(Code code) : Result(Error(code)) {}
  Result(std::error_code code) : Result(Error(code)) {}

  explicit operator bool() const noexcept { return !error_; }
  bool has_value() const noexcept { return !error_; }
  const Error& error() const noexcept { return *error_; }
  void value() && {
    if (error_) throw std::system_error(error_->code(), error_->message());
  }

 private:
  std::optional<Error> error_;
};

}  // namespace streamkit
