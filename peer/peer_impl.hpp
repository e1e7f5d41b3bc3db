// Peer::Impl: the owner of listeners, dialers and connections, and of the queue of channels that wait
// to be accepted. On the Context, but for the calls that say otherwise.
#pragma once

#include "admission.hpp"
#include "bastion.hpp"
#include "connection.hpp"
#include "dialer.hpp"
#include "inproc.hpp"
#include "trust_files.hpp"

#include <streamkit/crypto/random.hpp>
#include <streamkit/io/stream.hpp>
#include <streamkit/peer/peer.hpp>
#include <streamkit/peer/trust.hpp>

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <set>

namespace streamkit {

struct Peer::Impl final : BastionOwner, DialerOwner, std::enable_shared_from_this<Peer::Impl> {
  Impl(PeerOptions o, crypto::PrivateKey key);
  ~Impl();

  // ---- links (peer_links.cpp)
  Result<Endpoint> bind(const Endpoint& endpoint);
  Result<void> unbind(const Endpoint& endpoint);
  void connect(const Endpoint& endpoint, const Until& until, Completion<PeerInfo> done);
  Result<void> disconnect(const Endpoint& endpoint, const Error& why);
  void came_in(const std::string& endpoint, std::unique_ptr<io::Stream> stream);
  void came_in_process(const std::string& endpoint, std::unique_ptr<InprocLink> link, const crypto::PublicKey& from);
  std::unique_ptr<io::Connect> dial(const Endpoint& to, Duration timeout, io::Connect::Done done) override;
  Result<std::shared_ptr<Connection>> make_link(ConnectionOwner& owner, const Endpoint& to,
                                                std::unique_ptr<io::Stream> stream) override;
  void bastion_ended(Bastion& bastion) override;
  Result<std::shared_ptr<Connection>> dialed(Dialer& dialer, std::unique_ptr<io::Stream> stream) override;
  Result<std::shared_ptr<Connection>> dial_inproc(Dialer& dialer) override;
  void dialer_waits(Dialer& dialer, const Error& error, Duration wait) override;
  void dialer_gave_up(Dialer& dialer, const Error& error) override;
  Connection::Settings settings_for(const std::string& endpoint, const std::string& address, bool outgoing);
  ssh::Config ssh_config(const std::string& endpoint, bool outgoing);
  Result<void> check_server(const std::string& endpoint);
  Dialer* dialer_of(const Connection& connection);
  void connection_up(Connection& connection) override;
  void connection_down(Connection& connection, const Error& error) override;
  void make_room();
  void turned_away(const std::string& address, const std::string& source, const Error& why);
  void tell_turned_away(const std::string& address, const Error& why);
  void tell_counted();
  std::vector<std::shared_ptr<Connection>> up_links() const;
  std::vector<std::shared_ptr<Connection>> up_links(const std::string& name) const;
  std::shared_ptr<Connection> find_link(std::uint64_t id) const;
  std::shared_ptr<Connection> pick(const To& to);

