// The inside of Transport: two machines side by side, the phase of the connection and the key
// exchange that may run at any time, both fed by one loop over incoming packets. transport.cpp has
// the faces (inputs, outputs, timers, the end), transport_packets.cpp the incoming messages and the
// exchange.
#pragma once

#include "auth_client.hpp"
#include "auth_server.hpp"
#include "input_queue.hpp"
#include "kex.hpp"
#include "packet.hpp"
#include "rekey.hpp"
#include "state_table.hpp"
#include "version.hpp"

#include <streamkit/base/buffer.hpp>
#include <streamkit/crypto/random.hpp>
#include <streamkit/ssh/transport.hpp>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace streamkit::ssh {

inline constexpr std::size_t kReadSmall = InputQueue::kSmallRead;     ///< room offered to an idle stream
inline constexpr std::size_t kReadLarge = 64 * 1024;    ///< and to a busy one: it stays in the cache
inline constexpr int kMaxUnimplementedBeforeAuth = 16;  ///< packets we answer with UNIMPLEMENTED
inline constexpr int kMaxUnimplemented = 1024;          ///< and per set of keys afterwards
inline constexpr int kMaxExtInfo = 2;

class Transport::Impl {
 public:
  Impl(Role role, Config config, Proposal proposal, std::string ident, TimePoint now);
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  /// Runs an input or a command. When memory runs out in the middle of one, what was done of it
  /// cannot be told from what was not, so the connection is over before std::bad_alloc goes on.
  template <class Step>
  auto whole(Step&& step) {
    try {
      return step();
    } catch (...) {
      abandon();
      throw;
    }
  }

  /// Our identification line and KEXINIT.
  Result<void> start();

  // the public face, see transport.hpp
  MutableByteView prepare();
  Result<void> handle_input(std::size_t size, TimePoint now);
  Result<void> handle_timeout(TimePoint now);
  void handle_eof();
  void accept_host_key(const std::vector<Identity>& more);
  void reject_host_key(const Error& why);
  void answer_auth(bool accepted);
  Result<void> ask(const InfoRequest& request);
  Result<void> answer_prompts(const std::vector<SecretBytes>& answers);
  Result<void> provide_signature(ByteView signature);
  void decline();
  void disconnect(DisconnectReason reason, std::string_view description);
  Result<void> send(ByteView header, ByteView body, TimePoint now);
  Result<void> start_rekey(TimePoint now);
  void set_max_send_packet(std::size_t bytes);
  void set_send_batch(std::size_t bytes) noexcept {
    send_batch_ = std::min(bytes, config_.limits.output_high_water);
  }
  ByteView output() const noexcept { return out_.data(); }
  void consume_output(std::size_t size) noexcept;
  std::optional<Event> poll_event();
  std::optional<ByteView> next_payload(TimePoint now);
  std::optional<TimePoint> next_timeout() const noexcept;
  std::size_t sendable_bytes() const noexcept;
  bool wants_input() const noexcept;
  bool is_authenticated() const noexcept { return phase_ == Phase::open; }
  bool is_closed() const noexcept { return phase_ == Phase::closed; }
  const Keeper& keeper() const noexcept { return in_.keeper(); }
  ByteView session_id() const noexcept { return session_id_; }
  const ConnectionInfo& info() const noexcept { return info_; }

 private:
  enum class Phase { ident, first_exchange, auth, open, closed };
  enum class Question { none, host_key, auth };

  // ---- incoming
  /// Parses until bytes are missing, a payload waits, a question is open or the end.
  void pump();
  bool can_parse() const noexcept;
  /// False: nothing more can be done with what is there.
  Result<bool> parse_one();
  Result<bool> parse_ident();
  Result<void> count_packet(std::size_t size);
  Result<void> handle_packet(const PacketOpener::Packet& packet);
  Result<void> act_on(std::uint8_t number, ByteView payload, const PacketOpener::Packet& packet);
  Result<void> act_on_auth(std::uint8_t number, MutableByteView payload);
  Result<void> refuse_unknown(std::uint32_t sequence);
  Result<void> handle_ext_info(ByteView payload);
  Result<void> handle_ping(ByteView payload);
  void handle_disconnect(ByteView payload);
  State state() const noexcept;
  void finish_payload();

