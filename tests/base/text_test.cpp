#include <streamkit/base/text.hpp>

#include <gmock/gmock.h>

#include <random>

namespace streamkit {
namespace {

TEST(Escape, leaves_ordinary_text_of_any_script_alone) {
  for (const std::string_view text : {"plain ASCII, with %n%s and \\x41", "Gr\u00fc\u00dfe",
                                      "\u65e5\u672c\u8a9e", "\U0001f600", ""})
    EXPECT_EQ(escape(text), text);
}

TEST(Escape, c16_disarms_terminal_control_sequences) {
  EXPECT_EQ(escape("\x1b[2J"), "\\x1b[2J");
  EXPECT_EQ(escape("a\r\nb\tc\x07"), "a\\x0d\\x0ab\\x09c\\x07");
  EXPECT_EQ(escape(std::string_view("nul\0", 4)), "nul\\x00");
  EXPECT_EQ(escape("\x7f"), "\\x7f");
  EXPECT_EQ(escape("\xc2\x9b"
                   "31m"),
            "\\xc2\\x9b31m");  // CSI as one C1 character
}

TEST(Escape, c16_disarms_bidirectional_overrides) {
  for (const std::string_view mark :
       {"\u202a", "\u202e", "\u2066", "\u2069", "\u200e", "\u200f", "\u061c", "\ufeff"}) {
    const std::string out = escape("user" + std::string(mark) + "txt");
    EXPECT_EQ(out.find(mark), std::string::npos);
    EXPECT_EQ(out.substr(0, 6), "user\\x");
  }
}

TEST(Escape, c16_disarms_invalid_utf8_byte_by_byte) {
  EXPECT_EQ(escape("\xff"), "\\xff");
  EXPECT_EQ(escape("\xc3("), "\\xc3(");
  EXPECT_EQ(escape("\xc0\xaf"), "\\xc0\\xaf");                    // overlong
  EXPECT_EQ(escape("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // surrogate
  EXPECT_EQ(escape("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // beyond U+10FFFF
  EXPECT_EQ(escape("\xe6\x97"), "\\xe6\\x97");                    // cut short
}

TEST(Escape, c16_cuts_at_the_limit_and_says_so) {
  EXPECT_EQ(escape("12345678", 8), "12345678");
  EXPECT_EQ(escape("123456789", 8), "12345678...");
  EXPECT_EQ(escape("1234567\x1b", 8), "1234567...");    // never half an escape
  EXPECT_EQ(escape("1234567\u00fc", 8), "1234567...");  // never half a character
  EXPECT_EQ(escape(std::string(1'000'000, 'x')).size(), 1024u + 3u);
  EXPECT_EQ(escape("x", 0), "...");
}

TEST(Escape, makes_printable_utf8_of_random_bytes) {
  std::mt19937 random(5);
  for (int round = 0; round < 100'000; ++round) {
    std::string in(random() % 24, '\0');
    for (char& c : in) c = static_cast<char>(random());
    const std::string out = escape(in);
    ASSERT_TRUE(is_valid_utf8(out));
    for (const char c : out) ASSERT_TRUE(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
    ASSERT_EQ(escape(out), out);
  }
}

TEST(Utf8, accepts_the_edges_of_each_length_and_refuses_their_neighbours) {
  for (const std::string_view good :
       {"", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
        "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
    EXPECT_TRUE(is_valid_utf8(good));
  for (const std::string_view bad :
       {"\x80", "\xbf", "\xc1\xbf", "\xc2", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf",
        "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xfe", "ok\xff"})
    EXPECT_FALSE(is_valid_utf8(bad));
}

TEST(Base64, encodes_and_decodes_the_vectors_of_rfc_4648) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, coded] : vectors) {
    EXPECT_EQ(base64_encode(as_bytes(plain)), coded);
    const Result<Bytes> back = base64_decode(coded);
    ASSERT_TRUE(back);
    EXPECT_EQ(as_text(*back), plain);
  }
}

TEST(Base64, can_leave_the_padding_out_as_fingerprints_do) {
  EXPECT_EQ(base64_encode(as_bytes("f"), false), "Zg");
  EXPECT_EQ(base64_encode(as_bytes("fo"), false), "Zm8");
  EXPECT_EQ(base64_encode(as_bytes("foo"), false), "Zm9v");
}

TEST(Base64, refuses_everything_that_is_not_the_one_encoding) {
  for (const std::string_view bad :
       {"Z",      "Zg",    "Zg=",  "Zm8",  "Zg===", "=",    "====", "Z===", "Zg==Zg==", "Zm9v Zm9v",
        "Zm9v\n", " Zm9v", "Zm9-", "Zm9_", "Zm=v",  "=m9v", "Zh==", "Zm9=", "Zm9\xc3",  "Z=g="}) {
    const Result<Bytes> decoded = base64_decode(bad);
    ASSERT_FALSE(decoded) << bad;
    EXPECT_TRUE(decoded.error().is(Errc::codec));
  }
  EXPECT_FALSE(base64_decode(std::string_view("Zm\0v", 4)));
}

TEST(Base64, every_text_that_decodes_is_what_its_bytes_encode_to) {
  std::mt19937 random(11);
  constexpr std::string_view kAlphabet = "ABab01+/==";
  std::size_t decoded = 0;
  for (int round = 0; round < 100'000; ++round) {
    std::string text(random() % 9, '\0');
    for (char& c : text) c = kAlphabet[random() % kAlphabet.size()];
    const Result<Bytes> bytes = base64_decode(text);
    if (!bytes) continue;
    ++decoded;
    ASSERT_EQ(base64_encode(*bytes), text);
  }
  EXPECT_GT(decoded, 1000u);
}

TEST(Hex, is_lower_case_and_two_digits_a_byte) {
  EXPECT_EQ(hex_encode(as_bytes(std::string_view("\x00\x0f\xa0\xff", 4))), "000fa0ff");
  EXPECT_EQ(hex_encode({}), "");
}

TEST(Pattern, star_and_question_mark_match_as_in_authorized_keys) {
  EXPECT_TRUE(matches_pattern("", ""));
  EXPECT_TRUE(matches_pattern("*", ""));
  EXPECT_TRUE(matches_pattern("*", "anything"));
  EXPECT_TRUE(matches_pattern("*.example.com", "a.b.example.com"));
  EXPECT_TRUE(matches_pattern("192.168.?.1*", "192.168.7.123"));
  EXPECT_TRUE(matches_pattern("a*b*c", "abbbxbc"));
  EXPECT_TRUE(matches_pattern("**x", "x"));
  EXPECT_FALSE(matches_pattern("", "a"));
  EXPECT_FALSE(matches_pattern("?", ""));
  EXPECT_FALSE(matches_pattern("*.example.com", "example.com"));
  EXPECT_FALSE(matches_pattern("*.example.com", "a.example.com.evil"));
  EXPECT_FALSE(matches_pattern("abc", "abcd"));
  EXPECT_FALSE(matches_pattern("abc?", "abc"));
}

TEST(Pattern, compares_other_characters_literally) {
  EXPECT_TRUE(matches_pattern("[a-z]", "[a-z]"));
  EXPECT_FALSE(matches_pattern("[a-z]", "b"));
  EXPECT_FALSE(matches_pattern("A", "a"));
  EXPECT_TRUE(matches_pattern("*\\*", "x\\y"));
}

TEST(Pattern, a_star_in_the_text_matches_a_star_in_the_pattern) {
  EXPECT_TRUE(matches_pattern("*", "*"));
  EXPECT_TRUE(matches_pattern("a*", "a*b"));
}

// Many stars make a careless matcher exponential: this would then never end.
TEST(Pattern, many_stars_do_not_take_forever) {
  std::string pattern;
  for (int i = 0; i < 200; ++i) pattern += "*a";
  EXPECT_FALSE(matches_pattern(pattern + "b", std::string(5000, 'a')));
}

}  // namespace
}  // namespace streamkit
