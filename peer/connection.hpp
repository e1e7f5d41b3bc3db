// Connection: one link to one remote peer, its multiplexer and its channels. The only drive loop.
//
// Everything here runs on the connection's Context. Work comes from two sides: the link (bytes, time)
// and the application (commands through ChannelState). Both end in drive(), which lets payloads in,
// handles what the multiplexer has to say, sends what is queued, and only then calls completions, from
// a list, never from inside parsing.
#pragma once

#include "link.hpp"

#include <streamkit/base/fifo.hpp>
#include <streamkit/base/wire.hpp>
#include <streamkit/channel/multiplexer.hpp>
#include <streamkit/io/context.hpp>
#include <streamkit/peer/options.hpp>
#include <streamkit/peer/peer.hpp>
#include <streamkit/peer/trust.hpp>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace streamkit {

inline constexpr std::string_view kForwardedTcp = "forwarded-tcpip",
                                  kForwardedLocal = "forwarded-streamlocal@openssh.com";

class ChannelState;
class Connection;

/// The line of authorized_keys that let the other side in, or its authority; nullptr: something that
/// grants everything.
using Grant = std::shared_ptr<const AuthorizedKeys::Entry>;

/// What a connection asks of, and tells, the peer (or the pair) that owns it. On the Context.
class ConnectionOwner {
 public:
  /// True: for the sake of its certificate.
  virtual Result<bool> judge_host_key(Connection&, const Credential&) { return Errc::host_key_unknown; }
  virtual Result<void> judge_key(Connection&, const std::string&, const Credential&, bool) { return Errc::auth_denied; }
  virtual Result<void> judge_password(Connection&, const std::string&, std::string_view) { return Errc::auth_denied; }
  virtual void judge_interactive(Connection&, const InteractiveTurn&, Completion<InteractiveReply> done) {
    done(InteractiveReply());
  }
  virtual void answer_prompts(Connection&, const ssh::InfoRequest&, Completion<std::vector<SecretBytes>> done) {
    done(Errc::cancelled);
  }
  /// The hello is in: may the link come up under this name?
  virtual Result<void> judge_hello(Connection&, const channel::Hello&) { return {}; }
  virtual void connection_up(Connection&) {}
  virtual void connection_down(Connection&, const Error&) {}
  /// A service was asked for and authorised; not attached to a channel.
  virtual void incoming(Connection&, std::shared_ptr<ChannelState>) = 0;
  virtual Result<void> authorize(Connection&, const OpenRequest&) { return {}; }
  virtual Result<std::uint32_t> forward(Connection&, const ForwardRequest&) { return Errc::refused; }
  virtual void log(std::string_view, std::string_view) {}

 protected:
  ~ConnectionOwner() = default;
};

class Connection final : public std::enable_shared_from_this<Connection>, public LinkOwner {
 public:
  /// What is to be called soon. A completion and what it is told have their place in it, without an
  /// allocation.
  using Ready = Function<void(), sizeof(Completion<Bytes>) + sizeof(Result<Bytes>) + 8>;

  struct Settings {
    std::uint64_t id = 0;
    std::string endpoint;
    std::string address;
    bool outgoing = false;
    bool skips_hello = false;         ///< Channel::pair: there is nobody to introduce
    bool is_inproc = false;
    bool is_shared = false;           ///< through an ssh that others use too: who is behind it has not said what it speaks
    channel::Wire wire = channel::Wire::streamkit;
    crypto::PublicKey inproc_key;
    channel::Hello hello;             ///< ours
    channel::Limits channels;
    std::size_t max_frame = channel::kDefaultMaxFrame;
    std::size_t accept_backlog = 1024;
    Duration heartbeat = std::chrono::seconds(15);
    Duration hello_timeout = std::chrono::seconds(30);
    Duration greeting_timeout = std::chrono::seconds(5);
  };

  /// Whoever drops the last reference, and wherever: the connection goes on its Context.
  static std::shared_ptr<Connection> make(std::shared_ptr<io::Context> context, ConnectionOwner* owner, Settings settings);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Takes the link and starts it.
  void start(std::unique_ptr<Link> link);
  /// Closes the link, saying why; every channel ends with the error.
  void fail(const Error& why);
  /// The owner goes away: nothing is asked or told any more.
  void disown() noexcept { owner_ = nullptr; }

