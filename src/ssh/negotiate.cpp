// Proposals: made from the Config, written, read, and held against each other.
#include "negotiate.hpp"

#include "messages.hpp"
#include "numbers.hpp"

#include <streamkit/base/text.hpp>
#include <streamkit/base/wire.hpp>
#include <streamkit/crypto/certificate.hpp>
#include <streamkit/crypto/cipher.hpp>
#include <streamkit/crypto/kex_method.hpp>
#include <streamkit/crypto/key.hpp>

#include <algorithm>
#include <span>

namespace streamkit::ssh {
namespace {

using Names = Proposal::Names;
using Known = std::vector<std::string_view>;

template <class List>
bool contains(const List& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

Result<Names> select(const std::vector<std::string>& wanted, const Known& known,
                     std::string_view what) {
  if (wanted.empty()) return Names(known.begin(), known.end());
  for (const std::string& name : wanted)
    if (!contains(known, name))
      return Error(Errc::usage, "Config::algorithms has a " + std::string(what) +
                                    " that this build does not know: " + escape(name, 64));
  return wanted;
}

/// Whether a server can prove itself by that host key algorithm.
bool can_show(const Config& config, std::string_view algorithm) {
  const auto signs = [&](const crypto::PublicKey& key) {
    return contains(crypto::signature_algorithms(key.type()), crypto::plain_algorithm(algorithm));
  };
  if (!crypto::is_certificate_algorithm(algorithm))
    return std::any_of(config.host_keys.begin(), config.host_keys.end(),
                       [&](const crypto::PrivateKey& key) { return signs(key.public_key()); });
  return std::any_of(
      config.host_certificates.begin(), config.host_certificates.end(),
      [&](const crypto::Certificate& certificate) { return signs(certificate.key()); });
}

/// Certificates first: who has one wants it to be looked at.
Known host_key_algorithms() {
  Known names = crypto::certificate_algorithms();
  names.insert(names.end(), crypto::signature_algorithms().begin(),
               crypto::signature_algorithms().end());
  return names;
}

Names without_marks(const Names& names, Proposal& out, Role sender) {
  const bool client = sender == Role::client;
  Names kept;
  for (const std::string& name : names) {
    if (name == (client ? kExtInfoClient : kExtInfoServer)) out.ext_info = true;
    if (name == (client ? kStrictClient : kStrictServer)) out.strict = true;
    const bool mark = name == kExtInfoClient || name == kExtInfoServer || name == kStrictClient ||
                      name == kStrictServer;
    if (!mark) kept.push_back(name);
  }
  return kept;
}

std::string shown(const Names& names) {
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ",") + name;
  return all.empty() ? "nothing" : escape(all, 300);
}

Result<std::string> choose(const Names& client, const Names& server, std::string_view what) {
  for (const std::string& name : client)
    if (contains(server, name)) return name;
  return Error(Errc::negotiation, "no " + std::string(what) + " in common: the client offers " +
                                      shown(client) + "; the server offers " + shown(server));
}

bool is_aead(std::string_view cipher) {
  const crypto::CipherInfo* info = crypto::find_cipher(cipher);
  return info && info->aead;
}

/// One direction: cipher, and a MAC where the cipher needs one.
Result<void> choose_direction(const Names& client_ciphers, const Names& server_ciphers,
                              const Names& client_macs, const Names& server_macs,
                              std::string& cipher, std::string& mac) {
  Result<std::string> chosen = choose(client_ciphers, server_ciphers, "cipher");
  if (!chosen) return chosen.error();
  cipher = std::move(*chosen);
  if (is_aead(cipher)) return {};
  chosen = choose(client_macs, server_macs, "MAC");
  if (!chosen) return chosen.error();
  mac = std::move(*chosen);
  return {};
}

bool same_first(const Names& a, const Names& b) {
  return !a.empty() && !b.empty() && a[0] == b[0];
}

}  // namespace

Result<Proposal> make_proposal(Role ours, const Config& config) {
  const Algorithms& policy = config.algorithms;
  if (!crypto::is_available(policy.aes_gcm))
    return Error(Errc::usage,
                 "AES-GCM by ipsec-mb is not available here: leave Algorithms::aes_gcm automatic");
  Proposal out;
  Result<Names> names = select(policy.kex, crypto::kex_names(), "key exchange");
  if (!names) return names.error();
  out.kex = std::move(*names);
  // Finite-field exchanges cost a server far more than they cost whoever asks for them (DHEat).
  if (ours == Role::server && policy.kex.empty())
    std::erase_if(out.kex, [](const std::string& n) { return n.starts_with("diffie-hellman"); });

  names = select(policy.host_keys, host_key_algorithms(), "host key algorithm");
  if (!names) return names.error();
  out.host_keys = std::move(*names);
  if (ours == Role::server)
    std::erase_if(out.host_keys, [&](const std::string& n) { return !can_show(config, n); });
  else if (policy.host_keys.empty() && !config.judges_authorities)
    std::erase_if(out.host_keys, crypto::is_certificate_algorithm);
  if (out.host_keys.empty())
    return Error(Errc::usage, "no host key in Config::host_keys fits Config::algorithms.host_keys");

  names = select(policy.ciphers, crypto::cipher_names(), "cipher");
  if (!names) return names.error();
  out.ciphers_to_server = out.ciphers_to_client = std::move(*names);
  names = select(policy.macs, crypto::mac_names(), "MAC");
  if (!names) return names.error();
  out.macs_to_server = out.macs_to_client = std::move(*names);
  out.compression_to_server = out.compression_to_client = {"none"};
  out.ext_info = out.strict = true;
  return out;
}

Bytes write_kexinit(const Proposal& p, Role sender, bool first, const Cookie& cookie) {
  Names kex = p.kex;
  const bool client = sender == Role::client;
  if (first && p.ext_info) kex.emplace_back(client ? kExtInfoClient : kExtInfoServer);
  if (first && p.strict) kex.emplace_back(client ? kStrictClient : kStrictServer);
  Bytes out;
  wire::Writer to(out);
  to.u8(kMsgKexInit).bytes(cookie).name_list(kex).name_list(p.host_keys);
  to.name_list(p.ciphers_to_server).name_list(p.ciphers_to_client);
  to.name_list(p.macs_to_server).name_list(p.macs_to_client);
  to.name_list(p.compression_to_server).name_list(p.compression_to_client);
  to.string("").string("").boolean(p.follows).u32(0);
  return out;
}

Result<Proposal> read_kexinit(ByteView payload, Role sender) {
  if (payload.size() > kMaxKexInit) return malformed("KEXINIT (too long)");
  wire::Reader in(payload);
  in.u8();
  in.bytes(Cookie{}.size());
  const auto names = [&in] {
    const std::vector<std::string_view> views = in.name_list();
    return Names(views.begin(), views.end());
  };
  Proposal out;
  out.kex = without_marks(names(), out, sender);
  out.host_keys = names();
  out.ciphers_to_server = names();
  out.ciphers_to_client = names();
  out.macs_to_server = names();
  out.macs_to_client = names();
  out.compression_to_server = names();
  out.compression_to_client = names();
  names();  // languages: read for their form, otherwise ignored
  names();
  out.follows = in.boolean();
  in.u32();  // reserved: whatever it is
  if (!in.end()) return malformed("KEXINIT");
  return out;
}

Result<Agreement> negotiate(const Proposal& client, const Proposal& server) {
  Agreement out;
  Result<std::string> name = choose(client.kex, server.kex, "key exchange method");
  if (!name) return name.error();
  out.kex = std::move(*name);
  name = choose(client.host_keys, server.host_keys, "host key algorithm");
  if (!name) return name.error();
  out.host_key = std::move(*name);
  if (auto ok = choose_direction(client.ciphers_to_server, server.ciphers_to_server,
                                 client.macs_to_server, server.macs_to_server, out.cipher_to_server,
                                 out.mac_to_server);
      !ok)
    return ok.error();
  if (auto ok = choose_direction(client.ciphers_to_client, server.ciphers_to_client,
                                 client.macs_to_client, server.macs_to_client, out.cipher_to_client,
                                 out.mac_to_client);
      !ok)
    return ok.error();
  name = choose(client.compression_to_server, server.compression_to_server, "compression");
  if (!name) return name.error();
  name = choose(client.compression_to_client, server.compression_to_client, "compression");
  if (!name) return name.error();
  out.guess_was_right =
      same_first(client.kex, server.kex) && same_first(client.host_keys, server.host_keys);
  return out;
}

Result<void> check_strictness(const Agreement& agreed, bool strict, const Algorithms& policy) {
  if (strict || policy.allow_non_strict) return {};
  // A packet can be missing unseen where the sequence number is all that the next one depends on.
  // (CBC with EtM would be the other such mode.) GCM counts by itself, and under CTR what follows a
  // gap, with whatever MAC, decrypts to noise.
  for (const std::string& cipher : {agreed.cipher_to_server, agreed.cipher_to_client})
    if (cipher.starts_with("chacha20-poly1305"))
      return Error(Errc::negotiation, "the other side lacks strict key exchange, and " + cipher +
                                          " is not safe without it: update its software, or set "
                                          "Algorithms::allow_non_strict");
  return {};
}

}  // namespace streamkit::ssh
