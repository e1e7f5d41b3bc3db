// The services of OurServer, and what both of our sides need: keys, folders, transfers.
#include "our_server.hpp"

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <pwd.h>
#include <unistd.h>

namespace streamkit::testing {
namespace {

constexpr std::size_t kPiece = 64 * 1024;
constexpr std::size_t kMaxHeld = 16 << 20;
constexpr auto kBetweenLooks = std::chrono::milliseconds(20);  // at another program

// "code N" among the arguments of a command, or the header CODE: what the service closes with.
Status wanted_status(const ChannelInfo& info) {
  std::string text(info.headers.get_or("CODE", ""));
  const std::string_view arguments = info.headers.get_or("args", "");
  if (arguments.starts_with("code ")) text = arguments.substr(5);
  return Status(static_cast<Code>(std::atoi(text.c_str())));
}

/// The services `echo` and `hold`, by completions on the peer's Context.
class Echo : public std::enable_shared_from_this<Echo> {
 public:
  Echo(Channel channel, bool holds)
      : channel_(std::move(channel)), buffer_(kPiece), holds_(holds) {}

  void read() {
    channel_.async_read(buffer_, [self = shared_from_this()](Result<std::size_t> n) {
      if (!n) return self->ended(n.error());
      const ByteView got = ByteView(self->buffer_).first(*n);
      if (!self->holds_) return self->write(got);
      append(self->held_, got);
      if (self->held_.size() > kMaxHeld)
        return self->channel_.reset(Code::resource_exhausted, "too much to hold");
      self->read();
    });
  }

 private:
  void write(ByteView bytes) {
    channel_.async_write(bytes, [self = shared_from_this()](const Result<void>& r) {
      if (!r) return;
      self->holds_ ? self->close() : self->read();
    });
  }
  void ended(const Error& why) {
    if (!why.is(Errc::eof)) return;
    holds_ && !held_.empty() ? write(held_) : close();
  }
  void close() { (void)channel_.close(wanted_status(channel_.info())); }

  Channel channel_;
  Bytes buffer_, held_;
  bool holds_;
};

/// The service `say`.
class Say : public std::enable_shared_from_this<Say> {
 public:
  explicit Say(Channel channel) : channel_(std::move(channel)) {
    for (const auto& [name, value] : channel_.info().headers) lines_ += name + "=" + value + "\n";
  }
  void start() {
    channel_.async_write_error(as_bytes(kBeside),
                               [self = shared_from_this()](const Result<void>&) {});
    channel_.async_write(as_bytes(lines_), [self = shared_from_this()](const Result<void>&) {
      (void)self->channel_.close(wanted_status(self->channel_.info()));
    });
  }

 private:
  static constexpr std::string_view kBeside = "a word beside\n";
  Channel channel_;
  std::string lines_;
};

}  // namespace

void serve(Peer& peer) {
  for (const char* name : {"echo", "shell", "hold"}) {
    peer.on_open(name, [holds = std::string_view(name) == "hold"](Incoming incoming) {
      if (Result<Channel> channel = incoming.accept())
        std::make_shared<Echo>(std::move(*channel), holds)->read();
    });
  }
  peer.on_open("say", [](Incoming incoming) {
    if (Result<Channel> channel = incoming.accept())
      std::make_shared<Say>(std::move(*channel))->start();
  });
}

// ---------------------------------------------------------------- folders and keys

Folder::Folder() {
  std::string name = (std::filesystem::temp_directory_path() / "streamkit-interop-XXXXXX").string();
  EXPECT_NE(::mkdtemp(name.data()), nullptr);
  path_ = name;
}

Folder::~Folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string Folder::write(const std::string& name, std::string_view content) const {
  const int fd = ::open(file(name).c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
  EXPECT_EQ(::write(fd, content.data(), content.size()), static_cast<ssize_t>(content.size()));
  ::close(fd);
  return file(name);
}

crypto::PrivateKey new_key(crypto::KeyType type) {
  return crypto::PrivateKey::generate(type, 2048).value();
}

std::string text_of(const crypto::PrivateKey& key) {
  const SecretBytes text = key.to_text("interop").value();
  return std::string(as_text(text.view()));
}

std::string key_type_name(const ::testing::TestParamInfo<crypto::KeyType>& info) {
  std::string name(crypto::key_type_name(info.param));
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

std::string machine_user() {
  const passwd* entry = ::getpwuid(::geteuid());
  return entry ? entry->pw_name : "root";
}

// ---------------------------------------------------------------- our peers

void Log::put(std::string_view level, std::string_view line) {
  const std::lock_guard lock(mutex_);
  text_ += std::string(level) + ": " + std::string(line) + "\n";
  changed_.notify_all();
}

std::string Log::text() {
  const std::lock_guard lock(mutex_);
  return text_;
}

std::string Log::wait_for(std::initializer_list<std::string_view> words) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kPatience, [&] {
    return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
      return text_.find(word) != std::string::npos;
    });
  });
  return text_;
}

std::uint64_t Log::exchanges() {
  constexpr std::string_view kBefore = " ended after ";
  std::unique_lock lock(mutex_);
  std::size_t at = std::string::npos;
  changed_.wait_for(lock, kPatience,
                    [&] { return (at = text_.find(kBefore)) != std::string::npos; });
  return at == std::string::npos ? 0
                                 : std::strtoull(text_.c_str() + at + kBefore.size(), nullptr, 10);
}

void change_keys_after(std::uint64_t bytes, PeerOptions& options) {
  options.limits.ssh.rekey_after_bytes = bytes;
  auto& channels = options.limits.channels;
  channels.max_window =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(channels.max_window, window_for(bytes)));
  channels.initial_window = std::min(channels.initial_window, channels.max_window);
}

