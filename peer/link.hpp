// Link: what carries the messages of one connection: SSH over a stream, or a queue in this process.
#pragma once

#include <streamkit/channel/payload_port.hpp>
#include <streamkit/crypto/key.hpp>
#include <streamkit/peer/options.hpp>
#include <streamkit/ssh/transport.hpp>

#include <optional>
#include <string>
#include <variant>

namespace streamkit {

/// What somebody proves to hold, and who says whose it is.
struct Credential {
  crypto::PublicKey key;
  std::optional<crypto::Certificate> certificate;
};

/// What a link asks of, and tells, its connection. Always on the Context.
class LinkOwner {
 public:
  // ---- questions
  virtual Result<void> judge_host_key(const Credential& shown) = 0;
  /// An error with Errc::name_taken (or another final one) ends the connection with its words;
  /// Errc::auth_denied is an ordinary refusal.
  virtual Result<void> judge_key(const std::string& user, const Credential& shown, bool verified) = 0;
  virtual Result<void> judge_password(const std::string& user, std::string_view password) = 0;
  virtual void judge_interactive(const InteractiveTurn& turn, Completion<InteractiveReply> done) = 0;
  virtual void answer_prompts(const ssh::InfoRequest& asked, Completion<std::vector<SecretBytes>> done) = 0;
  // ---- news
  virtual Result<void> link_payload(ByteView payload, const Keeper& keeper, TimePoint now) = 0;
  /// The same in two parts, the second of which is given away.
  virtual Result<void> link_given(ByteView header, Bytes body, TimePoint now) = 0;
  virtual void link_native() = 0;  ///< the other side announced that it speaks Streamkit
  virtual void link_authenticated(const std::string& user, const Credential& shown) = 0;
  virtual void link_banner(const std::string& text) = 0;
  virtual void link_log(std::string_view level, const std::string& line) = 0;
  virtual void link_down(const Error& error) = 0;
  /// Something changed on the link's side: drive the connection.
  virtual void link_active() = 0;
  /// Asked after each payload of `payload` bytes: does what it brought come before opening the next
  /// one? After a yes pump() returns at once; it will be called again.
  virtual bool goes_first(std::size_t payload) = 0;
  /// The connection holds so much that no more input should be read for now.
  virtual bool is_congested() const = 0;

 protected:
  ~LinkOwner() = default;
};

class Link : public channel::PayloadPort {
 public:
  virtual ~Link() = default;
  virtual void start() = 0;
  /// Hands what has arrived to the owner: payloads, questions, news.
  virtual void pump(TimePoint now) = 0;
  /// Sends what is queued as far as the stream takes it. True: everything went.
  virtual bool flush() = 0;
  /// Takes no more data until the stream would take it: then it calls the owner. False: here that
  /// is not known.
  virtual bool await_room() = 0;
  /// Says why (where the protocol can) and closes. link_down is not called for it.
  virtual void close(const Error& why) = 0;
  /// Something waits to be flushed and could be.
  virtual bool has_output() const noexcept = 0;
  virtual Result<void> handle_timeout() = 0;
  virtual TimePoint next_timeout() const = 0;
  /// When bytes last came in.
  virtual TimePoint last_input() const = 0;
  /// The SSH transport's facts; nullptr in process.
  virtual const ssh::ConnectionInfo* info() const = 0;
  /// Data is sealed ahead of the stream up to so many bytes.
  virtual void set_send_batch(std::size_t bytes) = 0;
};

}  // namespace streamkit
