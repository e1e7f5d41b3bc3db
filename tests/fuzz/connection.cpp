// A peer that was let in and keeps to no rules, against a whole connection: transport, multiplexer
// and an application, in either role. The input is a script of packets (packet_script.hpp), mutated
// packet by packet. A reference model of RFC 4254 reads along and must agree about what is refused;
// whatever happens, what the engine sends is well-formed, memory stays small, and the same bytes in
// other pieces give the same events.
#include "packet_script.hpp"

#include <streamkit/channel/multiplexer.hpp>

#include <fuzz/check.hpp>
#include <support/channel_ledger.hpp>
#include <support/raw_peer.hpp>

using namespace streamkit;
using channel::ChannelId;
using channel::Lane;
using Must = testing::ChannelLedger::Must;

namespace {

constexpr std::size_t kMostOutput = 4u << 20;

channel::Limits small() {
  channel::Limits l;
  l.max_channels = 8;
  l.max_unaccepted = 4;
  l.initial_window = 3000;
  l.max_window = 10'000;
  l.max_receive_bytes = 20'000;
  l.min_window = 1000;
  l.max_packet = 2000;
  l.send_buffer = 4000;
  l.max_error_bytes = 1500;
  l.max_pending_requests = 3;
  return l;
}

class Connection final : public channel::PayloadPort {
 public:
  Connection(ssh::Role role, bool strict, std::size_t chunk)
      : peer_(role, role == ssh::Role::client ? testing::client_config() : testing::server_config(),
              role == ssh::Role::client ? testing::server_config() : testing::client_config()),
        mux_(*this, small()) {
    peer_.chunk = chunk;
    peer_.proposal.strict = strict;
    peer_.engine.keep_payloads = false;
    peer_.engine.on_payload = [this](ByteView payload) { came(payload); };
    peer_.reach(ssh::State::open);
    require(peer_.engine.transport.is_authenticated());
  }

  void play(const fuzz::Script& script) {
    for (const fuzz::Record& record : script.records) {
      if (!peer_.is_live() || failed_) break;
      play(record);
      settle();
      require(peer_.engine.transport.output().size() <= kMostOutput);
      require(mux_.owed_bytes() <= kMostOutput);
      require(mux_.open_channels() <= small().max_channels);
      peer_.settle();
    }
    require(!peer_.broken);
    mux_.link_lost(Errc::connection_lost);
    settle();
    for (const ChannelId id : closed_) mux_.release(id);
    require(mux_.open_channels() == 0 && mux_.granted_bytes() == 0 && mux_.owed_bytes() == 0);
    require(!mux_.next_timeout());
  }
  /// What was seen, in order.
  const std::string& seen() const { return seen_; }

  std::size_t sendable_bytes() const noexcept override {
    return peer_.engine.transport.sendable_bytes();
  }
  Result<void> send(ByteView header, ByteView body) override {
    const char* const broken = ledger_.sent(header, header.size() + body.size());
    if (broken != nullptr && !ledger_.is_ambiguous() && !failed_)
      std::fprintf(stderr, "%s\n", broken);
    require(broken == nullptr || ledger_.is_ambiguous() || failed_);
    return peer_.engine.transport.send(header, body, peer_.now);
  }

 private:
  void came(ByteView payload) {
    if (failed_) return;
    const Must must = ledger_.received(payload);
    const Result<void> done =
        mux_.handle_payload(payload, peer_.now, peer_.engine.transport.keeper());
    seen_ += "p" + std::to_string(std::to_integer<unsigned>(payload[0])) + (done ? " " : "! ");
    if (!ledger_.is_ambiguous()) {
      require(done || must != Must::take);
      require(!done || must != Must::refuse);
    }
    if (done) return;
    require(done.error().is(Errc::protocol) || done.error().is(Errc::disconnected) ||
            done.error().is(Errc::would_block));
    failed_ = true;
    peer_.engine.transport.disconnect(ssh::disconnect_reason(done.error()), done.error().message());
  }
  void settle() {
    if (!failed_) (void)mux_.port_ready(peer_.now);
    while (const std::optional<channel::Event> event = mux_.poll_event()) {
      seen_ += "e" + std::to_string(event->index()) + " ";
      if (const auto* e = std::get_if<channel::Closed>(&*event)) closed_.push_back(e->id);
      if (const auto* e = std::get_if<channel::OpenFailed>(&*event))
        ledger_.abandon(static_cast<std::uint32_t>(e->id));
    }
  }

