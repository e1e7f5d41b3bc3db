// Peers: who may come in, under which name, what happens when links come and go.
#include "support/peer_pair.hpp"
#include "support/stock_client.hpp"

#include <streamkit/io/file.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <fstream>

namespace streamkit::testing {
namespace {

// Two keys, options for a server "s" and a client "c" that trust each other, and a unix endpoint.
struct World {
  TemporaryFolder folder;
  crypto::PrivateKey server_key = new_key(), client_key = new_key();
  PeerOptions server = options_for("s", server_key, client_key.public_key());
  PeerOptions client = options_for("c", client_key, server_key.public_key());
  Endpoint endpoint = fresh_endpoint("unix", folder);
};

TEST(Trust, an_unknown_key_is_refused_with_what_to_do) {
  World w;
  w.server.trust.authorized_keys = {new_key().public_key()};
  Awaited<Error> turned_away;
  Peer server = Peer::make(w.server).value();
  PeerEvents events;
  events.turned_away = [=](const std::string&, const Error& e) { turned_away.put(e); };
  server.events(events);
  SK_ASSERT_OK(server.bind(w.endpoint));
  Peer client = Peer::make(w.client).value();
  const Result<PeerInfo> r = client.connect(w.endpoint, kPatience);
  ASSERT_FALSE(r);
  EXPECT_TRUE(r.error().is(Errc::auth_denied)) << r.error().message();
  EXPECT_NE(r.error().message().find(w.client_key.public_key().text()), std::string::npos) << r.error().message();
  EXPECT_TRUE(turned_away.next().has_value());
  EXPECT_TRUE(server.peers().empty());
}

TEST(Trust, with_nothing_configured_only_the_own_key_comes_in) {
  World w;
  w.server.trust.authorized_keys.clear();
  Peer server = Peer::make(w.server).value();
  SK_ASSERT_OK(server.bind(w.endpoint));
  Peer stranger = Peer::make(w.client).value();
  const Result<PeerInfo> r = stranger.connect(w.endpoint, kPatience);
  EXPECT_TRUE(!r && r.error().is(Errc::auth_denied));
  w.client.identity = w.server_key;
  Peer same = Peer::make(w.client).value();
  SK_EXPECT_OK(same.connect(w.endpoint, kPatience));
}

TEST(Trust, a18_an_unknown_host_key_is_refused_by_default) {
  World w;
  w.client.trust.known_host_keys.clear();
  Peer server = Peer::make(w.server).value();
  SK_ASSERT_OK(server.bind(w.endpoint));
  Peer client = Peer::make(w.client).value();
  const Result<PeerInfo> r = client.connect(w.endpoint, kPatience);
  ASSERT_FALSE(r);
  EXPECT_TRUE(r.error().is(Errc::host_key_unknown)) << r.error().message();
  EXPECT_NE(r.error().message().find(w.server_key.public_key().fingerprint()), std::string::npos);
}

TEST(Trust, a18_a_host_key_that_is_not_the_pinned_one_is_refused) {
  World w;
  w.client.trust.known_host_keys = {new_key().public_key().fingerprint()};
  Peer server = Peer::make(w.server).value();
  SK_ASSERT_OK(server.bind(w.endpoint));
  Peer client = Peer::make(w.client).value();
  const Result<PeerInfo> r = client.connect(w.endpoint, kPatience);
  EXPECT_TRUE(!r && r.error().is(Errc::host_key_mismatch));
}

TEST(Trust, a18_tofu_remembers_and_refuses_a_changed_key_before_a_password_is_sent) {
  World w;
  w.client.trust.known_host_keys.clear();
  w.client.trust.host_keys = Trust::HostKeys::tofu;
  w.client.trust.known_hosts_file = w.folder.file("known_hosts");
  w.client.trust.present_password = "secret";
  const Endpoint endpoint("tcp://127.0.0.1:" + std::to_string(free_port()));
  {
    Peer server = Peer::make(w.server).value();
    SK_ASSERT_OK(server.bind(endpoint));
    Peer client = Peer::make(w.client).value();
    SK_ASSERT_OK(client.connect(endpoint, kPatience));
  }
  const std::string first = io::read_file(w.client.trust.known_hosts_file).value();
  EXPECT_NE(first.find("[127.0.0.1]:"), std::string::npos) << first;
  w.server.identity = new_key();
  std::atomic<int> attempts{0};
  w.server.trust.public_key = [&](const std::string&, const crypto::PublicKey&) { ++attempts; return false; };
  w.server.trust.password = [&](const std::string&, std::string_view) { ++attempts; return true; };
  Peer changed = Peer::make(w.server).value();
  SK_ASSERT_OK(changed.bind(endpoint));
  Peer client = Peer::make(w.client).value();
  const Result<PeerInfo> r = client.connect(endpoint, kPatience);
  ASSERT_FALSE(r);
  EXPECT_TRUE(r.error().is(Errc::host_key_mismatch)) << r.error().message();
  EXPECT_NE(r.error().message().find("line 1"), std::string::npos) << r.error().message();
  EXPECT_EQ(attempts, 0);
  EXPECT_EQ(io::read_file(w.client.trust.known_hosts_file).value(), first);
}

TEST(Trust, a_second_claimant_of_a_name_is_told_who_holds_it) {
  World w;
  const crypto::PrivateKey other_key = new_key();
  w.server.trust.authorized_keys.push_back(other_key.public_key());
  Peer server = Peer::make(w.server).value();
  SK_ASSERT_OK(server.bind(w.endpoint));
  Peer first = Peer::make(w.client).value();
  SK_ASSERT_OK(first.connect(w.endpoint, kPatience));
  w.client.identity = other_key;
  Peer second = Peer::make(w.client).value();
  const Result<PeerInfo> r = second.connect(w.endpoint, kPatience);
  ASSERT_FALSE(r);
  EXPECT_TRUE(r.error().is(Errc::name_taken)) << r.error().message();
  EXPECT_NE(r.error().message().find(w.client_key.public_key().fingerprint()), std::string::npos) << r.error().message();
  ASSERT_EQ(server.peers().size(), 1u);
  EXPECT_EQ(server.peers()[0].key, w.client_key.public_key());
}

TEST(Trust, the_same_key_takes_its_name_over_at_once) {
  World w;
  Peer server = Peer::make(w.server).value();
  SK_ASSERT_OK(server.bind(w.endpoint));
  w.client.reconnect.on = false;
  Peer first = Peer::make(w.client).value();
  SK_ASSERT_OK(first.connect(w.endpoint, kPatience));
  Awaited<Error> lost;
  PeerEvents events;
  events.disconnected = [=](const PeerInfo&, const Error& e) { lost.put(e); };
  first.events(events);
  Peer second = Peer::make(w.client).value();
  SK_ASSERT_OK(second.connect(w.endpoint, kPatience));
  const std::optional<Error> why = lost.next();
  ASSERT_TRUE(why);
  EXPECT_NE(why->message().find("superseded"), std::string::npos) << why->message();
  EXPECT_EQ(server.peers().size(), 1u);
}

TEST(Trust, authorized_keys_bind_names_to_keys) {
  World w;
  w.server.trust.authorized_keys.clear();
  w.server.trust.authorized_keys_file = w.folder.file("authorized_keys");
  std::ofstream(w.server.trust.authorized_keys_file) << "name=\"web*\" " << w.client_key.public_key().text() << " comment\n";
  Peer server = Peer::make(w.server).value();
  SK_ASSERT_OK(server.bind(w.endpoint));
  Peer wrong = Peer::make(w.client).value();
  EXPECT_FALSE(wrong.connect(w.endpoint, kPatience));
  w.client.name = "web-1";
  Peer right = Peer::make(w.client).value();
  SK_EXPECT_OK(right.connect(w.endpoint, kPatience));
}

TEST(Trust, a_password_lets_in_where_the_server_takes_them) {
  World w;
  w.server.trust.authorized_keys = {new_key().public_key()};
  w.server.trust.password = [](const std::string& name, std::string_view secret) { return name == "c" && secret == "sesame"; };
  Peer server = Peer::make(w.server).value();
  SK_ASSERT_OK(server.bind(w.endpoint));
  w.client.trust.present_password = "wrong";
  Peer wrong = Peer::make(w.client).value();
  const Result<PeerInfo> r = wrong.connect(w.endpoint, kPatience);
  EXPECT_TRUE(!r && r.error().is(Errc::auth_denied));
  w.client.trust.present_password = "sesame";
  Peer right = Peer::make(w.client).value();
  SK_EXPECT_OK(right.connect(w.endpoint, kPatience));
  ASSERT_EQ(server.peers().size(), 1u);
  EXPECT_TRUE(server.peers()[0].key.is_empty());
}

TEST(Trust, a_key_and_a_password_let_in_together_where_both_are_wanted) {
  World w;
  w.server.trust.authentication_methods = {"publickey", "password"};
  w.server.trust.password = [](const std::string& name, std::string_view secret) { return name == "c" && secret == "sesame"; };
  Peer server = Peer::make(w.server).value();
  SK_ASSERT_OK(server.bind(w.endpoint));
  w.client.trust.present_password = "wrong";
  Peer wrong = Peer::make(w.client).value();
  const Result<PeerInfo> r = wrong.connect(w.endpoint, kPatience);
  EXPECT_TRUE(!r && r.error().is(Errc::auth_denied));
  w.client.trust.present_password = "sesame";
  Peer right = Peer::make(w.client).value();
  SK_EXPECT_OK(right.connect(w.endpoint, kPatience));
  ASSERT_EQ(server.peers().size(), 1u);
  EXPECT_EQ(server.peers()[0].key, right.key());
}

TEST(Trust, a_method_that_is_wanted_and_never_offered_is_found_when_the_peer_binds) {
  World w;
  w.server.trust.authentication_methods = {"publickey", "password"};
  const Result<Endpoint> refused = Peer::make(w.server).value().bind(w.endpoint);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().is(Errc::usage));
  EXPECT_NE(refused.error().message().find("'password'"), std::string::npos) << refused.error().message();
  w.server.trust.password = [](const std::string&, std::string_view) { return false; };
  SK_EXPECT_OK(Peer::make(w.server).value().bind(w.endpoint));
  w.server.algorithms.host_keys = {"ssh-rsa-of-others"};
  EXPECT_FALSE(Peer::make(w.server).value().bind(w.endpoint));
}

// A conversation of two rounds: a password, then a code that the first answer decides.
void ask_twice(const InteractiveTurn& turn, Completion<InteractiveReply> done) {
  InteractiveReply reply;
  if (turn.rounds.size() < 2) {
    reply.verdict = InteractiveReply::Verdict::ask;
    reply.request = turn.rounds.empty() ? ssh::InfoRequest{"Door", "", {{"Password: ", false}}}
                                        : ssh::InfoRequest{"", "", {{"Code: ", true}}};
  } else if (turn.name == "c" && as_text(turn.rounds[0].at(0).view()) == "sesame" &&
             as_text(turn.rounds[1].at(0).view()) == "42") {
    reply.verdict = InteractiveReply::Verdict::accept;
  }
  done(std::move(reply));
}

std::vector<SecretBytes> one_answer(std::string_view text) {
  std::vector<SecretBytes> answers;
  answers.emplace_back(as_bytes(text));
  return answers;
}

TEST(Trust, a_conversation_lets_in_whoever_answers_right) {
  World w;
  w.server.trust.authorized_keys = {new_key().public_key()};
  w.server.trust.interactive = ask_twice;
  Peer server = Peer::make(w.server).value();
  SK_ASSERT_OK(server.bind(w.endpoint));
  for (const std::string code : {"41", "42"}) {
    w.client.trust.answer_prompts = [&](const Endpoint& endpoint, const ssh::InfoRequest& asked,
                                        Completion<std::vector<SecretBytes>> done) {
      EXPECT_EQ(endpoint, w.endpoint);
      const bool first = asked.name == "Door";
      EXPECT_EQ(asked.prompts.at(0).echo, !first);
      done(one_answer(first ? "sesame" : code));
    };
    Peer client = Peer::make(w.client).value();
    const Result<PeerInfo> r = client.connect(w.endpoint, kPatience);
    EXPECT_EQ(r.has_value(), code == "42");
    EXPECT_TRUE(r || r.error().is(Errc::auth_denied)) << r.error().message();
    if (r) {
      ASSERT_EQ(server.peers().size(), 1u);
      EXPECT_TRUE(server.peers()[0].key.is_empty());
    }
  }
}

TEST(Trust, both_sides_of_a_conversation_may_answer_later_from_other_threads) {
  World w;
  w.server.trust.authorized_keys = {new_key().public_key()};
  std::vector<std::thread> threads;
  w.server.trust.interactive = [&](const InteractiveTurn& turn, Completion<InteractiveReply> done) {
    InteractiveReply reply;
    reply.verdict =
        turn.rounds.empty() ? InteractiveReply::Verdict::ask : InteractiveReply::Verdict::accept;
    threads.emplace_back([done = std::move(done), reply]() mutable {
      done(reply);
      done(InteractiveReply());  // the first answer counts
    });
  };
  std::thread person;
  w.client.trust.answer_prompts = [&](const auto&, const auto&,
                                      Completion<std::vector<SecretBytes>> done) {
    person = std::thread([done = std::move(done)]() mutable { done(std::vector<SecretBytes>()); });
  };
  {
    Peer server = Peer::make(w.server).value();
    SK_ASSERT_OK(server.bind(w.endpoint));
    Peer client = Peer::make(w.client).value();
    SK_EXPECT_OK(client.connect(w.endpoint, kPatience));
  }
  for (std::thread& thread : threads) thread.join();
  person.join();
  EXPECT_EQ(threads.size(), 2u);
}

TEST(Trust, an_answer_that_comes_after_the_end_goes_nowhere) {
  World w;
  w.server.trust.authorized_keys = {new_key().public_key()};
  Completion<InteractiveReply> late;
  w.server.trust.interactive = [&](const InteractiveTurn&, Completion<InteractiveReply> done) {
    late = std::move(done);
  };
  w.client.trust.answer_prompts = [](const auto&, const auto&, auto) {};
  w.server.limits.ssh.handshake_timeout = 100ms;
  w.server.limits.ssh.auth_failure_delay = {};  // of the key that comes first
  Awaited<Error> turned_away;
  {
    Peer server = Peer::make(w.server).value();
    PeerEvents events;
    events.turned_away = [=](const std::string&, const Error& e) { turned_away.put(e); };
    server.events(events);
    SK_ASSERT_OK(server.bind(w.endpoint));
    Peer client = Peer::make(w.client).value();
    EXPECT_FALSE(client.connect(w.endpoint, kPatience));
    const std::optional<Error> why = turned_away.next();
    ASSERT_TRUE(why);
    EXPECT_TRUE(why->is(Errc::timeout)) << why->message();
    ASSERT_TRUE(late);
    late(InteractiveReply());
  }
  late(InteractiveReply());
}

TEST(Trust, whoever_gives_up_a_conversation_is_told_that_it_was_cancelled) {
  World w;
  w.server.trust.authorized_keys = {new_key().public_key()};
  w.server.trust.interactive = ask_twice;
  Peer server = Peer::make(w.server).value();
  SK_ASSERT_OK(server.bind(w.endpoint));
  for (const bool too_many : {true, false}) {
    w.client.trust.answer_prompts = [&](const auto&, const auto&,
                                        Completion<std::vector<SecretBytes>> done) {
      if (too_many) return done(std::vector<SecretBytes>(2));
      done(Error(Errc::cancelled, "not today"));
    };
    Peer client = Peer::make(w.client).value();
    const Result<PeerInfo> r = client.connect(w.endpoint, kPatience);
    EXPECT_TRUE(!r && r.error().is(Errc::cancelled));
  }
}

TEST(Trust, an_identity_file_is_made_once_and_kept) {
  TemporaryFolder folder;
  PeerOptions options;
  options.identity_file = folder.file("keys/id");
  const std::string first = Peer::make(options).value().key().fingerprint();
  struct stat st {};
  ASSERT_EQ(::stat(options.identity_file.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
  EXPECT_EQ(Peer::make(options).value().key().fingerprint(), first);
}

TEST(Links, applications_that_differ_do_not_connect) {
  World w;
  w.server.app = "chat/1";
  w.client.app = "chat/2";
  Peer server = Peer::make(w.server).value();
  SK_ASSERT_OK(server.bind(w.endpoint));
  Peer client = Peer::make(w.client).value();
  const Result<PeerInfo> r = client.connect(w.endpoint, kPatience);
  ASSERT_FALSE(r);
  EXPECT_NE(r.error().message().find("chat/1"), std::string::npos) << r.error().message();
  EXPECT_NE(r.error().message().find("chat/2"), std::string::npos) << r.error().message();
}

TEST(Links, a_lost_link_is_dialed_again_and_the_open_that_waited_goes_through) {
  World w;
  w.client.reconnect.max = 200ms;
  std::optional<Peer> server(Peer::make(w.server).value());
  SK_ASSERT_OK(server->bind(w.endpoint));
  Peer client = Peer::make(w.client).value();
  Awaited<std::string> news;
  PeerEvents events;
  events.connected = [=](const PeerInfo& p) { news.put("connected " + p.name); };
  events.disconnected = [=](const PeerInfo& p, const Error&) { news.put("disconnected " + p.name); };
  events.reconnected = [=](const PeerInfo& p) { news.put("reconnected " + p.name); };
  client.events(events);
  SK_ASSERT_OK(client.connect(w.endpoint, kPatience));
  EXPECT_EQ(news.next(), "connected s");
  server.reset();
  EXPECT_EQ(news.next(), "disconnected s");
  Awaited<Result<Channel>> opened;
  client.async_open("s", "echo", {}, kPatience, [=](Result<Channel> c) { opened.put(std::move(c)); });
  server.emplace(Peer::make(w.server).value());
  SK_ASSERT_OK(server->bind(w.endpoint));
  EXPECT_EQ(news.next(), "reconnected s");
  SK_ASSERT_OK(server->accept(kPatience));
  const auto channel = opened.next();
  ASSERT_TRUE(channel);
  SK_EXPECT_OK(*channel);
}

TEST(Links, an_open_to_an_absent_peer_waits_until_its_deadline) {
  World w;
  Peer client = Peer::make(w.client).value();
  const auto before = std::chrono::steady_clock::now();
  const Result<Channel> r = client.open("nobody", "x", {}, 150ms);
  EXPECT_GE(std::chrono::steady_clock::now() - before, 150ms);
  ASSERT_FALSE(r);
  EXPECT_TRUE(r.error().is(Errc::timeout));
}

TEST(Links, a_connect_to_nobody_fails_at_once_unless_told_to_keep_trying) {
  World w;
  Peer client = Peer::make(w.client).value();
  EXPECT_FALSE(client.connect(w.endpoint, kPatience));
  w.client.reconnect.from_start = true;
  w.client.reconnect.max = 100ms;
  Peer patient = Peer::make(w.client).value();
  const Result<PeerInfo> r = patient.connect(w.endpoint, 150ms);
  EXPECT_TRUE(!r && r.error().is(Errc::timeout)) << r.error().message();
  Awaited<Result<PeerInfo>> done;
  patient.async_connect(w.endpoint, kPatience, [=](Result<PeerInfo> p) { done.put(std::move(p)); });
  Peer server = Peer::make(w.server).value();
  SK_ASSERT_OK(server.bind(w.endpoint));
  const auto connected = done.next();
  ASSERT_TRUE(connected);
  SK_EXPECT_OK(*connected);
}

TEST(Links, a_background_connect_can_be_cancelled) {
  World w;
  w.client.reconnect.from_start = true;
  Peer client = Peer::make(w.client).value();
  Awaited<Result<PeerInfo>> done;
  client.async_connect(w.endpoint, {}, [=](Result<PeerInfo> p) { done.put(std::move(p)); });
  SK_ASSERT_OK(client.disconnect(w.endpoint));
  const auto r = done.next();
  ASSERT_TRUE(r && !*r);
  EXPECT_TRUE(r->error().is(Errc::cancelled)) << r->error().message();
}

TEST(Links, a_disconnect_is_not_dialed_again) {
  World w;
  Peer server = Peer::make(w.server).value();
  SK_ASSERT_OK(server.bind(w.endpoint));
  Peer client = Peer::make(w.client).value();
  Awaited<std::string> news;
  PeerEvents events;
  events.connected = [=](const PeerInfo&) { news.put("up"); };
  events.disconnected = [=](const PeerInfo&, const Error&) { news.put("down"); };
  server.events(events);
  SK_ASSERT_OK(client.connect(w.endpoint, kPatience));
  EXPECT_EQ(news.next(), "up");
  SK_ASSERT_OK(client.disconnect(w.endpoint));
  EXPECT_EQ(news.next(), "down");
  EXPECT_TRUE(client.peers().empty());
  SK_EXPECT_OK(client.connect(w.endpoint, kPatience));  // a new one is allowed
  EXPECT_EQ(news.next(), "up");
}

TEST(Links, a_dropped_peer_is_told_why) {
  World w;
  w.client.reconnect.on = false;
  Peer server = Peer::make(w.server).value();
  SK_ASSERT_OK(server.bind(w.endpoint));
  Peer client = Peer::make(w.client).value();
  Awaited<Error> lost;
  PeerEvents events;
  events.disconnected = [=](const PeerInfo&, const Error& e) { lost.put(e); };
  client.events(events);
  SK_ASSERT_OK(client.connect(w.endpoint, kPatience));
  SK_ASSERT_OK(server.drop("c", "go away"));
  const std::optional<Error> why = lost.next();
  ASSERT_TRUE(why);
  EXPECT_NE(why->message().find("go away"), std::string::npos) << why->message();
  EXPECT_FALSE(server.drop("c"));
}

TEST(Links, an_unbound_endpoint_takes_no_more_links_and_keeps_those_it_has) {
  World w;
  Peer server = Peer::make(w.server).value();
  const Endpoint actual = server.bind(w.endpoint).value();
  Peer client = Peer::make(w.client).value();
  SK_ASSERT_OK(client.connect(w.endpoint, kPatience));
  SK_ASSERT_OK(server.unbind(actual));
  EXPECT_FALSE(server.unbind(actual));
  EXPECT_EQ(client.peers().size(), 1u);
  w.client.name = "late";
  Peer late = Peer::make(w.client).value();
  EXPECT_FALSE(late.connect(w.endpoint, kPatience));
}

TEST(Links, next_peer_takes_turns) {
  World w;
  w.server.trust.same_name_same_key = Trust::SameKey::share;
  Peer server = Peer::make(w.server).value();
  SK_ASSERT_OK(server.bind(w.endpoint));
  std::vector<Peer> clients;
  for (const char* name : {"one", "two", "three"}) {
    w.client.name = name;
    clients.push_back(Peer::make(w.client).value());
    SK_ASSERT_OK(clients.back().connect(w.endpoint, kPatience));
  }
  // A client is up when its own hello was answered; the server's turn may come a moment later.
  for (int i = 0; server.peers().size() < 3; ++i) {
    ASSERT_LT(i, 10000);
    std::this_thread::yield();
  }
  std::vector<std::string> turns;
  for (int i = 0; i < 6; ++i) turns.push_back(server.next_peer()->name);
  EXPECT_EQ(std::set<std::string>(turns.begin(), turns.begin() + 3).size(), 3u);
  EXPECT_TRUE(std::equal(turns.begin(), turns.begin() + 3, turns.begin() + 3));
}

TEST(Links, one_peer_binds_and_connects_to_several) {
  World w;
  Peer hub = Peer::make(w.server).value();
  const Endpoint tcp = hub.bind("tcp://127.0.0.1:0").value();
  SK_ASSERT_OK(hub.bind(w.endpoint));
  w.client.name = "x";
  Peer x = Peer::make(w.client).value();
  SK_ASSERT_OK(x.connect(tcp, kPatience));
  w.client.name = "y";
  Peer y = Peer::make(w.client).value();
  SK_ASSERT_OK(y.connect(w.endpoint, kPatience));
  for (const char* name : {"x", "y"}) {
    Awaited<Result<Channel>> came;
    (name[0] == 'x' ? x : y).async_accept([=](Result<Channel> c) { came.put(std::move(c)); });
    Result<Channel> c = hub.open(name, "from-hub", {}, kPatience);  // the bound side opens too
    SK_EXPECT_OK(c);
    EXPECT_TRUE(came.next().has_value());
  }
}

// A client that says nothing, on a unix socket.
int silent_client(const Endpoint& endpoint) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "%s", endpoint.path().c_str());
  EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  return fd;
}

TEST(Links, a14_a_silent_connection_is_turned_away_when_its_time_is_up) {
  World w;
  w.server.limits.ssh.handshake_timeout = 100ms;
  Peer server = Peer::make(w.server).value();
  Awaited<Error> turned_away;
  PeerEvents events;
  events.turned_away = [=](const std::string&, const Error& e) { turned_away.put(e); };
  server.events(events);
  SK_ASSERT_OK(server.bind(w.endpoint));
  const int fd = silent_client(w.endpoint);
  EXPECT_TRUE(turned_away.next().has_value());
  char byte;
  while (::read(fd, &byte, 1) > 0) {}  // the server's words, then its end
  ::close(fd);
}

TEST(Links, c18_half_open_connections_are_limited_by_source_and_the_rest_is_served) {
  World w;
  w.server.limits.max_half_open_per_source = 3;
  Peer server = Peer::make(w.server).value();
  Awaited<Error> turned_away;
  PeerEvents events;
  events.turned_away = [=](const std::string&, const Error& e) { turned_away.put(e); };
  server.events(events);
  const Endpoint tcp = server.bind("tcp://127.0.0.1:0").value();
  SK_ASSERT_OK(server.bind(w.endpoint));
  std::vector<int> fds;
  for (int i = 0; i < 4; ++i) {
    fds.push_back(::socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(tcp.port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(::connect(fds.back(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  const std::optional<Error> why = turned_away.next();
  ASSERT_TRUE(why);
  EXPECT_NE(why->message().find("max_half_open_per_source"), std::string::npos) << why->message();
  Peer client = Peer::make(w.client).value();
  SK_EXPECT_OK(client.connect(w.endpoint, kPatience));  // another source
  for (const int fd : fds) ::close(fd);
}

TEST(Links, c18_half_open_connections_and_links_are_limited_in_all) {
  World w;
  w.server.limits.max_half_open = 2;
  w.server.limits.max_links = 3;
  Awaited<Error> turned_away;
  Peer server = Peer::make(w.server).value();
  PeerEvents events;
  events.turned_away = [=](const std::string&, const Error& e) { turned_away.put(e); };
  server.events(events);
  SK_ASSERT_OK(server.bind(w.endpoint));
  Peer client = Peer::make(w.client).value();
  SK_ASSERT_OK(client.connect(w.endpoint, kPatience));
  std::vector<int> fds;
  for (int i = 0; i < 2; ++i) fds.push_back(silent_client(w.endpoint));
  fds.push_back(silent_client(w.endpoint));  // the third half-open one, and the fourth connection in all
  const std::optional<Error> links = turned_away.next();
  ASSERT_TRUE(links);
  EXPECT_NE(links->message().find("max_links"), std::string::npos) << links->message();
  SK_ASSERT_OK(server.reconfigure([](PeerOptions& o) { o.limits.max_links = 10; }));
  fds.push_back(silent_client(w.endpoint));
  const std::optional<Error> half_open = turned_away.next();
  ASSERT_TRUE(half_open);
  EXPECT_NE(half_open->message().find("max_half_open"), std::string::npos) << half_open->message();
  for (const int fd : fds) ::close(fd);
}

TEST(Links, a_dead_peer_is_noticed_by_keepalive) {
  World w;
  w.client.heartbeat = 50ms;
  w.client.reconnect.on = false;
  Peer server = Peer::make(w.server).value();
  SK_ASSERT_OK(server.bind(w.endpoint));
  Peer client = Peer::make(w.client).value();
  Awaited<Error> lost;
  PeerEvents events;
  events.disconnected = [=](const PeerInfo&, const Error& e) { lost.put(e); };
  client.events(events);
  SK_ASSERT_OK(client.connect(w.endpoint, kPatience));
  std::optional<Error> why;
  {
    const io::Context::Lock frozen(server.context());  // the server stands still: nothing is answered
    why = lost.next();
  }
  ASSERT_TRUE(why);
  EXPECT_TRUE(why->is(Errc::connection_lost)) << why->message();
  EXPECT_NE(why->message().find("keepalive"), std::string::npos) << why->message();
}

TEST(Links, say_what_protects_them_and_who_computes_it) {
  PeerPair pair("unix", [](PeerOptions& o) { o.algorithms.aes_gcm = crypto::AesGcm::libcrypto; });
  EXPECT_EQ(pair.b->peers().at(0).cipher, "aes128-gcm@openssh.com");
  EXPECT_EQ(pair.b->peers().at(0).cipher_by, crypto::libcrypto_implementation());
  PeerPair automatic("unix");
  EXPECT_EQ(automatic.b->peers().at(0).cipher_by, crypto::implementation_of(crypto::AesGcm::automatic));
  PeerPair inproc("inproc");
  EXPECT_EQ(inproc.b->peers().at(0).cipher, "");
  EXPECT_EQ(inproc.b->peers().at(0).cipher_by, "");
}

TEST(Links, keepalives_measure_the_round_trip) {
  World w;
  w.client.heartbeat = 200ms;  // three times that without an answer would be a dead link
  Peer server = Peer::make(w.server).value();
  SK_ASSERT_OK(server.bind(w.endpoint));
  Peer client = Peer::make(w.client).value();
  SK_ASSERT_OK(client.connect(w.endpoint, kPatience));
  const auto limit = std::chrono::steady_clock::now() + kPatience;
  while (client.peers().at(0).round_trip == Duration::zero()) {
    ASSERT_LT(std::chrono::steady_clock::now(), limit);
    std::this_thread::yield();
  }
  EXPECT_LT(client.peers()[0].round_trip, 10s);
}

TEST(Opens, every_open_is_authorised_by_key_name_service_and_headers) {
  World w;
  w.server.authorize = [&](const OpenRequest& r) -> Result<void> {
    if (r.from.key == w.client_key.public_key() && r.from.name == "c" && r.service == "db" && r.headers.get("user") == "me") return {};
    return Error(Errc::refused, "only db for me");
  };
  Peer server = Peer::make(w.server).value();
  SK_ASSERT_OK(server.bind(w.endpoint));
  Peer client = Peer::make(w.client).value();
  SK_ASSERT_OK(client.connect(w.endpoint, kPatience));
  Awaited<Result<Channel>> came;
  server.async_accept([=](Result<Channel> c) { came.put(std::move(c)); });
  const Result<Channel> denied = client.open("s", "db", {}, kPatience);
  ASSERT_FALSE(denied);
  EXPECT_TRUE(denied.error().is(Errc::refused));
  EXPECT_NE(denied.error().message().find("only db for me"), std::string::npos) << denied.error().message();
  OpenOptions options;
  options.headers = {{"user", "me"}};
  SK_EXPECT_OK(client.open("s", "db", options, kPatience));
  EXPECT_TRUE(came.next().has_value());
}

TEST(Opens, a_handler_takes_its_services_and_answers_with_headers_or_a_refusal) {
  World w;
  std::mutex mutex;
  std::vector<Channel> kept;
  Peer server = Peer::make(w.server).value();
  server.on_open("yes.*", [&](Incoming incoming) {
    Result<Channel> c = incoming.accept({{"answer", std::string(incoming.info().service)}});
    const std::lock_guard lock(mutex);
    if (c) kept.push_back(std::move(*c));
  });
  server.on_open("no.*", [](Incoming incoming) { incoming.refuse(Code::not_found, "no such thing"); });
  server.on_open("silent", [](Incoming) {});
  SK_ASSERT_OK(server.bind(w.endpoint));
  Peer client = Peer::make(w.client).value();
  SK_ASSERT_OK(client.connect(w.endpoint, kPatience));
  const Result<Channel> yes = client.open("s", "yes.1", {}, kPatience);
  SK_ASSERT_OK(yes);
  EXPECT_EQ(yes->response_headers(), (Headers{{"answer", "yes.1"}}));
  const Result<Channel> no = client.open("s", "no.1", {}, kPatience);
  EXPECT_TRUE(!no && no.error().is(Errc::no_such_service)) << no.error().message();
  const Result<Channel> silent = client.open("s", "silent", {}, kPatience);
  EXPECT_FALSE(silent);
}

TEST(Links, one_that_never_says_hello_is_turned_away_in_time) {
  World w;
  w.server.limits.hello_timeout = 50ms;
  Peer server = Peer::make(w.server).value();
  Awaited<Error> away;
  PeerEvents events;
  events.turned_away = [away](const std::string&, const Error& why) { away.put(why); };
  server.events(std::move(events));
  const Endpoint endpoint = server.bind("tcp://127.0.0.1:0").value();
  const StockClient silent(endpoint.port(), w.client_key, "c", {{"peer@streamkit", "1"}});
  const std::optional<Error> why = away.next();
  ASSERT_TRUE(why);
  EXPECT_TRUE(why->is(Errc::timeout)) << why->message();
  EXPECT_NE(why->message().find("hello"), std::string::npos) << why->message();
}

TEST(Opens, the_accept_backlog_is_bounded) {
  World w;
  w.server.accept_backlog = 2;
  Peer server = Peer::make(w.server).value();
  SK_ASSERT_OK(server.bind(w.endpoint));
  Peer client = Peer::make(w.client).value();
  SK_ASSERT_OK(client.connect(w.endpoint, kPatience));
  Awaited<Result<Channel>> done;
  for (int i = 0; i < 3; ++i) client.async_open("s", "x", {}, kPatience, [=](Result<Channel> c) { done.put(std::move(c)); });
  const auto refused = done.next();
  ASSERT_TRUE(refused && !*refused);
  EXPECT_TRUE(refused->error().is(Errc::limit)) << refused->error().message();
  SK_EXPECT_OK(server.accept(kPatience));
  SK_EXPECT_OK(server.accept(kPatience));
  for (int i = 0; i < 2; ++i) SK_EXPECT_OK(*done.next());
}

// More than the socket and the link's queue hold.
TEST(Opens, and_closes_that_say_much_wait_for_a_link_that_is_full) {
  constexpr std::size_t kOpens = 200;
  PeerPair pair("unix");
  Awaited<Channel> accepted;
  pair.a->on_open("x", [=](Incoming in) {
    if (Result<Channel> c = in.accept()) accepted.put(std::move(*c));
  });
  OpenOptions options;
  options.first = Bytes(channel::kMaxFirst);
  const Headers trailers{{"k", std::string(channel::kMaxFirst, 'v')}};
  const auto while_the_other_side_stands_still = [&](std::function<void()> act) {
    const io::Context::Lock quiet(pair.a->context());
    Awaited<bool> done;
    pair.b->context().post([act = std::move(act), done] { act(), done.put(true); });
    EXPECT_TRUE(done.next());
  };
  Awaited<Result<Channel>> opened;
  while_the_other_side_stands_still([&] {
    for (std::size_t i = 0; i < kOpens; ++i)
      pair.b->async_open("a", "x", options, kPatience, [=](Result<Channel> c) { opened.put(std::move(c)); });
  });
  std::vector<Channel> ours, theirs;
  for (std::size_t i = 0; i < kOpens; ++i) {
    auto one = opened.next();
    ASSERT_TRUE(one);
    SK_ASSERT_OK(*one);
    ours.push_back(std::move(**one));
    theirs.push_back(std::move(*accepted.next()));
  }
  while_the_other_side_stands_still([&] {
    for (Channel& c : ours) SK_EXPECT_OK(c.close(Status(Code::ok), trailers));
  });
  for (Channel& c : theirs) {
    const Result<Bytes> first = read_all(c);
    EXPECT_TRUE(first && first->size() == channel::kMaxFirst);
    SK_EXPECT_OK(c.close(Status(Code::ok)));
    const Result<Closed> end = c.wait_closed(kPatience);
    SK_ASSERT_OK(end);
    EXPECT_EQ(end->trailers, trailers);
  }
}

TEST(Opens, blocking_calls_on_the_context_say_would_deadlock) {
  World w;
  Peer peer = Peer::make(w.client).value();
  Awaited<bool> all;
  peer.context().post([&] {
    const Result<Channel> open = peer.open("x", "y");
    const Result<Channel> accept = peer.accept();
    const Result<PeerInfo> connect = peer.connect("tcp://127.0.0.1:1");
    all.put(open.error().is(Errc::would_deadlock) && accept.error().is(Errc::would_deadlock) &&
            connect.error().is(Errc::would_deadlock) && peer.shutdown().error().is(Errc::would_deadlock));
  });
  EXPECT_EQ(all.next(), true);
}

TEST(Opens, completions_come_after_the_call_that_started_them) {
  PeerPair pair("inproc");
  Awaited<std::pair<bool, bool>> seen;
  Peer& b = *pair.b;
  b.context().post([&] {
    auto inside = std::make_shared<bool>(true);
    b.async_open("nobody", std::string(300, 'x'), {}, 1s, [=](Result<Channel> c) { seen.put({*inside, c.has_value()}); });
    *inside = false;
  });
  const auto r = seen.next();
  ASSERT_TRUE(r);
  EXPECT_FALSE(r->first);
  EXPECT_FALSE(r->second);
}

TEST(Shutdown, what_was_written_still_arrives) {
  PeerPair pair("tcp");
  Awaited<Result<Channel>> came;
  pair.a->async_accept([=](Result<Channel> c) { came.put(std::move(c)); });
  Channel out = pair.b->open("a", "bulk", {}, kPatience).value();
  const Bytes data = pattern_bytes(1 << 20);
  std::optional<Result<Channel>> in = came.next();
  Awaited<bool> same;
  std::thread reader([&] { const Result<Bytes> all = read_all(**in); same.put(all && *all == data); });
  SK_ASSERT_OK(out.write(data, kPatience));
  SK_ASSERT_OK(out.close());
  SK_EXPECT_OK(pair.b->shutdown(kPatience));
  EXPECT_EQ(same.next(), true);
  reader.join();
  EXPECT_FALSE(pair.b->open("a", "late", {}, 1s));
  EXPECT_FALSE(pair.b->bind("tcp://127.0.0.1:0"));
}

TEST(Shutdown, at_the_deadline_what_is_left_is_cut) {
  PeerPair pair("tcp");
  Channel out = [&] {
    Awaited<Result<Channel>> came;
    pair.a->async_accept([=](Result<Channel> c) { came.put(std::move(c)); });
    Result<Channel> c = pair.b->open("a", "held", {}, kPatience);
    came.next();
    return std::move(*c);
  }();
  Awaited<Result<Channel>> again;
  pair.a->async_accept([=](Result<Channel> c) { again.put(std::move(c)); });
  Channel held = pair.b->open("a", "held", {}, kPatience).value();
  auto kept = again.next();
  const Result<void> r = pair.b->shutdown(100ms);
  EXPECT_TRUE(!r && r.error().is(Errc::timeout));
  const Result<Closed> end = held.wait_closed(kPatience);
  EXPECT_FALSE(end);
}

TEST(Options, are_read_and_changed_where_that_can_be) {
  World w;
  Peer peer = Peer::make(w.client).value();
  EXPECT_EQ(peer.options().name, "c");
  SK_EXPECT_OK(peer.reconfigure([](PeerOptions& o) { o.heartbeat = 1s; }));
  EXPECT_EQ(peer.options().heartbeat, Duration(1s));
  const Result<void> r = peer.reconfigure([](PeerOptions& o) { o.name = "other"; });
  EXPECT_TRUE(!r && r.error().is(Errc::usage));
  EXPECT_EQ(peer.options().name, "c");
}

TEST(Options, a_bad_name_or_endpoint_is_refused_with_a_sentence) {
  PeerOptions options;
  options.name = std::string("a\nb");
  EXPECT_TRUE(Peer::make(options).error().is(Errc::bad_name));
  Peer peer = Peer::make().value();
  EXPECT_EQ(peer.name().substr(0, 5), "peer-");
  EXPECT_TRUE(peer.bind("http://x").error().is(Errc::bad_endpoint));
  EXPECT_TRUE(peer.connect("tcp://nohost").error().is(Errc::bad_endpoint));
}

}  // namespace
}  // namespace streamkit::testing
