// What somebody who was let in may do: the options of a key's line, certificates, the policy, and
// what becomes of live links when the files change.
#include "support/certificates.hpp"
#include "support/peer_pair.hpp"
#include "support/stock_client.hpp"

#include <streamkit/io/file.hpp>

#include <gmock/gmock.h>

namespace streamkit::testing {
namespace {

using ::testing::HasSubstr;

void write(const std::string& path, std::string_view text) {
  SK_ASSERT_OK(io::replace_file(path, as_bytes(text), 0600));
}

/// A server "s" with an authorized_keys file, services that take every channel, and clients of it.
struct World {
  explicit World(const std::string& options_of_line = {}) {
    server.name = "s";
    server.identity = server_key;
    server.trust.authorized_keys_file = folder.file("authorized_keys");
    server.log = [log = log](std::string_view level, std::string_view line) {
      log.put(std::string(level) + ": " + std::string(line));
    };
    authorize(options_of_line);
  }
  std::string line_of(const std::string& options, const crypto::PrivateKey& key) {
    return options + (options.empty() ? "" : " ") + key.public_key().text() + "\n";
  }
  void authorize(const std::string& options) {
    write(folder.file("authorized_keys"), line_of(options, client_key));
  }
  void start() {
    made_server.emplace(Peer::make(server).value());
    made_server->on_open("*", [held = held](Incoming incoming) {
      if (Result<Channel> channel = incoming.accept())
        held.put(std::make_shared<Channel>(std::move(*channel)));
    });
    PeerEvents events;
    events.disconnected = [gone = gone](const PeerInfo& who, const Error&) { gone.put(who.name); };
    made_server->events(std::move(events));
    endpoint = made_server->bind(Endpoint("tcp://127.0.0.1:0")).value();
  }
  PeerOptions client_options(const std::string& name = "c") const {
    PeerOptions options = options_for(name, client_key, server_key.public_key());
    options.identity_certificate_files = certificates;
    options.reconnect.on = false;
    return options;
  }
  Result<PeerInfo> connect() {
    if (!made_server) start();
    made_client.emplace(Peer::make(client_options()).value());
    return made_client->connect(endpoint, kPatience);
  }
  StockClient stock() {
    if (!made_server) start();
    return StockClient(endpoint.port(), client_key);
  }
  Result<Channel> open(const std::string& service) {
    return made_client->open("s", service, {}, kPatience);
  }
  /// The next line of the server's log that has `text` in it.
  std::string logged(std::string_view text) {
    while (const auto line = log.next())
      if (line->find(text) != std::string::npos) return *line;
    return {};
  }
  TemporaryFolder folder;
  Awaited<std::string> log, gone;
  Awaited<std::shared_ptr<Channel>> held;  // channels stay open
  crypto::PrivateKey server_key = new_key(), client_key = new_key();
  std::vector<std::string> certificates;
  PeerOptions server;
  std::optional<Peer> made_server, made_client;
  Endpoint endpoint{"inproc://none"};
};

int direct_tcp(StockClient& stock, std::string_view host, std::uint32_t port,
               std::uint32_t id = 0) {
  return stock.answer(
      Message(open_message("direct-tcpip", id)).str(host).u32(port).str("127.0.0.1").u32(4),
      {91, 92});
}
int direct_local(StockClient& stock, std::string_view path, std::uint32_t id = 0) {
  return stock.answer(
      Message(open_message("direct-streamlocal@openssh.com", id)).str(path).str("").u32(0),
      {91, 92});
}
int listen_tcp(StockClient& stock, std::string_view bind, std::uint32_t port) {
  return stock.answer(Message(80).str("tcpip-forward").u8(1).str(bind).u32(port), {81, 82});
}
int listen_local(StockClient& stock, std::string_view path) {
  return stock.answer(Message(80).str("streamlocal-forward@openssh.com").u8(1).str(path), {81, 82});
}

// ---------------------------------------------------------------- who comes in

TEST(AccessOfKey, c22_from_an_address_that_its_line_does_not_name_is_refused) {
  for (const auto& [options, good] :
       std::initializer_list<std::pair<const char*, bool>>{{"from=\"127.0.0.0/8\"", true},
                                                           {"from=\"127.0.*\"", true},
                                                           {"from=\"10.0.0.0/8\"", false},
                                                           {"from=\"*,!127.0.0.1\"", false}}) {
    World w(options);
    const Result<PeerInfo> info = w.connect();
    EXPECT_EQ(info.has_value(), good) << options;
    if (good) continue;
    EXPECT_TRUE(info.error().is(Errc::auth_denied)) << info.error().message();
    EXPECT_THAT(w.logged("refused "), HasSubstr("authorized_keys line 1 does not allow"));
  }
}

TEST(AccessOfKey, c22_that_has_expired_is_refused) {
  World w("expiry-time=\"20200101Z\"");
  EXPECT_FALSE(w.connect());
  EXPECT_THAT(w.logged("refused "), HasSubstr("authorized_keys line 1 has expired"));
  w.authorize("expiry-time=\"29990101Z\"");
  SK_EXPECT_OK(w.connect());
}

TEST(AccessOfKey, c22_under_a_name_that_travels_percent_encoded_is_held_to_the_name) {
  World w("name=\"c@home\"");
  w.start();
  w.made_client.emplace(Peer::make(w.client_options("c@home")).value());
  SK_EXPECT_OK(w.made_client->connect(w.endpoint, kPatience));
  w.made_client.emplace(Peer::make(w.client_options("c@work")).value());
  EXPECT_FALSE(w.made_client->connect(w.endpoint, kPatience));
}

TEST(AccessOfKey, c22_with_as_many_links_as_its_line_allows_gets_no_more) {
  World w("max-links=\"2\"");
  SK_ASSERT_OK(w.connect());
  Peer second = Peer::make(w.client_options("second")).value(),
       third = Peer::make(w.client_options("third")).value();
  SK_ASSERT_OK(second.connect(w.endpoint, kPatience));
  const Result<PeerInfo> refused = third.connect(w.endpoint, kPatience);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("this key may have 2 links at once"));
  // Who comes again under the same name takes the place of the old link.
  Peer again = Peer::make(w.client_options("second")).value();
  SK_EXPECT_OK(again.connect(w.endpoint, kPatience));
  SK_ASSERT_OK(w.made_client->disconnect(w.endpoint));
  while (w.made_server->peers().size() > 1) ASSERT_TRUE(w.gone.next());
  SK_EXPECT_OK(third.connect(w.endpoint, kPatience));
}

// ---------------------------------------------------------------- services

TEST(AccessOfKey, c24_opens_the_services_of_its_line_in_every_way_and_no_others) {
  World w("services=\"db.*,!db.admin\"");
  SK_ASSERT_OK(w.connect());
  SK_EXPECT_OK(w.open("db.read"));
  for (const char* service : {"db.admin", "other"}) {
    const Result<Channel> refused = w.open(service);
    ASSERT_FALSE(refused);
    EXPECT_TRUE(refused.error().is(Errc::refused));
    EXPECT_THAT(refused.error().message(), HasSubstr("this key may not open the service"));
  }
  StockClient stock = w.stock();
  EXPECT_EQ(direct_tcp(stock, "db.read", 1), 91);
  EXPECT_EQ(direct_tcp(stock, "db.admin", 1), 92);
  EXPECT_EQ(direct_local(stock, "/db.read"), 91);
  EXPECT_EQ(direct_local(stock, "/other"), 92);
  const auto exec = [&](std::string_view command, std::uint32_t id) {
    EXPECT_EQ(stock.answer(open_message("session", id), {91}), 91);
    const auto number = static_cast<std::uint32_t>(id);
    return stock.answer(Message(98).u32(number).str("exec").u8(1).str(command), {99, 100});
  };
  EXPECT_EQ(exec("db.read x", 2), 99);
  EXPECT_EQ(exec("db.admin x", 3), 100);
}

TEST(AccessOfKey, c24_with_a_command_opens_that_and_listens_nowhere) {
  World w("command=\"echo\"");
  SK_ASSERT_OK(w.connect());
  w.made_server->on_forward([](const ForwardRequest& r) { return Result<std::uint32_t>(r.port); });
  SK_EXPECT_OK(w.open("echo"));
  EXPECT_FALSE(w.open("other"));
  StockClient stock = w.stock();
  EXPECT_EQ(listen_tcp(stock, "", 80), 82);
  EXPECT_EQ(listen_local(stock, "/echo"), 82);
}

TEST(AccessOfKey, c9_has_as_many_channels_of_every_kind_as_its_line_allows) {
  World w("max-channels=\"3\"");
  StockClient stock = w.stock();
  EXPECT_EQ(direct_tcp(stock, "a", 1, 0), 91);
  EXPECT_EQ(stock.answer(open_message("session", 1), {91, 92}), 91);
  EXPECT_EQ(direct_local(stock, "/b", 2), 91);
  EXPECT_EQ(direct_tcp(stock, "a", 1, 3), 92);
  EXPECT_EQ(stock.answer(open_message("session", 3), {91, 92}), 92);
  SK_ASSERT_OK(w.connect());  // a limit of each link
  std::vector<Channel> channels;
  for (int i = 0; i < 3; ++i) channels.push_back(w.open("a").value());
  const Result<Channel> fourth = w.open("a");
  ASSERT_FALSE(fourth);
  EXPECT_TRUE(fourth.error().is(Errc::limit)) << fourth.error().message();
  // What we open ourselves does not count, and what has ended neither.
  w.made_client->on_open("*", [held = w.held](Incoming incoming) {
    if (Result<Channel> channel = incoming.accept())
      held.put(std::make_shared<Channel>(std::move(*channel)));
  });
  SK_EXPECT_OK(w.made_server->open("c", "back", {}, kPatience));
  while (const auto channel = w.held.next()) {
    if ((*channel)->info().type != channel::kChannelType) continue;
    SK_ASSERT_OK((*channel)->close());
    break;
  }
  SK_ASSERT_OK(channels.front().wait_closed(kPatience));
  SK_ASSERT_OK(channels.front().close());
  SK_EXPECT_OK(w.open("a"));
}

// ---------------------------------------------------------------- forwarding

struct Forwards {
  bool direct, local, listen, listen_path;
};
Forwards forwards_of(World& w) {
  if (!w.made_server) w.start();
  w.made_server->on_forward([](const ForwardRequest& r) { return Result<std::uint32_t>(r.port); });
  StockClient stock = w.stock();
  EXPECT_TRUE(stock.is_live());
  return {direct_tcp(stock, "db", 5432) == 91, direct_local(stock, "/db") == 91,
          listen_tcp(stock, "shop", 80) == 81, listen_local(stock, "/shop") == 81};
}

TEST(AccessOfKey, c24_forwards_what_its_line_permits) {
  const std::tuple<const char*, bool, bool, bool, bool> cases[] = {
      {"", true, true, true, true},
      {"restrict", false, false, false, false},
      {"no-port-forwarding", false, false, false, false},
      {"restrict,port-forwarding", true, true, true, true},
      {"permitopen=\"db:5432\"", true, false, true, true},
      {"permitopen=\"db:5433\"", false, false, true, true},
      {"permitlisten=\"shop:80\"", true, true, true, false},
      {"permitlisten=\"shop:81\"", true, true, false, false},
      {"permitlisten=\"80\",permitopen=\"*:*\"", true, false, true, false},
      {"permitlisten=\"80\",permitopen=\"*:*\",no-port-forwarding", false, false, false, false},
  };
  for (const auto& [options, direct, local, listen, listen_path] : cases) {
    World w(options);
    const Forwards got = forwards_of(w);
    EXPECT_EQ(got.direct, direct) << options;
    EXPECT_EQ(got.local, local) << options;
    EXPECT_EQ(got.listen, listen) << options;
    EXPECT_EQ(got.listen_path, listen_path) << options;
  }
}

TEST(AccessOfKey, c24_without_forwarding_still_opens_services) {
  World w("restrict");
  SK_ASSERT_OK(w.connect());
  SK_EXPECT_OK(w.open("db"));
}

TEST(AccessOfKey, c24_of_the_line_of_an_authority_is_everybody_s_who_comes_with_its_certificate) {
  World w;
  const crypto::PrivateKey authority = new_key();
  write(w.folder.file("authorized_keys"),
        w.line_of("cert-authority,services=\"db\",from=\"127.0.0.1\"", authority));
  write(w.folder.file("cert.pub"),
        certify(w.client_key.public_key(), authority, {.principals = {"c"}}).text());
  w.certificates = {w.folder.file("cert.pub")};
  SK_ASSERT_OK(w.connect());
  SK_EXPECT_OK(w.open("db"));
  EXPECT_FALSE(w.open("other"));
  write(w.folder.file("authorized_keys"), w.line_of("cert-authority,from=\"10.0.0.1\"", authority));
  EXPECT_FALSE(w.connect());
}

// The stock client of this room shows no certificates: a peer of ours opens direct-tcpip as well.
TEST(AccessOfCertificate, c24_without_port_forwarding_opens_services_and_forwards_nothing) {
  for (const bool permits : {true, false}) {
    World w;
    const crypto::PrivateKey authority = new_key();
    write(w.folder.file("authorized_keys"), w.line_of("cert-authority", authority));
    CertificateFields fields{.principals = {"c"}};
    if (permits) fields.extensions = {{"permit-port-forwarding", ""}};
    write(w.folder.file("cert.pub"), certify(w.client_key.public_key(), authority, fields).text());
    w.certificates = {w.folder.file("cert.pub")};
    SK_ASSERT_OK(w.connect());
    SK_EXPECT_OK(w.open("db"));
    OpenOptions direct, local;
    direct.form = OpenForm::direct_tcpip, local.form = OpenForm::direct_streamlocal;
    EXPECT_EQ(w.made_client->open("s", "db:5432", direct, kPatience).has_value(), permits);
    EXPECT_EQ(w.made_client->open("s", "/db", local, kPatience).has_value(), permits);
    ForwardRequest request;
    request.from = *w.made_server->next_peer();
    request.port = 80;
    EXPECT_EQ(w.made_server->may_forward(request).has_value(), permits);
    request.is_path = true;
    EXPECT_EQ(w.made_server->may_forward(request).has_value(), permits);
  }
}

// ---------------------------------------------------------------- the policy

TEST(Policy, c24_is_open_when_there_is_none_and_closed_for_what_no_rule_is_about) {
  World w;
  SK_ASSERT_OK(w.connect());
  SK_EXPECT_OK(w.open("anything"));
  SK_ASSERT_OK(w.made_server->reconfigure([](PeerOptions& o) {
    o.policy = {{.services = "db.*,!db.admin"}, {.services = "log", .names = "d*"}};
  }));
  SK_EXPECT_OK(w.open("db.read"));
  for (const char* service : {"db.admin", "log", "anything"}) {
    const Result<Channel> refused = w.open(service);
    ASSERT_FALSE(refused) << service;
    EXPECT_TRUE(refused.error().is(Errc::refused));
    EXPECT_THAT(refused.error().message(), HasSubstr("'c' may not open the service '"));
  }
}

TEST(Policy, c24_takes_the_first_rule_that_is_about_the_key_the_name_or_the_principals) {
  World w;
  const crypto::PrivateKey authority = new_key();
  w.server.trust.user_ca_file = w.folder.file("ca");
  write(w.folder.file("ca"), authority.public_key().text() + "\n");
  write(w.folder.file("cert.pub"),
        certify(w.client_key.public_key(), authority, {.principals = {"c", "ops-eu"}}).text());
  w.certificates = {w.folder.file("cert.pub")};
  const std::string own = w.client_key.public_key().fingerprint(),
                    other = new_key().public_key().fingerprint();
  w.server.policy = {
      {.services = "by-key", .key = own},
      {.services = "by-other-key", .key = other},
      {.services = "by-name", .names = "c"},
      {.services = "by-other-name", .names = "*,!c"},
      {.services = "by-principal", .principals = "dev,ops-*"},
      {.services = "by-other-principal", .principals = "dev,!ops-*"},
      {.services = "by-both", .key = own, .principals = "dev"},
      {.services = "secret", .allow = false},
      {.services = "secret,public"},
  };
  SK_ASSERT_OK(w.connect());
  for (const char* service : {"by-key", "by-name", "by-principal", "public"})
    SK_EXPECT_OK(w.open(service));
  for (const char* service :
       {"by-other-key", "by-other-name", "by-other-principal", "by-both", "secret"})
    EXPECT_FALSE(w.open(service)) << service;
}

TEST(Policy, c24_is_asked_before_the_callback_which_may_only_take_away) {
  World w;
  Awaited<std::string> asked;
  w.server.policy = {{.services = "a,b"}};
  w.server.authorize = [asked](const OpenRequest& r) -> Result<void> {
    asked.put(r.service);
    if (r.service == "b") return Error(Errc::limit, "enough of b");
    return {};
  };
  SK_ASSERT_OK(w.connect());
  EXPECT_FALSE(w.open("c"));
  SK_EXPECT_OK(w.open("a"));
  const Result<Channel> b = w.open("b");
  ASSERT_FALSE(b);
  EXPECT_TRUE(b.error().is(Errc::limit)) << b.error().message();
  EXPECT_EQ(asked.next(), "a");
  EXPECT_EQ(asked.next(), "b");
  EXPECT_TRUE(asked.is_empty());
}

TEST(Policy, c9_counts_the_channels_to_the_services_of_a_rule) {
  World w;
  w.server.policy = {{.services = "db.*", .max_channels = 2}, {}};
  SK_ASSERT_OK(w.connect());
  std::vector<Channel> channels;
  channels.push_back(w.open("db.a").value());
  channels.push_back(w.open("other").value());
  channels.push_back(w.open("db.b").value());
  const Result<Channel> third = w.open("db.c");
  ASSERT_FALSE(third);
  EXPECT_TRUE(third.error().is(Errc::limit)) << third.error().message();
  SK_EXPECT_OK(w.open("other"));
  StockClient stock = w.stock();
  const auto exec = [&](std::uint32_t id) {
    EXPECT_EQ(stock.answer(open_message("session", id), {91}), 91);
    return stock.answer(Message(98).u32(id).str("exec").u8(1).str("db.x"), {99, 100});
  };
  EXPECT_EQ(exec(0), 99);
  EXPECT_EQ(exec(1), 99);
  EXPECT_EQ(exec(2), 100);
}

TEST(Policy, that_makes_no_sense_is_not_taken) {
  World w;
  PeerOptions options = w.server;
  const auto problem = [&](const ServiceRule& rule) {
    options.policy = {rule};
    const Result<Peer> made = Peer::make(options);
    return made ? std::string() : made.error().message();
  };
  EXPECT_EQ(problem({}), "");
  EXPECT_THAT(problem({.services = ""}), HasSubstr("no services"));
  EXPECT_THAT(problem({.services = "a,"}), HasSubstr("empty pattern"));
  EXPECT_THAT(problem({.names = "a,,b"}), HasSubstr("empty pattern"));
  EXPECT_THAT(problem({.principals = "!"}), HasSubstr("empty pattern"));
  EXPECT_THAT(problem({.key = "ssh-ed25519 AAAA"}), HasSubstr("SHA256"));
  w.start();
  const auto rules = [](std::size_t n) { return [n](PeerOptions& o) { o.policy.assign(n, {}); }; };
  SK_EXPECT_OK(w.made_server->reconfigure(rules(kMaxServiceRules)));
  const Result<void> more = w.made_server->reconfigure(rules(kMaxServiceRules + 1));
  ASSERT_FALSE(more);
  EXPECT_TRUE(more.error().is(Errc::usage));
  EXPECT_EQ(w.made_server->options().policy.size(), kMaxServiceRules);
}

// ---------------------------------------------------------------- files that change

TEST(ReloadTrust, changes_what_live_links_may_do) {
  World w("services=\"a\"");
  SK_ASSERT_OK(w.connect());
  const Channel before = w.open("a").value();
  EXPECT_FALSE(w.open("b"));
  w.authorize("services=\"b\"");
  SK_EXPECT_OK(w.open("a"));  // not yet
  SK_ASSERT_OK(w.made_server->reload_trust());
  SK_EXPECT_OK(w.open("b"));
  EXPECT_FALSE(w.open("a"));
  EXPECT_TRUE(before.is_open()) << "what is open stays so";
}

TEST(ReloadTrust, c22_ends_links_whose_key_is_no_longer_let_in) {
  for (const char* how : {"removed", "revoked", "expired"}) {
    World w;
    w.server.trust.revoked_keys_file = w.folder.file("revoked");
    write(w.folder.file("revoked"), "");
    SK_ASSERT_OK(w.connect());
    const crypto::PrivateKey other = new_key();
    const std::string more = w.line_of("", other);
    PeerOptions options = w.client_options("other");
    options.identity = other;
    write(w.folder.file("authorized_keys"), w.line_of("", w.client_key) + more);
    Peer stays = Peer::make(options).value();
    SK_ASSERT_OK(stays.connect(w.endpoint, kPatience));

    if (how == std::string("removed")) write(w.folder.file("authorized_keys"), more);
    if (how == std::string("revoked"))
      write(w.folder.file("revoked"), w.client_key.public_key().text() + "\n");
    if (how == std::string("expired"))
      write(w.folder.file("authorized_keys"),
            w.line_of("expiry-time=\"20200101\"", w.client_key) + more);
    SK_ASSERT_OK(w.made_server->reload_trust());
    EXPECT_EQ(w.gone.next(), "c") << how;
    ASSERT_EQ(w.made_server->peers().size(), 1u) << how;
    EXPECT_EQ(w.made_server->peers()[0].name, "other");
    SK_EXPECT_OK(stays.open("s", "a", {}, kPatience));
    EXPECT_FALSE(w.connect()) << how;
  }
}

TEST(ReloadTrust, c22_ends_links_by_an_authority_that_is_not_believed_any_more) {
  World w;
  const crypto::PrivateKey authority = new_key();
  w.server.trust.user_ca_file = w.folder.file("ca");
  write(w.folder.file("authorized_keys"), "");
  write(w.folder.file("ca"), authority.public_key().text() + "\n");
  write(w.folder.file("cert.pub"),
        certify(w.client_key.public_key(), authority, {.principals = {"c"}}).text());
  w.certificates = {w.folder.file("cert.pub")};
  SK_ASSERT_OK(w.connect());
  SK_ASSERT_OK(w.made_server->reload_trust());
  EXPECT_EQ(w.made_server->peers().size(), 1u);
  write(w.folder.file("ca"), new_key().public_key().text() + "\n");
  SK_ASSERT_OK(w.made_server->reload_trust());
  EXPECT_EQ(w.gone.next(), "c");
}

TEST(ReloadTrust, c22_ends_our_links_to_hosts_whose_key_was_revoked) {
  World w;
  w.start();
  PeerOptions options = w.client_options();
  options.trust.revoked_keys_file = w.folder.file("revoked_hosts");
  write(w.folder.file("revoked_hosts"), "");
  Peer client = Peer::make(options).value();
  SK_ASSERT_OK(client.connect(w.endpoint, kPatience));
  write(w.folder.file("revoked_hosts"), w.server_key.public_key().text());
  SK_ASSERT_OK(client.reload_trust());
  EXPECT_EQ(w.gone.next(), "c");
  EXPECT_TRUE(client.peers().empty());
}

TEST(ReloadTrust, c22_of_a_file_with_a_problem_leaves_all_as_it_was_and_says_where_it_is) {
  World w("services=\"a\"");
  w.server.trust.user_ca_file = w.folder.file("ca");
  write(w.folder.file("ca"), "");
  SK_ASSERT_OK(w.connect());
  const std::string good = w.line_of("services=\"a\"", w.client_key);
  const crypto::PrivateKey other = new_key();
  write(w.folder.file("authorized_keys"),
        w.line_of("", other) + "bogus-option " + w.client_key.public_key().text() + "\n");
  for (int i = 0; i < 2; ++i) {  // as often as it is asked
    const Result<void> read = w.made_server->reload_trust();
    ASSERT_FALSE(read);
    EXPECT_TRUE(read.error().is(Errc::bad_file));
    EXPECT_THAT(read.error().message(), HasSubstr(w.folder.file("authorized_keys") +
                                                  ": line 2: the option \"bogus-option\""));
  }
  EXPECT_THAT(w.logged("line 2: "), HasSubstr("warning: "));
  SK_EXPECT_OK(w.open("a"));
  SK_EXPECT_OK(w.connect());  // new logins by the old rules as well
  EXPECT_FALSE(w.open("b"));
  PeerOptions options = w.client_options("other");
  options.identity = other;
  Peer another = Peer::make(options).value();
  EXPECT_FALSE(another.connect(w.endpoint, kPatience)) << "nothing of the new file is taken";
  write(w.folder.file("ca"), "no key at all");
  EXPECT_FALSE(w.made_server->reload_trust());

  write(w.folder.file("ca"), "");
  write(w.folder.file("authorized_keys"), w.line_of("", other) + w.line_of("", w.client_key));
  SK_EXPECT_OK(another.connect(w.endpoint, kPatience));  // mended: no call is needed for logins
  SK_EXPECT_OK(w.made_server->reload_trust());
  SK_EXPECT_OK(w.open("b"));
}

TEST(ReloadTrust, c22_of_revoked_keys_that_cannot_be_read_leaves_links_and_lets_nobody_new_in) {
  World w;
  w.server.trust.revoked_keys_file = w.folder.file("revoked");
  write(w.folder.file("revoked"), "");
  SK_ASSERT_OK(w.connect());
  write(w.folder.file("revoked"), "gone bad");
  const Result<void> read = w.made_server->reload_trust();
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().message(), HasSubstr("every key is refused"));
  SK_EXPECT_OK(w.open("a"));
  Peer second = Peer::make(w.client_options("second")).value();
  EXPECT_FALSE(second.connect(w.endpoint, kPatience));
  write(w.folder.file("revoked"), "");
  SK_EXPECT_OK(second.connect(w.endpoint, kPatience));
}

TEST(ReloadTrust, c22_of_files_that_had_problems_from_the_start_goes_by_their_good_lines) {
  World w;
  const std::string bad = "sk-ssh-ed25519@openssh.com AAAA\n";
  write(w.folder.file("authorized_keys"), bad + w.line_of("services=\"a\"", w.client_key));
  SK_ASSERT_OK(w.connect());
  SK_EXPECT_OK(w.open("a"));
  write(w.folder.file("authorized_keys"), bad + w.line_of("services=\"b\"", w.client_key));
  const Result<void> read = w.made_server->reload_trust();
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().message(), HasSubstr("line 1: "));
  SK_EXPECT_OK(w.open("b"));
  EXPECT_FALSE(w.open("a"));
}

TEST(ReloadTrust, c22_takes_a_file_that_is_gone_for_an_empty_one) {
  World w;
  SK_ASSERT_OK(w.connect());
  std::filesystem::remove(w.folder.file("authorized_keys"));
  SK_EXPECT_OK(w.made_server->reload_trust());
  EXPECT_EQ(w.gone.next(), "c");
  EXPECT_FALSE(w.connect());
}

}  // namespace
}  // namespace streamkit::testing