  // ---- trust (peer_trust.cpp)
  Result<bool> judge_host_key(Connection& connection, const Credential& shown) override;
  Result<void> remember(const Endpoint& endpoint, const crypto::PublicKey& key);
  Result<void> judge_key(Connection& connection, const std::string& user, const Credential& shown, bool verified) override;
  Result<void> judge_password(Connection& connection, const std::string& user, std::string_view password) override;
  void judge_interactive(Connection& connection, const InteractiveTurn& turn, Completion<InteractiveReply> done) override;
  void answer_prompts(Connection& connection, const ssh::InfoRequest& asked,
                      Completion<std::vector<SecretBytes>> done) override;
  Result<void> judge_hello(Connection& connection, const channel::Hello& hello) override;
  Result<void> judge_name(const Connection& connection, const std::string& name, const crypto::PublicKey& key) const;
  Result<void> refresh_trust();
  /// Takes over what the files say now, or says what is wrong with them.
  Result<void> reload_trust();
  Result<Grant> admit(const Connection& connection, const std::string& name, const Credential& shown) const;
  Result<Grant> judge_line(const std::string& file, const AuthorizedKeys::Entry& line, const Connection& connection, const std::string& name) const;
  Result<Grant> judge_plain(const Connection& connection, const std::string& name, const crypto::PublicKey& key) const;
  Result<Grant> judge_certificate(const Connection& connection, const std::string& name, const crypto::Certificate& certificate) const;
  Result<Grant> judge_authority(const Connection& connection, const std::string& name, const crypto::Certificate& certificate) const;
  Result<void> judge_number(const Connection& connection, const std::string& name, const crypto::PublicKey& key, const Grant& grant) const;
  Result<void> judge_revocation(const Credential& shown) const;
  Result<bool> judge_plain_key(const Endpoint& endpoint, const crypto::PublicKey& key, const KnownHosts& known, const std::string& beside);
  bool is_pinned(const crypto::PublicKey& key) const;
  bool knows_authority(const Endpoint& endpoint) const;
  Result<KnownHosts> known_hosts() const;
  /// What PeerOptions::identity_certificate_files has for `key`, all of it good.
  static Result<std::vector<crypto::Certificate>> load_certificates(const PeerOptions& options, const crypto::PublicKey& key);
  std::optional<crypto::Certificate> own_certificate(crypto::CertificateType type) const;
  Error explain(const Connection& connection, const Error& error) const override;

  // ---- access (peer_access.cpp)
  static Result<void> check_policy(const PeerOptions& options);
  Result<void> authorize(Connection& connection, const OpenRequest& request) override;
  Result<void> obey_policy(const Connection& connection, const OpenRequest& request) const;
  Result<void> may_forward(const Connection& connection, const ForwardRequest& request) const;
  Result<std::uint32_t> forward(Connection& connection, const ForwardRequest& request) override;

  // ---- channels (peer.cpp)
  void open(const To& to, std::string service, OpenOptions open_options, const Until& until, Completion<Channel> done);
  void incoming(Connection& connection, std::shared_ptr<ChannelState> state) override;
  std::uint64_t accept(Completion<Channel> done);
  void give_accepts();
  void stop_links(const Error& why);
  void close_all(const Error& why);
  void log(std::string_view level, std::string_view line) override;

  struct Bound {
    Endpoint endpoint;
    std::unique_ptr<io::Listener> listener;
    bool is_inproc = false;
  };
  struct PendingOpen {
    std::uint64_t number;
    To to;
    std::string service;
    OpenOptions options;
    Completion<Channel> done;
  };
  struct Accept {
    std::uint64_t number;
    Completion<Channel> done;
  };

  PeerOptions options;
  TrustFiles files;
  const crypto::PrivateKey identity;
  const std::shared_ptr<io::Context> context;
  const std::string own_name;  // the one in options may be replaced while others read this
  const std::string instance_id;
  PeerEvents events;
  std::function<Result<std::uint32_t>(const ForwardRequest&)> on_forward;
  std::vector<std::pair<std::string, std::shared_ptr<std::function<void(Incoming)>>>> handlers;
  std::vector<Bound> bound;
  std::list<std::unique_ptr<Dialer>> dialers;
  std::list<std::shared_ptr<Bastion>> bastions;  // on the way to what is dialed, or was reached
  std::map<std::uint64_t, std::shared_ptr<Connection>> connections;  // half-open and up
  std::multimap<std::string, std::uint64_t> names;                   // of those that are up
  Admission admission{crypto::system_random()};                      // of incoming connections
  RefusalNotices refusals;
  std::optional<io::Timer> refusal_timer;  // goes on the Context
  std::list<PendingOpen> pending_opens;
  std::deque<std::shared_ptr<ChannelState>> waiting;
  std::deque<Accept> accepts;
  std::function<void()> on_change;  // shutdown waits for it
  std::uint64_t last_link = 0, last_number = 0, last_turn = 0;
  bool is_shut = false;
};

}  // namespace streamkit
