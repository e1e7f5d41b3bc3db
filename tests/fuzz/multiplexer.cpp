// Sequences of operations on a Multiplexer, mixed with payloads that a hostile peer made up. The
// first byte of each step says what to do. Checked throughout: errors are protocol violations, data
// stays within what the port takes, what writable_bytes() promises is kept, limits hold, and after
// the link is lost nothing is left.
#include <streamkit/base/wire.hpp>
#include <streamkit/channel/multiplexer.hpp>

#include <algorithm>
#include <fuzz/check.hpp>
#include <vector>

using namespace streamkit;
using namespace streamkit::channel;

namespace {

/// Watches what leaves.
class WatchedPort final : public PayloadPort {
 public:
  std::size_t sendable_bytes() const noexcept override { return sendable; }
  Result<void> send(ByteView header, ByteView body) override {
    require(!header.empty());
    const unsigned number = std::to_integer<unsigned>(header[0]);
    require((number >= 80 && number <= 82) || (number >= 90 && number <= 100));
    if (number == 94 || number == 95) {
      require(header.size() + body.size() <= sendable);
      require(!body.empty());
      sendable -= header.size() + body.size();
    }
    return {};
  }
  std::size_t sendable = 1000;
};

Limits small() {
  Limits l;
  l.max_channels = 8;
  l.max_unaccepted = 4;
  l.initial_window = 500;
  l.max_window = 2000;
  l.max_receive_bytes = 2000;
  l.min_window = 100;
  l.max_packet = 300;
  l.send_buffer = 400;
  l.max_error_bytes = 150;
  l.max_pending_requests = 3;
  l.max_header_bytes = 200;
  return l;
}

class Session {
 public:
  explicit Session(ByteView script) : script_(script) {}

  void run() {
    while (alive_ && !script_.rest().empty()) {
      step(script_.u8());
      poll();
      require(mux_.open_channels() <= small().max_channels);
    }
    mux_.link_lost(Errc::connection_lost);
    poll();
    for (const ChannelId id : closed_) mux_.release(id);
    require(mux_.open_channels() == 0);
    require(mux_.granted_bytes() == 0);
    require(mux_.owed_bytes() == 0);
    require(!mux_.next_timeout());
  }

 private:
  ChannelId id() { return ChannelId{script_.u8() % 10u}; }
  Lane lane() { return script_.u8() % 4 == 0 ? Lane::error : Lane::data; }
  ByteView some() {
    const std::size_t n = script_.u8();
    return script_.bytes(std::min(n, script_.rest().size()));
  }
  void check(const Result<void>& done) {
    if (done) return;
    require(done.error().is(Errc::protocol));
    alive_ = false;
  }

