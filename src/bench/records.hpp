// Records over a socket, for the yardsticks: sealed into batches, read in pieces, opened in place.
#pragma once

#include "aead.hpp"
#include "sockets.hpp"

#include <cstring>
#include <optional>

namespace streamkit::bench {

inline constexpr std::size_t kRecordBody = 32 * 1024;

/// Seals bodies of at most kRecordBody into a batch, and writes it when it is full or told to.
class RecordWriter {
 public:
  RecordWriter(const Fd& socket, RecordCipher& cipher, std::size_t batch,
               Wait wait = Wait::blocking)
      : socket_(socket),
        cipher_(cipher),
        batch_(batch),
        wait_(wait),
        buffer_(batch + kRecordBody + kRecordOverhead) {}

  void write(ByteView body) {
    cipher_.seal(body, buffer_.data() + used_);
    used_ += body.size() + kRecordOverhead;
    if (used_ >= batch_) flush();
  }
  void flush() {
    write_all(socket_, ByteView(buffer_).first(used_), wait_);
    used_ = 0;
  }

 private:
  const Fd& socket_;
  RecordCipher& cipher_;
  const std::size_t batch_;
  const Wait wait_;
  Bytes buffer_;
  std::size_t used_ = 0;
};

class RecordReader {
 public:
  RecordReader(const Fd& socket, RecordCipher& cipher, std::size_t read_size,
               Wait wait = Wait::blocking)
      : socket_(socket),
        cipher_(cipher),
        read_size_(read_size),
        wait_(wait),
        buffer_(read_size + kRecordBody + kRecordOverhead) {}

  /// The next body, valid until the next call; nothing at the end.
  std::optional<ByteView> read() {
    while (true) {
      if (!body_ && end_ - begin_ >= kLengthSize) {
        body_ = cipher_.body_size(buffer_.data() + begin_);
        if (*body_ > kRecordBody) fail("a record is too long");
      }
      if (body_ && end_ - begin_ >= *body_ + kRecordOverhead) return take();
      if (!fill()) return std::nullopt;
    }
  }

 private:
  ByteView take() {
    const std::size_t size = *body_;
    cipher_.open(buffer_.data() + begin_, size);
    const ByteView body(buffer_.data() + begin_ + kLengthSize, size);
    begin_ += size + kRecordOverhead;
    body_.reset();
    return body;
  }

  bool fill() {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    const std::size_t n =
        read_some(socket_, MutableByteView(buffer_).subspan(end_, read_size_), wait_);
    end_ += n;
    return n > 0;
  }

  const Fd& socket_;
  RecordCipher& cipher_;
  const std::size_t read_size_;
  const Wait wait_;
  Bytes buffer_;
  std::size_t begin_ = 0, end_ = 0;
  std::optional<std::size_t> body_;
};

}  // namespace streamkit::bench
