// Connect, exchange keys, authenticate, disconnect: one at a time, and four at a time. The bound
// beside it is the arithmetic that one side of that cannot do without.
#include "ours.hpp"

#include <streamkit/io/context.hpp>

#include <openssl/evp.h>

#include <fmt/format.h>

namespace streamkit::bench {
namespace {

constexpr std::uint64_t kConnects = 2'000;
constexpr std::size_t kInFlight = 4;

void use_curve25519(PeerOptions& options) {
  options.algorithms.kex = {"curve25519-sha256"};
  options.algorithms.host_keys = {"ssh-ed25519"};
}

// Peers of one thread, each of which connects and disconnects, again and again.
struct Connector {
  const Endpoint endpoint;
  std::uint64_t to_start, to_finish = to_start;
  Finish finish{};

  void next(Peer& peer) {
    if (to_start == 0) return;
    --to_start;
    peer.async_connect(endpoint, {}, [this, &peer](Result<PeerInfo> info) {
      if (!info) return finish.failed(info.error());
      (void)peer.disconnect(endpoint);
      if (--to_finish == 0) return finish.now();
      next(peer);
    });
  }
};

Outcome measure_connects(const Task& task, Control& other) {
  const Endpoint endpoint(fmt::format("tcp://127.0.0.1:{}", static_cast<unsigned>(other.hear())));
  const std::uint64_t count = scaled(kConnects, task, 4);
  std::shared_ptr<io::Context> context = io::Context::make();
  std::vector<Peer> peers;
  for (std::size_t i = 0; i < (task.row == "connect-4" ? kInFlight : 1); ++i) {
    PeerOptions options = client_options(task);
    use_curve25519(options);
    options.context = context;
    peers.push_back(Peer::make(std::move(options)).value());
  }
  const Stopwatch watch;
  if (task.variant == "blocking") {
    for (std::uint64_t i = 0; i < count; ++i) {
      peers[0].connect(endpoint).value();
      peers[0].disconnect(endpoint).value();
    }
  } else {
    Connector connector{endpoint, count};
    auto done = connector.finish.future();
    {
      const io::Context::Lock lock(*context);
      for (Peer& peer : peers) connector.next(peer);
    }
    done.get();
  }
  Outcome outcome;
  outcome.value = static_cast<double>(count) / watch.elapsed();
  other.say({0});
  return outcome;
}

void serve_connects(const Task& task, Control& other) {
  PeerOptions options = server_options(task);
  use_curve25519(options);
  Peer peer = Peer::make(std::move(options)).value();
  other.say({static_cast<double>(peer.bind("tcp://127.0.0.1:0").value().port())});
  other.hear();
}

// ---------------------------------------------------------------- the bound

struct FreeEvp {
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(EVP_PKEY_CTX* p) const { EVP_PKEY_CTX_free(p); }
  void operator()(EVP_MD_CTX* p) const { EVP_MD_CTX_free(p); }
};
template <class T>
using Evp = std::unique_ptr<T, FreeEvp>;

void need(int ok) {
  if (ok != 1) fail("libcrypto refused");
}

// A fresh X25519 key and the shared secret, an Ed25519 signature, and the other side's verified.
void handshake_arithmetic(EVP_PKEY* theirs, EVP_PKEY* identity, Bytes& signature) {
  const Evp<EVP_PKEY> ephemeral(EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519"));
  if (!ephemeral) fail("libcrypto made no key");
  const Evp<EVP_PKEY_CTX> derive(EVP_PKEY_CTX_new(ephemeral.get(), nullptr));
  unsigned char secret[32];
  std::size_t size = sizeof secret;
  need(EVP_PKEY_derive_init(derive.get()));
  need(EVP_PKEY_derive_set_peer(derive.get(), theirs));
  need(EVP_PKEY_derive(derive.get(), secret, &size));

  auto* signed_bytes = reinterpret_cast<unsigned char*>(signature.data());
  const Evp<EVP_MD_CTX> sign(EVP_MD_CTX_new()), verify(EVP_MD_CTX_new());
  std::size_t length = signature.size();
  need(EVP_DigestSignInit(sign.get(), nullptr, nullptr, nullptr, identity));
  need(EVP_DigestSign(sign.get(), signed_bytes, &length, secret, sizeof secret));
  need(EVP_DigestVerifyInit(verify.get(), nullptr, nullptr, nullptr, identity));
  need(EVP_DigestVerify(verify.get(), signed_bytes, length, secret, sizeof secret));
}

Outcome measure_arithmetic(const Task& task, Control&) {
  const Evp<EVP_PKEY> theirs(EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519"));
  const Evp<EVP_PKEY> identity(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  Bytes signature(64);
  const std::uint64_t count = scaled(kConnects * 5, task);
  const Stopwatch watch;
  for (std::uint64_t i = 0; i < count; ++i)
    handshake_arithmetic(theirs.get(), identity.get(), signature);
  Outcome outcome;
  outcome.value = static_cast<double>(count) / watch.elapsed();
  outcome.notes = "one side's arithmetic on one core, no connection";
  return outcome;
}

}  // namespace

Rows connect_rows() {
  return {
      {{"connect", "ours", "blocking", "connects/s"}, measure_connects, serve_connects},
      {{"connect", "ours", "completion", "connects/s"}, measure_connects, serve_connects},
      {{"connect-4", "ours", "completion", "connects/s"}, measure_connects, serve_connects},
      {{"connect", "limit", "arithmetic", "connects/s"}, measure_arithmetic, nullptr},
      {{"connect-4", "limit", "arithmetic", "connects/s"}, measure_arithmetic, nullptr},
  };
}

}  // namespace streamkit::bench
