// Our half of each way to log in.
#include "login.hpp"

namespace streamkit::testing {
namespace {

void run(const std::vector<std::string>& words) {
  Program ssh_keygen(words);
  (void)ssh_keygen.talk();
  EXPECT_EQ(ssh_keygen.wait(), 0) << ssh_keygen.errors();
}

/// Asks for the password, as a server that knows no other way to do it.
void ask_for_password(const InteractiveTurn& turn, Completion<InteractiveReply> done) {
  InteractiveReply reply;
  if (turn.rounds.empty()) {
    reply.verdict = InteractiveReply::Verdict::ask;
    reply.request = {"", "", {{"Password: ", false}}};
  } else if (turn.name == kUser && as_text(turn.rounds.back().at(0).view()) == kPassword) {
    reply.verdict = InteractiveReply::Verdict::accept;
  }
  done(std::move(reply));
}

void answer_with_password(const Endpoint& /*endpoint*/, const ssh::InfoRequest& asked,
                          Completion<std::vector<SecretBytes>> done) {
  std::vector<SecretBytes> answers;
  for (std::size_t i = 0; i < asked.prompts.size(); ++i)
    answers.emplace_back(as_bytes(std::string_view(kPassword)));
  done(std::move(answers));
}

}  // namespace

Login login_of(std::string_view value) {
  if (value == "password") return Login::password;
  if (value == "certificate") return Login::certificate;
  if (value == "keyboard-interactive") return Login::interactive;
  return value == "agent" ? Login::agent : Login::key;
}

Authority::Authority(crypto::KeyType type) : key_(new_key(type)) {
  folder_.write("ca", text_of(key_));
  folder_.write("ca.pub", line());
}

std::string Authority::sign(const std::string& name, const crypto::PublicKey& key,
                            const std::vector<std::string>& more) const {
  write(name + ".pub", key.text() + "\n");
  std::vector<std::string> words = {"ssh-keygen", "-q", "-s", file("ca"), "-I", name, "-z", "7"};
  words.insert(words.end(), more.begin(), more.end());
  words.push_back(file(name + ".pub"));
  run(words);
  return file(name + "-cert.pub");
}

std::string Authority::revoke() const {
  write("spec", "serial: 7\n");
  run({"ssh-keygen", "-q", "-k", "-f", file("krl"), "-s", keys_file(), file("spec")});
  return file("krl");
}

void let_in_by(Login login, PeerOptions& options, const Authority& authority) {
  Trust& trust = options.trust;
  if (login == Login::key || login == Login::agent) return;
  trust.authorized_keys = {new_key().public_key()};
  if (login == Login::certificate) trust.user_ca_file = authority.keys_file();
  if (login == Login::interactive) trust.interactive = ask_for_password;
  if (login == Login::password)
    trust.password = [](const std::string& name, std::string_view given) {
      return name == kUser && given == kPassword;
    };
}

std::unique_ptr<SshAgent> equip(Login login, const OurServer& server, const Authority& authority) {
  if (login == Login::certificate) {
    const std::string made = authority.sign("user", server.user_key().public_key(), {"-n", kUser});
    std::filesystem::copy(made, server.user_key_file() + "-cert.pub");
  }
  if (login != Login::agent) return nullptr;
  server.folder().write("user_key", text_of(new_key()));
  auto agent = std::make_unique<SshAgent>(std::vector{server.user_key()});
  EXPECT_TRUE(agent->is_up()) << agent->errors();
  return agent;
}

std::unique_ptr<SshAgent> log_in_by(Login login, OurClient::Setup& setup,
                                    const Authority& authority) {
  if (login == Login::key) return nullptr;
  if (login == Login::certificate) {
    const std::string file = authority.sign("user", setup.key.public_key(), {"-n", setup.user});
    setup.change = [file](PeerOptions& options) { options.identity_certificate_files = {file}; };
    return nullptr;
  }
  const crypto::PrivateKey key = std::exchange(setup.key, new_key());  // which nobody knows
  if (login == Login::agent) {
    auto agent = std::make_unique<SshAgent>(std::vector{key});
    EXPECT_TRUE(agent->is_up()) << agent->errors();
    setup.agent = agent->socket();
    return agent;
  }
  setup.change = [login](PeerOptions& options) {
    if (login == Login::password) options.trust.present_password = kPassword;
    if (login == Login::interactive) options.trust.answer_prompts = answer_with_password;
  };
  return nullptr;
}

}  // namespace streamkit::testing
