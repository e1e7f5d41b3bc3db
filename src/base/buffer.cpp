#include <streamkit/base/buffer.hpp>
#include <streamkit/base/secret.hpp>

#include <algorithm>
#include <cstring>

namespace streamkit {

MutableByteView ByteQueue::prepare(std::size_t n) {
  if (store_.size() - tail_ < n) {
    if (head_ > 0) {  // first use the room in front
      std::memmove(store_.data(), store_.data() + head_, size());
      tail_ -= head_;
      head_ = 0;
    }
    if (store_.size() - tail_ < n) store_.resize(std::max(tail_ + n, store_.size() * 2));
  }
  return {store_.data() + tail_, store_.size() - tail_};
}

void ByteQueue::append(ByteView bytes) {
  if (bytes.empty()) return;
  std::memcpy(prepare(bytes.size()).data(), bytes.data(), bytes.size());
  commit(bytes.size());
}

void ByteQueue::consume(std::size_t n) {
  head_ += n;
  if (head_ == tail_) clear();
}

void ByteQueue::clear() {
  head_ = tail_ = 0;
  if (store_.size() > keep_) std::vector<std::byte>().swap(store_);
}

void wipe(MutableByteView bytes) noexcept {
  if (!bytes.empty()) ::explicit_bzero(bytes.data(), bytes.size());
}

}  // namespace streamkit
