// Fifo: a queue that owns no memory while it is empty and new; std::deque takes half a kilobyte.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace streamkit {

/// First in, first out, in one piece of memory that is kept between bursts. push() may move what is
/// in it; pop() does not.
template <class T>
class Fifo {
 public:
  bool empty() const noexcept { return first_ == items_.size(); }
  std::size_t size() const noexcept { return items_.size() - first_; }
  T& front() noexcept { return items_[first_]; }
  const T& front() const noexcept { return items_[first_]; }
  T& back() noexcept { return items_.back(); }

  void push(T item) {
    if (items_.size() == items_.capacity() && first_ >= kCompactFrom && first_ >= size()) compact();
    items_.push_back(std::move(item));
  }
  T take() {
    T item = std::move(items_[first_]);
    pop();
    return item;
  }
  void pop() {
    items_[first_++] = T();
    if (!empty()) return;
    items_.clear();
    first_ = 0;
    if (items_.capacity() * sizeof(T) > kKept) std::vector<T>().swap(items_);
  }
  void clear() noexcept {
    std::vector<T>().swap(items_);
    first_ = 0;
  }
  auto begin() noexcept { return items_.begin() + static_cast<std::ptrdiff_t>(first_); }
  auto end() noexcept { return items_.end(); }
  auto begin() const noexcept { return items_.begin() + static_cast<std::ptrdiff_t>(first_); }
  auto end() const noexcept { return items_.end(); }
  /// Takes out what `is_it` says yes to.
  template <class Predicate>
  void erase_if(Predicate is_it) {
    std::size_t to = first_;
    for (std::size_t at = first_; at < items_.size(); ++at) {
      if (is_it(items_[at])) continue;
      if (to != at) items_[to] = std::move(items_[at]);
      ++to;
    }
    items_.resize(to);
    if (empty()) items_.clear(), first_ = 0;
  }

 private:
  static constexpr std::size_t kCompactFrom = 16;
  static constexpr std::size_t kKept = 1024;  // bytes; a burst's memory goes with the burst

  void compact() {
    items_.erase(items_.begin(), begin());
    first_ = 0;
  }

  std::vector<T> items_;
  std::size_t first_ = 0;
};

}  // namespace streamkit
