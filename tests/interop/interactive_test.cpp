// keyboard-interactive with others: OpenSSH's `ssh` answers our Peer's questions through an askpass
// program, and our Peer answers those of a server made of libssh, which then wants a key as well.
#define SSH_SUPPRESS_DEPRECATED

#include "our_server.hpp"

#include <future>
#include <libssh/libssh.h>
#include <libssh/server.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace streamkit::testing {
namespace {

// ---------------------------------------------------------------- ssh, asked by us

/// Asks for a password and then for a code, and says so before each.
void ask_twice(const InteractiveTurn& turn, Completion<InteractiveReply> done) {
  InteractiveReply reply;
  if (turn.rounds.size() < 2) {
    reply.verdict = InteractiveReply::Verdict::ask;
    reply.request = turn.rounds.empty()
                        ? ssh::InfoRequest{"Door", "First the password.", {{"Password: ", false}}}
                        : ssh::InfoRequest{"", "", {{"Code: ", true}, {"Again: ", true}}};
  } else if (turn.name == kUser && as_text(turn.rounds[0].at(0).view()) == "sesame" &&
             as_text(turn.rounds[1].at(0).view()) == "42" &&
             as_text(turn.rounds[1].at(1).view()) == "42") {
    reply.verdict = InteractiveReply::Verdict::accept;
  }
  done(std::move(reply));
}

TEST(OpenSshClient, answers_our_questions_for_two_rounds) {
  SK_NEEDS("ssh", "openssh-client");
  OurServer server;
  SK_ASSERT_OK(server.peer().reconfigure([](PeerOptions& options) {
    options.trust.authorized_keys = {new_key().public_key()};
    options.trust.interactive = ask_twice;
  }));
  for (const std::string code : {"41", "42"}) {
    const std::string askpass = server.folder().write(
        "askpass",
        "#!/bin/sh\ncase \"$1\" in *Password*) echo sesame;; *) echo " + code + ";; esac\n");
    ASSERT_EQ(::chmod(askpass.c_str(), 0700), 0);
    Program ssh({"ssh",
                 "-F",
                 "none",
                 "-v",
                 "-T",
                 "-p",
                 std::to_string(server.port()),
                 "-l",
                 kUser,
                 "-o",
                 "PreferredAuthentications=keyboard-interactive",
                 "-o",
                 "NumberOfPasswordPrompts=1",
                 "-o",
                 "UserKnownHostsFile=" + server.known_hosts_file(),
                 "-o",
                 "GlobalKnownHostsFile=/dev/null",
                 "-o",
                 "StrictHostKeyChecking=yes",
                 "127.0.0.1",
                 "echo"},
                {"SSH_ASKPASS=" + askpass, "SSH_ASKPASS_REQUIRE=force"});
    const bool right = code == "42";
    EXPECT_EQ(ssh.talk("hello"), right ? "hello" : "");
    EXPECT_EQ(ssh.wait(), right ? 0 : 255) << ssh.errors();
    EXPECT_NE(ssh.errors().find("First the password."), std::string::npos) << ssh.errors();
  }
}

// ---------------------------------------------------------------- libssh, asking us

struct FreeSession {
  void operator()(ssh_session s) const {
    ssh_disconnect(s);
    ssh_free(s);
  }
};
struct FreeKey {
  void operator()(ssh_key k) const { ssh_key_free(k); }
};
struct FreeBind {
  void operator()(ssh_bind b) const { ssh_bind_free(b); }
};

/// Lets one client in who answers "sesame" and "42", and then, where `wants_key`, shows its key
/// too.
class AskingLibsshServer {
 public:
  explicit AskingLibsshServer(bool wants_key)
      : wants_key_(wants_key), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 1), 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~AskingLibsshServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  Endpoint endpoint() const { return Endpoint("tcp://127.0.0.1:" + std::to_string(port_)); }
  std::string fingerprint() const { return host_key_.public_key().fingerprint(); }

