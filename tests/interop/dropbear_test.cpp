// Dropbear, both of its halves: `dbclient` logs in to our Peer, and our Peer logs in to `dropbear`.
// Its client guesses the key exchange and sends a packet for it at once (first_kex_packet_follows),
// which we must throw away when it guessed wrong. It rekeys by itself after a gigabyte only, so the
// rekeys here are ours.
#include "our_server.hpp"

#include <sys/stat.h>

namespace streamkit::testing {
namespace {

using Words = std::vector<std::string>;

/// The ciphers and MACs that both have.
const std::vector<Suite> kSuites =
    suites_of({"chacha20-poly1305@openssh.com", "aes128-ctr", "aes256-ctr"}, {"hmac-sha2-256"});

/// Makes a key of Dropbear's own format and gives its public half, as a line of authorized_keys has
/// it.
crypto::PublicKey make_dropbear_key(const std::string& type, const std::string& path) {
  Program maker({find_program("dropbearkey"), "-t", type, "-f", path});
  const std::string said = maker.talk();
  for (std::size_t at = 0; at < said.size();) {
    const std::size_t end = std::min(said.find('\n', at), said.size());
    if (Result<crypto::PublicKey> key = crypto::PublicKey::from_text(said.substr(at, end - at)))
      return std::move(*key);
    at = end + 1;
  }
  ADD_FAILURE() << "dropbearkey printed no key of type " << type << ": " << said << maker.errors();
  return {};
}

// ---------------------------------------------------------------- its client

/// Makes a key, lets it in, and gives the command line of dbclient.
Words client_words(OurServer& server, const std::string& key_type, const Words& more) {
  const std::string key_file = server.folder().file("dropbear_key");
  const crypto::PublicKey key = make_dropbear_key(key_type, key_file);
  const Result<void> told =
      server.peer().reconfigure([&](PeerOptions& o) { o.trust.authorized_keys = {key}; });
  EXPECT_TRUE(told);
  Words words = {"dbclient", "-y", "-y", "-T", "-i", key_file, "-p", std::to_string(server.port()),
                 "-l",       kUser};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

#define SK_NEEDS_DBCLIENT()             \
  SK_NEEDS("dbclient", "dropbear-bin"); \
  SK_NEEDS("dropbearkey", "dropbear-bin")

class DropbearClientCipher : public ::testing::TestWithParam<Suite> {};

TEST_P(DropbearClientCipher, gets_every_byte_back_from_our_echo_through_our_rekeys) {
  SK_NEEDS_DBCLIENT();
  OurServer server;
  const Suite& suite = GetParam();
  Words more = {"-c", suite.cipher, "127.0.0.1", "echo"};
  if (*suite.mac) more.insert(more.begin(), {"-m", suite.mac});
  Program dbclient(client_words(server, "ed25519", more), {"HOME=" + server.folder().path()});
  EXPECT_EQ(dbclient.echo_problem(transfer_bytes()), "");
  EXPECT_EQ(dbclient.wait(), 0);
  EXPECT_GE(server.log().exchanges(), exchanges_for(transfer_bytes()));
}

INSTANTIATE_TEST_SUITE_P(Dropbear, DropbearClientCipher, ::testing::ValuesIn(kSuites), suite_name);

class DropbearClientKex : public ::testing::TestWithParam<std::string_view> {};

TEST_P(DropbearClientKex, agrees_with_us_though_its_guess_is_wrong) {
  SK_NEEDS_DBCLIENT();
  OurServer server({.algorithms = with_kex(GetParam()), .rekey_after_bytes = 64 << 10});
  Program dbclient(client_words(server, "ed25519", {"127.0.0.1", "echo"}),
                   {"HOME=" + server.folder().path()});
  EXPECT_EQ(dbclient.echo_problem(1 << 20), "");
  EXPECT_EQ(dbclient.wait(), 0);
}

INSTANTIATE_TEST_SUITE_P(Dropbear, DropbearClientKex,
                         ::testing::Values("curve25519-sha256", "curve25519-sha256@libssh.org",
                                           "ecdh-sha2-nistp256", "ecdh-sha2-nistp384",
                                           "ecdh-sha2-nistp521"),
                         kex_name);

class DropbearClientHostKey : public ::testing::TestWithParam<crypto::KeyType> {};

TEST_P(DropbearClientHostKey, verifies_our_host_key) {
  SK_NEEDS_DBCLIENT();
  OurServer server({.host_key = GetParam()});
  Program dbclient(client_words(server, "ed25519", {"127.0.0.1", "echo"}),
                   {"HOME=" + server.folder().path()});
  EXPECT_EQ(dbclient.talk("hello"), "hello");
  EXPECT_EQ(dbclient.wait(), 0) << dbclient.errors();
}

INSTANTIATE_TEST_SUITE_P(Dropbear, DropbearClientHostKey,
                         ::testing::Values(crypto::KeyType::ed25519, crypto::KeyType::ecdsa_p256,
                                           crypto::KeyType::ecdsa_p384, crypto::KeyType::ecdsa_p521,
                                           crypto::KeyType::rsa),
                         key_type_name);

class DropbearClientUserKey : public ::testing::TestWithParam<const char*> {};

TEST_P(DropbearClientUserKey, logs_in_with_its_key) {
  SK_NEEDS_DBCLIENT();
  OurServer server;
  Program dbclient(client_words(server, GetParam(), {"127.0.0.1", "echo"}),
                   {"HOME=" + server.folder().path()});
  EXPECT_EQ(dbclient.talk("hello"), "hello");
  EXPECT_EQ(dbclient.wait(), 0) << dbclient.errors();
}

INSTANTIATE_TEST_SUITE_P(Dropbear, DropbearClientUserKey,
                         ::testing::Values("ed25519", "ecdsa", "rsa"),
                         [](const auto& about) { return std::string(about.param); });

TEST(DropbearClient, exits_with_the_code_and_shows_the_error_lane) {
  SK_NEEDS_DBCLIENT();
  OurServer server;
  Program dbclient(client_words(server, "ed25519", {"127.0.0.1", "say", "code 7"}),
                   {"HOME=" + server.folder().path()});
  EXPECT_EQ(dbclient.talk(), "args=code 7\n");
  EXPECT_EQ(dbclient.wait(), 7);
  EXPECT_NE(dbclient.errors().find("a word beside\n"), std::string::npos) << dbclient.errors();
}

TEST(DropbearClient, gets_its_bytes_back_after_it_has_closed_its_side) {
  SK_NEEDS_DBCLIENT();
  OurServer server;
  Program dbclient(client_words(server, "ed25519", {"127.0.0.1", "hold"}),
                   {"HOME=" + server.folder().path()});
  EXPECT_EQ(dbclient.echo_problem(1 << 20), "");
  EXPECT_EQ(dbclient.wait(), 0);
}

TEST(DropbearClient, opens_a_service_as_a_subsystem) {
  SK_NEEDS_DBCLIENT();
  OurServer server;
  Program dbclient(client_words(server, "ed25519", {"-s", "127.0.0.1", "echo"}),
                   {"HOME=" + server.folder().path()});
  EXPECT_EQ(dbclient.talk("hello"), "hello");
  EXPECT_EQ(dbclient.wait(), 0) << dbclient.errors();
}

TEST(DropbearClient, reaches_a_service_by_its_netcat_mode) {
  SK_NEEDS_DBCLIENT();
  OurServer server;
  Program dbclient(client_words(server, "ed25519", {"-B", "echo:1", "127.0.0.1"}),
                   {"HOME=" + server.folder().path()});
  EXPECT_EQ(dbclient.echo_problem(1 << 20), "");
}

// ---------------------------------------------------------------- its server

/// A dropbear that lets in the user who runs this test. It reads authorized_keys in that user's
/// home folder only, so a preloaded library of ours gives it another one.
class Dropbear {
 public:
  explicit Dropbear(const std::string& host_key_type = "ed25519",
                    crypto::KeyType user_key = crypto::KeyType::ed25519)
      : user_key_(new_key(user_key)) {
    host_key_ = make_dropbear_key(host_key_type, folder_.file("host_key"));
    ::mkdir(folder_.file(".ssh").c_str(), 0700);
    folder_.write(".ssh/authorized_keys", user_key_.public_key().text() + "\n");
    for (int attempt = 0; attempt < 5 && !is_up_; ++attempt) start();
  }
  ~Dropbear() {
    if (::testing::Test::HasFailure()) std::fprintf(stderr, "dropbear said:\n%s", errors().c_str());
  }

  bool is_up() const noexcept { return is_up_; }
  std::string errors() { return program_->errors(); }
  OurClient::Setup client() const {
    return {.port = port_,
            .user = machine_user(),
            .key = user_key_,
            .host_key_fingerprint = host_key_.fingerprint()};
  }

 private:
  void start() {
    port_ = free_port();
    program_.emplace(
        Words{find_program("dropbear"), "-F", "-E", "-s", "-p",
              "127.0.0.1:" + std::to_string(port_), "-r", folder_.file("host_key"), "-P",
              folder_.file("pid")},
        Words{"LD_PRELOAD=" STREAMKIT_OTHER_HOME, "STREAMKIT_OTHER_HOME=" + folder_.path()});
    is_up_ = program_->wait_for_errors("Not backgrounding");
    // It binds before it says so; a port that was taken is said first.
    is_up_ = is_up_ && program_->errors().find("Failed listening") == std::string::npos;
  }

  Folder folder_;
  crypto::PrivateKey user_key_;
  crypto::PublicKey host_key_;
  std::uint16_t port_ = 0;
  bool is_up_ = false;
  std::optional<Program> program_;
};

#define SK_NEEDS_DROPBEAR()             \
  SK_NEEDS("dropbear", "dropbear-bin"); \
  SK_NEEDS("dropbearkey", "dropbear-bin")

class DropbearServerCipher : public ::testing::TestWithParam<Suite> {};

TEST_P(DropbearServerCipher, gives_us_back_every_byte_through_our_rekeys) {
  SK_NEEDS_DROPBEAR();
  Dropbear dropbear;
  ASSERT_TRUE(dropbear.is_up()) << dropbear.errors();
  OurClient::Setup setup = dropbear.client();
  setup.algorithms.ciphers = {GetParam().cipher};
  setup.algorithms.macs = GetParam().macs();
  OurClient client(setup);
  SK_ASSERT_OK(client.connect());
  Result<Channel> channel = client.open("cat");
  SK_ASSERT_OK(channel);
  EXPECT_EQ(echo_problem(*channel, transfer_bytes()), "");
  const Result<Closed> end = channel->wait_closed(kPatience);
  SK_ASSERT_OK(end);
  EXPECT_TRUE(end->status.ok());
  EXPECT_GE(client.exchanges(), exchanges_for(transfer_bytes()));
}

INSTANTIATE_TEST_SUITE_P(Dropbear, DropbearServerCipher, ::testing::ValuesIn(kSuites), suite_name);

class DropbearServerKey : public ::testing::TestWithParam<const char*> {};

TEST_P(DropbearServerKey, shows_us_its_host_key) {
  SK_NEEDS_DROPBEAR();
  Dropbear dropbear(GetParam());
  ASSERT_TRUE(dropbear.is_up()) << dropbear.errors();
  OurClient client(dropbear.client());
  SK_ASSERT_OK(client.connect());
}

INSTANTIATE_TEST_SUITE_P(Dropbear, DropbearServerKey, ::testing::Values("ed25519", "ecdsa", "rsa"),
                         [](const auto& about) { return std::string(about.param); });

class DropbearServerUserKey : public ::testing::TestWithParam<crypto::KeyType> {};

TEST_P(DropbearServerUserKey, takes_our_key) {
  SK_NEEDS_DROPBEAR();
  Dropbear dropbear("ed25519", GetParam());
  ASSERT_TRUE(dropbear.is_up()) << dropbear.errors();
  OurClient client(dropbear.client());
  SK_ASSERT_OK(client.connect());
}

INSTANTIATE_TEST_SUITE_P(Dropbear, DropbearServerUserKey,
                         ::testing::Values(crypto::KeyType::ed25519, crypto::KeyType::ecdsa_p256,
                                           crypto::KeyType::ecdsa_p384, crypto::KeyType::ecdsa_p521,
                                           crypto::KeyType::rsa),
                         key_type_name);

TEST(DropbearServer, tells_us_a_program_s_exit_code_and_its_standard_error) {
  SK_NEEDS_DROPBEAR();
  Dropbear dropbear;
  ASSERT_TRUE(dropbear.is_up()) << dropbear.errors();
  OurClient client(dropbear.client());
  SK_ASSERT_OK(client.connect());
  Result<Channel> channel = client.open("echo out; echo beside >&2; exit 7");
  SK_ASSERT_OK(channel);
  const Result<std::string> out = read_all(*channel);
  SK_ASSERT_OK(out);
  EXPECT_EQ(*out, "out\n");
  const Result<Bytes> beside = channel->read_error(kPatience);
  SK_ASSERT_OK(beside);
  EXPECT_EQ(as_text(*beside), "beside\n");
  const Result<Closed> end = channel->wait_closed(kPatience);
  SK_ASSERT_OK(end);
  EXPECT_EQ(end->status.message, "7");
}

TEST(DropbearServer, that_does_not_know_our_key_is_an_error_that_says_so) {
  SK_NEEDS_DROPBEAR();
  Dropbear dropbear;
  ASSERT_TRUE(dropbear.is_up()) << dropbear.errors();
  OurClient::Setup setup = dropbear.client();
  setup.key = new_key();
  OurClient client(setup);
  const Result<PeerInfo> info = client.connect();
  ASSERT_FALSE(info);
  EXPECT_TRUE(info.error().is(Errc::auth_denied)) << info.error().message();
}

}  // namespace
}  // namespace streamkit::testing
