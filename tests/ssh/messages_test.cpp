// The readers of small messages against lengths and counts that lie, and against every cut.
#include "messages.hpp"

#include "negotiate.hpp"
#include "numbers.hpp"
#include "support/fixed_random.hpp"
#include "support/transport_pair.hpp"

#include <gtest/gtest.h>

namespace streamkit::ssh {
namespace {

struct Kind {
  const char* name;
  Bytes good;
  std::function<bool(ByteView)> reads;
};

UserauthRequest publickey() {
  UserauthRequest request;
  request.user = "ada";
  request.service = kServiceConnection;
  request.method = kMethodHostBound;
  request.algorithm = "ssh-ed25519";
  request.key = as_bytes("the key");
  request.host_key = as_bytes("the host key");
  request.signature = as_bytes("the signature");
  return request;
}

const std::vector<Kind>& kinds() {
  const auto request = [](ByteView p) { return read_userauth_request(p).has_value(); };
  static const std::vector<Kind> all = {
      {"EXT_INFO", write_ext_info({{"a", "b"}, {"server-sig-algs", "x,y"}}),
       [](ByteView p) { return read_ext_info(p).has_value(); }},
      {"KEX_ECDH_INIT", write_kex_init(as_bytes("blob")),
       [](ByteView p) { return read_kex_init(p).has_value(); }},
      {"KEX_ECDH_REPLY",
       write_kex_reply({as_bytes("key"), as_bytes("blob"), as_bytes("signature")}),
       [](ByteView p) { return read_kex_reply(p).has_value(); }},
      {"publickey", write_publickey_request(publickey()), request},
      {"password", write_password_request("ada", "secret"), request},
      {"none", write_none_request("ada"), request},
      {"FAILURE", write_userauth_failure({"publickey", "password"}, true),
       [](ByteView p) { return read_userauth_failure(p).has_value(); }},
      {"BANNER", write_banner("text"), [](ByteView p) { return read_banner(p).has_value(); }},
      {"SERVICE_REQUEST", write_text_message(kMsgServiceRequest, kServiceAuth),
       [](ByteView p) { return read_text_message(p, "").has_value(); }},
      {"KEXINIT",
       write_kexinit(make_proposal(Role::client, testing::client_config()).value(), Role::client,
                     true, Cookie{}),
       [](ByteView p) { return read_kexinit(p, Role::client).has_value(); }},
  };
  return all;
}

TEST(Messages, c3_every_cut_and_every_byte_more_is_refused) {
  for (const Kind& kind : kinds()) {
    SCOPED_TRACE(kind.name);
    EXPECT_TRUE(kind.reads(kind.good));
    for (std::size_t n = 1; n < kind.good.size(); ++n)
      EXPECT_FALSE(kind.reads(ByteView(kind.good).first(n))) << n;
    Bytes longer = kind.good;
    longer.push_back(std::byte{0});
    EXPECT_FALSE(kind.reads(longer));
    EXPECT_FALSE(kind.reads({}));
  }
}

TEST(Messages, c3_a_length_that_lies_is_refused_wherever_it_stands) {
  for (const Kind& kind : kinds()) {
    SCOPED_TRACE(kind.name);
    int lies = 0;
    // Wherever four bytes could be a length of what follows them, they lie.
    for (std::size_t at = 1; at + 4 <= kind.good.size(); ++at) {
      const std::uint32_t length = wire::load_u32(kind.good.data() + at);
      if (length > kind.good.size() - at - 4 ||
          (kind.name == std::string_view("KEXINIT") && at < 17))
        continue;
      const auto left = static_cast<std::uint32_t>(kind.good.size() - at - 4);
      for (const std::uint32_t lie : {0xffffffffu, 0x80000000u, 0x7fffffffu, left + 1}) {
        Bytes bad = kind.good;
        wire::store_u32(bad.data() + at, lie);
        if (kind.reads(bad)) continue;  // it was no length: the inside of a text
        ++lies;
      }
    }
    EXPECT_GE(lies, 4);
  }
}

TEST(Messages, c3_random_bytes_are_read_within_their_bounds) {
  testing::FixedRandom random(5);
  std::size_t read = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    const Kind& kind = kinds()[random.next() % kinds().size()];
    Bytes bytes = kind.good;
    bytes.resize(1 + random.next() % bytes.size());
    for (int k = 0; k < 3; ++k) bytes[random.next() % bytes.size()] = std::byte(random.next());
    bytes.shrink_to_fit();  // a byte too far is a byte outside
    read += kind.reads(bytes) ? 1 : 0;
    (void)read_disconnect(bytes);
  }
  EXPECT_GT(read, 1000u);
}

TEST(Messages, c16_what_a_peer_says_at_the_end_is_cut_and_escaped) {
  const std::string evil =
      "\x1b[2J%n%n\xe2\x80\xae"
      "\xff"
      "\n";
  const DisconnectMessage message =
      read_disconnect(write_disconnect(DisconnectReason::by_application, evil));
  for (const char c : message.description)
    EXPECT_TRUE(c >= 0x20 && c < 0x7f) << message.description;
  const std::string endless(100'000, 'x');
  Bytes raw;
  wire::Writer(raw).u8(kMsgDisconnect).u32(11).string(endless).string("");
  EXPECT_LE(read_disconnect(raw).description.size(), kMaxDescription + 16);
}

}  // namespace
}  // namespace streamkit::ssh
