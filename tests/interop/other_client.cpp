// The command lines of other implementations' clients.
#include "other_client.hpp"

#include <sys/stat.h>

namespace streamkit::testing {
namespace {

using Form = Ask::Form;

std::string local_forward(const Ask& ask) {
  return "127.0.0.1:" + std::to_string(ask.port) + ":" + ask.what + ":1";
}
std::string remote_forward(const Ask& ask) {
  return std::to_string(ask.port) + ":127.0.0.1:" + std::to_string(ask.target);
}

void add(Words& words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
}

/// The arguments that OpenSSH, Dropbear and PuTTY have in common; they differ in `netcat`, the
/// option that joins standard input and output to a direct-tcpip channel.
Words stock_arguments(const Ask& ask, const char* netcat) {
  const std::string host = "127.0.0.1";
  switch (ask.form) {
    case Form::exec:
      return {host, ask.what};
    case Form::subsystem:
      return {"-s", host, ask.what};
    case Form::shell:
      return {host};
    case Form::direct_tcpip:
      return {netcat, ask.what + ":1", host};
    case Form::local_port:
      return {"-N", "-L", local_forward(ask), host};
    case Form::local_path:
      return {"-N", "-L", ask.path + ":/" + ask.what, host};
    case Form::remote_port:
      return {"-N", "-R", remote_forward(ask), host};
    case Form::open_type:
      break;
  }
  ADD_FAILURE() << "no stock client opens a channel of a type that one names";
  return {};
}

// ---------------------------------------------------------------- OpenSSH

Words openssh_words(const OurServer& server, const Ask& ask) {
  Words words = {"ssh", "-F", "none", "-T", "-p", std::to_string(server.port()), "-l", kUser};
  Words options = {"UserKnownHostsFile=" + server.known_hosts_file(),
                   "GlobalKnownHostsFile=/dev/null",
                   "StrictHostKeyChecking=yes",
                   "RekeyLimit=1M",
                   "ExitOnForwardFailure=yes",
                   "NumberOfPasswordPrompts=1"};
  if (ask.login == Login::agent) {
    add(options, {"BatchMode=yes", "IdentityFile=none", "IdentityAgent=SSH_AUTH_SOCK"});
  } else if (ask.login == Login::key || ask.login == Login::certificate) {
    add(options, {"BatchMode=yes", "IdentityAgent=none", "IdentitiesOnly=yes",
                  "IdentityFile=" + server.user_key_file()});
  } else {
    add(options, {"PubkeyAuthentication=no"});
  }
  if (ask.login == Login::certificate)
    options.push_back("CertificateFile=" + server.user_key_file() + "-cert.pub");
  for (const std::string& variable : ask.environment) options.push_back("SetEnv=" + variable);
  for (const std::string& option : options) add(words, {"-o", option});
  add(words, stock_arguments(ask, "-W"));
  return words;
}

/// A program that prints the password, for ssh.
Words openssh_environment(const OurServer& server) {
  const std::string path =
      server.folder().write("askpass", std::string("#!/bin/sh\necho '") + kPassword + "'\n");
  ::chmod(path.c_str(), 0700);
  return {"SSH_ASKPASS=" + path, "SSH_ASKPASS_REQUIRE=force"};
}

// ---------------------------------------------------------------- Dropbear

Words dropbear_words(const OurServer& server, const Ask& ask) {
  const Folder& folder = server.folder();
  const std::string home_folder = folder.file(".ssh"), key_file = folder.file("dropbear_key");
  ::mkdir(home_folder.c_str(), 0700);
  // It looks for the host without its port.
  folder.write(".ssh/known_hosts", "127.0.0.1 " + server.host_key().text() + "\n");
  Words words = {"dbclient", "-T", "-p", std::to_string(server.port()), "-l", kUser};
  if (ask.login == Login::key) {
    Program convert({"dropbearconvert", "openssh", "dropbear", server.user_key_file(), key_file});
    (void)convert.talk();
    EXPECT_EQ(convert.wait(), 0) << convert.errors();
    add(words, {"-i", key_file});
  }
  add(words, stock_arguments(ask, "-B"));
  return words;
}

Words dropbear_environment(const OurServer& server) {
  return {"HOME=" + server.folder().path(), std::string("DROPBEAR_PASSWORD=") + kPassword};
}

// ---------------------------------------------------------------- PuTTY

Words putty_words(const OurServer& server, const Ask& ask) {
  Words words = {"plink",
                 "-batch",
                 "-T",
                 "-P",
                 std::to_string(server.port()),
                 "-l",
                 kUser,
                 "-hostkey",
                 server.host_key().fingerprint()};
  add(words, {ask.login == Login::agent ? "-agent" : "-noagent"});
  if (ask.login == Login::password || ask.login == Login::interactive) {
    add(words, {"-pwfile", server.folder().write("password", kPassword)});
  } else if (ask.login != Login::agent) {
    const std::string key_file = server.folder().file("user_key.ppk");
    Program convert({"puttygen", server.user_key_file(), "-O", "private", "-o", key_file});
    (void)convert.talk();
    EXPECT_EQ(convert.wait(), 0) << convert.errors();
    add(words, {"-i", key_file});
  }
  if (ask.login == Login::certificate) add(words, {"-cert", server.user_key_file() + "-cert.pub"});
  add(words, stock_arguments(ask, "-nc"));
  return words;
}

Words own_home(const OurServer& server) {
  return {"HOME=" + server.folder().path()};
}

// ---------------------------------------------------------------- our programs around libraries

/// What is in tests/interop/peers has one command line.
Words peer_arguments(const OurServer& server, const Ask& ask, std::uint64_t rekey) {
  Words words = {"client",
                 "--port",
                 std::to_string(server.port()),
                 "--user",
                 kUser,
                 "--host-key",
                 server.host_key().text(),
                 "--rekey",
                 std::to_string(rekey)};
  switch (ask.login) {
    case Login::key:
      add(words, {"--key", server.user_key_file()});
      break;
    case Login::certificate:
      add(words,
          {"--key", server.user_key_file(), "--certificate", server.user_key_file() + "-cert.pub"});
      break;
    case Login::password:
      add(words, {"--password", kPassword});
      break;
    case Login::interactive:
      add(words, {"--interactive", kPassword});
      break;
    case Login::agent:
      add(words, {"--agent"});
      break;
  }
  for (const std::string& variable : ask.environment) add(words, {"--env", variable});
  switch (ask.form) {
    case Form::exec:
      add(words, {"--exec", ask.what});
      break;
    case Form::subsystem:
      add(words, {"--subsystem", ask.what});
      break;
    case Form::shell:
      add(words, {"--shell"});
      break;
    case Form::direct_tcpip:
      add(words, {"--direct", ask.what});
      break;
    case Form::local_port:
      add(words, {"--local", std::to_string(ask.port), ask.what});
      break;
    case Form::local_path:
      add(words, {"--local", ask.path, ask.what});
      break;
    case Form::remote_port:
      add(words, {"--remote", std::to_string(ask.port), std::to_string(ask.target)});
      break;
    case Form::open_type:
      add(words, {"--type", ask.what});
      break;
  }
  return words;
}

auto peer(Words interpreter, std::uint64_t rekey = kRekeyBytes) {
  return [interpreter, rekey](const OurServer& server, const Ask& ask) {
    Words words = interpreter;
    add(words, peer_arguments(server, ask, rekey));
    return words;
  };
}

// ---------------------------------------------------------------- all of them

const char* const kNoCertificates = "knows no certificates";
const char* const kOwnTypes = "its command line names no types of channels";

const std::vector<OtherClient>& all() {
  static const std::vector<OtherClient> clients = {
      {.name = "OpenSsh",
       .needs = {{"ssh", "openssh-client"}},
       .lacks = {{"service unknown type of channel", kOwnTypes}},
       .words = openssh_words,
       .environment = openssh_environment},
      {.name = "Dropbear",
       .needs = {{"dbclient", "dropbear-bin"}, {"dropbearconvert", "dropbear-bin"}},
       .lacks = {{"service unknown type of channel", kOwnTypes},
                 {"login certificate", kNoCertificates},
                 {"service environment", "sends none"},
                 {"service direct-streamlocal", "has no sockets of that kind"}},
       .words = dropbear_words,
       .environment = dropbear_environment,
       .is_talkative = true},
      {.name = "Putty",
       .needs = {{"plink", "putty-tools"}, {"puttygen", "putty-tools"}},
       .lacks = {{"service unknown type of channel", kOwnTypes},
                 {"service environment", "is set in saved sessions only"},
                 {"service direct-streamlocal", "has no sockets of that kind"},
                 {"MAC hmac-sha2-512-etm@openssh.com", "does not have it before version 0.79"},
                 {"MAC hmac-sha2-512", "does not have it before version 0.79"}},
       .words = putty_words,
       .environment = own_home,
       .is_talkative = true},
      {.name = "Go",
       .needs = {{STREAMKIT_GO_PEER, "golang-go and golang-golang-x-crypto-dev, and build again"}},
       .lacks = {},
       .words = peer({STREAMKIT_GO_PEER}),
       .is_strict = false},
      {.name = "Paramiko",
       .needs = {{"/usr/lib/python3/dist-packages/paramiko/transport.py", "python3-paramiko"}},
       .lacks = {{"service direct-streamlocal", "has no channels of that kind"}},
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
       .lacks = {{"service unknown type of channel", "has no call for it"},
                 {"login certificate", kNoCertificates}},
       .words = peer({"node", STREAMKIT_PEERS "/ssh2_peer.js"}),
       .environment = [](const OurServer&) { return Words{"NODE_PATH=" STREAMKIT_NODE_MODULES}; },
       .is_optional = true},
  };
  return clients;
}

}  // namespace

const OtherClient& other_client(std::string_view name) {
  for (const OtherClient& client : all())
    if (client.name == name) return client;
  std::abort();  // a row that the list above does not have
}

}  // namespace streamkit::testing
