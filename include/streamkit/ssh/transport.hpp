// One SSH connection up to, and without, its channels: identification, binary packets, key exchange
// (RFC 4253), authentication (RFC 4252), extensions (RFC 8308), strict key exchange. No I/O, no
// clock, no threads; both roles.
//
// Methods come in four kinds:
//   inputs    prepare() + handle_input(), handle_timeout(), handle_eof()
//   commands  accept_host_key(), accept_auth(), send(), start_rekey(), disconnect(), ...
//   outputs   output() + consume_output(), poll_event(), next_payload(), next_timeout()
//   getters   const, no effect
// After any input or command drain the outputs, round after round until one gives nothing:
// next_payload() until it has none, poll_event() until it has none; then output() to the stream.
// (Rounds, because payloads that came behind Authenticated are held back until that event was
// polled.) There are no callbacks: a question to the outside is an event, the answer is a command,
// and nothing more is read from the input until it is given.
#pragma once

#include <streamkit/base/bytes.hpp>
#include <streamkit/base/result.hpp>
#include <streamkit/ssh/config.hpp>

#include <memory>
#include <optional>
#include <string>
#include <variant>

namespace streamkit::ssh {

/// RFC 4253 section 11.1.
enum class DisconnectReason : std::uint32_t {
  host_not_allowed = 1,
  protocol_error = 2,
  key_exchange_failed = 3,
  mac_error = 5,
  compression_error = 6,
  service_not_available = 7,
  version_not_supported = 8,
  host_key_not_verifiable = 9,
  connection_lost = 10,
  by_application = 11,
  too_many_connections = 12,
  auth_cancelled = 13,
  no_more_auth_methods = 14,
  illegal_user_name = 15,
};
/// The one place that maps an error to a reason.
DisconnectReason disconnect_reason(const Error& error) noexcept;

// ---- events

/// Client: the server proved to hold this key. Question: accept_host_key() or reject_host_key(). On
/// a rekey it is asked only if the key differs from the accepted one (which then is an error
/// anyway). With a certificate for it, if one was agreed on: its signature verifies and it fits the
/// key; whether its authority, type, time and principals are right is the question.
struct HostKeyReceived {
  crypto::PublicKey key;
  std::optional<crypto::Certificate> certificate;
  /// What it signed to prove that, and its signature: an agent's session-bind wants them.
  Bytes session_id, signature;
};
/// Server: would a signature by this key for this user be accepted? Question: accept_auth() or
/// reject_auth(). Says nothing about who is there. A certificate is as in HostKeyReceived.
struct KeyOffered {
  std::string user;
  crypto::PublicKey key;
  std::optional<crypto::Certificate> certificate;
};
/// Server: this user proved to hold this key: the signature over the session has been verified.
/// Question.
struct KeyVerified {
  std::string user;
  crypto::PublicKey key;
  std::optional<crypto::Certificate> certificate;
};
/// Server: a password attempt. Question. Wiped after the answer.
struct PasswordOffered {
  std::string user;
  SecretBytes password;
};
/// One thing to be asked.
struct Prompt {
  std::string text;
  bool echo = false;  ///< the answer may be seen while it is typed
};
/// What a server asks in one round of keyboard-interactive (RFC 4256 section 3.2): at most 16
/// prompts, which may be none. Name and prompts have at most 1 KiB, the instruction 16 KiB. Client:
/// escape them (the instruction may have line breaks). Question: answer_prompts() or decline().
struct InfoRequest {
  std::string name, instruction;
  std::vector<Prompt> prompts;
};
/// Server: a client begins keyboard-interactive; `submethods` is what it would like (at most 1
/// KiB). Question: ask(), accept_auth() or reject_auth(). Ask unknown users the same as known ones.
struct InteractiveStarted {
  std::string user, submethods;
};
/// Server: as many answers as there were prompts, of at most 1 KiB each. Question, as before.
struct InfoResponse {
  std::string user;
  std::vector<SecretBytes> answers;
};
/// Client: the server would take this identity, whose private key is elsewhere. Question:
/// provide_signature() of `data` by `algorithm`, or decline().
struct SignatureNeeded {
  crypto::PublicKey key;
  std::string algorithm;
  Bytes data;
};
/// The other side's EXT_INFO, when it came: names and values.
struct ExtensionsReceived {
  std::vector<std::pair<std::string, std::string>> entries;
};
/// Client: text that the server wants shown; escape it.
struct Banner {
  std::string text;
};
/// Client: one method or key was refused; the engine goes on with the next by itself.
struct AuthAttemptFailed {
  std::string method;
};
/// Authentication is done; payloads may flow. `user` and `method` are those of the last request, key
/// and certificate of the one by publickey, if one was among those that were wanted.
struct Authenticated {
  std::string user;
  std::string method;     ///< "publickey", "password" or "keyboard-interactive"
  crypto::PublicKey key;  ///< empty: no publickey
  std::optional<crypto::Certificate> certificate;
};
/// The end; nothing comes after it. errc: disconnected (remote's reason in the words), protocol,
/// mac, ...
struct Disconnected {
  Error error;
  bool by_peer = false;
  DisconnectReason reason{};
};
using Event =
    std::variant<HostKeyReceived, KeyOffered, KeyVerified, PasswordOffered, InteractiveStarted,
                 InfoResponse, InfoRequest, SignatureNeeded, ExtensionsReceived, Banner,
                 AuthAttemptFailed, Authenticated, Disconnected>;

/// What was agreed, for people and tests.
struct ConnectionInfo {
  std::string remote_version;  ///< the identification line without CR LF; escape it
  std::string kex, host_key, cipher_in, cipher_out, mac_in, mac_out;
  std::string cipher_in_by, cipher_out_by;  ///< who computes it: "ipsec-mb 1.3.0", "OpenSSL 3.0.17"
  bool strict_kex = false;
  std::uint64_t exchanges = 0;  ///< key exchanges completed
  std::uint64_t bytes_in = 0, bytes_out = 0, packets_in = 0, packets_out = 0;
};

/// Memory that runs out during an input or a command leaves it as std::bad_alloc; the connection is over then, and
/// poll_event() says so.
class Transport {
 public:
  static Result<Transport> make(Role role, Config config, TimePoint now);
  Transport(Transport&&) noexcept;
  Transport& operator=(Transport&&) noexcept;
  ~Transport();