  // ---- for channels
  std::shared_ptr<ChannelState> open(std::string service, OpenOptions options, ChannelState* parent,
                                     Completion<Channel> done);
  std::shared_ptr<ChannelState> open_forwarded(const ForwardRequest& granted, std::uint32_t port,
                                               const std::string& originator_host, std::uint16_t originator_port,
                                               Completion<Channel> done);
  /// Asks the other side to listen for us; see Peer::request_forward().
  void request_forward(ForwardRequest wanted, std::string service, Completion<std::uint32_t> done);
  channel::Multiplexer& mux() noexcept { return mux_; }
  /// Has `task` called on the Context after the current call has returned.
  void complete(Ready task);
  /// After a command of the application: drive, then see that completions are called soon.
  void kick();
  /// The same at the end of this turn of the loop, for what may have company until then.
  void kick_soon();
  /// After a small write, of which more may follow at once. True: it drove.
  bool kick_later(std::size_t written);
  /// After a read. True: it drove.
  bool kick_if_needed();
  /// In process: moves what is queued to the link, which hands it over later. True: try again.
  bool make_room();
  /// Drives and calls completions. For whoever is about to wait.
  void work();
  void forget(channel::ChannelId id);
  ConnectionOwner* owner() const noexcept { return owner_; }

  const Settings& settings() const noexcept { return settings_; }
  const std::shared_ptr<io::Context>& context() const noexcept { return context_; }
  const PeerInfo& info() const noexcept { return *info_; }
  /// What SSH says about the link; nullptr in process and before there is a link.
  const ssh::ConnectionInfo* ssh() const { return link_ ? link_->info() : nullptr; }
  bool is_up() const noexcept { return phase_ == Phase::up; }
  bool was_up() const noexcept { return was_up_; }
  bool is_down() const noexcept { return phase_ == Phase::down; }
  bool is_native() const noexcept { return native_; }
  std::uint32_t max_frame_remote() const noexcept { return max_frame_remote_; }
  bool is_flushed() const noexcept { return flushed_; }
  std::size_t live_channels() const noexcept { return live_channels_; }
  /// Channels that the other side opened and that have not ended, to services that `takes` says yes to.
  std::size_t count_incoming(const std::function<bool(std::string_view service)>& takes) const;
  const Grant& grant() const noexcept { return grant_; }
  void set_grant(Grant grant) noexcept { grant_ = std::move(grant); }

  // ---- LinkOwner
  Result<void> judge_host_key(const Credential& shown) override;
  Result<void> judge_key(const std::string& user, const Credential& shown, bool verified) override;
  Result<void> judge_password(const std::string& user, std::string_view password) override;
  void judge_interactive(const InteractiveTurn& turn, Completion<InteractiveReply> done) override;
  void answer_prompts(const ssh::InfoRequest& asked, Completion<std::vector<SecretBytes>> done) override;
  Result<void> link_payload(ByteView payload, const Keeper& keeper, TimePoint now) override;
  Result<void> link_given(ByteView header, Bytes body, TimePoint now) override;
  void link_native() override { native_ = true; }
  void link_authenticated(const std::string& user, const Credential& shown) override;
  void link_banner(const std::string& text) override;
  void link_log(std::string_view level, const std::string& line) override;
  void link_down(const Error& error) override;
  void link_active() override;
  bool goes_first(std::size_t payload) override;
  bool is_congested() const override;

 private:
  enum class Phase { handshake, hello, up, down };

