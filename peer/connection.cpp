#include "connection.hpp"

#include "channel_state.hpp"
#include "inproc.hpp"

#include <streamkit/base/text.hpp>
#include <streamkit/channel/duplex.hpp>

namespace streamkit {
namespace {

constexpr int kMissesAllowed = 3;              // unanswered keepalives before a link counts as dead
constexpr std::size_t kOwedHighWater = 1 << 20;  // answers we owe before we stop reading
constexpr int kRoundsInARow = 64;              // turns of one drive before others get the loop
constexpr int kBatchesInARow = 1;              // and batches sent before what came in is looked at
// Completions are called between two drives until so much time has gone, which is looked at after each
// few: what they wrote leaves together, and the other side does not wait for the last of many.
constexpr int kCompletionsInARow = 16;
constexpr std::chrono::microseconds kCompletionTime{100};
// Small writes from outside that follow one another closer than this leave together, until so many
// bytes wait. The first two after something came in leave at once: they may be a question.
constexpr std::chrono::microseconds kGather{100};
constexpr std::size_t kGatherBytes = 32 * 1024;
constexpr int kUngathered = 2;
// What is sealed ahead of the stream: much for one channel alone, for it is fastest; less where a small
// message of another channel would wait behind it.
constexpr std::size_t kBatch = 128 * 1024, kSharedBatch = 64 * 1024;
constexpr std::size_t kLarge = 4 * 1024;  // bytes of a payload that takes long to open

// In process a message costs the same whatever its size: packets of SSH's size would only cut frames up.
channel::Limits limits_of(const Connection::Settings& settings) {
  channel::Limits limits = settings.channels;
  if (settings.is_inproc) limits.max_packet = std::max(limits.max_packet, channel::kLargestSend);
  return limits;
}

constexpr std::string_view kDirectTcp = "direct-tcpip", kDirectLocal = "direct-streamlocal@openssh.com";

}  // namespace

Connection::Connection(std::shared_ptr<io::Context> context, ConnectionOwner* owner, Settings settings)
    : context_(std::move(context)),
      owner_(owner),
      settings_(std::move(settings)),
      mux_(port_, limits_of(settings_), settings_.wire),
      timer_(*context_),
      gather_(*context_) {
  native_ = settings_.is_inproc || settings_.wire == channel::Wire::duplex;
  change_info([this](PeerInfo& info) {
    info.link = settings_.id;
    info.endpoint = settings_.endpoint;
    info.address = settings_.address;
    info.outgoing = settings_.outgoing;
    info.native = native_;
    info.key = settings_.inproc_key;
  });
}

Connection::~Connection() = default;

std::shared_ptr<Connection> Connection::make(std::shared_ptr<io::Context> context, ConnectionOwner* owner, Settings settings) {
  return std::shared_ptr<Connection>(
      new Connection(std::move(context), owner, std::move(settings)), [](Connection* connection) {
        const std::shared_ptr<io::Context> its = connection->context();
        if (!its->is_current() && io::Context::is_any_current()) return its->post([connection] { delete connection; });
        const io::Context::Lock lock(*its);
        delete connection;
      });
}

void Connection::start(std::unique_ptr<Link> link) {
  link_ = std::move(link);
  port_.link = link_.get();
  link_->start();
  if (settings_.skips_hello) {
    go_up();
  } else if (settings_.is_inproc) {
    send_hello();
  }
  kick();
}

// ---------------------------------------------------------------- the loop

void Connection::work() {
  // What completions write leaves together, and with what we answer ourselves: every other drive leaves
  // sending to the one behind the completions.
  for (int round = 0; round < kRoundsInARow; ++round) {
    completions_follow_ = round % 2 == 0;
    drive();
    completions_follow_ = false;
    drain();
    if (!again_ || driving_ || draining_) return;
  }
  post_work();
}

void Connection::post_work() {
  if (std::exchange(work_posted_, true)) return;
  context_->post([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->work_posted_ = false;
    self->link_active();
  });
}

void Connection::link_active() {
  const std::shared_ptr<Connection> self = shared_from_this();
  work();
  // The link may be what called us; it lives until this call has unwound.
  if (is_down()) context_->keep(self);
}

void Connection::drive() {
  if (driving_) {
    again_ = true;
    return;
  }
  driving_ = true;
  gathered_ = 0;
  int rounds = 0, batches = 0;
  do {
    again_ = false;
    driven_at_ = io::now();
    const bool answers = std::exchange(answers_first_, false);
    if (!is_down() && !answers) link_->pump(driven_at_);
    bool more = handle_events() || answers;
    if (completions_follow_ && !ready_.empty()) {
      driving_ = false;
      again_ = true;
      return;
    }
    more = std::exchange(answers_first_, false) || more;
    if (!is_down()) {
      link_->set_send_batch(mux_.is_shared() ? kSharedBatch : kBatch);
      if (const Result<void> r = fill_link(more); !r) {
        fail(r.error());
        more = true;
      } else {
        flushed_ = link_->flush();
        if (flushed_ && mux_.wants_port() && port_.sendable_bytes() > 0) {  // room again: fill it
          // Where channels take turns nothing is sealed before the stream would take it: a message that
          // comes meanwhile goes first.
          const bool waits = mux_.is_shared() && link_->await_room();
          if (!waits && ++batches < kBatchesInARow)
            more = true;
          else if (!waits)
            post_work();
        }
      }
    }
    again_ = again_ || more;
    if (again_ && ++rounds == kRoundsInARow) {
      again_ = false;
      post_work();
      break;
    }
  } while (again_);
  driving_ = false;
  arm_timer();
}

// A write that is lent makes room for the one behind it when it has been sealed, so the next call of
// the stream takes as many of them as a batch has room for.
Result<void> Connection::fill_link(bool& any) {
  do {
    if (Result<void> r = mux_.port_ready(driven_at_); !r) return r;
    if (!handle_events()) return {};
    any = true;
  } while (!is_down() && mux_.wants_port() && port_.sendable_bytes() > 0);
  return {};
}

bool Connection::kick_later(std::size_t written) {
  if (driving_ || draining_) {
    again_ = true;
    return false;
  }
  // In process a hand-over costs more than what is in it, so as much is gathered as goes over at once.
  gathered_ += settings_.is_inproc ? std::min(written, InprocLink::kMovedCounts) : written;
  const bool may_be_a_question = ++writes_in_a_row_ <= kUngathered;
  if (!may_be_a_question && gathered_ < (settings_.is_inproc ? InprocLink::kHandOver : kGatherBytes)) {
    if (gathering_) return false;
    const TimePoint now = io::now();
    if (now < after(driven_at_, kGather)) {
      gathering_ = true;
      gather_.start(after(now, kGather), [this] {
        gathering_ = false;
        link_active();
      });
      return false;
    }
  }
  kick();
  return true;
}

void Connection::kick_soon() {
  if (driving_ || draining_) {
    again_ = true;
  } else {
    post_work();
  }
}

bool Connection::kick_if_needed() {
  if (!mux_.has_events() && !(link_ && link_->has_output())) return false;
  kick();
  return true;
}

bool Connection::make_room() {
  if (!settings_.is_inproc || driving_ || is_down()) return false;
  if (const Result<void> r = mux_.port_ready(io::now()); !r) {
    fail(r.error());
    return false;
  }
  return true;
}

void Connection::kick() {
  if (driving_ || draining_) {
    again_ = true;
    return;
  }
  const std::shared_ptr<Connection> self = shared_from_this();
  drive();
  if (ready_.empty() || draining_ || drain_posted_) return;
  drain_posted_ = true;
  context_->post([self] {
    self->drain_posted_ = false;
    self->work();
  });
}

void Connection::complete(Ready task) {
  ready_.push(std::move(task));
  if (!driving_ && !draining_ && !drain_posted_) {
    drain_posted_ = true;
    context_->post([self = shared_from_this()] {
      self->drain_posted_ = false;
      self->work();
    });
  }
}

void Connection::drain() {
  if (draining_) return;
  draining_ = true;
  for (int called = 0; !ready_.empty(); ++called) {
    if (called == kCompletionsInARow) {
      if (io::now() >= after(driven_at_, kCompletionTime)) {
        again_ = true;
        break;
      }
      called = 0;
    }
    Ready task = ready_.take();
    task();
  }
  draining_ = false;
}

bool Connection::handle_events() {
  bool any = false;
  while (std::optional<channel::Event> event = mux_.poll_event()) {
    any = true;
    std::visit(
        [this](auto& e) {
          using E = std::decay_t<decltype(e)>;
          if constexpr (std::is_same_v<E, channel::Opening> || std::is_same_v<E, channel::GlobalRequest> ||
                        std::is_same_v<E, channel::GlobalReply>) {
            handle(e);
          } else if (const std::shared_ptr<ChannelState> state = find(e.id)) {
            if constexpr (std::is_same_v<E, channel::Opened>) state->opened(e);
            if constexpr (std::is_same_v<E, channel::OpenFailed>) forget(e.id), state->open_failed(e);
            if constexpr (std::is_same_v<E, channel::Readable>) state->readable(e.lane);
            if constexpr (std::is_same_v<E, channel::Writable>) state->writable();
            if constexpr (std::is_same_v<E, channel::Request>) state->requested(e);
            if constexpr (std::is_same_v<E, channel::RequestReply>) state->replied(e.ok);
            if constexpr (std::is_same_v<E, channel::Closed>) state->ended(e);
          }
        },
        *event);
  }
  return any;
}

std::shared_ptr<ChannelState> Connection::find(channel::ChannelId id) const {
  const auto at = static_cast<std::size_t>(id);
  return at < channels_.size() ? channels_[at] : nullptr;
}

std::shared_ptr<ChannelState> Connection::add(channel::ChannelId id) {
  auto state = std::make_shared<ChannelState>(shared_from_this(), id);
  state->info.remote = info_;
  const auto at = static_cast<std::size_t>(id);  // the multiplexer's numbers are small and used again
  if (at >= channels_.size()) channels_.resize(at + 1);
  channels_[at] = state;
  ++live_channels_;
  return state;
}

void Connection::forget(channel::ChannelId id) {
  const auto at = static_cast<std::size_t>(id);
  if (at >= channels_.size() || !channels_[at]) return;
  channels_[at] = nullptr;
  --live_channels_;
}

std::size_t Connection::count_incoming(const std::function<bool(std::string_view)>& takes) const {
  std::size_t count = 0;
  for (const auto& state : channels_)
    count += state && state->is_incoming && state->phase != ChannelState::Phase::closed && takes(state->info.service);
  return count;
}

bool Connection::is_at_max_channels() const {
  return grant_ && grant_->max_channels != 0 && count_incoming([](std::string_view) { return true; }) >= grant_->max_channels;
}

// ---------------------------------------------------------------- opens

std::shared_ptr<ChannelState> Connection::open(std::string service, OpenOptions options, ChannelState* parent,
                                               Completion<Channel> done) {
  const TimePoint now = io::now();
  Result<channel::ChannelId> id = Errc::closed;
  Bytes extra;
  wire::Writer writer(extra);
  std::string_view type = mux_.channel_type();
  switch (options.form) {
    case OpenForm::channel: {
      if (!native_ && !settings_.is_shared) {
        id = Error(Errc::usage, "the other side is stock SSH software: open a session, direct-tcpip or direct-streamlocal");
        break;
      }
      channel::OpenInfo open;
      open.service = service;
      open.headers = options.headers;
      open.framed = options.framed;
      open.priority = options.priority;
      open.first = std::move(options.first);
      id = mux_.open_service(std::move(open), parent ? std::optional(parent->id()) : std::nullopt, now);
      break;
    }
    case OpenForm::session_exec:
    case OpenForm::session_subsystem:
      type = "session";
      id = mux_.open(type, {}, now, options.priority);
      break;
    case OpenForm::direct_tcpip: {
      type = kDirectTcp;
      const std::size_t colon = service.rfind(':');
      unsigned long port = 0;
      if (colon != std::string::npos) port = std::strtoul(service.c_str() + colon + 1, nullptr, 10);
      if (port == 0 || port > 65535) {
        id = Error(Errc::usage, "direct-tcpip needs HOST:PORT");
        break;
      }
      writer.string(service.substr(0, colon)).u32(static_cast<std::uint32_t>(port)).string("127.0.0.1").u32(0);
      id = mux_.open(type, extra, now, options.priority);
      break;
    }
    case OpenForm::direct_streamlocal:
      type = kDirectLocal;
      writer.string(service).string("").u32(0);
      id = mux_.open(type, extra, now, options.priority);
      break;
  }
  if (is_down()) id = Errc::connection_lost;
  if (!id) {
    complete([done = std::move(done), error = id.error()]() mutable { done(error); });
    return nullptr;
  }
  const std::shared_ptr<ChannelState> state = add(*id);
  if (done) state->on_opened = std::make_unique<Completion<Channel>>(std::move(done));
  state->is_native = options.form == OpenForm::channel;
  state->info.service = service;
  state->info.headers = options.headers;
  state->info.type = type;
  state->info.framed = options.framed;
  if (type == "session") state->run_in_session(options.form, std::move(service), std::move(options.headers));
  kick();
  return state;
}

std::shared_ptr<ChannelState> Connection::open_forwarded(const ForwardRequest& granted, std::uint32_t port,
                                                         const std::string& originator_host,
                                                         std::uint16_t originator_port, Completion<Channel> done) {
  Bytes extra;
  wire::Writer writer(extra);
  writer.string(granted.bind);
  if (granted.is_path) {
    writer.string("");
  } else {
    writer.u32(port).string(originator_host).u32(originator_port);
  }
  const std::string_view type = granted.is_path ? kForwardedLocal : kForwardedTcp;
  const Result<channel::ChannelId> id =
      is_down() ? Result<channel::ChannelId>(Errc::connection_lost) : mux_.open(type, extra, io::now());
  if (!id) {
    complete([done = std::move(done), error = id.error()]() mutable { done(error); });
    return nullptr;
  }
  const std::shared_ptr<ChannelState> state = add(*id);
  if (done) state->on_opened = std::make_unique<Completion<Channel>>(std::move(done));
  state->is_native = false;
  state->info.service = granted.bind;
  state->info.type = type;
  kick();
  return state;
}

void Connection::handle(channel::Opening& e) {
  const auto refuse = [&](channel::OpenFailure reason, std::string_view words) { (void)mux_.refuse(e.id, reason, words); };
  if (greeting_) {
    greeting_->early.push_back(std::move(e));
    return;
  }
  if (phase_ != Phase::up) return refuse(channel::OpenFailure::prohibited, "the link is not up yet");
  if (is_at_max_channels())
    return refuse(channel::OpenFailure::resource_shortage, "resource_exhausted: this key may not have more channels open at once");
  if (e.type == "session") return handle_session_open(e);

  ChannelInfo info;
  info.remote = info_;
  if (e.info) {
    info.type = mux_.channel_type();
    info.service = std::move(e.info->service);
    info.headers = std::move(e.info->headers);
    info.framed = e.info->framed;
    info.deadline = std::chrono::milliseconds(e.info->deadline_ms);
  } else {
    wire::Reader reader(e.extra);
    if (e.type == kDirectTcp) {
      info.type = kDirectTcp;
      info.service = std::string(reader.text());
      const std::uint32_t port = reader.u32();
      info.headers.add("port", std::to_string(port));
      info.headers.add("originator", std::string(reader.text()));
      if (reader.u32() > 65535 || port > 65535) reader.fail();
    } else if (e.type == kDirectLocal) {
      info.type = kDirectLocal;
      info.service = std::string(reader.text());
      while (info.service.starts_with('/')) info.service.erase(0, 1);
      reader.string();
      reader.u32();
    } else if (e.type == kForwardedTcp || e.type == kForwardedLocal) {
      info.type = e.type == kForwardedTcp ? kForwardedTcp : kForwardedLocal;
      if (!read_forwarded(info.type, reader, info))
        return refuse(channel::OpenFailure::prohibited, "permission_denied: nobody asked for connections from there");
    } else {
      return refuse(channel::OpenFailure::unknown_type, "unknown channel type");
    }
    if (!reader.end() || !channel::is_valid_service_name(info.service))
      return refuse(channel::OpenFailure::prohibited, "malformed open");
  }
  Result<void> allowed;  // the ends of a pair have nobody to ask
  if (!owner_ && !settings_.skips_hello) allowed = Errc::shutting_down;
  if (owner_) allowed = owner_->authorize(*this, OpenRequest{*info_, info.service, info.headers, info.type});
  if (!allowed) {
    if (allowed.error().is(Errc::limit)) return refuse(channel::OpenFailure::resource_shortage, "resource_exhausted: " + allowed.error().message());
    return refuse(channel::OpenFailure::prohibited, "permission_denied: " + allowed.error().message());
  }
  const std::shared_ptr<ChannelState> parent = e.parent ? find(*e.parent) : nullptr;
  if (e.parent && (!parent || !parent->is_open()))
    return refuse(channel::OpenFailure::connect_failed, "unavailable: the channel it was to be attached to has closed");
  const std::shared_ptr<ChannelState> state = add(e.id);
  state->info = std::move(info);
  state->phase = ChannelState::Phase::incoming;
  state->is_incoming = true;
  state->is_native = e.info.has_value();
  if (parent) return parent->attach(state);
  if (owner_) return owner_->incoming(*this, state);
  state->refuse(Code::failed_precondition, "open on the channel: a pair has no peers");
}

// A session says what it wants by requests; it is confirmed first, and bounded by max_channels.
void Connection::handle_session_open(channel::Opening& e) {
  const std::shared_ptr<ChannelState> state = add(e.id);
  state->phase = ChannelState::Phase::session;
  state->is_incoming = true;
  state->is_native = false;
  state->info.type = "session";
  (void)mux_.confirm_raw(e.id, {}, io::now());
}

// ---------------------------------------------------------------- who is there

Result<void> Connection::judge_host_key(const Credential& shown) {
  if (!owner_) return Errc::shutting_down;
  const Result<bool> certified = owner_->judge_host_key(*this, shown);
  if (!certified) return certified.error();
  change_info([&](PeerInfo& info) {
    info.key = shown.key;
    if (*certified) info.certificate = shown.certificate;
  });
  return {};
}

Result<void> Connection::judge_key(const std::string& user, const Credential& shown, bool verified) {
  return owner_ ? owner_->judge_key(*this, user, shown, verified) : Result<void>(Errc::shutting_down);
}

Result<void> Connection::judge_password(const std::string& user, std::string_view password) {
  return owner_ ? owner_->judge_password(*this, user, password) : Result<void>(Errc::shutting_down);
}

void Connection::judge_interactive(const InteractiveTurn& turn, Completion<InteractiveReply> done) {
  owner_ ? owner_->judge_interactive(*this, turn, std::move(done)) : done(Errc::shutting_down);
}

void Connection::answer_prompts(const ssh::InfoRequest& asked, Completion<std::vector<SecretBytes>> done) {
  owner_ ? owner_->answer_prompts(*this, asked, std::move(done)) : done(Errc::shutting_down);
}

void Connection::link_log(std::string_view level, const std::string& line) {
  if (owner_) owner_->log(level, (settings_.outgoing ? settings_.endpoint : settings_.address) + ": " + line);
}

void Connection::link_banner(const std::string& text) {
  if (owner_) owner_->log("info", "the other side says: " + escape(text, 4096));
}

void Connection::link_authenticated(const std::string& user, const Credential& shown) {
  change_info([&](PeerInfo& info) {
    if (const ssh::ConnectionInfo* ssh = link_->info()) {
      info.software = escape(ssh->remote_version, 255);
      info.cipher = ssh->cipher_out;
      info.cipher_by = ssh->cipher_out_by;
    }
    info.native = native_;
    if (!settings_.outgoing) {
      info.name = user;
      info.key = shown.key;
      info.certificate = shown.certificate;
    }
  });
  if (settings_.wire == channel::Wire::duplex) {
    greet();
  } else if (native_) {
    send_hello();
  } else {
    go_up();
  }
}

void Connection::send_hello() {
  phase_ = Phase::hello;
  hello_until_ = after(io::now(), settings_.hello_timeout);
  const Result<std::uint64_t> token = mux_.global_request(channel::kHelloRequest, true, settings_.hello.encode());
  if (!token) return fail(token.error());
  hello_token_ = *token;
}

void Connection::hello_is_late() {
  if (greeting_) return greeting_is_late();
  fail(Error(Errc::timeout, "the other side did not say hello, or answer ours, in time"));
}

Result<void> Connection::check_hello(const channel::Hello& hello) const {
  if (hello.version != channel::kProtocolVersion)
    return Error(Errc::version_mismatch, "the other side speaks version " + std::to_string(hello.version) +
                                             " of our protocol, this side " + std::to_string(channel::kProtocolVersion));
  const std::string& ours = settings_.hello.app;
  if (!ours.empty() && !hello.app.empty() && ours != hello.app)
    return Error(Errc::version_mismatch, "the other side is the application '" + escape(hello.app, 255) + "', this side '" + ours + "'");
  return {};
}

void Connection::handle_hello(const channel::GlobalRequest& e) {
  const auto reply = [&](bool ok, ByteView payload) {
    if (e.want_reply) (void)mux_.reply_global(ok, payload);
  };
  if (phase_ != Phase::hello || greeting_ || hello_heard_) return reply(false, {});
  const Result<channel::Hello> hello = channel::Hello::decode(e.payload);
  if (!hello) {
    reply(false, {});
    return fail(Error(Errc::protocol, "malformed hello"));
  }
  Result<void> verdict = check_hello(*hello);
  if (verdict && owner_) verdict = owner_->judge_hello(*this, *hello);
  reply(verdict.has_value(), verdict ? ByteView(settings_.hello.encode()) : ByteView(channel::encode_status(
      Status(code_of(verdict.error().code()), std::string(verdict.error().code().message()), verdict.error().message()))));
  if (!verdict) return fail(verdict.error());
  hello_heard_ = true;
  accept_hello(*hello);
}

void Connection::accept_hello(const channel::Hello& hello) {
  change_info([&](PeerInfo& info) { info.name = hello.peer_name; });
  max_frame_remote_ = hello.max_frame == 0 ? 0xffffffff : hello.max_frame;
  if (hello_heard_ && hello_token_ == 0) go_up();
}

// The reply to our hello: the other side takes us.
void Connection::handle(channel::GlobalReply& e) {
  if (e.token == ping_token_ && ping_token_ != 0) {
    ping_token_ = 0;
    pings_missed_ = 0;
    change_info([this](PeerInfo& info) { info.round_trip = io::now() - ping_sent_; });
    mux_.set_round_trip(info_->round_trip);
    return;
  }
  if (handle_forward_reply(e) || e.token != hello_token_ || phase_ != Phase::hello) return;
  hello_token_ = 0;
  if (greeting_) return greeting_answered(e.ok);
  if (!e.ok) {
    const Result<Status> why = channel::decode_status(e.payload);
    const bool name = why && why->code == Code::already_exists;
    return fail(Error(name ? Errc::name_taken : Errc::version_mismatch,
                      why ? "the other side refused us: " + escape(why->message, 512) : "the other side refused our hello"));
  }
  if (hello_heard_) go_up();
}

void Connection::go_up() {
  if (phase_ == Phase::up || phase_ == Phase::down) return;
  phase_ = Phase::up;
  was_up_ = true;
  if (info_->native != native_) change_info([this](PeerInfo& info) { info.native = native_; });
  if (owner_) owner_->connection_up(*this);
  take_early_opens();
}

void Connection::handle(channel::GlobalRequest& e) {
  if (e.type == channel::kHelloRequest) return handle_hello(e);
  if (e.type == channel::duplex::kGreetingRequest) return handle_greeting(e);
  const auto reply = [&](bool ok, ByteView payload = {}) {
    if (e.want_reply) (void)mux_.reply_global(ok, payload);
  };
  if (e.type == "keepalive@openssh.com") return reply(true);
  ForwardRequest forward;
  forward.from = *info_;
  forward.cancel = e.type.starts_with("cancel-");
  const std::string_view type = std::string_view(e.type).substr(forward.cancel ? 7 : 0);
  forward.is_path = type == "streamlocal-forward@openssh.com";
  if (phase_ != Phase::up || (!forward.is_path && type != "tcpip-forward")) return reply(false);
  wire::Reader reader(e.payload);
  forward.bind = std::string(reader.text());
  if (!forward.is_path) forward.port = reader.u32();
  if (!reader.end() || forward.port > 65535 || !owner_) return reply(false);
  const Result<std::uint32_t> port = owner_->forward(*this, forward);
  Bytes payload;
  if (port && !forward.is_path && !forward.cancel && forward.port == 0) wire::Writer(payload).u32(*port);
  reply(port.has_value(), payload);
}

// ---------------------------------------------------------------- the end, and time

Result<void> Connection::link_payload(ByteView payload, const Keeper& keeper, TimePoint now) {
  writes_in_a_row_ = 0;
  Result<void> handled = mux_.handle_payload(payload, now, keeper);
  // Replies are given while the link still has the question: it counts them, and stops reading when too
  // many are not taken.
  if (handled && mux_.owes_replies()) handle_events();
  return handled;
}

Result<void> Connection::link_given(ByteView header, Bytes body, TimePoint now) {
  writes_in_a_row_ = 0;
  return mux_.handle_given(header, std::move(body), now);
}

// Opening a large packet takes longer than an answer, so it waits for one. At most once a large one: many
// small messages have their completions together.
bool Connection::goes_first(std::size_t payload) {
  if (payload >= kLarge) {
    large_seen_ = true;
  } else if (large_seen_ && completions_follow_ && (!ready_.empty() || mux_.has_events())) {
    large_seen_ = false;
    answers_first_ = true;
  }
  return answers_first_;
}

bool Connection::is_congested() const { return mux_.owed_bytes() > kOwedHighWater; }

void Connection::fail(const Error& why) {
  if (is_down()) return;
  const std::shared_ptr<Connection> self = shared_from_this();
  if (link_) link_->close(why);
  link_down(why);
  kick();
}

void Connection::link_down(const Error& error) {
  if (is_down()) return;
  phase_ = Phase::down;
  context_->keep(shared_from_this());  // outlive whoever is calling
  port_.link = nullptr;
  timer_.cancel();
  mux_.link_lost(error);
  fail_forward_requests(error);
  again_ = true;
  if (ConnectionOwner* owner = owner_) owner->connection_down(*this, error);
  if (!driving_) kick();
}

void Connection::arm_timer() {
  if (is_down()) return;
  TimePoint next = std::min(link_->next_timeout(), mux_.next_timeout().value_or(kNever));
  if (is_up() && !settings_.is_inproc && settings_.heartbeat > Duration::zero()) {
    const TimePoint quiet_since = ping_token_ != 0 ? std::max(ping_sent_, link_->last_input()) : link_->last_input();
    next = std::min(next, after(quiet_since, settings_.heartbeat));
  }
  if (phase_ == Phase::hello) next = std::min(next, hello_until_);
  if (next >= armed_) return;  // the timer looks again when it rings
  armed_ = next;
  timer_.start(next, [this] { on_timer(); });
}

void Connection::on_timer() {
  const std::shared_ptr<Connection> self = shared_from_this();
  armed_ = kNever;
  const TimePoint now = io::now();
  if (is_down()) return;
  if (const TimePoint t = link_->next_timeout(); t <= now) (void)link_->handle_timeout();  // Disconnected follows
  if (!is_down() && mux_.next_timeout().value_or(kNever) <= now) {
    if (const Result<void> r = mux_.handle_timeout(now); !r) fail(r.error());
  }
  if (phase_ == Phase::hello && hello_until_ <= now) hello_is_late();
  if (is_up()) keep_alive(now);
  link_active();
}

void Connection::keep_alive(TimePoint now) {
  if (settings_.is_inproc || settings_.heartbeat <= Duration::zero()) return;
  if (now < after(link_->last_input(), settings_.heartbeat)) {
    pings_missed_ = 0;
    return;
  }
  if (ping_token_ != 0) {
    if (now < after(ping_sent_, settings_.heartbeat)) return;
    if (++pings_missed_ >= kMissesAllowed)
      return fail(Error(Errc::connection_lost, "no answer to " + std::to_string(kMissesAllowed) + " keepalives"));
  }
  const Result<std::uint64_t> token = mux_.global_request("keepalive@openssh.com", true, {});
  if (!token) return;  // too many are unanswered already: the next miss ends it
  ping_token_ = *token;
  ping_sent_ = now;
}

}  // namespace streamkit
