#include "bastion.hpp"

#include "channel_state.hpp"
#include "dialer.hpp"

#include <utility>

namespace streamkit {
namespace {

// What was written before the end has so long to get through the bastion.
constexpr std::chrono::seconds kFarewell{1};

/// Cancels when it goes.
class BastionConnect final : public io::Connect {
 public:
  explicit BastionConnect(std::weak_ptr<Bastion> bastion) : bastion_(std::move(bastion)) {}
  ~BastionConnect() override {
    if (const auto bastion = bastion_.lock(); bastion && bastion->is_waited_for()) bastion->end();
  }

 private:
  const std::weak_ptr<Bastion> bastion_;
};

/// The channel through the bastion, which takes the bastion's link with it.
class BastionStream final : public io::Stream {
 public:
  BastionStream(std::unique_ptr<io::Stream> stream, std::shared_ptr<Bastion> bastion)
      : stream_(std::move(stream)), bastion_(std::move(bastion)) {}
  ~BastionStream() override { close(false); }

  Result<std::size_t> read_some(MutableByteView out) override {
    return worded(stream_->read_some(out));
  }
  Result<std::size_t> write_some(std::span<const ByteView> pieces) override {
    return worded(stream_->write_some(pieces));
  }
  void wait_readable(Task task) override { stream_->wait_readable(std::move(task)); }
  void wait_writable(Task task) override { stream_->wait_writable(std::move(task)); }
  Result<void> shutdown_write() override { return stream_->shutdown_write(); }
  void close(bool reset) override {
    stream_->close(reset);
    bastion_->leave();
  }
  io::Address local_address() const override { return {}; }
  io::Address remote_address() const override { return bastion_->target(); }

 private:
  Result<std::size_t> worded(Result<std::size_t> result) const {
    if (result || result.error().is(Errc::would_block) || result.error().is(Errc::eof) ||
        !bastion_->broken())
      return result;
    return *bastion_->broken();
  }

  const std::unique_ptr<io::Stream> stream_;
  const std::shared_ptr<Bastion> bastion_;
};

}  // namespace

Bastion::Bastion(BastionOwner& owner, io::Context& context, Endpoint to, Duration timeout,
                 io::Connect::Done done)
    : owner_(&owner),
      to_(std::move(to)),
      at_(*to_.via()),
      timeout_(timeout),
      done_(std::move(done)),
      farewell_(context) {}

Bastion::~Bastion() = default;

io::Address Bastion::target() const {
  return address_of(to_);
}

// ---------------------------------------------------------------- the way there

std::unique_ptr<io::Connect> Bastion::start() {
  connect_ = owner_->dial(at_, timeout_,
                          [weak = weak_from_this()](Result<std::unique_ptr<io::Stream>> stream) {
                            if (const auto self = weak.lock()) self->reached(std::move(stream));
                          });
  return std::make_unique<BastionConnect>(weak_from_this());
}

void Bastion::reached(Result<std::unique_ptr<io::Stream>> stream) {
  const std::unique_ptr<io::Connect> done = std::move(connect_);
  // Where there are others before it, they have said where it failed.
  if (!stream && at_.via()) return fail(stream.error());
  if (!stream)
    return fail(Error(stream.error().code(), "no connection to the bastion " + at_.text() + ": " +
                                                 stream.error().message()));
  Result<std::shared_ptr<Connection>> made = owner_->make_link(*this, at_, std::move(*stream));
  if (!made) return fail(made.error());
  if (!owner_) return (*made)->disown();
  connection_ = std::move(*made);
}

void Bastion::connection_up(Connection& connection) {
  OpenOptions options;
  const bool is_path = to_.kind() == Endpoint::Kind::unix_path;
  options.form = is_path ? OpenForm::direct_streamlocal : OpenForm::direct_tcpip;
  connection.open(is_path ? to_.path() : to_.host() + ":" + std::to_string(to_.port()),
                  std::move(options), nullptr, [weak = weak_from_this()](Result<Channel> channel) {
                    if (const auto self = weak.lock()) self->opened(std::move(channel));
                  });
}

void Bastion::opened(Result<Channel> channel) {
  if (!owner_) return;
  if (!channel)
    return fail(Error(channel.error().code(), "the bastion " + at_.text() + " gives no way to " +
                                                  target().text() + ": " +
                                                  channel.error().message()));
  channel->async_wait_closed([weak = weak_from_this()](const Result<Closed>&) {
    if (const auto self = weak.lock()) self->end();
  });
  const auto self = shared_from_this();
  io::Connect::Done done = std::exchange(done_, {});
  std::unique_ptr<io::Stream> stream =
      std::make_unique<BastionStream>(Channel::into_stream(std::move(*channel)), self);
  done(std::move(stream));
}

// ---------------------------------------------------------------- the end

void Bastion::connection_down(Connection& connection, const Error& error) {
  if (!owner_) return;
  const Error why = owner_->explain(connection, error);
  broken_ = Error(why.code(), "at the bastion " + at_.text() + ": " + why.message());
  fail(*broken_);
}

void Bastion::fail(const Error& error) {
  const auto self = shared_from_this();
  io::Connect::Done done = std::exchange(done_, {});
  end();
  if (done) done(error);
}

void Bastion::leave() {
  if (!owner_) return;
  farewell_.start(after(io::now(), kFarewell), [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->end();
  });
}

void Bastion::end() {
  if (!owner_) return;
  const auto self = shared_from_this();
  BastionOwner& owner = *std::exchange(owner_, nullptr);
  done_ = {};
  farewell_.cancel();
  connect_.reset();
  if (const auto connection = std::exchange(connection_, nullptr)) {
    connection->disown();
    connection->fail(Error(Errc::closed, "the connection through it has ended"));
  }
  owner.bastion_ended(*this);
}

// ---------------------------------------------------------------- what the link asks

Result<bool> Bastion::judge_host_key(Connection& connection, const Credential& shown) {
  return owner_ ? owner_->judge_host_key(connection, shown) : Result<bool>(Errc::shutting_down);
}

void Bastion::answer_prompts(Connection& connection, const ssh::InfoRequest& asked,
                             Completion<std::vector<SecretBytes>> done) {
  owner_ ? owner_->answer_prompts(connection, asked, std::move(done)) : done(Errc::shutting_down);
}

Result<void> Bastion::judge_hello(Connection& connection, const channel::Hello& hello) {
  return owner_ ? owner_->judge_hello(connection, hello) : Result<void>(Errc::shutting_down);
}

void Bastion::incoming(Connection&, std::shared_ptr<ChannelState> state) {
  state->refuse(Code::permission_denied, "a bastion opens nothing here");
}

void Bastion::log(std::string_view level, std::string_view line) {
  if (owner_) owner_->log(level, line);
}

}  // namespace streamkit
