#include "stream_link.hpp"

#include <array>
#include <utility>

namespace streamkit {
namespace {

// Reading goes on while there is input, but not for ever: other connections share the loop.
constexpr int kReadsInARow = 8;

}  // namespace

StreamLink::StreamLink(LinkOwner& owner, std::unique_ptr<io::Stream> stream, std::string_view name)
    : owner_(owner), last_input_(io::now()), stream_(std::move(stream)), name_(name) {}

Error StreamLink::broken(const Error& error) const {
  return Error(Errc::connection_lost, std::string(name_) + " broke: " + error.message());
}

void StreamLink::want_input() {
  if (is_down_ || awaits_input_ || !wants_input() || owner_.is_congested()) return;
  awaits_input_ = true;
  stream_->wait_readable([this] {
    awaits_input_ = false;
    read();
  });
}

void StreamLink::read() {
  for (int i = 0; i < kReadsInARow && !is_down_; ++i) {
    const MutableByteView room = prepare_input();
    const Result<std::size_t> got = stream_->read_some(room);
    if (!got) {
      if (got.error().is(Errc::eof))
        input_ended();
      else if (!got.error().is(Errc::would_block))
        go_down(broken(got.error()));
      return owner_.link_active();
    }
    last_input_ = io::now();
    const Result<void> taken = take_input(*got);
    owner_.link_active();
    // A read that did not fill the room took all there was.
    if (!taken || *got < room.size() || is_down_ || !wants_input() || owner_.is_congested()) return;
  }
}

bool StreamLink::flush() {
  while (!is_down_ && !output().empty()) {
    const Result<std::size_t> sent = stream_->write_some(std::array{output()});
    if (sent) {
      consume_output(*sent);
      continue;
    }
    if (!sent.error().is(Errc::would_block)) {
      // What the other side still said (a DISCONNECT, often) is worth more than "broken pipe".
      if (!awaits_input_) go_down(broken(sent.error()));
      return false;
    }
    await_room();
    return false;
  }
  if (!is_down_) want_input();
  return true;
}

bool StreamLink::await_room() {
  if (is_down_ || std::exchange(awaits_room_, true)) return true;
  stream_->wait_writable([this] {
    awaits_room_ = false;
    owner_.link_active();
  });
  return true;
}

void StreamLink::end() {
  is_down_ = true;
  stream_->close();
}

}  // namespace streamkit
