// One key exchange (RFC 4253 sections 7 and 8, RFC 5656 section 4): both KEXINITs, the method, the
// exchange hash, the host key's signature, the keys. Payloads in, payloads out; it neither seals
// them nor decides when they go.
#pragma once

#include "negotiate.hpp"
#include "state_table.hpp"

#include <streamkit/base/random.hpp>
#include <streamkit/crypto/cipher.hpp>
#include <streamkit/crypto/kex_method.hpp>
#include <streamkit/ssh/transport.hpp>

#include <memory>
#include <string>

namespace streamkit::ssh {

/// What an exchange knows of the connection around it.
struct KexContext {
  Role role{};
  const Config* config = nullptr;
  const Proposal* proposal = nullptr;  ///< ours
  std::string_view our_ident, their_ident;
  ByteView session_id;  ///< empty in the first exchange
  bool strict = false;  ///< agreed in the first exchange; the first one finds out itself
};

class Kex {
 public:
  explicit Kex(KexContext context) : context_(context) {}

  /// Our KEXINIT; to be sent first and once.
  Result<Bytes> start(Random& random);
  /// Only now is the other side's identification known.
  void set_their_ident(std::string_view ident) noexcept { context_.their_ident = ident; }

  /// The peer's KEXINIT. Client: our first message of the method comes out.
  Result<Bytes> handle_kexinit(ByteView payload);
  /// The packet of a wrong guess was dropped.
  void guess_skipped() noexcept { skip_guess_ = false; }
  /// Server: the client's message of the method; our reply comes out. The keys are ready then.
  Result<Bytes> handle_init(ByteView payload);
  /// Client: the server's reply; its host key comes out, proven: the signature over the exchange
  /// hash has been verified. Whether it is the right key is not known here. The keys are ready
  /// then.
  Result<HostKeyReceived> handle_reply(ByteView payload);
  /// Whether what was agreed on may protect anything. A client knows after the KEXINITs; a server
  /// asks after its reply, which takes no harm, so that programs that only collect host keys
  /// (ssh-keyscan knows no strict key exchange) get one before they are turned away.
  Result<void> check_safe() const;

  Result<std::unique_ptr<crypto::Sealer>> make_sealer() const;
  Result<std::unique_ptr<crypto::Opener>> make_opener() const;

  bool is_first() const noexcept { return context_.session_id.empty(); }
  bool kexinit_seen() const noexcept { return kexinit_seen_; }
  /// Where the table is to look; only after kexinit_seen().
  State state() const noexcept;
  bool is_strict() const noexcept { return context_.strict; }
  bool peer_wants_ext_info() const noexcept { return theirs_.ext_info; }
  const Agreement& agreed() const noexcept { return agreed_; }
  ByteView hash() const noexcept { return hash_; }
  /// The host key of this exchange, or its certificate: the blob that was shown and hashed.
  ByteView host_key() const noexcept { return host_key_; }

 private:
  bool is_client() const noexcept { return context_.role == Role::client; }
  Result<void> make_method(const std::string& name);
  Result<void> make_hash(ByteView client_blob, ByteView server_blob);
  Result<crypto::DirectionKeys> derive(bool to_server, const crypto::CipherInfo& cipher,
                                       const crypto::MacInfo* mac) const;
  const crypto::PrivateKey* own_host_key() const noexcept;
  ByteView shown_blob(const crypto::PublicKey& key) const noexcept;

  KexContext context_;
  Bytes our_init_, their_init_;
  Proposal theirs_;
  Agreement agreed_;
  std::unique_ptr<crypto::KexMethod> method_;
  std::string method_name_;
  crypto::Hash hash_kind_{};
  Bytes client_blob_, host_key_, hash_;
  SecretBytes secret_;
  bool kexinit_seen_ = false, skip_guess_ = false, keys_ready_ = false;
};

}  // namespace streamkit::ssh
