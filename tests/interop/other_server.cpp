// The command lines and configurations of other implementations' servers.
#include "other_server.hpp"

#include <cstdlib>
#include <sys/stat.h>
#include <unistd.h>

namespace streamkit::testing {
namespace {

constexpr int kAttempts = 5;  // at a port that was free a moment ago

/// For servers that look for authorized_keys in the home folder of the user.
Words other_home(const ServerSetup& setup) {
  return {"LD_PRELOAD=" STREAMKIT_OTHER_USER, "STREAMKIT_OTHER_HOME=" + setup.folder.path()};
}
/// For servers that ask the machine for its users' passwords.
Words other_password(const ServerSetup& /*setup*/) {
  return {"LD_PRELOAD=" STREAMKIT_OTHER_USER,
          std::string("STREAMKIT_OTHER_PASSWORD=") + kPasswordHash};
}
Words other_home_and_password(const ServerSetup& setup) {
  Words words = other_home(setup);
  words.push_back(other_password(setup).back());
  return words;
}

/// From 9.8 on it turns away for a while whoever has failed to log in, which tests do on purpose.
std::string no_penalties() {
  Program ssh({"ssh", "-V"});
  (void)ssh.wait();  // it has said all then
  const std::string said = ssh.errors(), name = "OpenSSH_";
  const std::size_t at = said.find(name);
  const double version = at == said.npos ? 0 : std::atof(said.c_str() + at + name.size());
  return version < 9.8 ? "" : "PerSourcePenalties no\n";
}

Words openssh_words(const ServerSetup& setup) {
  if (::geteuid() == 0) ::mkdir("/run/sshd", 0755);  // it drops privileges into this folder
  const Folder& folder = setup.folder;
  std::string more = setup.more;  // of a word that comes twice, the first counts
  if (setup.login == Login::password) more += "PasswordAuthentication yes\n";
  if (setup.login == Login::certificate)
    more += "TrustedUserCAKeys " + folder.file("ca.pub") + "\n";
  const std::string config = folder.write(
      "sshd_config",
      more + "Port " + std::to_string(setup.port) + "\nListenAddress 127.0.0.1\nHostKey " +
          folder.file("host_key") + "\nAuthorizedKeysFile " + folder.file("authorized_keys") +
          "\nPidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\n"
          "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
          "LogLevel DEBUG1\nAcceptEnv COLOUR\nSubsystem echo /bin/cat\nMaxSessions 200\n"
          "RekeyLimit 1M\n" +
          no_penalties());
  return {find_program("sshd"), "-D", "-e", "-f", config};
}

Words dropbear_words(const ServerSetup& setup) {
  const std::string key = setup.folder.file("dropbear_key");
  Program convert({"dropbearconvert", "openssh", "dropbear", setup.folder.file("host_key"), key});
  (void)convert.talk();
  EXPECT_EQ(convert.wait(), 0) << convert.errors();
  Words words = {find_program("dropbear"),
                 "-F",
                 "-E",
                 "-r",
                 key,
                 "-P",
                 setup.folder.file("pid"),
                 "-p",
                 "127.0.0.1:" + std::to_string(setup.port)};
  if (setup.login != Login::password) words.emplace_back("-s");  // no passwords
  return words;
}

std::string tinyssh_keys(const ServerSetup& setup) {
  return setup.folder.file("tinyssh");
}

/// It serves one connection on its standard input and output.
Words tinyssh_words(const ServerSetup& setup) {
  return {find_program("socat"), "-d", "-d",
          "TCP-LISTEN:" + std::to_string(setup.port) + ",bind=127.0.0.1,reuseaddr,fork",
          "EXEC:" + find_program("tinysshd") + " -v -x echo=/bin/cat " + tinyssh_keys(setup)};
}

Words tinyssh_host_key(const ServerSetup& setup) {
  Program make({find_program("tinysshd-makekey"), tinyssh_keys(setup)});
  (void)make.talk();
  EXPECT_EQ(make.wait(), 0) << make.errors();
  return {find_program("tinysshd-printkey"), tinyssh_keys(setup)};
}

/// It has one of everything, and often closes the connection before we have read what it offers.
Lacks tinyssh_lacks() {
  Lacks lacks = {{"service 100 channels", "has one channel a connection"},
                 {"service direct-tcpip", "forwards nothing"},
                 {"service refused forwarding", "forwards nothing"},
                 {"service direct-streamlocal", "forwards nothing"}};
  const auto add = [&lacks](const std::string& column, const std::vector<std::string>& values,
                            std::string_view has, const char* reason) {
    for (const std::string& value : values)
      if (has.empty() || !value.starts_with(has)) lacks[column + " " + value] = reason;
  };
  add("kex", kex_values(), "curve25519", "has curve25519 and sntrup761 only");
  add("cipher", cipher_values(), "chacha20", "has chacha20-poly1305 only");
  add("MAC", mac_values(), "", "has chacha20-poly1305 only");
  add("host key", host_key_values(), "ssh-ed25519", "has ssh-ed25519 only");
  add("login", auth_values(), "ssh-ed25519", "takes ssh-ed25519 only");
  lacks.erase("login agent");  // of an ssh-ed25519 key
  return lacks;
}

auto peer(Words interpreter, std::uint64_t rekey = kRekeyBytes) {
  return [interpreter, rekey](const ServerSetup& setup) {
    Words words = interpreter;
    const Words more = {
        "server",         "--host-key", setup.folder.file("host_key"), "--authorized",
        setup.authorized, "--rekey",    std::to_string(rekey)};
    words.insert(words.end(), more.begin(), more.end());
    if (setup.login == Login::password) words.insert(words.end(), {"--password", kPassword});
    if (setup.login == Login::interactive) words.insert(words.end(), {"--interactive", kPassword});
    if (setup.login == Login::certificate)
      words.insert(words.end(), {"--authority", setup.authority});
    return words;
  };
}

const char* const kNoAuthorities = "does not judge certificates";

const std::vector<OtherServer>& all() {
  static const std::vector<OtherServer> servers = {
      {.name = "OpenSsh",
       .needs = {{"sshd", "openssh-server"}},
       .lacks = {{"login keyboard-interactive",
                  "asks what PAM asks, of this machine's users only"}},
       .words = openssh_words,
       .environment = other_password,
       .ready = "Server listening on 127.0.0.1 port",
       .says_its_port = false,
       .knows_machine_users = true},
      {.name = "Dropbear",
       .needs = {{"dropbear", "dropbear-bin"}, {"dropbearconvert", "dropbear-bin"}},
       .lacks = {{"login certificate", kNoAuthorities},
                 {"login keyboard-interactive", "asks what PAM asks, and has none in Debian"},
                 {"service environment", "takes none"},
                 {"service subsystem", "has SFTP only"},
                 {"service direct-streamlocal", "has no sockets of that kind"}},
       .words = dropbear_words,
       .environment = other_home_and_password,
       .ready = "Not backgrounding",
       .says_its_port = false,
       .knows_machine_users = true},
      {.name = "TinySsh",
       .needs = {{"tinysshd", "tinysshd"}, {"socat", "socat"}},
       .lacks = tinyssh_lacks(),
       .words = tinyssh_words,
       .environment = other_home,
       .ready = "listening on ",
       .says_its_port = false,
       .knows_machine_users = true,
       .print_host_key = tinyssh_host_key,
       .is_strict = false,
       .works_by_default = false},
      {.name = "Go",
       .needs = {{STREAMKIT_GO_PEER, "golang-go and golang-golang-x-crypto-dev, and build again"}},
       .lacks = {},
       .words = peer({STREAMKIT_GO_PEER}),
       .is_strict = false},
      {.name = "Paramiko",
       .needs = {{"/usr/lib/python3/dist-packages/paramiko/transport.py", "python3-paramiko"}},
       .lacks = {{"login certificate", kNoAuthorities},
                 {"service direct-streamlocal", "has no channels of that kind"}},
       // It waits for itself when a channel closes in a key exchange that it began.
       .words = peer({"/usr/bin/python3", STREAMKIT_PEERS "/paramiko_peer.py"}, kNeverRekey),
       .is_strict = false},
      {.name = "AsyncSsh",
       .needs = {{"/usr/lib/python3/dist-packages/asyncssh/connection.py", "python3-asyncssh"}},
       .lacks = {},
       .words = peer({"/usr/bin/python3", STREAMKIT_PEERS "/asyncssh_peer.py"}, kNeverRekey),
       .holds_data_back = false},
      {.name = "Ssh2",
       .needs = {{"node", "nodejs"}, {STREAMKIT_NODE_MODULES "/ssh2/package.json", "npm's ssh2"}},
       .lacks = {{"login certificate", kNoAuthorities}},
       .words = peer({"node", STREAMKIT_PEERS "/ssh2_peer.js"}),
       .environment = [](const ServerSetup&) { return Words{"NODE_PATH=" STREAMKIT_NODE_MODULES}; },
       .is_optional = true},
  };
  return servers;
}

}  // namespace

const OtherServer& other_server(std::string_view name) {
  for (const OtherServer& server : all())
    if (server.name == name) return server;
  std::abort();  // a row that the list above does not have
}

RunningServer::RunningServer(const OtherServer& who, const Setup& setup)
    : who_(who), host_key_(setup.host_key), user_key_(setup.user_key) {
  // A certificate is to let in, and not its key.
  const crypto::PrivateKey known = setup.login == Login::certificate ? new_key() : user_key_;
  const std::string authorized = known.public_key().text();
  fingerprint_ = host_key_.public_key().fingerprint();
  folder_.write("host_key", text_of(host_key_));
  folder_.write("authorized_keys", authorized + "\n");
  ::mkdir(folder_.file(".ssh").c_str(), 0700);
  folder_.write(".ssh/authorized_keys", authorized + "\n");
  folder_.write("ca.pub", setup.authority);
  ServerSetup started{folder_, authorized, setup.login, setup.authority, setup.more, 0};
  if (who_.print_host_key) {
    Program print(who_.print_host_key(started));
    const Result<crypto::PublicKey> key = crypto::PublicKey::from_text(print.talk());
    EXPECT_TRUE(key) << print.errors();
    if (key) fingerprint_ = key->fingerprint();
  }
  for (int attempt = 0; attempt < kAttempts && !is_up_; ++attempt) start(started);
}

void RunningServer::start(ServerSetup setup) {
  setup.port = who_.says_its_port ? 0 : free_port();
  program_.emplace(who_.words(setup), who_.environment(setup));
  is_up_ = program_->wait_for_errors(who_.ready);
  const std::string said = program_->errors();
  // Dropbear binds before it says that it is up; a port that was taken is said first.
  is_up_ = is_up_ && said.find("Failed listening") == std::string::npos;
  port_ = setup.port;
  if (!is_up_ || !who_.says_its_port) return;
  const std::size_t at = said.find(who_.ready) + who_.ready.size();
  port_ = static_cast<std::uint16_t>(std::strtoul(said.c_str() + at, nullptr, 10));
}

RunningServer::~RunningServer() {
  if (::testing::Test::HasFailure())
    std::fprintf(stderr, "%s said:\n%s", who_.name.c_str(), errors().substr(0, 20000).c_str());
}

OurClient::Setup RunningServer::client() const {
  OurClient::Setup setup{.port = port_,
                         .user = who_.knows_machine_users ? machine_user() : kUser,
                         .key = user_key_,
                         .host_key_fingerprint = fingerprint_};
  setup.algorithms.allow_non_strict = !who_.is_strict;
  if (!who_.holds_data_back) setup.rekey_after_bytes = kNeverRekey;
  return setup;
}

}  // namespace streamkit::testing
