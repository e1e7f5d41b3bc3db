// OpenSSH: real ssh and sshd with keys, configuration and ports of their own. Where a byte can take
// two ways, `ssh -W` on pipes and `ssh -L` on a TCP connection, both are measured and the better
// one counts. Channels are opened by a client made of libssh, since ssh has no way to ask for that.
#include "libssh_ends.hpp"
#include "programs.hpp"

#include <array>
#include <cmath>
#include <pwd.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace streamkit::rivals {
namespace {

constexpr std::uint64_t kFrames64 = 5'000'000, kFrames1k = 4'000'000;
constexpr std::uint64_t kGatewayConnects = 200;
constexpr std::uint64_t kConnects = 120;
constexpr std::uint64_t kOpenings = 2'000, kOpeningsInFlight = 100'000;
constexpr std::size_t kInFlight = 64;
constexpr std::uint64_t kIdleConnections = 40;
constexpr std::uint64_t kPingsBesideBulk = 5'000;

using Words = std::vector<std::string>;

std::string user_name() {
  const passwd* const entry = ::getpwuid(::geteuid());
  if (!entry) throw Skip("this user has no name, which sshd needs");
  return entry->pw_name;
}

/// An sshd that lets in the user who runs this, and the words that begin an `ssh` to it.
class OpenSsh {
 public:
  explicit OpenSsh(const std::string& variant)
      : ssh_(find_program("ssh", "openssh-client")),
        sshd_(find_program("sshd", "openssh-server")),
        port_(free_port()) {
    if (::geteuid() == 0) ::mkdir("/run/sshd", 0755);  // it drops privileges into this folder
    for (const char* key : {"host_key", "user_key"})
      output_of({find_program("ssh-keygen", "openssh-client"), "-q", "-t", "ed25519", "-N", "",
                 "-f", folder_ / key},
                log());
    write_file(folder_ / "known_hosts",
               "[127.0.0.1]:" + std::to_string(port_) + " " +
                   output_of({"/bin/cat", folder_ / "host_key.pub"}, log()));
    const std::string config = folder_ / "sshd_config";
    write_file(config, "Port " + std::to_string(port_) + "\nListenAddress 127.0.0.1\nHostKey " +
                           (folder_ / "host_key") + "\nAuthorizedKeysFile " +
                           (folder_ / "user_key.pub") +
                           "\nPidFile none\nUsePAM no\nUseDNS no\nStrictModes no\n"
                           "PermitRootLogin yes\nPasswordAuthentication no\n"
                           "KbdInteractiveAuthentication no\nLogLevel ERROR\nMaxStartups 1000\n"
                           "MaxSessions 100000\nSubsystem nothing internal-sftp\n");
    cipher_ =
        variant == "chacha20-poly1305" ? "chacha20-poly1305@openssh.com" : variant + "@openssh.com";
    server_ = std::make_unique<Program>(Words{sshd_, "-D", "-e", "-f", config}, log());
    server_->await(port_);
  }

  const Scratch& folder() const { return folder_; }
  std::string log() const { return folder_ / "log"; }
  std::uint16_t port() const { return port_; }
  const std::string& cipher() const { return cipher_; }
  pid_t server_pid() const { return server_->pid(); }
  Words ssh_words(const Words& options, const Words& command = {}) const {
    Words words{ssh_, "-F", "none", "-T", "-c", cipher_, "-p", std::to_string(port_)};
    words.insert(words.end(), {"-l", user_name(), "-i", folder_ / "user_key"});
    for (const std::string& option :
         {std::string("IdentitiesOnly=yes"), std::string("BatchMode=yes"),
          std::string("StrictHostKeyChecking=yes"), std::string("GlobalKnownHostsFile=/dev/null"),
          "UserKnownHostsFile=" + (folder_ / "known_hosts"), std::string("LogLevel=ERROR"),
          std::string("KexAlgorithms=curve25519-sha256"), std::string("ExitOnForwardFailure=yes")})
      words.insert(words.end(), {"-o", option});
    words.insert(words.end(), options.begin(), options.end());
    words.push_back("127.0.0.1");
    words.insert(words.end(), command.begin(), command.end());
    return words;
  }