  // ---- inputs
  /// Where to read the stream into; never empty. Valid until the next non-const call.
  MutableByteView prepare();
  /// `size` bytes were put there. An error is final and the same as in Disconnected.
  Result<void> handle_input(std::size_t size, TimePoint now);
  Result<void> handle_timeout(TimePoint now);
  /// The stream ended.
  void handle_eof();

  // ---- commands
  /// `more`: identities to offer behind those of the configuration; doubles and empty ones are left
  /// out.
  void accept_host_key(const std::vector<Identity>& more = {});
  void reject_host_key(const Error& why);
  void accept_auth();
  void reject_auth();
  /// Server: the next round of keyboard-interactive. Errc::usage beyond InfoRequest's limits,
  /// Errc::limit after 16 rounds; the question is open still, then.
  Result<void> ask(const InfoRequest& request);
  /// Client: one answer a prompt, of at most 1 KiB; else Errc::usage, and the question is open
  /// still.
  Result<void> answer_prompts(const std::vector<SecretBytes>& answers);
  /// Client: a signature blob (RFC 4253 section 6.6). Errc::bad_key when it is not what was needed,
  /// and the question is open still.
  Result<void> provide_signature(ByteView signature);
  /// Client: no signature, so the next identity is tried; or no answers to prompts: authentication
  /// ends with Errc::cancelled.
  void decline();
  /// Server, as an answer to a question or later: ends the connection with words that the client
  /// shows.
  void disconnect(DisconnectReason reason, std::string_view description);
  /// Sends one message of number 80..127, header and body end to end; nothing is kept. After
  /// Authenticated only. While keys are exchanged it is held back, up to max_queued_during_kex,
  /// then Errc::would_block.
  Result<void> send(ByteView header, ByteView body, TimePoint now);
  /// Starts a key exchange now (no effect while one runs or before authentication).
  Result<void> start_rekey(TimePoint now);
  /// The peer proved to take larger packets.
  void set_max_send_packet(std::size_t bytes);
  /// Data stops when so many bytes of output wait: at most output_high_water, which it is at first.
  void set_send_batch(std::size_t bytes);

  // ---- outputs
  ByteView output() const noexcept;
  void consume_output(std::size_t size) noexcept;
  std::optional<Event> poll_event();
  /// The next message of number 80..127, decrypted in place. The view is valid until the next
  /// non-const call. Also what drives parsing: call it after each input and each answer until it
  /// gives none.
  std::optional<ByteView> next_payload(TimePoint now);
  /// Keeps the bytes of the last payload where they are beyond that; empty when they cannot be
  /// kept.
  const Keeper& keeper() const noexcept;
  std::optional<TimePoint> next_timeout() const noexcept;

  // ---- getters
  /// Payload bytes that one send() may take now; 0 before authentication, during a key exchange,
  /// above the send batch and after the end.
  std::size_t sendable_bytes() const noexcept;
  /// False while input is not wanted: a question is open, a refusal waits for its time, or twice
  /// output_high_water of answers wait to be sent: what is sent while a payload is being looked at,
  /// and the transport's own.
  bool wants_input() const noexcept;
  bool is_authenticated() const noexcept;
  bool is_closed() const noexcept;
  /// H of the first exchange; empty before it.
  ByteView session_id() const noexcept;
  const ConnectionInfo& info() const noexcept;

 private:
  class Impl;
  explicit Transport(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace streamkit::ssh