  Connection(std::shared_ptr<io::Context> context, ConnectionOwner* owner, Settings settings);
  void drive();
  Result<void> fill_link(bool& any);
  void drain();
  void post_work();
  bool handle_events();
  void handle(channel::Opening& e);
  void handle_session_open(channel::Opening& e);
  void handle(channel::GlobalRequest& e);
  void handle_hello(const channel::GlobalRequest& e);
  void handle(channel::GlobalReply& e);
  Result<std::uint32_t> settle(const ForwardRequest& asked, const std::string& service, const channel::GlobalReply& reply);
  bool handle_forward_reply(const channel::GlobalReply& e);
  bool read_forwarded(std::string_view type, wire::Reader& reader, ChannelInfo& info) const;
  void fail_forward_requests(const Error& error);
  void accept_hello(const channel::Hello& hello);
  Result<void> check_hello(const channel::Hello& hello) const;
  void send_hello();
  void hello_is_late();
  // ---- greeting.cpp
  void greet();
  void handle_greeting(const channel::GlobalRequest& e);
  void greeting_answered(bool ok);
  Result<void> judge_name(const std::string& name);
  void greeting_is_late();
  void take_early_opens();
  void go_up();
  void keep_alive(TimePoint now);
  void arm_timer();
  void on_timer();
  std::shared_ptr<ChannelState> find(channel::ChannelId id) const;
  std::shared_ptr<ChannelState> add(channel::ChannelId id);
  bool is_at_max_channels() const;
  // Who read it may be on any thread, so it is never changed in place.
  template <class Change>
  void change_info(Change&& change) {
    auto changed = std::make_shared<PeerInfo>(*info_);
    change(*changed);
    info_ = std::move(changed);
  }

  const std::shared_ptr<io::Context> context_;
  ConnectionOwner* owner_;
  Settings settings_;
  std::shared_ptr<const PeerInfo> info_ = std::make_shared<const PeerInfo>();  // the channels have it too
  // The port must outlive the multiplexer's use of it, and the multiplexer every channel's.
  struct Port final : channel::PayloadPort {
    Link* link = nullptr;
    std::size_t sendable_bytes() const noexcept override { return link ? link->sendable_bytes() : 0; }
    Result<void> send(ByteView header, ByteView body) override {
      return link ? link->send(header, body) : Result<void>(Errc::closed);
    }
    Result<void> send_owned(ByteView header, Bytes body) override {
      return link ? link->send_owned(header, std::move(body)) : Result<void>(Errc::closed);
    }
  } port_;
  channel::Multiplexer mux_;
  std::unique_ptr<Link> link_;
  std::vector<std::shared_ptr<ChannelState>> channels_;  // by number
  // What we asked the other side to listen on. Most links never do.
  struct Forwards {
    struct Asked {
      std::uint64_t token;
      ForwardRequest what;
      std::string service;
      Completion<std::uint32_t> done;
    };
    struct Granted {
      std::string bind;
      std::uint32_t port;
      bool is_path;
      std::string service;
    };
    std::deque<Asked> asked;
    std::vector<Granted> granted;
  };
  std::unique_ptr<Forwards> forwards_;
  std::size_t live_channels_ = 0;
  Grant grant_;
  Fifo<Ready> ready_;
  io::Timer timer_;
  TimePoint armed_ = kNever;
  io::Timer gather_;  // small writes wait for each other
  bool gathering_ = false;
  int writes_in_a_row_ = 0;
  std::size_t gathered_ = 0;
  TimePoint driven_at_{};
  Phase phase_ = Phase::handshake;
  bool native_ = false, driving_ = false, again_ = false, draining_ = false, drain_posted_ = false, work_posted_ = false, flushed_ = true, completions_follow_ = false;
  bool large_seen_ = false, answers_first_ = false;  // see goes_first()
  bool hello_heard_ = false, was_up_ = false;
  std::uint32_t max_frame_remote_ = 0xffffffff;
  std::uint64_t hello_token_ = 0, ping_token_ = 0;
  TimePoint hello_until_{};
  // On the ancestor's wire, until the link is up. Its client opens channels while its answer to the
  // greeting is still on the way; they wait for that, as many as may wait for an answer anyway.
  struct Greeting {
    std::vector<channel::Opening> early;
  };
  std::unique_ptr<Greeting> greeting_;
  int pings_missed_ = 0;
  TimePoint ping_sent_{};
};

static_assert(sizeof(Connection) <= 704, "an idle connection is promised to cost less than 16 KiB");

}  // namespace streamkit