 private:
  Scratch folder_;
  std::string ssh_, sshd_, cipher_;
  std::uint16_t port_;
  std::unique_ptr<Program> server_;
};

/// `ssh -L` from a port of this machine to another one.
class Forward {
 public:
  Forward(const OpenSsh& openssh, const std::vector<std::uint16_t>& targets) {
    Words options{"-N"};
    for (const std::uint16_t target : targets) {
      ports_.push_back(free_port());
      options.insert(options.end(), {"-L", "127.0.0.1:" + std::to_string(ports_.back()) +
                                               ":127.0.0.1:" + std::to_string(target)});
    }
    ssh_ = std::make_unique<Program>(openssh.ssh_words(options), openssh.log());
  }
  /// A connection through it: the first one waits until it is up.
  Socket connect(std::size_t which = 0) { return ssh_->await(ports_[which]); }
  pid_t pid() const { return ssh_->pid(); }

 private:
  std::vector<std::uint16_t> ports_;
  std::unique_ptr<Program> ssh_;
};

/// `ssh -W`: its standard input and output are the connection.
class StandardForward {
 public:
  StandardForward(const OpenSsh& openssh, std::uint16_t target)
      : ssh_(openssh.ssh_words({"-W", "127.0.0.1:" + std::to_string(target)}), openssh.log(),
             {.in = to_.read.fd(), .out = from_.write.fd()}) {
    to_.read = Socket();
    from_.write = Socket();
  }
  const Socket& in() const { return to_.write; }
  const Socket& out() const { return from_.read; }
  pid_t pid() const { return ssh_.pid(); }

