// A control socket that does not behave as one of `ssh -M`. What one gives that does:
// tests/interop.
#include "support/peer_pair.hpp"
#include "support/plain_socket.hpp"

#include <streamkit/base/wire.hpp>

#include <sys/un.h>

namespace streamkit::testing {
namespace {

std::string message(std::initializer_list<std::uint32_t> numbers, const std::string& text = {}) {
  Bytes body;
  wire::Writer writer(body);
  for (const std::uint32_t number : numbers) writer.u32(number);
  if (!text.empty()) writer.string(text);
  Bytes all;
  wire::Writer(all).string(as_text(body));
  return std::string(as_text(all));
}

const std::string kGreeting = message({1, 4});

/// Says what it was given and then keeps silent, until the other side ends.
class FakeMaster {
 public:
  explicit FakeMaster(std::string says)
      : listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    path_.copy(at.sun_path, sizeof at.sun_path - 1);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
    EXPECT_EQ(::listen(listener_, 1), 0);
    thread_ = std::thread([this, says = std::move(says)] {
      PlainSocket socket(::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC));
      socket.send(says);
      heard_ = socket.receive_all();
    });
  }
  ~FakeMaster() {
    ::shutdown(listener_, SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
    ::close(listener_);
  }
  Endpoint endpoint() const { return Endpoint("mux://" + path_); }
  /// All of it, at the end.
  const std::string& heard() {
    thread_.join();
    return heard_;
  }

 private:
  TemporaryFolder folder_;
  std::string path_ = folder_.file("m"), heard_;
  int listener_;
  std::thread thread_;
};

Peer client() {
  PeerOptions options;
  options.reconnect.on = false;
  return Peer::make(std::move(options)).value();
}

Error failure_of(const std::string& says) {
  FakeMaster master(says);
  Peer peer = client();
  const Result<PeerInfo> info = peer.connect(master.endpoint(), kPatience);
  return info ? Error(Errc::codec, "it worked") : info.error();
}

TEST(ControlLink, greets_and_asks_for_the_proxy_mode) {
  FakeMaster master(kGreeting + message({0x8000000f, 0}));
  {
    Peer peer = client();
    const Result<PeerInfo> info = peer.connect(master.endpoint(), kPatience);
    SK_ASSERT_OK(info);
    EXPECT_FALSE(info->native);
    EXPECT_TRUE(info->outgoing);
  }
  EXPECT_EQ(master.heard(), kGreeting + message({0x1000000f, 0}));
}

TEST(ControlLink, does_not_mind_extensions_of_the_greeting) {
  FakeMaster master(message({1, 4}, "an extension") + message({0x8000000f, 0}));
  Peer peer = client();
  SK_EXPECT_OK(peer.connect(master.endpoint(), kPatience));
}

TEST(ControlLink, says_why_it_was_refused) {
  const Error error = failure_of(kGreeting + message({0x80000002, 0}, "Permission\x1b denied"));
  EXPECT_TRUE(error.is(Errc::refused));
  EXPECT_NE(error.message().find("Permission\\x1b denied"), std::string::npos) << error.message();
  EXPECT_TRUE(failure_of(kGreeting + message({0x80000003, 0}, "no")).is(Errc::refused));
}

TEST(ControlLink, waits_for_an_answer_for_10_seconds) {
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(failure_of(kGreeting).is(Errc::timeout));
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_GE(took, 9s);
  EXPECT_LT(took, 30s);
}

TEST(ControlLink, gives_up_on_another_version) {
  const Error error = failure_of(message({1, 5}));
  EXPECT_TRUE(error.is(Errc::version_mismatch));
  EXPECT_NE(error.message().find("version 5"), std::string::npos) << error.message();
}

TEST(ControlLink, c3_believes_no_length_beyond_its_limits) {
  EXPECT_TRUE(failure_of(message({1, 4}, std::string(4 * 1024, 'x'))).is(Errc::protocol));
  EXPECT_TRUE(failure_of(std::string("\xff\xff\xff\xff", 4)).is(Errc::protocol));
  EXPECT_TRUE(failure_of("SSH-2.0-OpenSSH_9.2\r\n").is(Errc::protocol));
}

TEST(ControlLink, gives_up_on_what_is_no_control_socket) {
  EXPECT_TRUE(failure_of(message({2, 4})).is(Errc::protocol));
  EXPECT_TRUE(failure_of(message({1})).is(Errc::protocol));
  EXPECT_TRUE(failure_of(kGreeting + message({0x8000000f, 1})).is(Errc::protocol));
  EXPECT_TRUE(failure_of(kGreeting + message({0x80000001, 0})).is(Errc::protocol));
}

/// How a link that was up ends after these bytes.
Error end_after(const std::string& bytes) {
  FakeMaster master(kGreeting + message({0x8000000f, 0}) + bytes);
  Peer peer = client();
  Awaited<Error> lost;
  PeerEvents events;
  events.disconnected = [lost](const PeerInfo&, const Error& why) { lost.put(why); };
  peer.events(std::move(events));
  (void)peer.connect(master.endpoint(), kPatience);
  return lost.next().value_or(Error(Errc::timeout));
}

std::string packet(const std::string& payload) {
  Bytes all;
  wire::Writer(all).u32(static_cast<std::uint32_t>(payload.size() + 1)).u8(0);
  return std::string(as_text(all)) + payload;
}

TEST(ControlLink, c10_ends_at_a_violation_like_every_link) {
  EXPECT_TRUE(end_after(packet(std::string("\x5e\0\0\0\x07\0\0\0\x01x", 10)))
                  .is(Errc::protocol));  // data of no channel
  EXPECT_TRUE(end_after(std::string("\0\0\0\0", 4)).is(Errc::protocol));
  EXPECT_TRUE(end_after(std::string("\0\0\0\x02\x04\x50", 6)).is(Errc::protocol));  // padding
  EXPECT_TRUE(end_after(std::string("\0\x04\0\x01", 4)).is(Errc::protocol));  // 256 KiB and a byte
}

TEST(ControlLink, is_no_way_to_listen_and_asks_nobody_to) {
  FakeMaster master(kGreeting + message({0x8000000f, 0}));
  Peer peer = client();
  const Result<Endpoint> bound = peer.bind(master.endpoint());
  EXPECT_TRUE(!bound && bound.error().is(Errc::bad_endpoint));
  SK_ASSERT_OK(peer.connect(master.endpoint(), kPatience));
  ForwardRequest wanted;
  wanted.port = 80;
  const auto forward = peer.request_forward(To::anyone(), wanted, "web", kPatience);
  EXPECT_TRUE(!forward && forward.error().is(Errc::usage));
}

}  // namespace
}  // namespace streamkit::testing
