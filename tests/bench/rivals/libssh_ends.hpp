// A client and a server made of libssh, for the runners that need one: over a socket that is given,
// with Ed25519 keys on both sides and curve25519.
#pragma once

#include "measure.hpp"

#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>
#include <set>

namespace streamkit::rivals {

struct FreeSsh {
  void operator()(ssh_session session) const;
  void operator()(ssh_key key) const { ssh_key_free(key); }
  void operator()(ssh_channel channel) const { ssh_channel_free(channel); }
  void operator()(ssh_bind bind) const { ssh_bind_free(bind); }
  void operator()(ssh_event event) const { ssh_event_free(event); }
};
using LibsshSession = std::unique_ptr<ssh_session_struct, FreeSsh>;
using LibsshKey = std::unique_ptr<ssh_key_struct, FreeSsh>;
using LibsshChannel = std::unique_ptr<ssh_channel_struct, FreeSsh>;
using LibsshBind = std::unique_ptr<ssh_bind_struct, FreeSsh>;
using LibsshEvent = std::unique_ptr<ssh_event_struct, FreeSsh>;

LibsshKey new_libssh_key();

struct LibsshKeys {
  LibsshKey host = new_libssh_key(), user = new_libssh_key();
};

/// What both sides are told to use: a cipher by its name in SSH, and a MAC if the cipher needs one.
struct LibsshSuite {
  std::string cipher, mac = {};
};

/// Logged in, and blocking.
class LibsshClient {
 public:
  LibsshClient(Socket socket, const LibsshSuite& suite, const LibsshKeys& keys,
               const std::string& user = "bench");
  ssh_session session() const { return session_.get(); }
  LibsshChannel open() const;
  /// Waits for packets, up to `wait_ms` (-1: as long as it takes), and runs their callbacks.
  void poll(int wait_ms) const;
  /// Until the server is gone. A sender waits here: the last bytes may have to wait for new keys,
  /// to which this side has to answer.
  void wait_for_end() const;

 private:
  LibsshSession session_;
  LibsshEvent event_;
};

/// Opens `count` session channels and closes each when it is open, `in_flight` at a time.
void open_and_close(const LibsshClient& client, std::uint64_t count, std::size_t in_flight);

/// All of `data`, and an exception when less was taken.
void write_all(ssh_channel channel, const char* data, std::size_t size);
void read_all(ssh_channel channel, char* data, std::size_t size);

/// One connection on the server's side, after the login. Accepts every session channel.
class LibsshServer {
 public:
  LibsshServer(Socket socket, const LibsshSuite& suite, const LibsshKeys& keys);
  ~LibsshServer();
  LibsshServer(const LibsshServer&) = delete;
  LibsshServer& operator=(const LibsshServer&) = delete;

  /// Called with the bytes of a channel and the number of that channel, from 0.
  std::function<void(ssh_channel, std::size_t number, char*, std::uint32_t)> on_data;

  /// Until `is_done` (asked after each round of packets) or the client is gone.
  void serve(const std::function<bool()>& is_done = [] { return false; });
  /// One round of packets; false when the client is gone.
  bool poll(int wait_ms);

 private:
  static int on_auth(ssh_session, const char*, ssh_key_struct* key, char state, void* self);
  static ssh_channel on_open(ssh_session session, void* self);
  static int on_bytes(ssh_session, ssh_channel channel, void* data, std::uint32_t size, int,
                      void* self);
  static void on_close(ssh_session, ssh_channel channel, void* self);

  const LibsshKeys& keys_;
  LibsshSession session_;
  LibsshEvent event_;
  ssh_server_callbacks_struct server_calls_{};
  ssh_channel_callbacks_struct channel_calls_{};
  std::set<ssh_channel> channels_;
  std::vector<ssh_channel> opened_;  ///< the first ones, so that their numbers are known
  std::vector<ssh_channel> closed_;
  bool is_logged_in_ = false;
};

}  // namespace streamkit::rivals