 private:
  Pipe to_, from_;
  Program ssh_;
};

std::string in_words(const char* one, double first, const char* other, double second) {
  return std::string(one) + " " + std::to_string(std::llround(first)) + ", " + other + " " +
         std::to_string(std::llround(second));
}

// ---------------------------------------------------------------- one way

/// `count` writes of `size` bytes to where `open` says, which come out at a sink behind sshd.
template <class Way>
Figure one_way(const OpenSsh& openssh, std::uint64_t count, std::size_t size,
               const std::function<const Socket&(Way&)>& entrance) {
  const auto stage = new_stage();
  const Listener listener;
  OtherSide sink([&] {
    const Socket socket = listener.accept();
    std::array<char, 1> first{};  // when this is here, everybody is connected
    socket.receive_all(first.data(), 1);
    stage->moved_bytes = 1;
    const CpuShare share(*stage);
    discard_bytes(socket, count * size);
    stage->end();
  });
  Way way(openssh, {listener.port()});
  const Socket& socket = entrance(way);
  const std::vector<char> data(size, 'x');
  socket.send_all(data.data(), 1);
  while (stage->moved_bytes == 0) std::this_thread::yield();
  const std::uint64_t before = tree_cpu_ns({openssh.server_pid(), way.pid()});
  {
    const CpuShare share(*stage);
    stage->begin();
    for (std::uint64_t i = 0; i < count; ++i) socket.send_all(data.data(), size);
  }
  sink.wait();
  stage->cpu_ns += tree_cpu_ns({openssh.server_pid(), way.pid()}) - before;
  return stage->transfer(count * size);
}

Figure by_forward(const OpenSsh& openssh, std::uint64_t count, std::size_t size) {
  Socket socket;
  return one_way<Forward>(openssh, count, size, [&socket](Forward& way) -> const Socket& {
    return socket = way.connect();
  });
}

Figure by_standard_forward(const OpenSsh& openssh, std::uint64_t count, std::size_t size) {
  return one_way<StandardForward>(openssh, count, size,
                                  [](StandardForward& way) -> const Socket& { return way.in(); });
}

Figure stream(const Task& task) {
  const OpenSsh openssh(task.variant);
  const std::uint64_t count = task.amount(kStreamBytes / kPiece);
  const Figure l = by_forward(openssh, count, kPiece),
               w = by_standard_forward(openssh, count, kPiece);
  Figure best = l.value > w.value ? l : w;
  best.notes = in_words("-L", l.value, "-W", w.value);
  return best;
}

Figure frames(const Task& task, std::uint64_t whole, std::size_t size) {
  const OpenSsh openssh(task.variant);
  const Figure bytes = by_standard_forward(openssh, task.amount(whole), size);
  return {.value = bytes.value * 1e6 / static_cast<double>(size),
          .notes = "through -W, which does not keep frames apart"};
}
Figure frames_64(const Task& task) {
  return frames(task, kFrames64, 64);
}
Figure frames_1k(const Task& task) {
  return frames(task, kFrames1k, 1024);
}

Figure gateway(const Task& task) {
  const OpenSsh openssh(task.variant);
  return by_forward(openssh, task.amount(kStreamBytes / kPiece), kPiece);
}

// ---------------------------------------------------------------- round trips

/// Gives back what comes, one connection at a time.
void echo_for_ever(const Listener& listener) {
  while (true) echo(listener.accept());
}

Figure ping_pong(const Task& task) {
  const OpenSsh openssh(task.variant);
  const Listener listener;
  OtherSide other([&] { echo_for_ever(listener); });
  Figure l, w;
  {
    Forward forward(openssh, {listener.port()});
    const Socket socket = forward.connect();
    l = ping(task, [&] { round_trip(socket); });
  }
  {
    const StandardForward forward(openssh, listener.port());
    std::array<char, kPingBytes> bytes{};
    w = ping(task, [&] {
      forward.in().send_all(bytes.data(), bytes.size());
      if (!forward.out().receive_all(bytes.data(), bytes.size()))
        throw Failure("ssh -W ended early");
    });
  }
  Figure best = l.value < w.value ? l : w;
  best.notes = in_words("-L", l.value, "-W", w.value);
  return best;
}

/// Two forwardings of one `ssh`: so two channels of one connection.
Figure ping_beside_bulk(const Task& task) {
  const OpenSsh openssh(task.variant);
  const auto stage = new_stage();
  const Listener bulk_listener, ping_listener;
  OtherSide other([&] {
    std::thread([&] { echo_for_ever(ping_listener); }).detach();
    const Socket bulk = bulk_listener.accept();
    std::vector<char> piece(kPiece);
    while (const std::size_t n = bulk.receive(piece.data(), piece.size())) stage->moved_bytes += n;
  });
  Forward forward(openssh, {bulk_listener.port(), ping_listener.port()});
  const Socket pings = forward.connect(1), bulk = forward.connect(0);
  OtherSide source([&] { send_bytes(bulk, ~0ull); });
  while (stage->moved_bytes == 0) round_trip(pings);
  Samples samples;
  const std::uint64_t before = stage->moved_bytes;
  stage->begin();
  for (std::uint64_t i = task.amount(kPingsBesideBulk, 20); i > 0; --i) {
    const std::uint64_t begin = now_ns();
    round_trip(pings);
    samples.add(now_ns() - begin);
  }
  stage->end();
  const double p50 = samples.percentile(50);
  return {.value = p50,
          .p50_us = p50,
          .p99_us = samples.percentile(99),
          .more = {{"bulk_mb_s",
                    static_cast<double>(stage->moved_bytes - before) * 1e-6 / stage->seconds()}}};
}

Figure gateway_connect(const Task& task) {
  const OpenSsh openssh(task.variant);
  const auto stage = new_stage();
  const Listener listener;
  OtherSide other([&] { echo_for_ever(listener); });
  Forward forward(openssh, {listener.port()});
  const auto visit = [&] {
    const Socket socket = forward.connect();
    char byte = 'x';
    socket.send_all(&byte, 1);
    if (!socket.receive_all(&byte, 1)) throw Failure("the echo ended early");
  };
  visit();
  const std::uint64_t count = task.amount(kGatewayConnects);
  stage->begin();
  for (std::uint64_t i = 0; i < count; ++i) visit();
  stage->end();
  return stage->rate(count);
}

// ---------------------------------------------------------------- channels, connections, memory

LibsshKeys libssh_keys(const OpenSsh& openssh) {
  ssh_key host = nullptr, user = nullptr;
  if (ssh_pki_import_pubkey_file((openssh.folder() / "host_key.pub").c_str(), &host) != SSH_OK ||
      ssh_pki_import_privkey_file((openssh.folder() / "user_key").c_str(), nullptr, nullptr,
                                  nullptr, &user) != SSH_OK)
    throw Failure("libssh cannot read OpenSSH's keys");
  return {LibsshKey(host), LibsshKey(user)};
}

Figure open_close(const Task& task) {
  const OpenSsh openssh(task.variant);
  const auto stage = new_stage();
  const LibsshKeys keys = libssh_keys(openssh);
  const LibsshClient client(Socket::connect(openssh.port()), {openssh.cipher()}, keys, user_name());
  stage->begin();
  const bool is_many = task.row == "open-close-64";
  const std::uint64_t count = task.amount(is_many ? kOpeningsInFlight : kOpenings, kInFlight);
  open_and_close(client, count, is_many ? kInFlight : 1);
  stage->end();
  Figure figure = stage->rate(count);
  figure.notes = "asked for by a client made of libssh";
  return figure;
}

/// A whole `ssh` each, which asks for a subsystem that ends at once.
Figure connects(const Task& task, std::size_t in_flight) {
  const OpenSsh openssh(task.variant);
  const auto stage = new_stage();
  const std::uint64_t each = task.amount(kConnects / in_flight);
  const auto connect = [&] {
    Program ssh(openssh.ssh_words({"-s"}, {"nothing"}), openssh.log());
    return ssh.wait() == 0;
  };
  std::atomic<bool> is_good = connect();
  stage->begin();
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < in_flight; ++i)
    threads.emplace_back([&] {
      for (std::uint64_t k = 0; k < each && is_good; ++k)
        if (!connect()) is_good = false;
    });
  for (std::thread& thread : threads) thread.join();
  stage->end();
  if (!is_good) throw Failure("ssh could not log in");
  Figure figure = stage->rate(each * in_flight);
  figure.notes = "an ssh program each";
  return figure;
}
Figure connect_1(const Task& task) {
  return connects(task, 1);
}
Figure connect_4(const Task& task) {
  return connects(task, 4);
}

