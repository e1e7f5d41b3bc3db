// RFC 4251 section 5: the vectors printed there, the bounds, and what a peer may try.
#include <streamkit/base/wire.hpp>

#include <gmock/gmock.h>

#include <array>
#include <random>
#include <string>

namespace streamkit::wire {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Bytes raw(std::initializer_list<unsigned> values) {
  Bytes out;
  for (const unsigned v : values) out.push_back(std::byte(v));
  return out;
}

template <class Write>
Bytes written(Write&& write) {
  Bytes out;
  Writer writer(out);
  write(writer);
  return out;
}

TEST(Wire, writes_integers_big_endian) {
  EXPECT_EQ(written([](Writer& w) { w.u32(699921578); }), raw({0x29, 0xb7, 0xf4, 0xaa}));
  EXPECT_EQ(written([](Writer& w) { w.u64(0x0102030405060708); }), raw({1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(written([](Writer& w) { w.u8(255).boolean(true).boolean(false); }), raw({255, 1, 0}));
}

TEST(Wire, reads_back_every_kind_of_field_in_order) {
  const Bytes name = to_bytes("a\0b");
  const Bytes in = written([&](Writer& w) {
    w.u8(7)
        .boolean(true)
        .u32(0xffffffff)
        .u64(0xfedcba9876543210)
        .string(name)
        .string("text")
        .bytes(name);
  });
  Reader r(in);
  EXPECT_EQ(r.u8(), 7);
  EXPECT_TRUE(r.boolean());
  EXPECT_EQ(r.u32(), 0xffffffffu);
  EXPECT_EQ(r.u64(), 0xfedcba9876543210u);
  EXPECT_EQ(to_bytes(r.string()), name);
  EXPECT_EQ(r.text(), "text");
  EXPECT_FALSE(r.end());
  EXPECT_EQ(to_bytes(r.bytes(name.size())), name);
  EXPECT_TRUE(r.end());
}

TEST(Wire, takes_every_non_zero_byte_for_true) {
  const Bytes in = raw({0, 1, 2, 255});
  Reader r(in);
  EXPECT_FALSE(r.boolean());
  EXPECT_TRUE(r.boolean());
  EXPECT_TRUE(r.boolean());
  EXPECT_TRUE(r.boolean());
}

TEST(Wire, writes_and_reads_the_string_of_the_rfc) {
  const Bytes expected = raw({0, 0, 0, 7, 't', 'e', 's', 't', 'i', 'n', 'g'});
  EXPECT_EQ(written([](Writer& w) { w.string("testing"); }), expected);
  Reader r(expected);
  EXPECT_EQ(r.text(), "testing");
  EXPECT_TRUE(r.end());
}

TEST(Wire, an_empty_string_is_four_zero_bytes) {
  EXPECT_EQ(written([](Writer& w) { w.string(""); }), raw({0, 0, 0, 0}));
}

struct Mpint {
  Bytes magnitude;  // unsigned big-endian, as a caller has it
  Bytes wire;
};

std::vector<Mpint> mpints_of_the_rfc() {
  return {{{}, raw({0, 0, 0, 0})},
          {raw({0x09, 0xa3, 0x78, 0xf9, 0xb2, 0xe3, 0x32, 0xa7}),
           raw({0, 0, 0, 8, 0x09, 0xa3, 0x78, 0xf9, 0xb2, 0xe3, 0x32, 0xa7})},
          {raw({0x80}), raw({0, 0, 0, 2, 0, 0x80})}};
}

TEST(Wire, b2_writes_the_non_negative_mpints_of_the_rfc) {
  for (const Mpint& m : mpints_of_the_rfc())
    EXPECT_EQ(written([&](Writer& w) { w.mpint(m.magnitude); }), m.wire);
}

TEST(Wire, b2_reads_the_non_negative_mpints_of_the_rfc_without_their_zero_byte) {
  for (const Mpint& m : mpints_of_the_rfc()) {
    Reader r(m.wire);
    EXPECT_EQ(to_bytes(r.mpint()), m.magnitude);
    EXPECT_TRUE(r.end());
  }
}

TEST(Wire, b2_strips_leading_zero_bytes_before_it_writes_an_mpint) {
  EXPECT_EQ(written([](Writer& w) { w.mpint(raw({0, 0, 0, 1})); }), raw({0, 0, 0, 1, 1}));
  EXPECT_EQ(written([](Writer& w) { w.mpint(raw({0, 0, 0xff})); }), raw({0, 0, 0, 2, 0, 0xff}));
  EXPECT_EQ(written([](Writer& w) { w.mpint(raw({0, 0, 0})); }), raw({0, 0, 0, 0}));
}

TEST(Wire, b2_refuses_a_negative_mpint) {
  // -1234 and -deadbeef, as the RFC prints them.
  for (const Bytes& in :
       {raw({0, 0, 0, 2, 0xed, 0xcc}), raw({0, 0, 0, 5, 0xff, 0x21, 0x52, 0x41, 0x11}),
        raw({0, 0, 0, 1, 0x80})}) {
    Reader r(in);
    EXPECT_THAT(r.mpint(), IsEmpty());
    EXPECT_FALSE(r.ok());
  }
}

TEST(Wire, b2_refuses_an_mpint_with_a_leading_zero_byte_it_does_not_need) {
  for (const Bytes& in :
       {raw({0, 0, 0, 1, 0}), raw({0, 0, 0, 2, 0, 0x7f}), raw({0, 0, 0, 3, 0, 0, 0x80})}) {
    Reader r(in);
    EXPECT_THAT(r.mpint(), IsEmpty());
    EXPECT_FALSE(r.ok());
  }
}

TEST(Wire, b2_reads_an_mpint_of_the_longest_modulus_and_no_longer) {
  const Bytes fits = written([](Writer& w) { w.mpint(Bytes(2048, std::byte{0xff})); });
  Reader r(fits);
  EXPECT_THAT(r.mpint(), SizeIs(2048));
  EXPECT_TRUE(r.end());
  const Bytes over = written([](Writer& w) { w.mpint(Bytes(2050, std::byte{0x7f})); });
  Reader refuses(over);
  EXPECT_THAT(refuses.mpint(), IsEmpty());
  EXPECT_FALSE(refuses.ok());
}

TEST(Wire, b2_mpints_of_every_length_survive_a_round_trip) {
  std::mt19937 random(1);
  for (std::size_t n = 1; n <= 600; ++n) {
    Bytes magnitude(n);
    for (std::byte& b : magnitude) b = std::byte(random());
    if (magnitude[0] == std::byte{0}) magnitude[0] = std::byte{1};
    const Bytes in = written([&](Writer& w) { w.mpint(magnitude); });
    Reader r(in);
    ASSERT_EQ(to_bytes(r.mpint()), magnitude);
    ASSERT_TRUE(r.end());
  }
}

TEST(Wire, writes_and_reads_the_name_lists_of_the_rfc) {
  EXPECT_EQ(written([](Writer& w) { w.name_list({}); }), raw({0, 0, 0, 0}));
  EXPECT_EQ(written([](Writer& w) { w.name_list({"zlib"}); }),
            raw({0, 0, 0, 4, 'z', 'l', 'i', 'b'}));
  const Bytes two = written([](Writer& w) { w.name_list({"zlib", "none"}); });
  EXPECT_EQ(two, written([](Writer& w) { w.string("zlib,none"); }));
  Reader r(two);
  EXPECT_THAT(r.name_list(), ElementsAre("zlib", "none"));
  EXPECT_TRUE(r.end());
}

std::vector<std::string_view> names_in(const Bytes& in, bool& ok, std::size_t max_names = 256) {
  Reader r(in);
  auto names = r.name_list(max_names);
  ok = r.ok();
  return names;
}

TEST(Wire, c4_skips_empty_names_because_some_peers_end_a_list_with_a_comma) {
  bool ok = false;
  const Bytes in = written([](Writer& w) { w.string("a,,b,"); });
  EXPECT_THAT(names_in(in, ok), ElementsAre("a", "b"));
  EXPECT_TRUE(ok);
  const Bytes commas = written([](Writer& w) { w.string(",,,"); });
  EXPECT_THAT(names_in(commas, ok), IsEmpty());
  EXPECT_TRUE(ok);
}

TEST(Wire, c4_accepts_256_names_and_refuses_257) {
  bool ok = false;
  const std::vector<std::string> fit(256, "n"), over(257, "n");
  const Bytes in = written([&](Writer& w) { w.name_list(fit); });
  EXPECT_THAT(names_in(in, ok), SizeIs(256));
  EXPECT_TRUE(ok);
  const Bytes too_many = written([&](Writer& w) { w.name_list(over); });
  EXPECT_THAT(names_in(too_many, ok), IsEmpty());
  EXPECT_FALSE(ok);
  EXPECT_THAT(names_in(in, ok, 255), IsEmpty());
  EXPECT_FALSE(ok);
}

TEST(Wire, c4_thirty_thousand_names_are_refused) {
  bool ok = true;
  const Bytes in = written([](Writer& w) { w.name_list(std::vector<std::string>(30'000, "x")); });
  EXPECT_THAT(names_in(in, ok), IsEmpty());
  EXPECT_FALSE(ok);
}

TEST(Wire, c4_accepts_a_name_of_64_characters_and_refuses_65) {
  bool ok = false;
  const Bytes fit = written([](Writer& w) { w.string(std::string(64, 'x')); });
  EXPECT_THAT(names_in(fit, ok), SizeIs(1));
  EXPECT_TRUE(ok);
  const Bytes over = written([](Writer& w) { w.string("a," + std::string(65, 'x')); });
  EXPECT_THAT(names_in(over, ok), IsEmpty());
  EXPECT_FALSE(ok);
}

TEST(Wire, refuses_names_outside_printable_ascii) {
  for (const std::string& list :
       {std::string("a b"), std::string("a\0b", 3), std::string("a\n"), std::string("\x7f"),
        std::string("\xc3\xa9"), std::string("ok,\x1b[2J")}) {
    bool ok = true;
    const Bytes in = written([&](Writer& w) { w.string(list); });
    EXPECT_THAT(names_in(in, ok), IsEmpty());
    EXPECT_FALSE(ok) << list;
  }
}

TEST(Wire, c3_a_string_that_claims_more_than_is_there_fails_and_allocates_nothing) {
  for (const std::uint32_t claim : {5u, 0x7fffffffu, 0xfffffffeu, 0xffffffffu}) {
    const Bytes in = written([&](Writer& w) { w.u32(claim).bytes(raw({1, 2, 3, 4})); });
    Reader r(in);
    EXPECT_THAT(r.string(), IsEmpty());
    EXPECT_FALSE(r.ok());
  }
  const Bytes exact = written([](Writer& w) { w.u32(4).bytes(raw({1, 2, 3, 4})); });
  Reader r(exact);
  EXPECT_THAT(r.string(), SizeIs(4));
  EXPECT_TRUE(r.end());
}

TEST(Wire, failure_is_sticky) {
  const Bytes in = raw({0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8});
  Reader r(in);
  EXPECT_THAT(r.string(), IsEmpty());
  EXPECT_FALSE(r.ok());
  EXPECT_EQ(r.u8(), 0);
  EXPECT_EQ(r.u32(), 0u);
  EXPECT_EQ(r.u64(), 0u);
  EXPECT_THAT(r.bytes(1), IsEmpty());
  EXPECT_THAT(r.string(), IsEmpty());
  EXPECT_THAT(r.mpint(), IsEmpty());
  EXPECT_THAT(r.name_list(), IsEmpty());
  EXPECT_THAT(r.rest(), IsEmpty());
  EXPECT_FALSE(r.ok());
  EXPECT_FALSE(r.end());
}

TEST(Wire, reading_nothing_after_a_failure_does_not_heal_it) {
  Reader r({});
  EXPECT_TRUE(r.ok());
  EXPECT_TRUE(r.end());
  EXPECT_EQ(r.u8(), 0);
  EXPECT_THAT(r.bytes(0), IsEmpty());
  EXPECT_FALSE(r.ok());
  EXPECT_FALSE(r.end());
}

TEST(Wire, c3_every_truncation_of_a_message_fails) {
  const Bytes whole = written([](Writer& w) {
    w.u8(90)
        .string("session")
        .u32(1)
        .u64(2)
        .mpint(raw({0x80, 0}))
        .name_list({"a", "b"})
        .boolean(true);
  });
  const auto parse = [](ByteView in) {
    Reader r(in);
    r.u8(), r.text(), r.u32(), r.u64(), r.mpint(), r.name_list(), r.boolean();
    return r.end();
  };
  EXPECT_TRUE(parse(whole));
  for (std::size_t n = 0; n < whole.size(); ++n) EXPECT_FALSE(parse(ByteView(whole).first(n))) << n;
  Bytes longer = whole;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(parse(longer));
}

// What the Reader hands out must lie inside the input, whatever the input is.
TEST(Wire, c3_a_million_random_buffers_never_lead_outside_themselves) {
  std::mt19937 random(42);
  std::array<std::byte, 48> store;
  std::size_t well_read = 0;
  for (int round = 0; round < 1'000'000; ++round) {
    const std::size_t n = random() % (store.size() + 1);
    for (std::size_t i = 0; i < n; ++i) {
      // Many zero bytes, so that lengths are often small enough to be believed.
      const auto bits = static_cast<unsigned>(random());
      store[i] = std::byte(bits & 7 ? bits >> 3 & bits >> 4 & bits >> 5 & 7 : bits >> 3 & 0xff);
    }
    const ByteView in(store.data(), n);
    Reader r(in);
    const auto inside = [&](ByteView v) {
      return v.empty() || (v.data() >= in.data() && v.data() + v.size() <= in.data() + in.size());
    };
    for (int field = 0; field < 6 && r.ok(); ++field) {
      switch (random() % 6) {
        case 0:
          r.u8();
          break;
        case 1:
          r.u32();
          break;
        case 2:
          r.u64();
          break;
        case 3:
          ASSERT_TRUE(inside(r.string()));
          break;
        case 4: {
          const ByteView m = r.mpint();
          ASSERT_TRUE(inside(m));
          ASSERT_TRUE(m.empty() || m[0] != std::byte{0});
          break;
        }
        default:
          for (const std::string_view name : r.name_list()) ASSERT_TRUE(inside(as_bytes(name)));
      }
      ASSERT_TRUE(inside(r.rest()));
      well_read += r.ok();
    }
  }
  EXPECT_GT(well_read, 1'000'000u) << "the random buffers hardly ever parse, so they prove little";
}

}  // namespace
}  // namespace streamkit::wire