  void play(const fuzz::Record& r) {
    switch (r.kind) {
      case fuzz::Record::packet:
        if (!r.body.empty()) peer_.send(ByteView(r.body));
        break;
      case fuzz::Record::application:
        for (std::size_t i = 0; i + 1 < r.body.size() && !failed_; i += 2)
          act(std::to_integer<unsigned>(r.body[i]), std::to_integer<unsigned>(r.body[i + 1]));
        break;
      case fuzz::Record::exchange:
        if (peer_.engine.transport.info().exchanges < 4) peer_.exchange();
        break;
      case fuzz::Record::rekey:
        if (peer_.engine.transport.info().exchanges < 4)
          (void)peer_.engine.transport.start_rekey(peer_.now);
        peer_.settle();
        break;
      case fuzz::Record::time:
        pass(std::chrono::seconds(r.body.size() % 40));
        break;
      default:
        if (peer_.kex() &&
            !peer_.method_message.empty()) {  // one good step of an exchange that runs
          r.body.size() % 2 == 0 ? peer_.send_kexinit() : peer_.send_method();
        }
    }
  }
  void pass(Duration time) {
    peer_.now = after(peer_.now, time);
    if (peer_.engine.transport.next_timeout().value_or(kNever) <= peer_.now)
      (void)peer_.engine.transport.handle_timeout(peer_.now);
    peer_.settle();
    require(mux_.handle_timeout(peer_.now).has_value());
  }

  void act(unsigned what, unsigned with) {
    const ChannelId id{with % 8};
    const Bytes some(1 + with * 11, std::byte(with));
    const Lane lane = with % 5 == 0 ? Lane::error : Lane::data;
    const TimePoint now = peer_.now;
    channel::OpenInfo info;
    info.service = "s";
    switch (what % 16) {
      case 0:
        (void)mux_.confirm(id, {{"k", "v"}}, now);
        break;
      case 1:
        (void)mux_.confirm_raw(id, {}, now);
        break;
      case 2:
        (void)mux_.refuse(id, channel::OpenFailure::prohibited, "no");
        break;
      case 3:
        (void)mux_.open_service(std::move(info), {}, now);
        break;
      case 4:
        (void)mux_.open("session", {}, now);
        break;
      case 5:
        (void)mux_.write(id, lane, some, now);
        break;
      case 6:
        (void)mux_.append(id, lane, ByteView(some).first(1), some);
        break;
      case 7:
        if (const std::size_t n = mux_.peek(id, lane).size(); n > 0)
          require(mux_.consume(id, lane, n, now));
        break;
      case 8:
        (void)mux_.end_write(id);
        break;
      case 9:
        (void)mux_.close(id, Status(Code::ok, "r", "m"), {{"k", "v"}}, now);
        break;
      case 10:
        if (mux_.reset(id, Code::aborted, "m", now)) seen_ += "r ";
        break;
      case 11:
        (void)mux_.request(id, "q", with % 2 == 0, some);
        break;
      case 12:
        (void)mux_.reply(id, with % 2 == 0);
        break;
      case 13:
        (void)mux_.global_request("q", with % 2 == 0, some);
        break;
      case 14:
        (void)mux_.reply_global(with % 2 == 0, some);
        break;
      default:
        (void)mux_.stop_sending(id, 1);
    }
  }

  testing::RawPeer peer_;
  testing::ChannelLedger ledger_;
  channel::Multiplexer mux_;
  std::vector<ChannelId> closed_;
  std::string seen_;
  bool failed_ = false;
};

std::string seen_in_pieces_of(const fuzz::Script& script, std::size_t chunk) {
  const ssh::Role role = script.circumstances % 2 == 0 ? ssh::Role::client : ssh::Role::server;
  Connection connection(role, script.circumstances / 2 % 2 == 0, chunk);
  connection.play(script);
  return connection.seen();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::Script script = fuzz::read_script(std::as_bytes(std::span(data, size)));
  if (script.records.empty()) return 0;
  const std::string whole = seen_in_pieces_of(script, std::size_t(-1));
  require(whole == seen_in_pieces_of(script, 1 + script.circumstances / 4));
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  return fuzz::mutate_script(data, size, max_size, seed);
}