  void step(std::uint8_t what) {
    switch (what % 20) {
      case 0:
        check(mux_.handle_payload(some(), now_));
        break;
      case 1:
        channel_message();
        break;
      case 2:
        peer_open();
        break;
      case 3:
        (void)mux_.open("session", some(), now_);
        break;
      case 4:
        open_service();
        break;
      case 5:
        (void)mux_.confirm(id(), {{"k", "v"}}, now_);
        break;
      case 6:
        (void)mux_.confirm_raw(id(), some(), now_);
        break;
      case 7:
        (void)mux_.refuse(id(), OpenFailure::prohibited, as_text(some()));
        break;
      case 8:
        write();
        break;
      case 9:
        read();
        break;
      case 10:
        (void)mux_.end_write(id());
        break;
      case 11:
        (void)mux_.close(id(), Status(Code::internal, "r", "m"), {{"k", "v"}}, now_);
        break;
      case 12:
        (void)mux_.reset(id(), Code::aborted, "m", now_);
        break;
      case 13:
        (void)mux_.request(id(), "q", script_.boolean(), some());
        break;
      case 14:
        (void)mux_.reply(id(), script_.boolean());
        break;
      case 15:
        (void)mux_.global_request("q", script_.boolean(), some());
        break;
      case 16:
        (void)mux_.reply_global(script_.boolean(), some());
        break;
      case 17:
        port_.sendable = script_.u8() * 4u, check(mux_.port_ready(now_));
        break;
      case 18:
        wait();
        break;
      default:
        (void)mux_.stop_sending(id(), 1), (void)mux_.write_trailers(id(), {{"a", "b"}});
        break;
    }
  }
  void channel_message() {
    Bytes m;
    wire::Writer to(m);
    const unsigned number = 91 + script_.u8() % 10u;
    to.u8(static_cast<std::uint8_t>(number)).u32(script_.u8() % 10u);
    if (number == 91) to.u32(7).u32(400).u32(256).u32(0);
    if (number == 92) to.u32(1).string(std::string_view("no")).string(std::string_view());
    if (number == 93) to.u32(script_.u8());
    if (number == 95) to.u32(script_.u8() % 3u);
    if (number == 94 || number == 95) to.string(some());
    if (number == 98) request(to);
    check(mux_.handle_payload(m, now_));
  }
  void request(wire::Writer& to) {
    static constexpr std::string_view kTypes[] = {"trailers@streamkit",
                                                  "close@streamkit",
                                                  "reset@streamkit",
                                                  "stop@streamkit",
                                                  "exit-status",
                                                  "exit-signal",
                                                  "other"};
    to.string(kTypes[script_.u8() % 7]).boolean(script_.boolean()).bytes(some());
  }
  void peer_open() {
    Bytes m;
    wire::Writer to(m);
    const bool own = script_.boolean();
    to.u8(90).string(own ? kChannelType : std::string_view("session")).u32(script_.u8());
    to.u32(script_.u8()).u32(256u + script_.u8());
    OpenInfo info;
    info.service = "s";
    if (const std::uint8_t parent = script_.u8(); parent < 10) info.parent = parent;
    info.first = to_bytes(some());
    if (own) to.bytes(*info.encode());
    check(mux_.handle_payload(m, now_));
  }
  void open_service() {
    OpenInfo info;
    info.service = "s";
    const std::uint8_t parent = script_.u8();
    (void)mux_.open_service(info, parent < 10 ? std::optional(ChannelId{parent}) : std::nullopt,
                            now_);
  }
  void write() {
    const ChannelId to = id();
    const Lane on = lane();
    const ByteView bytes = some();
    const std::size_t promised = mux_.writable_bytes(to, on);
    const Result<std::size_t> n = mux_.write(to, on, bytes, now_);
    if (n) require(*n <= bytes.size() && *n >= std::min(promised, bytes.size()));
    if (!n && !bytes.empty()) require(promised == 0);
  }
  void read() {
    const ChannelId from = id();
    const Lane on = lane();
    const ByteView view = mux_.peek(from, on);
    require(view.empty() == (mux_.readable_bytes(from, on) == 0));
    const std::size_t n = std::min<std::size_t>(script_.u8(), view.size());
    if (n > 0) require(mux_.consume(from, on, n, now_));
    require(!mux_.is_eof(from) || mux_.readable_bytes(from, Lane::data) == 0);
  }
  void wait() {
    now_ += std::chrono::milliseconds(script_.u8() * 200);
    check(mux_.handle_timeout(now_));
    require(!mux_.next_timeout() || *mux_.next_timeout() > now_);
  }
  void poll() {
    while (const std::optional<Event> e = mux_.poll_event()) {
      if (const auto* c = std::get_if<Closed>(&*e)) closed_.push_back(c->id);
    }
  }

  wire::Reader script_;
  WatchedPort port_;
  Multiplexer mux_{port_, small()};
  TimePoint now_{std::chrono::seconds(1000)};
  std::vector<ChannelId> closed_;
  bool alive_ = true;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Session(std::as_bytes(std::span(data, size))).run();
  return 0;
}