Figure idle_connections(const Task& task) {
  const OpenSsh openssh(task.variant);
  const Listener listener;
  std::vector<std::unique_ptr<Forward>> forwards;
  const auto connect = [&] {
    forwards.push_back(std::make_unique<Forward>(openssh, std::vector{listener.port()}));
    forwards.back()->connect();
  };
  const auto near_kib = [&] {
    double kib = 0;
    for (const auto& forward : forwards) kib += tree_memory_kib(forward->pid());
    return kib;
  };
  connect();
  const double near_before = near_kib(), far_before = tree_memory_kib(openssh.server_pid());
  const std::uint64_t count = task.amount(kIdleConnections, 2);
  for (std::uint64_t i = 0; i < count; ++i) connect();
  const double near = (near_kib() - near_before) / static_cast<double>(count),
               far = (tree_memory_kib(openssh.server_pid()) - far_before) /
                     static_cast<double>(count);
  return {.value = std::max(near, far), .more = {{"client_kib", near}, {"server_kib", far}}};
}

// ---------------------------------------------------------------- the web

/// The application is at home with `ssh -R`; nginx stands in front of sshd's end.
Figure behind_nginx(const Task& task) {
  const OpenSsh openssh(task.variant);
  const WebApplication application(openssh.folder());
  const std::uint16_t port = free_port();
  Program ssh(openssh.ssh_words({"-N", "-R",
                                 "127.0.0.1:" + std::to_string(port) +
                                     ":127.0.0.1:" + std::to_string(application.port())}),
              openssh.log());
  ssh.await(port);
  const WebProxy proxy(openssh.folder(), port);
  return load_web(task, openssh.folder(), proxy.port());
}

}  // namespace
}  // namespace streamkit::rivals

int main(int argc, char** argv) {
  using namespace streamkit::rivals;
  std::vector<Row> rows;
  for (const char* variant : {"aes128-gcm", "aes256-gcm", "chacha20-poly1305"})
    rows.push_back({"stream", variant, "MB/s", stream});
  for (const char* variant : {"aes128-gcm", "chacha20-poly1305"})
    rows.push_back({"gateway", variant, "MB/s", gateway});
  const auto add = [&rows](const char* row, const char* unit, Figure (*run)(const Task&)) {
    rows.push_back({row, "aes128-gcm", unit, run});
  };
  add("frames-64", "frames/s", frames_64);
  add("frames-1k", "frames/s", frames_1k);
  add("ping", "us", ping_pong);
  add("ping-beside-bulk", "us", ping_beside_bulk);
  add("open-close", "channels/s", open_close);
  add("open-close-64", "channels/s", open_close);
  add("connect", "connects/s", connect_1);
  add("connect-4", "connects/s", connect_4);
  add("idle-connections", "KiB", idle_connections);
  add("gateway-connect", "connects/s", gateway_connect);
  for (const char* row : {"http-1k-keepalive", "http-1k-new", "http-1m-keepalive"})
    add(row, "req/s", behind_nginx);
  return runner_main(argc, argv, "openssh", rows);
}