 private:
  void serve() {
    const std::unique_ptr<ssh_bind_struct, FreeBind> bind(ssh_bind_new());
    const bool no = false;
    ssh_bind_options_set(bind.get(), SSH_BIND_OPTIONS_PROCESS_CONFIG, &no);
    ssh_key key = nullptr;
    ssh_pki_import_privkey_base64(text_of(host_key_).c_str(), nullptr, nullptr, nullptr, &key);
    ssh_bind_options_set(bind.get(), SSH_BIND_OPTIONS_IMPORT_KEY, key);
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    const std::unique_ptr<ssh_session_struct, FreeSession> session(ssh_new());
    const long patience = kPatience.count();
    if (ssh_bind_accept_fd(bind.get(), session.get(), fd) != SSH_OK) return;
    ssh_options_set(session.get(), SSH_OPTIONS_TIMEOUT, &patience);
    if (ssh_handle_key_exchange(session.get()) != SSH_OK) return;
    ssh_set_auth_methods(session.get(), SSH_AUTH_METHOD_INTERACTIVE);
    while (ssh_message message = ssh_message_get(session.get())) {
      answer(session.get(), message);
      ssh_message_free(message);
    }
  }
  void answer(ssh_session session, ssh_message message) {
    const int type = ssh_message_type(message), subtype = ssh_message_subtype(message);
    if (type == SSH_REQUEST_SERVICE) {
      ssh_message_service_reply_success(message);
    } else if (type == SSH_REQUEST_AUTH && subtype == SSH_AUTH_METHOD_INTERACTIVE && !answered_) {
      answer_interactive(session, message);
    } else if (type == SSH_REQUEST_AUTH && subtype == SSH_AUTH_METHOD_PUBLICKEY && answered_ &&
               ssh_message_auth_publickey_state(message) == SSH_PUBLICKEY_STATE_VALID) {
      ssh_message_auth_reply_success(message, 0);
    } else {
      ssh_message_reply_default(message);
    }
  }
  void answer_interactive(ssh_session session, ssh_message message) {
    if (!ssh_message_auth_kbdint_is_response(message)) {
      const char* prompts[] = {"Password: ", "Code: "};
      char echo[] = {0, 1};
      ssh_message_auth_interactive_request(message, "Door", "Say both.", 2, prompts, echo);
      return;
    }
    const auto is = [&](unsigned i, std::string_view wanted) {
      const char* given = ssh_userauth_kbdint_getanswer(session, i);
      return given && given == wanted;
    };
    if (ssh_userauth_kbdint_getnanswers(session) != 2 || !is(0, "sesame") || !is(1, "42")) {
      ssh_message_reply_default(message);
      return;
    }
    answered_ = true;
    if (wants_key_) ssh_set_auth_methods(session, SSH_AUTH_METHOD_PUBLICKEY);
    ssh_message_auth_reply_success(message, wants_key_ ? 1 : 0);
  }

  const crypto::PrivateKey host_key_ = new_key();
  const bool wants_key_;
  bool answered_ = false;
  int listener_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

TEST(LibsshServer, asks_us_and_where_it_likes_takes_our_key_after_that) {
  for (const bool wants_key : {false, true})
    for (const std::string code : {"41", "42"}) {
      const AskingLibsshServer server(wants_key);
      std::promise<ssh::InfoRequest> seen;
      PeerOptions options;
      options.name = kUser;
      options.trust.known_host_keys = {server.fingerprint()};
      options.reconnect.on = false;
      options.trust.answer_prompts = [&](const Endpoint&, const ssh::InfoRequest& asked,
                                         Completion<std::vector<SecretBytes>> done) {
        seen.set_value(asked);
        std::vector<SecretBytes> answers;
        answers.emplace_back(as_bytes("sesame"));
        answers.emplace_back(as_bytes(code));
        done(std::move(answers));
      };
      Peer client = Peer::make(std::move(options)).value();
      const Result<PeerInfo> info = client.connect(server.endpoint(), kPatience);
      EXPECT_EQ(info.has_value(), code == "42") << (info ? "" : info.error().message());
      std::future<ssh::InfoRequest> shown = seen.get_future();
      ASSERT_EQ(shown.wait_for(std::chrono::seconds(0)), std::future_status::ready);
      const ssh::InfoRequest request = shown.get(), *asked = &request;
      EXPECT_EQ(asked->name, "Door");
      EXPECT_EQ(asked->instruction, "Say both.");
      ASSERT_EQ(asked->prompts.size(), 2u);
      EXPECT_EQ(asked->prompts[1].text, "Code: ");
      EXPECT_TRUE(asked->prompts[1].echo && !asked->prompts[0].echo);
    }
}

}  // namespace
}  // namespace streamkit::testing
