// keyboard-interactive (RFC 4256), both halves, and what follows a partial success.
#include "support/raw_peer.hpp"

#include <gtest/gtest.h>

namespace streamkit::ssh {
namespace {

using testing::client_config;
using testing::PairEnd;
using testing::RawPeer;
using testing::server_config;
using testing::TransportPair;

using Reply = PairEnd::Reply;
using Texts = std::vector<std::string>;

const InfoRequest kQuestions{"Door", "Say both.", {{"Password: ", false}, {"Code: ", true}}};

Config asking_server() {
  Config config = server_config();
  config.offer_interactive = true;
  return config;
}
Config asked_client() {
  Config config = client_config();
  config.identities.clear();
  config.interactive = true;
  return config;
}
Texts texts_of(const InfoResponse& response) {
  Texts out;
  for (const SecretBytes& answer : response.answers) out.emplace_back(as_text(answer.view()));
  return out;
}

// ---- both halves

TEST(Interactive, a_client_comes_in_with_the_right_answers_and_only_with_them) {
  for (const bool right : {true, false}) {
    TransportPair pair(asked_client(), asking_server());
    InfoRequest seen;
    pair.server.interactive_answer = [](const InteractiveStarted& e) {
      EXPECT_EQ(e.user, "ada");
      return Reply(kQuestions);
    };
    pair.client.prompts_answer = [&](const InfoRequest& asked) {
      seen = asked;
      return Texts{"sesame", right ? "42" : "43"};
    };
    pair.server.response_answer = [](const InfoResponse& response) {
      EXPECT_EQ(response.user, "ada");
      return Reply(texts_of(response) == Texts{"sesame", "42"});
    };
    pair.drive();
    EXPECT_EQ(pair.is_open(), right);
    EXPECT_EQ(seen.name, "Door");
    EXPECT_EQ(seen.instruction, "Say both.");
    ASSERT_EQ(seen.prompts.size(), 2u);
    EXPECT_EQ(seen.prompts[0].text, "Password: ");
    EXPECT_FALSE(seen.prompts[0].echo);
    EXPECT_TRUE(seen.prompts[1].echo);
    if (right) {
      EXPECT_EQ(pair.client.authenticated->method, "keyboard-interactive");
      EXPECT_EQ(pair.server.authenticated->method, "keyboard-interactive");
      EXPECT_EQ(pair.server.authenticated->user, "ada");
      EXPECT_TRUE(pair.server.authenticated->key.is_empty());
    } else {
      EXPECT_TRUE(pair.client.has("failed keyboard-interactive"));
      EXPECT_TRUE(pair.client.disconnected->error.is(Errc::auth_denied));
    }
  }
}

TEST(Interactive, goes_on_for_several_rounds_one_of_them_without_prompts) {
  TransportPair pair(asked_client(), asking_server());
  int round = 0;
  pair.server.interactive_answer = [](const auto&) { return Reply(kQuestions); };
  pair.server.response_answer = [&](const InfoResponse& response) {
    EXPECT_EQ(response.answers.size(), round == 1 ? 0u : 2u);
    ++round;
    if (round == 1) return Reply(InfoRequest{"", "Your password ends soon.", {}});
    if (round == 2) return Reply(kQuestions);
    return Reply(true);
  };
  pair.client.prompts_answer = [](const InfoRequest& asked) {
    return Texts(asked.prompts.size(), "x");
  };
  pair.drive();
  EXPECT_TRUE(pair.is_open());
  EXPECT_EQ(round, 3);
}

TEST(Interactive, what_waits_for_an_answer_reads_nothing_and_survives_a_wrong_one) {
  TransportPair pair(asked_client(), asking_server());
  pair.server.interactive_answer = [](const auto&) { return Reply(); };
  pair.client.prompts_answer = nullptr;
  pair.drive();
  EXPECT_FALSE(pair.server.transport.wants_input());
  InfoRequest many = kQuestions;
  many.prompts.resize(17);
  EXPECT_TRUE(pair.server.transport.ask(many).error().is(Errc::usage));
  InfoRequest longer = kQuestions;
  longer.prompts[0].text.assign(1025, 'p');
  EXPECT_TRUE(pair.server.transport.ask(longer).error().is(Errc::usage));
  longer = kQuestions;
  longer.name.assign(1025, 'n');
  EXPECT_TRUE(pair.server.transport.ask(longer).error().is(Errc::usage));
  longer = kQuestions;
  longer.instruction.assign(16385, 'i');
  EXPECT_TRUE(pair.server.transport.ask(longer).error().is(Errc::usage));
  EXPECT_FALSE(pair.server.transport.wants_input());
  InfoRequest largest{std::string(1024, 'n'), std::string(16384, 'i'), {}};
  largest.prompts.assign(16, Prompt{std::string(1024, 'p'), false});
  ASSERT_TRUE(pair.server.transport.ask(largest));
  EXPECT_FALSE(pair.server.transport.ask(largest));
  pair.drive();
  EXPECT_FALSE(pair.client.transport.wants_input());
  std::vector<SecretBytes> answers(15);
  EXPECT_TRUE(pair.client.transport.answer_prompts(answers).error().is(Errc::usage));
  answers.emplace_back(std::size_t{1025});
  EXPECT_TRUE(pair.client.transport.answer_prompts(answers).error().is(Errc::usage));
  answers.back() = SecretBytes(std::size_t{1024});
  pair.client.transport.accept_auth();  // a server's command: no effect
  pair.server.response_answer = [](const InfoResponse& r) {
    return Reply(r.answers.size() == 16 && r.answers.back().size() == 1024);
  };
  ASSERT_TRUE(pair.client.transport.answer_prompts(answers));
  EXPECT_FALSE(pair.client.transport.answer_prompts(answers));
  pair.drive();
  EXPECT_TRUE(pair.is_open());
}

TEST(Interactive, a_client_that_declines_says_that_it_was_cancelled) {
  TransportPair pair(asked_client(), asking_server());
  pair.server.interactive_answer = [](const auto&) { return Reply(kQuestions); };
  pair.drive();
  EXPECT_TRUE(pair.client.disconnected->error.is(Errc::cancelled));
  EXPECT_EQ(pair.server.disconnected->reason, DisconnectReason::auth_cancelled);
  EXPECT_FALSE(pair.server.has("answers"));
}

TEST(Interactive, comes_after_keys_and_password_and_only_where_it_is_wanted) {
  for (const bool wanted : {true, false}) {
    Config client = client_config();
    client.password = "pw";
    client.interactive = wanted;
    Config server = asking_server();
    server.offer_password = true;
    TransportPair pair(std::move(client), std::move(server));
    pair.server.key_answer = [](const auto&) { return false; };
    pair.server.interactive_answer = [](const auto&) { return Reply(true); };
    pair.drive();
    EXPECT_EQ(pair.is_open(), wanted);
    Texts log = {"extensions", "key_verified", "password"};
    if (wanted) log.insert(log.end(), {"interactive", "authenticated"});
    if (!wanted) log.emplace_back("disconnected");
    EXPECT_EQ(pair.server.log, log);
  }
}

// ---- the server

/// A raw client whose conversation has reached the prompts.
std::unique_ptr<RawPeer> at_prompts(std::size_t prompts = 2, Config options = asking_server()) {
  auto peer = std::make_unique<RawPeer>(Role::client, client_config(), std::move(options));
  peer->engine.interactive_answer = [prompts](const auto&) {
    InfoRequest request;
    request.prompts.resize(prompts);
    return Reply(request);
  };
  peer->reach(State::auth);
  peer->send(write_text_message(kMsgServiceRequest, kServiceAuth));
  peer->send(write_interactive_request("ada"));
  EXPECT_EQ(peer->count(kMsgUserauthInfoRequest), 1u);
  return peer;
}
Bytes response(std::uint32_t count, const Texts& answers) {
  Bytes out;
  wire::Writer to(out);
  to.u8(kMsgUserauthInfoResponse).u32(count);
  for (const std::string& answer : answers) to.string(answer);
  return out;
}
void expect_end(const RawPeer& peer, std::uint32_t reason) {
  EXPECT_FALSE(peer.is_live());
  EXPECT_EQ(peer.reason(), reason);
  EXPECT_FALSE(peer.engine.has("authenticated"));
  EXPECT_FALSE(peer.engine.has("answers"));
}

TEST(AuthServer, a17_answers_must_be_as_many_as_prompts) {
  const std::pair<std::uint32_t, Texts> wrong[] = {
      {0xffffffff, {}}, {1000, {"a", "b"}}, {1, {"a"}},          {3, {"a", "b", "c"}},
      {0, {}},          {2, {"a"}},         {2, {"a", "b", "c"}}};
  for (const auto& [count, answers] : wrong) {
    auto peer = at_prompts();
    peer->send(response(count, answers));
    expect_end(*peer, 2);
  }
  auto right = at_prompts();
  right->engine.response_answer = [](const auto&) { return Reply(true); };
  right->send(response(2, {"a", "b"}));
  EXPECT_TRUE(right->engine.has("authenticated"));
}

TEST(AuthServer, a17_answers_without_prompts_are_a_violation) {
  RawPeer early = RawPeer::client();
  early.reach(State::auth);
  early.send(response(0, {}));
  expect_end(early, 2);
  auto peer = at_prompts(0);
  peer->engine.response_answer = [](const auto&) { return Reply(false); };
  peer->send(response(0, {}));
  EXPECT_TRUE(peer->received(kMsgUserauthFailure));
  peer->send(response(0, {}));  // answered already
  EXPECT_FALSE(peer->is_live());
  EXPECT_EQ(peer->reason(), 2u);
  auto gone = at_prompts();
  gone->send(write_none_request("ada"));  // abandons it
  gone->send(response(2, {"a", "b"}));
  expect_end(*gone, 2);
}

TEST(AuthServer, an_answer_of_more_than_a_kibibyte_is_refused) {
  auto peer = at_prompts(1);
  peer->send(response(1, {std::string(1025, 'a')}));
  EXPECT_TRUE(peer->is_live());
  EXPECT_TRUE(peer->received(kMsgUserauthFailure));
  EXPECT_FALSE(peer->engine.has("answers"));
}

TEST(AuthServer, offers_keyboard_interactive_only_when_told_to) {
  for (const bool offered : {true, false}) {
    RawPeer peer(Role::client, client_config(), offered ? asking_server() : server_config());
    peer.engine.interactive_answer = [](const auto&) { return Reply(true); };
    peer.reach(State::auth);
    peer.send(write_text_message(kMsgServiceRequest, kServiceAuth));
    peer.send(write_none_request("ada"));
    EXPECT_EQ(read_userauth_failure(*peer.last(kMsgUserauthFailure))->methods.size(),
              offered ? 2u : 1u);
    peer.send(write_interactive_request("ada"));
    EXPECT_EQ(peer.engine.has("authenticated"), offered);
  }
}

TEST(AuthServer, a14_conversations_count_as_attempts_also_when_they_are_abandoned) {
  for (const bool answered : {true, false}) {
    auto peer = at_prompts();
    for (int i = 0; i < 5 && answered; ++i) {
      peer->send(response(2, {"a", "b"}));
      peer->send(write_interactive_request("ada"));
    }
    for (int i = 0; i < 5 && !answered; ++i) peer->send(write_interactive_request("ada"));
    EXPECT_TRUE(peer->is_live());
    EXPECT_EQ(peer->count(kMsgUserauthInfoRequest), 6u);
    peer->send(answered ? response(2, {"a", "b"}) : write_interactive_request("ada"));
    EXPECT_FALSE(peer->is_live());
    EXPECT_EQ(peer->reason(), 14u);
  }
}

TEST(AuthServer, asks_for_at_most_sixteen_rounds) {
  auto peer = at_prompts(0);
  peer->engine.response_answer = [](const auto&) { return Reply(InfoRequest()); };
  for (int i = 0; i < 15; ++i) peer->send(response(0, {}));
  EXPECT_TRUE(peer->engine.asked);
  peer->send(response(0, {}));
  ASSERT_FALSE(peer->engine.asked);
  EXPECT_TRUE(peer->engine.asked.error().is(Errc::limit));
  EXPECT_EQ(peer->count(kMsgUserauthInfoRequest), 16u);
  peer->engine.transport.reject_auth();
  peer->settle();
  EXPECT_TRUE(peer->received(kMsgUserauthFailure));
}

TEST(AuthServer, a16_conversations_with_unknown_users_are_the_same_bytes) {
  const auto answers = [](std::string_view user) {
    auto peer = at_prompts();
    peer->inbox.clear();
    peer->send(write_interactive_request(user));
    peer->send(response(2, {"a", "b"}));
    peer->send(response(3, {"a"}));
    return peer->inbox;
  };
  EXPECT_EQ(answers("ada"), answers("bob"));
}

TEST(AuthServer, wishes_of_a_client_are_bounded_text) {
  for (const auto& [wish, good] : {std::pair<std::string, bool>{std::string(1024, 's'), true},
                                   {std::string(1025, 's'), false},
                                   {"pam\x1b", false}}) {
    auto peer = at_prompts();
    Bytes request;
    wire::Writer(request)
        .u8(kMsgUserauthRequest)
        .string("ada")
        .string(kServiceConnection)
        .string(kMethodInteractive)
        .string("")
        .string(wish);
    peer->send(request);
    EXPECT_EQ(peer->count(kMsgUserauthInfoRequest), good ? 2u : 1u);
    EXPECT_TRUE(peer->is_live());
  }
}

// ---- the client

/// A raw server that was asked for keyboard-interactive.
std::unique_ptr<RawPeer> at_interactive(Config options = asked_client()) {
  auto peer = std::make_unique<RawPeer>(Role::server, server_config(), std::move(options));
  peer->engine.prompts_answer = [](const InfoRequest& asked) {
    return Texts(asked.prompts.size(), "x");
  };
  peer->reach(State::auth);
  peer->send(write_text_message(kMsgServiceAccept, kServiceAuth));
  peer->send(write_userauth_failure({"keyboard-interactive"}, false));
  EXPECT_EQ(read_userauth_request(*peer->last(kMsgUserauthRequest))->method, kMethodInteractive);
  return peer;
}

TEST(AuthClient, a17_takes_prompts_within_their_limits_only) {
  const auto with = [](const std::function<void(InfoRequest&)>& change) {
    InfoRequest request = kQuestions;
    change(request);
    auto peer = at_interactive();
    peer->send(write_info_request(request));
    return peer->received(kMsgUserauthInfoResponse);
  };
  EXPECT_TRUE(with([](InfoRequest& r) { r.prompts.resize(16); }));
  EXPECT_FALSE(with([](InfoRequest& r) { r.prompts.resize(17); }));
  EXPECT_TRUE(with([](InfoRequest& r) { r.prompts[0].text.assign(1024, 'p'); }));
  EXPECT_FALSE(with([](InfoRequest& r) { r.prompts[0].text.assign(1025, 'p'); }));
  EXPECT_FALSE(with([](InfoRequest& r) { r.name.assign(1025, 'p'); }));
  EXPECT_FALSE(with([](InfoRequest& r) { r.instruction.assign(16385, 'p'); }));
}

TEST(AuthClient, a17_malformed_prompts_are_violations) {
  const Bytes good = write_info_request(kQuestions);
  for (std::size_t size = 1; size < good.size(); ++size) {
    auto peer = at_interactive();
    peer->send(ByteView(good).first(size));
    EXPECT_FALSE(peer->is_live()) << size;
    EXPECT_EQ(peer->reason(), 2u);
    EXPECT_FALSE(peer->engine.has("prompts"));
  }
  Bytes behind = good;
  behind.push_back(std::byte{0});
  auto peer = at_interactive();
  peer->send(behind);
  EXPECT_FALSE(peer->is_live());
  Bytes claim;
  wire::Writer(claim).u8(kMsgUserauthInfoRequest).string("").string("").string("").u32(0xffffffff);
  auto many = at_interactive();
  many->send(claim);
  EXPECT_EQ(many->reason(), 2u);
}

TEST(AuthClient, answers_at_most_sixteen_rounds) {
  auto peer = at_interactive();
  for (int i = 0; i < 16; ++i) peer->send(write_info_request({}));
  EXPECT_TRUE(peer->is_live());
  EXPECT_EQ(peer->count(kMsgUserauthInfoResponse), 16u);
  peer->send(write_info_request({}));
  EXPECT_EQ(peer->reason(), 2u);
}

TEST(AuthClient, a21_says_that_a_password_has_to_be_changed) {
  Config client = asked_client();
  client.interactive = false;
  client.password = "pw";
  auto peer = std::make_unique<RawPeer>(Role::server, server_config(), std::move(client));
  peer->reach(State::auth);
  peer->send(write_text_message(kMsgServiceAccept, kServiceAuth));
  peer->send(write_userauth_failure({"password"}, false));
  Bytes change = write_banner("too old");
  change[0] = std::byte{60};
  peer->send(change);
  ASSERT_TRUE(peer->engine.disconnected);
  EXPECT_TRUE(peer->engine.disconnected->error.is(Errc::auth_denied));
  EXPECT_NE(peer->engine.disconnected->error.message().find("password has to be changed"),
            std::string::npos);
}

TEST(AuthClient, goes_back_to_its_keys_after_a_partial_success) {
  Config client = client_config();
  client.interactive = true;
  auto peer = at_interactive(std::move(client));
  EXPECT_EQ(peer->count(kMsgUserauthRequest), 2u);  // the key was refused
  peer->send(write_info_request(kQuestions));
  peer->send(write_userauth_failure({"publickey"}, true));
  const UserauthRequest request = *read_userauth_request(*peer->last(kMsgUserauthRequest));
  EXPECT_EQ(request.method, kMethodPublicKey);
  EXPECT_FALSE(peer->engine.has("failed keyboard-interactive"));
  peer->send(kMsgUserauthSuccess);
  EXPECT_EQ(peer->engine.authenticated->method, "publickey");
}

TEST(AuthClient, believes_four_partial_successes_and_no_more) {
  auto peer = at_interactive();
  for (int i = 0; i < 4; ++i) peer->send(write_userauth_failure({"keyboard-interactive"}, true));
  EXPECT_TRUE(peer->is_live());
  peer->send(write_userauth_failure({"keyboard-interactive"}, true));
  EXPECT_EQ(peer->reason(), 2u);
  EXPECT_FALSE(peer->engine.has("authenticated"));
}

}  // namespace
}  // namespace streamkit::ssh
