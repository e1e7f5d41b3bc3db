// OurServer: a Peer of ours that other implementations' clients log in to, with services to talk
// to. OurClient: a Peer of ours that logs in to their servers.
#pragma once

#include "program.hpp"

#include "support/free_port.hpp"
#include "support/outcome.hpp"

#include <streamkit/streamkit.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <future>

namespace streamkit::testing {

/// Skips the test, saying which Debian package would make it run, when a program is missing.
#define SK_NEEDS(program, package)   \
  if (find_program(program).empty()) \
  GTEST_SKIP() << "no program " program " here: install the package " package

/// Both sides of a transfer exchange keys anew after this many bytes in a direction.
inline constexpr std::uint64_t kRekeyBytes = 1 << 20;
inline constexpr const char* kUser = "tester";

/// A folder of mode 0700 that goes away with everything in it.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  /// Writes a file of mode 0600 and gives its path.
  std::string write(const std::string& name, std::string_view content) const;

 private:
  std::string path_;
};

crypto::PrivateKey new_key(crypto::KeyType type = crypto::KeyType::ed25519);
std::string text_of(const crypto::PrivateKey& key);
/// The last part of a parameterised test's name.
std::string key_type_name(const ::testing::TestParamInfo<crypto::KeyType>& info);

/// What a peer of ours logs.
class Log {
 public:
  void put(std::string_view level, std::string_view line);
  std::string text();
  /// Waits until it has one of these words, and gives all of it.
  std::string wait_for(std::initializer_list<std::string_view> words);
  /// How many key exchanges the first link that ended had; waits for its end.
  std::uint64_t exchanges();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string text_;
};

/// The largest window, in bytes, that we grant where keys change after so many.
constexpr std::uint64_t window_for(std::uint64_t rekey_after_bytes) {
  return std::max<std::uint64_t>(256 << 10, 2 * rekey_after_bytes);
}
/// How many key exchanges a transfer of `size` bytes each way has at the least where keys change
/// after so many bytes in a direction: what is within the window may be on its way by the time that
/// both sides know. Where that is all of it, one later exchange is certain still: our side holds
/// back what it answers until it is over.
constexpr std::uint64_t exchanges_for(std::uint64_t size, std::uint64_t rekey_after_bytes) {
  if (rekey_after_bytes > size) return 1;
  return std::max<std::uint64_t>(2, size / (rekey_after_bytes + window_for(rekey_after_bytes)));
}
/// Such keys and such windows.
void change_keys_after(std::uint64_t bytes, PeerOptions& options);

/// Makes a peer serve `echo` and what else OurServer has.
void serve(Peer& peer);

/// The services `echo` and `shell` give back what comes, as it comes; `hold` gives it back after
/// the end of input; `say` prints its headers, one a line, and a word on the error lane. All close
/// with the code that the argument `code N` (or the header CODE) asks for.
class OurServer {
 public:
  struct Setup {
    ssh::Algorithms algorithms{};
    crypto::KeyType host_key = crypto::KeyType::ed25519;
    crypto::KeyType user_key = crypto::KeyType::ed25519;
    std::uint64_t rekey_after_bytes = kRekeyBytes;
    std::function<void(PeerOptions&)> change{};  ///< the last word before the peer is made
    std::string wire{};                          ///< behind the endpoint's port: "?wire=duplex"
  };
  OurServer() : OurServer(Setup()) {}
  explicit OurServer(Setup setup);
  ~OurServer();

  const Folder& folder() const noexcept { return folder_; }
  std::uint16_t port() const noexcept { return endpoint_.port(); }
  Peer& peer() noexcept { return *peer_; }
  /// What clients are told to expect.
  const crypto::PublicKey& host_key() const noexcept { return told_; }
  const crypto::PrivateKey& user_key() const noexcept { return user_key_; }
  /// The user's private key, for programs.
  std::string user_key_file() const { return folder_.file("user_key"); }
  std::string known_hosts_file() const { return folder_.file("known_hosts"); }
  Log& log() noexcept { return log_; }
  std::uint64_t exchanges_for(std::uint64_t size) const {
    return testing::exchanges_for(size, rekey_after_bytes_);
  }

  /// Tells clients to expect another key than ours.
  void pretend_host_key(const crypto::PublicKey& key);
  /// The first -R that a client asked for, which was granted; nothing: the client ended, or the
  /// time.
  std::optional<ForwardRequest> wait_for_forward(const Program& client);
  std::optional<ForwardRequest> wait_for_forward();
  /// A channel that leads to where the client forwards it. It is asked for until the client takes
  /// it, which may have heard of its port being granted a moment later.
  Result<Channel> open_forwarded(const ForwardRequest& granted);

 private:
  Folder folder_;
  crypto::PrivateKey user_key_;
  crypto::PublicKey told_;
  std::uint64_t rekey_after_bytes_;
  Log log_;
  std::promise<ForwardRequest> forward_;
  std::optional<Peer> peer_;
  Endpoint endpoint_{"tcp://127.0.0.1:0"};
};

/// Who runs this test, for servers that let in users of the machine only.
std::string machine_user();

class OurClient {
 public:
  struct Setup {
    std::uint16_t port = 0;
    std::string user;
    crypto::PrivateKey key{};
    std::string host_key_fingerprint;
    ssh::Algorithms algorithms{};
    std::uint64_t rekey_after_bytes = kRekeyBytes;
    std::function<void(PeerOptions&)> change{};  ///< the last word before the peer is made
    std::string agent{};
    std::string wire{};
  };
  explicit OurClient(const Setup& setup);
  Peer& peer() noexcept { return *peer_; }
  Result<PeerInfo> connect();
  Result<Channel> open(std::string what, OpenForm form = OpenForm::session_exec,
                       Headers environment = {});
  /// Disconnects, and says how many key exchanges there were.
  std::uint64_t exchanges();
  std::uint64_t exchanges_for(std::uint64_t size) const {
    return testing::exchanges_for(size, rekey_after_bytes_);
  }

 private:
  Endpoint endpoint_;
  std::uint64_t rekey_after_bytes_;
  Log log_;
  std::optional<Peer> peer_;
  std::uint64_t link_ = 0;
};

/// Sends `size` bytes of the pattern, ends our direction, reads to the other side's end. Empty when
/// the same bytes came back, else a sentence.
std::string echo_problem(Channel& channel, std::uint64_t size);
/// All of the data up to its end.
Result<std::string> read_all(Channel& channel);

}  // namespace streamkit::testing