OurServer::OurServer(Setup setup)
    : user_key_(new_key(setup.user_key)), rekey_after_bytes_(setup.rekey_after_bytes) {
  PeerOptions options;
  options.name = "ours";
  options.identity = new_key(setup.host_key);
  options.trust.authorized_keys = {user_key_.public_key()};
  options.algorithms = std::move(setup.algorithms);
  change_keys_after(setup.rekey_after_bytes, options);
  options.log = [this](std::string_view level, std::string_view line) { log_.put(level, line); };
  if (setup.change) setup.change(options);
  peer_.emplace(Peer::make(std::move(options)).value());
  serve(*peer_);
  endpoint_ = peer_->bind(endpoint_.text() + setup.wire).value();
  peer_->on_forward([this, is_first = true](const ForwardRequest& request) mutable {
    if (std::exchange(is_first, false)) forward_.set_value(request);
    return Result<std::uint32_t>(request.port);
  });
  folder_.write("user_key", text_of(user_key_));
  pretend_host_key(peer_->key());
}

void OurServer::pretend_host_key(const crypto::PublicKey& key) {
  told_ = key;
  folder_.write("known_hosts", KnownHosts::line("127.0.0.1", port(), key) + "\n");
}

std::optional<ForwardRequest> OurServer::wait_for_forward(const Program& client) {
  std::future<ForwardRequest> asked = forward_.get_future();
  const auto deadline = Clock::now() + kPatience;
  while (asked.wait_for(kBetweenLooks) != std::future_status::ready)
    if (!client.is_running() || Clock::now() > deadline) return std::nullopt;
  return asked.get();
}

std::optional<ForwardRequest> OurServer::wait_for_forward() {
  std::future<ForwardRequest> asked = forward_.get_future();
  if (asked.wait_for(kPatience) != std::future_status::ready) return std::nullopt;
  return asked.get();
}

Result<Channel> OurServer::open_forwarded(const ForwardRequest& granted) {
  const auto deadline = Clock::now() + kPatience;
  while (true) {
    std::promise<Result<Channel>> opened;
    peer_->async_open_forwarded(granted, granted.port, "127.0.0.1", 1, kPatience,
                                [&](Result<Channel> r) { opened.set_value(std::move(r)); });
    Result<Channel> channel = opened.get_future().get();
    if (channel || peer_->peers().empty() || Clock::now() > deadline) return channel;
    std::this_thread::sleep_for(kBetweenLooks);
  }
}

OurServer::~OurServer() {
  if (::testing::Test::HasFailure())
    std::fprintf(stderr, "our peer logged:\n%s", log_.text().c_str());
}

OurClient::OurClient(const Setup& setup)
    : endpoint_("tcp://127.0.0.1:" + std::to_string(setup.port) + setup.wire),
      rekey_after_bytes_(setup.rekey_after_bytes) {
  PeerOptions options;
  options.name = setup.user;
  options.identity = setup.key;
  options.agent = setup.agent;
  options.trust.known_host_keys = {setup.host_key_fingerprint};
  options.algorithms = setup.algorithms;
  change_keys_after(setup.rekey_after_bytes, options);
  options.reconnect.on = false;
  options.log = [this](std::string_view level, std::string_view line) { log_.put(level, line); };
  if (setup.change) setup.change(options);
  peer_.emplace(Peer::make(std::move(options)).value());
}

Result<PeerInfo> OurClient::connect() {
  Result<PeerInfo> info = peer_->connect(endpoint_, kPatience);
  if (info) link_ = info->link;
  return info;
}

std::uint64_t OurClient::exchanges() {
  (void)peer_->disconnect(endpoint_);  // an error: the server was quicker
  return log_.exchanges();
}

Result<Channel> OurClient::open(std::string what, OpenForm form, Headers environment) {
  OpenOptions options;
  options.form = form;
  options.headers = std::move(environment);
  return peer_->open(To::link(link_), std::move(what), std::move(options), kPatience);
}

// ---------------------------------------------------------------- transfers

std::string echo_problem(Channel& channel, std::uint64_t size) {
  std::string write_problem;
  std::thread writer([&] {
    for (std::uint64_t sent = 0; sent < size;) {
      const ByteView piece = Pattern::at(sent, size - sent);
      if (const Result<void> r = channel.write(piece, kPatience); !r) {
        write_problem =
            "; the write after " + std::to_string(sent) + " failed: " + r.error().message();
        return;
      }
      sent += piece.size();
    }
    (void)channel.close_write();
  });
  PatternCheck check;
  Bytes buffer(kPiece);
  std::string problem;
  while (true) {
    const Result<std::size_t> n = channel.read(buffer, kPatience);
    if (!n && !n.error().is(Errc::eof)) problem = "reading: " + n.error().message() + "; ";
    if (!n) break;
    check.take(ByteView(buffer).first(*n));
  }
  if (!problem.empty()) channel.reset();  // so that the writer ends too
  writer.join();
  problem += check.problem(size);
  return problem.empty() && write_problem.empty() ? "" : problem + write_problem;
}

Result<std::string> read_all(Channel& channel) {
  std::string all;
  Bytes buffer(kPiece);
  while (true) {
    const Result<std::size_t> n = channel.read(buffer, kPatience);
    if (!n)
      return n.error().is(Errc::eof) ? Result<std::string>(all) : Result<std::string>(n.error());
    all += as_text(ByteView(buffer).first(*n));
  }
}

}  // namespace streamkit::testing
