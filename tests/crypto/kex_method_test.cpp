// Key exchange arithmetic: both roles of every method agree, published vectors hold, bad public
// values of the other side are refused in both roles.
#include "shared_secret.hpp"
#include "vectors.hpp"
#include "x25519.hpp"

#include <streamkit/base/text.hpp>
#include <streamkit/base/wire.hpp>
#include <streamkit/crypto/kex_method.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace streamkit::crypto {
namespace {

using test::fails_with;
using test::hex;

std::unique_ptr<KexMethod> method(std::string_view name) {
  return make_kex_method(name).value();
}

TEST(KexMethod, names_stand_in_our_order_and_the_hybrid_only_where_libcrypto_has_it) {
  std::vector<std::string_view> names = kex_names();
  if (names.front() == "mlkem768x25519-sha256") names.erase(names.begin());
  EXPECT_EQ(names, (std::vector<std::string_view>{
                       "curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256",
                       "ecdh-sha2-nistp384", "ecdh-sha2-nistp521"}));
}

TEST(KexMethod, an_unknown_name_is_a_failed_negotiation) {
  for (const char* name :
       {"", "ext-info-c", "kex-strict-c-v00@openssh.com", "diffie-hellman-group14-sha256"})
    EXPECT_TRUE(fails_with(make_kex_method(name), Errc::negotiation)) << name;
}

TEST(KexMethod, both_roles_of_every_method_agree_on_a_fresh_secret) {
  const std::map<std::string_view, Hash> hashes = {
      {"mlkem768x25519-sha256", Hash::sha256},        {"curve25519-sha256", Hash::sha256},
      {"curve25519-sha256@libssh.org", Hash::sha256}, {"ecdh-sha2-nistp256", Hash::sha256},
      {"ecdh-sha2-nistp384", Hash::sha384},           {"ecdh-sha2-nistp521", Hash::sha512}};
  for (const std::string_view name : kex_names()) {
    SCOPED_TRACE(name);
    EXPECT_EQ(method(name)->hash(), hashes.at(name));
    Bytes before;
    for (int i = 0; i < 5; ++i) {
      const auto client = method(name), server = method(name);
      const Bytes blob = client->init().value();
      const KexMethod::Response response = server->respond(blob).value();
      const SecretBytes secret = client->finish(response.blob).value();
      EXPECT_EQ(to_bytes(secret.view()), to_bytes(response.shared_secret.view()));
      EXPECT_NE(to_bytes(secret.view()), before);
      before = to_bytes(secret.view());
      wire::Reader in(secret.view());
      in.string();
      EXPECT_TRUE(in.end());  // with its length, and nothing else
    }
  }
}

TEST(KexMethod, serves_one_exchange) {
  for (const std::string_view name : kex_names()) {
    SCOPED_TRACE(name);
    const auto client = method(name), server = method(name), idle = method(name);
    EXPECT_TRUE(fails_with(idle->finish({}), Errc::usage));
    const Bytes blob = client->init().value();
    EXPECT_TRUE(fails_with(client->init(), Errc::usage));
    EXPECT_TRUE(fails_with(client->respond(blob), Errc::usage));
    const Bytes answer = server->respond(blob).value().blob;
    EXPECT_TRUE(fails_with(server->respond(blob), Errc::usage));
    EXPECT_TRUE(fails_with(server->finish(answer), Errc::usage));
    EXPECT_TRUE(client->finish(answer));
    EXPECT_TRUE(fails_with(client->finish(answer), Errc::usage));
  }
}

/// `value` as the other side's public value, in both roles.
void expect_refused(std::string_view name, ByteView value) {
  const auto client = method(name), server = method(name);
  ASSERT_TRUE(client->init());
  const Result<SecretBytes> finished = client->finish(value);
  ASSERT_FALSE(finished) << name << " as client took " << hex_encode(value);
  EXPECT_TRUE(fails_with(finished, Errc::key_exchange)) << finished.error().message();
  const Result<KexMethod::Response> answered = server->respond(value);
  ASSERT_FALSE(answered) << name << " as server took " << hex_encode(value);
  EXPECT_TRUE(fails_with(answered, Errc::key_exchange)) << answered.error().message();
}

TEST(X25519Kex, b1_refuses_small_order_points_and_wrong_lengths) {
  const std::string_view small_order[] = {
      "0000000000000000000000000000000000000000000000000000000000000000",
      "0100000000000000000000000000000000000000000000000000000000000000",
      "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
      "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "0000000000000000000000000000000000000000000000000000000000000080",
  };
  for (const std::string_view name : {"curve25519-sha256", "curve25519-sha256@libssh.org"}) {
    for (const std::string_view value : small_order) expect_refused(name, hex(value));
    for (const std::size_t size : {0u, 31u, 33u, 64u}) expect_refused(name, test::repeat(9, size));
  }
}

TEST(X25519, agrees_with_rfc_7748) {  // section 6.1
  const auto key = [](std::string_view scalar) {
    return X25519Key::from_private(hex(scalar)).value();
  };
  const X25519Key alice = key("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
  const X25519Key bob = key("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
  EXPECT_EQ(hex_encode(alice.public_value()),
            "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  EXPECT_EQ(hex_encode(bob.public_value()),
            "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
  const std::string shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
  EXPECT_EQ(hex_encode(alice.agree(bob.public_value()).value().view()), shared);
  EXPECT_EQ(hex_encode(bob.agree(alice.public_value()).value().view()), shared);
}

TEST(EcdhKex, b1_refuses_every_point_that_is_not_plain_and_on_the_curve) {
  const struct {
    std::string_view name, other;
    std::size_t field;
  } methods[] = {{"ecdh-sha2-nistp256", "ecdh-sha2-nistp384", 32},
                 {"ecdh-sha2-nistp384", "ecdh-sha2-nistp256", 48},
                 {"ecdh-sha2-nistp521", "ecdh-sha2-nistp256", 66}};
  for (const auto& m : methods) {
    const Bytes good = method(m.name)->init().value();
    ASSERT_EQ(good.size(), 1 + 2 * m.field);
    ASSERT_TRUE(method(m.name)->respond(good));

    expect_refused(m.name, {});
    expect_refused(m.name, hex("00"));  // infinity
    expect_refused(m.name, Bytes(good.size()));
    Bytes compressed(good.begin(), good.begin() + 1 + static_cast<std::ptrdiff_t>(m.field));
    compressed[0] = std::byte(2 | (std::to_integer<unsigned>(good.back()) & 1));
    expect_refused(m.name, compressed);
    Bytes hybrid = good;
    hybrid[0] = std::byte(6 | (std::to_integer<unsigned>(good.back()) & 1));
    expect_refused(m.name, hybrid);
    Bytes off_curve = good;
    off_curve.back() ^= std::byte{1};
    expect_refused(m.name, off_curve);
    Bytes origin(good.size());
    origin[0] = std::byte{4};
    expect_refused(m.name, origin);
    Bytes beyond(good.size(), std::byte{0xff});
    beyond[0] = std::byte{4};
    expect_refused(m.name, beyond);
    Bytes short_one(good.begin(), good.end() - 1), long_one = good;
    long_one.push_back({});
    expect_refused(m.name, short_one);
    expect_refused(m.name, long_one);
    expect_refused(m.name, method(m.other)->init().value());
  }
}

constexpr std::string_view kHybrid = "mlkem768x25519-sha256";

// Where libcrypto has no ML-KEM (before OpenSSL 3.5) the method must not be offered, nor be made. True: it is there.
bool hybrid_is_there_or_refused() {
  const bool offered = kex_names().front() == kHybrid;
  if (!offered) {
    EXPECT_EQ(std::count(kex_names().begin(), kex_names().end(), kHybrid), 0);
    EXPECT_TRUE(fails_with(make_kex_method(kHybrid), Errc::negotiation));
  }
  return offered;
}

TEST(HybridKex, b3_refuses_blobs_of_wrong_length_and_a_bad_classical_half) {
  if (!hybrid_is_there_or_refused()) return;
  const std::string_view name = kex_names().front();
  const auto client = method(name);
  const Bytes init = client->init().value();
  ASSERT_EQ(init.size(), 1184u + 32);
  const Bytes reply = method(name)->respond(init).value().blob;
  ASSERT_EQ(reply.size(), 1088u + 32);
  const auto as_server = [&](const Bytes& blob) { return method(name)->respond(blob); };
  const auto as_client = [&](const Bytes& blob) {
    const auto other = method(name);
    EXPECT_TRUE(other->init());
    return other->finish(blob);
  };
  Bytes short_init(init.begin(), init.end() - 1), long_init = init;
  long_init.push_back({});
  EXPECT_TRUE(fails_with(as_server(short_init), Errc::key_exchange));
  EXPECT_TRUE(fails_with(as_server(long_init), Errc::key_exchange));
  Bytes unreduced = init;  // coefficient 0 becomes 0xfff, above q
  unreduced[0] = std::byte{0xff};
  unreduced[1] |= std::byte{0x0f};
  EXPECT_TRUE(fails_with(as_server(unreduced), Errc::key_exchange));
  Bytes small_order = init;
  std::fill(small_order.end() - 32, small_order.end(), std::byte{0});
  EXPECT_TRUE(fails_with(as_server(small_order), Errc::key_exchange));

  Bytes short_reply(reply.begin(), reply.end() - 1), long_reply = reply;
  long_reply.push_back({});
  EXPECT_TRUE(fails_with(as_client(short_reply), Errc::key_exchange));
  EXPECT_TRUE(fails_with(as_client(long_reply), Errc::key_exchange));
  Bytes zero_half = reply;
  std::fill(zero_half.end() - 32, zero_half.end(), std::byte{0});
  EXPECT_TRUE(fails_with(as_client(zero_half), Errc::key_exchange));
}

TEST(HybridKex, b3_a_changed_ciphertext_gives_another_secret_and_no_error) {
  if (!hybrid_is_there_or_refused()) return;
  const auto client = method(kex_names().front()), server = method(kex_names().front());
  KexMethod::Response response = server->respond(client->init().value()).value();
  response.blob[100] ^= std::byte{1};
  const SecretBytes secret = client->finish(response.blob).value();
  EXPECT_EQ(secret.size(), 4u + 32);
  EXPECT_NE(to_bytes(secret.view()), to_bytes(response.shared_secret.view()));
}

TEST(SharedSecret, b2_is_an_mpint_in_its_shortest_form) {
  EXPECT_EQ(hex_encode(secret_mpint(hex("00000102")).view()), "000000020102");
  EXPECT_EQ(hex_encode(secret_mpint(hex("008102")).view()), "00000003008102");
  EXPECT_EQ(hex_encode(secret_mpint(hex("7f")).view()), "000000017f");
  EXPECT_EQ(hex_encode(secret_mpint(hex("0000")).view()), "00000000");
  EXPECT_EQ(hex_encode(secret_string(hex("000081")).view()), "00000003000081");
}

TEST(SharedSecret, b2_secrets_with_leading_zero_bytes_and_with_high_bits_agree) {
  int shortened = 0, padded = 0;
  // One secret in 512 is short: after 20000 the chance to have met none is less than 10^-16.
  for (int i = 0; i < 20000 && (shortened == 0 || padded == 0); ++i) {
    const auto client = method("curve25519-sha256"), server = method("curve25519-sha256");
    const KexMethod::Response response = server->respond(client->init().value()).value();
    const SecretBytes secret = client->finish(response.blob).value();
    ASSERT_EQ(to_bytes(secret.view()), to_bytes(response.shared_secret.view()));
    shortened += secret.size() < 4 + 32;
    padded += secret.size() == 4 + 33;
    wire::Reader in(secret.view());
    in.mpint();
    ASSERT_TRUE(in.end());
  }
  EXPECT_GT(shortened, 0);
  EXPECT_GT(padded, 0);
}

}  // namespace
}  // namespace streamkit::crypto
