#include "libssh_ends.hpp"

#include <algorithm>

namespace streamkit::rivals {
namespace {

constexpr const char* kKex = "curve25519-sha256";
constexpr const char* kHostKeys = "ssh-ed25519";
constexpr std::size_t kNumberedChannels = 2;

[[noreturn]] void fail(void* session_or_bind, const char* doing) {
  throw Failure(std::string(doing) + ": " + ssh_get_error(session_or_bind));
}

void set(ssh_session session, ssh_options_e option, const void* value) {
  if (ssh_options_set(session, option, value) != SSH_OK) fail(session, "an option");
}

void set(ssh_bind bind, ssh_bind_options_e option, const void* value) {
  if (ssh_bind_options_set(bind, option, value) != SSH_OK) fail(bind, "an option");
}

bool is_gone(ssh_session session) {
  return (ssh_get_status(session) & (SSH_CLOSED | SSH_CLOSED_ERROR)) != 0;
}

}  // namespace

void FreeSsh::operator()(ssh_session session) const {
  ssh_disconnect(session);
  ssh_free(session);
}

LibsshKey new_libssh_key() {
  ssh_key key = nullptr;
  if (ssh_pki_generate(SSH_KEYTYPE_ED25519, 0, &key) != SSH_OK) throw Failure("libssh has no key");
  return LibsshKey(key);
}

// ---------------------------------------------------------------- client

LibsshClient::LibsshClient(Socket socket, const LibsshSuite& suite, const LibsshKeys& keys,
                           const std::string& user)
    : session_(ssh_new()), event_(ssh_event_new()) {
  const int no = 0;
  const socket_t fd = socket.release();
  ssh_session s = session_.get();
  set(s, SSH_OPTIONS_PROCESS_CONFIG, &no);
  set(s, SSH_OPTIONS_HOST, "127.0.0.1");
  set(s, SSH_OPTIONS_USER, user.c_str());
  set(s, SSH_OPTIONS_FD, &fd);
  set(s, SSH_OPTIONS_KEY_EXCHANGE, kKex);
  set(s, SSH_OPTIONS_HOSTKEYS, kHostKeys);
  for (const auto option : {SSH_OPTIONS_CIPHERS_C_S, SSH_OPTIONS_CIPHERS_S_C})
    set(s, option, suite.cipher.c_str());
  if (!suite.mac.empty())
    for (const auto option : {SSH_OPTIONS_HMAC_C_S, SSH_OPTIONS_HMAC_S_C})
      set(s, option, suite.mac.c_str());
  if (ssh_connect(s) != SSH_OK) fail(s, "connecting");
  ssh_key shown = nullptr;
  if (ssh_get_server_publickey(s, &shown) != SSH_OK) fail(s, "the host key");
  const LibsshKey host(shown);
  if (ssh_key_cmp(shown, keys.host.get(), SSH_KEY_CMP_PUBLIC) != 0)
    throw Failure("another server's host key");
  if (ssh_userauth_publickey(s, nullptr, keys.user.get()) != SSH_AUTH_SUCCESS)
    fail(s, "logging in");
  if (ssh_event_add_session(event_.get(), s) != SSH_OK) fail(s, "an event loop");
}

LibsshChannel LibsshClient::open() const {
  LibsshChannel channel(ssh_channel_new(session()));
  if (!channel || ssh_channel_open_session(channel.get()) != SSH_OK) fail(session(), "a channel");
  return channel;
}

void LibsshClient::poll(int wait_ms) const {
  if (ssh_event_dopoll(event_.get(), wait_ms) == SSH_ERROR || is_gone(session()))
    fail(session(), "the connection");
}

void LibsshClient::wait_for_end() const {
  while (!is_gone(session()) && ssh_event_dopoll(event_.get(), -1) != SSH_ERROR) continue;
}

void open_and_close(const LibsshClient& client, std::uint64_t count, std::size_t in_flight) {
  if (in_flight == 1) {
    for (std::uint64_t i = 0; i < count; ++i) ssh_channel_close(client.open().get());
    return;
  }
  ssh_set_blocking(client.session(), 0);
  std::uint64_t begun = 0, done = 0;
  std::vector<LibsshChannel> opening;
  while (done < count) {
    for (; begun < count && opening.size() < in_flight; ++begun) {
      opening.emplace_back(ssh_channel_new(client.session()));
      if (ssh_channel_open_session(opening.back().get()) == SSH_ERROR)
        fail(client.session(), "a channel");
    }
    client.poll(-1);
    done += std::erase_if(opening, [](const LibsshChannel& channel) {
      return ssh_channel_is_open(channel.get()) && ssh_channel_close(channel.get()) == SSH_OK;
    });
  }
  ssh_set_blocking(client.session(), 1);
}

void write_all(ssh_channel channel, const char* data, std::size_t size) {
  const auto length = static_cast<std::uint32_t>(size);
  if (ssh_channel_write(channel, data, length) != static_cast<int>(length))
    fail(ssh_channel_get_session(channel), "writing");
}

void read_all(ssh_channel channel, char* data, std::size_t size) {
  while (size > 0) {
    const int n = ssh_channel_read(channel, data, static_cast<std::uint32_t>(size), 0);
    if (n <= 0) fail(ssh_channel_get_session(channel), "reading");
    data += n;
    size -= static_cast<std::size_t>(n);
  }
}

// ---------------------------------------------------------------- server

LibsshServer::LibsshServer(Socket socket, const LibsshSuite& suite, const LibsshKeys& keys)
    : keys_(keys), session_(ssh_new()), event_(ssh_event_new()) {
  const LibsshBind bind(ssh_bind_new());
  const bool no = false;
  set(bind.get(), SSH_BIND_OPTIONS_PROCESS_CONFIG, &no);
  set(bind.get(), SSH_BIND_OPTIONS_KEY_EXCHANGE, kKex);
  for (const auto option : {SSH_BIND_OPTIONS_CIPHERS_C_S, SSH_BIND_OPTIONS_CIPHERS_S_C})
    set(bind.get(), option, suite.cipher.c_str());
  if (!suite.mac.empty())
    for (const auto option : {SSH_BIND_OPTIONS_HMAC_C_S, SSH_BIND_OPTIONS_HMAC_S_C})
      set(bind.get(), option, suite.mac.c_str());
  // The bind frees the key that it is given.
  set(bind.get(), SSH_BIND_OPTIONS_IMPORT_KEY, ssh_key_dup(keys.host.get()));
  ssh_session s = session_.get();
  if (ssh_bind_accept_fd(bind.get(), s, socket.release()) != SSH_OK) fail(bind.get(), "accepting");
  server_calls_.userdata = this;
  server_calls_.auth_pubkey_function = on_auth;
  server_calls_.channel_open_request_session_function = on_open;
  ssh_callbacks_init(&server_calls_);
  channel_calls_.userdata = this;
  channel_calls_.channel_data_function = on_bytes;
  channel_calls_.channel_close_function = on_close;
  ssh_callbacks_init(&channel_calls_);
  if (ssh_set_server_callbacks(s, &server_calls_) != SSH_OK) fail(s, "its callbacks");
  ssh_set_auth_methods(s, SSH_AUTH_METHOD_PUBLICKEY);
  if (ssh_handle_key_exchange(s) != SSH_OK) fail(s, "the key exchange");
  if (ssh_event_add_session(event_.get(), s) != SSH_OK) fail(s, "an event loop");
  serve([this] { return is_logged_in_; });
}

LibsshServer::~LibsshServer() {
  for (ssh_channel channel : channels_) ssh_channel_free(channel);
}

void LibsshServer::serve(const std::function<bool()>& is_done) {
  while (!is_done())
    if (!poll(-1)) return;
}

bool LibsshServer::poll(int wait_ms) {
  const int result = ssh_event_dopoll(event_.get(), wait_ms);
  // Not while its own callback runs. Freeing one sends its close, which can bring in the next.
  while (!closed_.empty()) {
    const ssh_channel channel = closed_.back();
    closed_.pop_back();
    channels_.erase(channel);
    ssh_channel_free(channel);
  }
  return result != SSH_ERROR && !is_gone(session_.get());
}

int LibsshServer::on_auth(ssh_session, const char*, ssh_key_struct* key, char state, void* self) {
  auto& server = *static_cast<LibsshServer*>(self);
  if (ssh_key_cmp(key, server.keys_.user.get(), SSH_KEY_CMP_PUBLIC) != 0) return SSH_AUTH_DENIED;
  if (state == SSH_PUBLICKEY_STATE_NONE) return SSH_AUTH_SUCCESS;
  if (state != SSH_PUBLICKEY_STATE_VALID) return SSH_AUTH_DENIED;
  server.is_logged_in_ = true;
  return SSH_AUTH_SUCCESS;
}

ssh_channel LibsshServer::on_open(ssh_session session, void* self) {
  auto& server = *static_cast<LibsshServer*>(self);
  ssh_channel channel = ssh_channel_new(session);
  if (!channel || ssh_set_channel_callbacks(channel, &server.channel_calls_) != SSH_OK)
    return nullptr;
  server.channels_.insert(channel);
  if (server.opened_.size() < kNumberedChannels) server.opened_.push_back(channel);
  return channel;
}

int LibsshServer::on_bytes(ssh_session, ssh_channel channel, void* data, std::uint32_t size, int,
                           void* self) {
  auto& server = *static_cast<LibsshServer*>(self);
  const auto at = std::find(server.opened_.begin(), server.opened_.end(), channel);
  if (server.on_data)
    server.on_data(channel, static_cast<std::size_t>(at - server.opened_.begin()),
                   static_cast<char*>(data), size);
  return static_cast<int>(size);
}

void LibsshServer::on_close(ssh_session, ssh_channel channel, void* self) {
  static_cast<LibsshServer*>(self)->closed_.push_back(channel);
}

}  // namespace streamkit::rivals
