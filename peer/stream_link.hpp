// StreamLink: what links over a byte stream have in common: reading while there is input and
// somebody wants it, and writing as far as the stream takes it.
#pragma once

#include "link.hpp"

#include <streamkit/io/stream.hpp>

#include <memory>
#include <string_view>

namespace streamkit {

class StreamLink : public Link {
 public:
  bool flush() final;
  bool await_room() final;
  bool has_output() const noexcept final { return !is_down_ && !awaits_room_ && !output().empty(); }
  TimePoint last_input() const final { return last_input_; }

 protected:
  /// `name` is what breaks, in words that last: "the connection".
  StreamLink(LinkOwner& owner, std::unique_ptr<io::Stream> stream, std::string_view name);
  /// Reads when there is something, unless the owner or the protocol has no use for it.
  void want_input();
  /// Closes the stream; nothing is read or written any more.
  void end();

  LinkOwner& owner_;
  TimePoint last_input_;
  bool is_down_ = false, awaits_room_ = false;

 private:
  virtual bool wants_input() const = 0;
  virtual MutableByteView prepare_input() = 0;
  /// `size` bytes came at last_input_. An error is one that is told another way.
  virtual Result<void> take_input(std::size_t size) = 0;
  virtual void input_ended() = 0;
  virtual ByteView output() const noexcept = 0;
  virtual void consume_output(std::size_t size) = 0;
  /// The stream broke.
  virtual void go_down(const Error& error) = 0;

  void read();
  Error broken(const Error& error) const;

  const std::unique_ptr<io::Stream> stream_;
  const std::string_view name_;
  bool awaits_input_ = false;
};

}  // namespace streamkit
