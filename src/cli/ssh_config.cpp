#include "ssh_config.hpp"

#include <streamkit/base/text.hpp>
#include <streamkit/peer/endpoint.hpp>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <pwd.h>
#include <spawn.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace streamkit::cli {
namespace {

constexpr time_t kSshSeconds = 10;                 // until its output ends
constexpr std::size_t kMaxSshOutput = 256 * 1024;  // bytes
constexpr std::size_t kMaxSshHost = 1024;          // bytes of what is asked about

std::string in_home(std::string_view path) {
  const char* home = std::getenv("HOME");
  return path.starts_with("~/") && home ? home + std::string(path.substr(1)) : std::string(path);
}

std::string machine_user() {
  const passwd* entry = ::getpwuid(::geteuid());
  return entry ? entry->pw_name : "";
}

// [USER@]HOST[:PORT]; HOST may be an IPv6 address in brackets.
struct Place {
  std::string user, host, port;
};
Place split(std::string_view text) {
  Place place;
  if (text.starts_with("ssh://")) text.remove_prefix(6);
  if (const auto at = text.rfind('@'); at != text.npos) {
    place.user = text.substr(0, at);
    text.remove_prefix(at + 1);
  }
  const auto colon = text.find(':', text.starts_with('[') ? text.find(']') : 0);
  if (colon != text.npos) place.port = text.substr(colon + 1);
  text = text.substr(0, colon);
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  place.host = text;
  return place;
}

Error os_error(const std::string& words, int number = errno) {
  return Error(std::error_code(number, std::system_category()),
               words + ": " + std::system_category().message(number));
}

/// All that a child says until its end of output, within the limits.
Result<std::string> read_output(int fd) {
  timeval left{kSshSeconds, 0};  // Linux's select() takes off what it has waited
  std::string all;
  char buffer[4096];
  for (;;) {
    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(fd, &readable);
    const int ready = ::select(fd + 1, &readable, nullptr, nullptr, &left);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return Error(Errc::timeout, "`ssh -G` has not ended within 10 s");
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got < 0) return os_error("cannot read what `ssh -G` says");
    if (got == 0) return all;
    all.append(buffer, static_cast<std::size_t>(got));
    if (all.size() > kMaxSshOutput) return Error(Errc::limit, "`ssh -G` says more than 256 KiB");
  }
}

Result<std::string> run(std::vector<std::string> words) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return os_error("no pipe for `ssh -G`");
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, ends[1], STDOUT_FILENO);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t pid = 0;
  const int failed = ::posix_spawnp(&pid, argv[0], &files, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  ::close(ends[1]);
  Result<std::string> output = std::string();
  if (failed == 0) output = read_output(ends[0]);
  ::close(ends[0]);
  if (failed == ENOENT)
    return Error(
        Errc::bad_file,
        "there is no `ssh` here to ask: install openssh-client, or do without --ssh-config");
  if (failed != 0) return os_error("cannot run `ssh`", failed);
  if (!output) ::kill(pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (output && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
    return Error(Errc::bad_file, "`ssh -G` failed; what it said stands above");
  return output;
}

}  // namespace

Result<SshConfig> SshConfig::parse(std::string_view text) {
  SshConfig config;
  bool has_port = false;
  const auto files = [](std::string_view list, std::vector<std::string>& to) {
    for (std::size_t end = 0; end != list.npos;
         list.remove_prefix(end == list.npos ? 0 : end + 1)) {
      end = list.find(' ');
      if (const auto file = list.substr(0, end); !file.empty() && file != "none")
        to.push_back(in_home(file));
    }
  };
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::string_view word = line.substr(0, line.find(' '));
    const std::string_view value = line.substr(std::min(line.size(), word.size() + 1));
    if (word == "hostname") config.host_name = value;
    if (word == "user") config.user = value;
    if (word == "proxyjump" && value != "none") config.proxy_jump = value;
    if (word == "proxycommand" && value != "none") config.proxy_command = value;
    if (word == "identityfile" && value != "none") config.identity_files.push_back(in_home(value));
    if (word == "userknownhostsfile") files(value, config.known_hosts_files);
    if (word == "port") {
      const auto [end, error] =
          std::from_chars(value.data(), value.data() + value.size(), config.port);
      has_port = error == std::errc() && end == value.data() + value.size() && config.port != 0;
    }
  }
  if (config.host_name.empty() || !has_port)
    return Error(Errc::codec, "`ssh -G` did not say where the host is");
  return config;
}

Result<SshConfig> SshConfig::ask(std::string_view host) {
  const Place place = split(host);
  if (place.host.empty() || host.size() > kMaxSshHost)
    return Error(Errc::usage, "ssh can be asked about [USER@]HOST[:PORT]");
  for (const std::string& part : {place.user, place.host, place.port})
    if (part.starts_with('-'))
      return Error(Errc::usage,
                   "\"" + escape(part, 128) + "\" could be an option: ssh is not asked about it");
  std::vector<std::string> words = {"ssh", "-G"};
  if (!place.port.empty()) words.insert(words.end(), {"-p", place.port});
  if (!place.user.empty()) words.insert(words.end(), {"-l", place.user});
  words.insert(words.end(), {"--", place.host});
  const Result<std::string> said = run(std::move(words));
  if (!said) return said.error();
  return parse(*said);
}

namespace {

std::string authority_of(const SshConfig& config, bool with_user) {
  const std::string host = config.host_name.find(':') == std::string::npos
                               ? config.host_name
                               : "[" + config.host_name + "]";
  return (with_user && !config.user.empty() ? config.user + "@" : "") + host + ":" +
         std::to_string(config.port);
}

}  // namespace

// Each host to jump by has an entry of its own in the configuration, as for `ssh -J`.
Result<std::string> endpoint_of(const SshConfig& config) {
  if (!config.proxy_command.empty())
    return Error(Errc::usage,
                 "the configuration has a ProxyCommand, which is not run here; a ProxyJump or "
                 "--via says the way");
  std::string endpoint = "tcp://" + authority_of(config, config.user != machine_user());
  std::string_view jumps = config.proxy_jump;
  for (std::size_t count = 0; !jumps.empty(); ++count) {
    if (count == kMaxBastions)
      return Error(Errc::usage, "there are at most 8 SSH servers on the way");
    const std::string_view jump = jumps.substr(0, jumps.find(','));
    jumps.remove_prefix(std::min(jumps.size(), jump.size() + 1));
    const Result<SshConfig> hop = SshConfig::ask(jump);
    if (!hop) return hop.error();
    endpoint += (count == 0 ? "?via=" : ",") + authority_of(*hop, true);
  }
  return endpoint;
}

}  // namespace streamkit::cli