  // ---- key exchange
  Result<void> begin_exchange();
  Result<void> handle_kexinit(ByteView payload, std::uint32_t sequence);
  Result<void> handle_kex_init(ByteView payload);
  Result<void> handle_kex_reply(ByteView payload);
  Result<void> send_new_keys();
  Result<void> handle_new_keys(ByteView payload);
  Result<void> send_ext_info();
  Result<void> finish_exchange();
  Result<void> check_rekey();

  // ---- outgoing
  /// Our KEXINIT is out and our NEWKEYS is not: nothing but the exchange may be sent.
  bool is_holding() const noexcept { return kex_ && !new_keys_sent_; }
  Result<void> seal(ByteView header, ByteView body);
  Result<void> send_now(ByteView payload) { return seal(payload, {}); }
  /// The same for what the other side makes us send, however often it asks: it counts as an answer.
  Result<void> answer(ByteView header, ByteView body = {});
  /// Sends now, or after the exchange that runs.
  Result<void> send_or_hold(ByteView payload);
  /// The question is answered with what `step` does; an error leaves it open.
  Result<void> answer_with(Result<AuthStep> step);
  Result<void> perform(AuthStep step);
  Result<void> perform_now(AuthStep step);

  /// What a busy output queue keeps: a full batch, a last packet, and the room that growing leaves.
  std::size_t output_kept() const noexcept {
    return 4 * std::max(config_.limits.output_high_water, config_.limits.max_send_packet);
  }

  // ---- the end
  void fail(const Error& error);
  void close(Disconnected how);
  /// Ends without a word, and without memory.
  void abandon() noexcept;
  void run(Result<void> result) {
    if (!result) fail(result.error());
  }

  Role role_;
  Config config_;
  std::optional<Proposal> proposal_;  // ours, while keys are exchanged
  crypto::BufferedRandom random_;
  TimePoint now_, started_at_;

  InputQueue in_;
  ByteQueue out_;
  std::size_t read_size_ = kReadSmall, prepared_ = 0;
  int small_reads_ = 0;
  std::size_t answers_ = 0;  // bytes of out_, at most, that what came in made us send
  std::size_t output_peak_ = 0, send_batch_ = config_.limits.output_high_water;
  int small_outputs_ = 0;
  bool handshake_output_ = true;  // out_ has the size that the handshake needed
  bool eof_ = false;
  struct Ready {
    std::size_t at = 0, size = 0, packet = 0;
  };
  std::optional<Ready> ready_;  // a payload for the user, in in_
  std::size_t to_consume_ = 0;  // the packet around the payload that the user has

  Phase phase_ = Phase::ident;
  Question question_ = Question::none;
  std::vector<Event> events_;
  bool authenticated_unseen_ = false;
  std::optional<Disconnected> end_;
  bool end_told_ = false;
  ConnectionInfo info_;

  std::string our_ident_, their_ident_;
  IdentReader ident_reader_;
  PacketSealer sealer_;
  PacketOpener opener_;

  std::unique_ptr<Kex> kex_;  // from our KEXINIT to the peer's NEWKEYS
  bool new_keys_sent_ = false;
  bool strict_ = false, peer_wants_ext_info_ = false;
  TimePoint kex_started_at_{}, keys_at_{};
  Bytes session_id_, host_key_;  // of the first exchange
  RekeyLimits rekey_;
  HeldPayloads held_;

  // What only authentication needs does not stay with an idle connection.
  std::unique_ptr<AuthServer> auth_server_;
  std::unique_ptr<AuthClient> auth_client_;
  std::unique_ptr<AuthStep> delayed_;  // a refusal that waits for its time
  TimePoint delayed_until_{}, request_at_{};
  int ext_infos_ = 0, unimplemented_ = 0;
  bool first_after_new_keys_ = false;  // the next packet is the one where EXT_INFO may stand
  bool only_success_next_ = false;     // the server's second EXT_INFO came
};

}  // namespace streamkit::ssh
