// Private key text. PKCS#8 (RFC 5958), PKCS#1 and SEC1 PEM go to libcrypto, with the passphrase in
// hand before it is asked for. openssh-key-v1 is read and written here; an encrypted one goes
// through libssh first, where that is built in, and only if it is of a kind that libssh is known to
// read well.
#include "key_file.hpp"

#include "key_blob.hpp"
#include "key_decrypt.hpp"

#include <streamkit/base/text.hpp>
#include <streamkit/base/wire.hpp>
#include <streamkit/crypto/random.hpp>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <cstring>
#include <optional>

namespace streamkit::crypto {
namespace {

constexpr std::string_view kOpensshLabel = "OPENSSH PRIVATE KEY";
constexpr std::string_view kMagic("openssh-key-v1\0", 15);
constexpr std::size_t kPadding = 8, kLineLength = 70;
constexpr std::size_t kLargestPadding = 16;  // what libssh writes, encrypted or not

Error bad(std::string words) {
  return Error(Errc::bad_key, std::move(words));
}

Error needs_passphrase() {
  return Error(Errc::key_encrypted, "this key file is encrypted: give its passphrase");
}

// ---- finding the block
// ---------------------------------------------------------------------------

struct Block {
  std::string_view label;
  std::string_view body;  ///< between the two lines
  std::string_view whole;
};

/// The first block of `text` that holds a private key. Others (EC PARAMETERS, certificates) are
/// passed by.
Result<Block> find_block(std::string_view text) {
  constexpr std::string_view kBegin = "-----BEGIN ", kEnd = "-----END ", kDashes = "-----";
  for (std::size_t at = text.find(kBegin); at != std::string_view::npos;
       at = text.find(kBegin, at + 1)) {
    if (at != 0 && text[at - 1] != '\n') continue;
    const std::size_t name = at + kBegin.size();
    const std::size_t name_end = text.find(kDashes, name);
    if (name_end == std::string_view::npos) break;
    const std::string_view label = text.substr(name, name_end - name);
    if (label.find('\n') != std::string_view::npos || !label.ends_with("PRIVATE KEY")) continue;
    const std::size_t body = name_end + kDashes.size();
    std::string last_line("\n");
    last_line.append(kEnd).append(label).append(kDashes);
    const std::size_t end = text.find(last_line, body);
    if (end == std::string_view::npos) return bad("a key file that is cut off");
    const std::size_t after = end + last_line.size();
    return Block{label, text.substr(body, end - body), text.substr(at, after - at)};
  }
  if (text.starts_with("PuTTY-User-Key-File"))
    return bad("a PuTTY key file; convert it with: puttygen FILE -O private-openssh");
  return bad("no private key in this text; give the private key file, not the .pub file");
}

// ---- openssh-key-v1, reading
// ---------------------------------------------------------------------

Result<SecretBytes> decode_body(std::string_view body) {
  SecretBytes compact(body.size());
  std::size_t size = 0;
  for (const char c : body)
    if (c != '\n' && c != '\r') compact.span()[size++] = std::byte(c);
  Result<Bytes> decoded = base64_decode(as_text(compact.view().first(size)));
  if (!decoded) return bad("a key file whose base64 is damaged");
  return SecretBytes(std::move(*decoded));
}

Result<Pkey> build_key(const char* type, const ParamBuilder& builder) {
  const Params params(OSSL_PARAM_BLD_to_param(builder.get()));
  const PkeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* made = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_KEYPAIR, params.get()) != 1)
    return evp_error("a private key that libcrypto does not take", Errc::bad_key);
  return Pkey(made);
}

/// RFC 8032's seed and the public key behind it. That they belong together is checked with the
/// blob.
Result<Pkey> read_ed25519(wire::Reader& in) {
  const ByteView point = in.string();
  const ByteView secret = in.string();
  if (!in.ok() || point.size() != kEd25519Size || secret.size() != 2 * kEd25519Size ||
      !std::equal(point.begin(), point.end(), secret.begin() + kEd25519Size))
    return bad("a malformed Ed25519 private key");
  Pkey key(EVP_PKEY_new_raw_private_key_ex(nullptr, "ED25519", nullptr, raw(secret), kEd25519Size));
  if (!key) return evp_error("Ed25519 key", Errc::bad_key);
  return key;
}

Result<Pkey> read_ecdsa(wire::Reader& in, const Curve& curve) {
  const std::string_view name = in.text();
  const ByteView point = in.string();
  const ByteView scalar = in.mpint();
  if (!in.ok() || name != curve.ssh_name || scalar.empty() || scalar.size() > curve.field_size)
    return bad("a malformed ECDSA private key");
  if (auto valid = ec_public(curve, point, Errc::bad_key); !valid) return valid.error();
  const BigNumber number = to_number(scalar, true);
  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  if (!number || !builder ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve.group, 0) !=
          1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                       point.size()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, number.get()) != 1)
    return evp_error("ECDSA key");
  Result<Pkey> key = build_key("EC", builder);
  if (!key) return key;
  const PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key->get(), nullptr));
  if (!context || EVP_PKEY_check(context.get()) != 1)
    return evp_error("an ECDSA private key that does not fit its public key", Errc::bad_key);
  return key;
}

/// The numbers of an RSA private key as the file has them.
struct RsaNumbers {
  BigNumber n, e, d, iqmp, p, q, dmp1, dmq1;
};

/// d mod (prime - 1), which the file leaves out.
BigNumber crt_exponent(const BIGNUM* d, const BIGNUM* prime, BN_CTX* scratch) {
  const BigNumber less(BN_secure_new());
  BigNumber out(BN_secure_new());
  if (!less || !out || !BN_copy(less.get(), prime) || BN_sub_word(less.get(), 1) != 1)
    return nullptr;
  BN_set_flags(less.get(), BN_FLG_CONSTTIME);
  if (BN_mod(out.get(), d, less.get(), scratch) != 1) return nullptr;
  return out;
}

/// n = p q with p and q odd and above 1, and nothing bigger than n. Whether d fits shows when the
/// first signature is verified.
Result<void> complete_rsa(RsaNumbers& k) {
  for (const BIGNUM* prime : {k.p.get(), k.q.get()})
    if (!BN_is_odd(prime) || BN_is_one(prime)) return bad("an RSA key with impossible primes");
  if (BN_is_zero(k.d.get()) || BN_cmp(k.d.get(), k.n.get()) >= 0 ||
      BN_cmp(k.iqmp.get(), k.p.get()) >= 0)
    return bad("an RSA key with impossible exponents");
  const BigNumberContext scratch(BN_CTX_secure_new());
  const BigNumber product(BN_secure_new());
  if (!scratch || !product || BN_mul(product.get(), k.p.get(), k.q.get(), scratch.get()) != 1)
    return evp_error("RSA key");
  if (BN_cmp(product.get(), k.n.get()) != 0) return bad("an RSA key whose primes are not its own");
  k.dmp1 = crt_exponent(k.d.get(), k.p.get(), scratch.get());
  k.dmq1 = crt_exponent(k.d.get(), k.q.get(), scratch.get());
  if (!k.dmp1 || !k.dmq1) return evp_error("RSA key");
  return {};
}

Result<Pkey> read_rsa(wire::Reader& in) {
  const ByteView n = in.mpint(), e = in.mpint(), d = in.mpint();
  const ByteView iqmp = in.mpint(), p = in.mpint(), q = in.mpint();
  if (!in.ok()) return bad("a malformed RSA private key");
  if (auto good = check_rsa_numbers(n, e); !good) return good.error();
  for (const ByteView number : {d, iqmp, p, q})
    if (number.empty() || number.size() > n.size()) return bad("a malformed RSA private key");
  RsaNumbers k{.n = to_number(n),
               .e = to_number(e),
               .d = to_number(d, true),
               .iqmp = to_number(iqmp, true),
               .p = to_number(p, true),
               .q = to_number(q, true),
               .dmp1 = nullptr,
               .dmq1 = nullptr};
  if (!k.n || !k.e || !k.d || !k.iqmp || !k.p || !k.q) return evp_error("RSA key");
  if (auto good = complete_rsa(k); !good) return good.error();
  const ParamBuilder builder(OSSL_PARAM_BLD_new());
  if (!builder) return evp_error("RSA key");
  const struct {
    const char* name;
    const BIGNUM* number;
  } fields[] = {{OSSL_PKEY_PARAM_RSA_N, k.n.get()},
                {OSSL_PKEY_PARAM_RSA_E, k.e.get()},
                {OSSL_PKEY_PARAM_RSA_D, k.d.get()},
                {OSSL_PKEY_PARAM_RSA_FACTOR1, k.p.get()},
                {OSSL_PKEY_PARAM_RSA_FACTOR2, k.q.get()},
                {OSSL_PKEY_PARAM_RSA_EXPONENT1, k.dmp1.get()},
                {OSSL_PKEY_PARAM_RSA_EXPONENT2, k.dmq1.get()},
                {OSSL_PKEY_PARAM_RSA_COEFFICIENT1, k.iqmp.get()}};
  for (const auto& field : fields)
    if (OSSL_PARAM_BLD_push_BN(builder.get(), field.name, field.number) != 1)
      return evp_error("RSA key");
  return build_key("RSA", builder);
}

/// The private section, once it is known to be in clear: two equal check numbers, the key, a
/// comment, padding of 1, 2, 3, ...
Result<Pkey> read_private_section(ByteView section, ByteView public_blob) {
  if (section.empty() || section.size() % kPadding != 0) return bad("a damaged key file");
  wire::Reader in(section);
  const std::uint32_t check = in.u32();
  if (check != in.u32() || !in.ok()) return bad("a damaged key file");
  const Result<ParsedKey> declared = parse_public_blob(public_blob);
  if (!declared) return declared.error();
  if (in.text() != key_type_name(declared->type))
    return bad("a key file whose private and public keys are of different types");
  const Curve* curve = curve_of(declared->type);
  Result<Pkey> key = declared->type == KeyType::ed25519 ? read_ed25519(in)
                     : curve                            ? read_ecdsa(in, *curve)
                                                        : read_rsa(in);
  if (!key) return key;
  in.string();  // the comment
  const ByteView padding = in.rest();
  bool good = in.ok() && padding.size() < kLargestPadding;
  for (std::size_t i = 0; good && i < padding.size(); ++i) good = padding[i] == std::byte(i + 1);
  if (!good) return bad("a damaged key file");
  const Result<Bytes> derived = write_public_blob(key->get());
  if (!derived) return derived.error();
  if (!std::equal(derived->begin(), derived->end(), public_blob.begin(), public_blob.end()))
    return bad("a key file whose private key does not fit its public key");
  return key;
}

/// What of an openssh-key-v1 file is in clear.
struct Envelope {
  std::string_view cipher, kdf;
  ByteView kdf_options, public_blob, section;
  bool is_whole = false;  ///< nothing behind the private section
};

Result<Envelope> read_envelope(ByteView file) {
  wire::Reader in(file);
  const ByteView magic = in.bytes(kMagic.size());
  Envelope out;
  out.cipher = in.text();
  out.kdf = in.text();
  out.kdf_options = in.string();
  const std::uint32_t keys = in.u32();
  out.public_blob = in.string();
  out.section = in.string();
  if (!in.ok() || as_text(magic) != kMagic || keys != 1)
    return bad("a malformed openssh-key-v1 file");
  out.is_whole = in.end();
  return out;
}

Error cannot_decrypt(std::string_view why, bool has_passphrase) {
  return Error(has_passphrase ? Errc::bad_key : Errc::key_encrypted,
               "an encrypted OpenSSH key file that cannot be read here: " + std::string(why) +
                   "; load it into ssh-agent with ssh-add, or write it anew with: "
                   "ssh-keygen -p -f FILE (with -N '' for no passphrase, with -Z aes256-ctr -a 16 "
                   "for one that can be read)");
}

/// Why libssh may not have it; empty: it may. The kinds are those that libssh 0.10 reads and writes
/// well: it crashes on files of AEAD ciphers, and has no way to write RSA keys.
std::string_view unfit_for_libssh(const Envelope& envelope) {
  if (!can_decrypt_openssh_keys()) return "this build is without libssh";
  constexpr std::string_view kCiphers[] = {"aes128-ctr", "aes192-ctr", "aes256-ctr",
                                           "aes128-cbc", "aes192-cbc", "aes256-cbc"};
  if (std::find(std::begin(kCiphers), std::end(kCiphers), envelope.cipher) == std::end(kCiphers) ||
      envelope.kdf != "bcrypt")
    return "it is encrypted in another way than by AES in CTR or CBC mode";
  wire::Reader options(envelope.kdf_options);
  const std::size_t salt = options.string().size();
  const std::uint32_t rounds = options.u32();
  if (!options.end() || salt == 0 || salt > kMaxKeySalt || rounds == 0)
    return "its key derivation is malformed";
  if (rounds > kMaxKeyRounds) return "its passphrase takes more than 2048 rounds";
  const Result<ParsedKey> key = parse_public_blob(envelope.public_blob);
  if (!key || key->type == KeyType::rsa) return "its key is neither Ed25519 nor ECDSA";
  constexpr std::size_t kAesBlock = 16;
  if (envelope.section.empty() || envelope.section.size() % kAesBlock != 0 || !envelope.is_whole)
    return "it is damaged";
  return {};
}

Result<Pkey> read_encrypted(std::string_view block, const Envelope& envelope,
                            const PrivateKey::Passphrase& passphrase) {
  const std::string_view why = unfit_for_libssh(envelope);
  if (!why.empty()) return cannot_decrypt(why, static_cast<bool>(passphrase));
  if (!passphrase) return needs_passphrase();
  const Result<SecretBytes> words = passphrase();
  if (!words) return words.error();
  const Result<SecretBytes> plain = decrypt_openssh_key(block, *words);
  if (!plain) return plain.error();
  const Result<Pkey> given = read_private_key(as_text(plain->view()), {});
  if (!given) return given.error();
  // It may be PEM, of which libcrypto takes more than we do: our own parser has the last word.
  const Result<SecretBytes> ours = write_openssh_key(given->get(), {});
  if (!ours) return ours.error();
  Result<Pkey> key = read_private_key(as_text(ours->view()), {});
  if (!key) return key;
  const Result<Bytes> derived = write_public_blob(key->get());
  if (!derived) return derived.error();
  const ByteView blob = envelope.public_blob;
  if (!std::equal(derived->begin(), derived->end(), blob.begin(), blob.end()))
    return bad("a key file whose private key does not fit its public key");
  return key;
}

Result<Pkey> read_openssh(const Block& block, const PrivateKey::Passphrase& passphrase) {
  const Result<SecretBytes> decoded = decode_body(block.body);
  if (!decoded) return decoded.error();
  const Result<Envelope> envelope = read_envelope(decoded->view());
  if (!envelope) return envelope.error();
  if (envelope->cipher != "none" || envelope->kdf != "none")
    return read_encrypted(block.whole, *envelope, passphrase);
  if (!envelope->is_whole || !envelope->kdf_options.empty())
    return bad("a malformed openssh-key-v1 file");
  return read_private_section(envelope->section, envelope->public_blob);
}

// ---- PEM, by libcrypto
// -------------------------------------------------------------------------------

/// What libcrypto's question for a passphrase is answered with. Never the terminal.
struct Answer {
  std::optional<SecretBytes> passphrase;
  bool asked_in_vain = false;
};

extern "C" int streamkit_answer_passphrase(char* buffer, int size, int, void* user) {
  auto* answer = static_cast<Answer*>(user);
  if (!answer->passphrase || answer->passphrase->size() > static_cast<std::size_t>(size)) {
    answer->asked_in_vain = !answer->passphrase;
    return -1;
  }
  const ByteView words = answer->passphrase->view();
  if (!words.empty()) std::memcpy(buffer, words.data(), words.size());
  return static_cast<int>(words.size());
}

Result<Pkey> read_pem(const Block& block, const PrivateKey::Passphrase& passphrase) {
  // Asked before libcrypto runs, so that no code of the caller's is entered from inside a C
  // library.
  const bool encrypted = block.label == "ENCRYPTED PRIVATE KEY" ||
                         block.body.find("Proc-Type: 4,ENCRYPTED") != std::string_view::npos;
  Answer answer;
  if (encrypted) {
    if (!passphrase) return needs_passphrase();
    Result<SecretBytes> words = passphrase();
    if (!words) return words.error();
    answer.passphrase = std::move(*words);
  }
  const std::string_view text = block.whole;
  const Bio source(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  if (!source) return evp_error("key file");
  Pkey key(PEM_read_bio_PrivateKey_ex(source.get(), nullptr, &streamkit_answer_passphrase, &answer,
                                      nullptr, nullptr));
  if (key) {
    ERR_clear_error();  // trying one format after another leaves complaints behind
    return key;
  }
  if (answer.asked_in_vain) {
    ERR_clear_error();
    return needs_passphrase();
  }
  return evp_error(
      encrypted ? "a wrong passphrase or a malformed key file" : "a malformed key file",
      Errc::bad_key);
}

// ---- openssh-key-v1, writing
// ----------------------------------------------------------------------

Result<void> write_private_numbers(wire::Writer& to, const EVP_PKEY* key, KeyType type) {
  if (type == KeyType::ed25519) {
    SecretBytes pair(2 * kEd25519Size);  // seed, then public key
    std::size_t seed = kEd25519Size, point = kEd25519Size;
    const MutableByteView at = pair.span();
    if (EVP_PKEY_get_raw_private_key(key, raw(at), &seed) != 1 || seed != kEd25519Size ||
        EVP_PKEY_get_raw_public_key(key, raw(at.subspan(seed)), &point) != 1 ||
        point != kEd25519Size)
      return evp_error("Ed25519 key");
    to.string(pair.view().subspan(kEd25519Size)).string(pair.view());
    return {};
  }
  if (const Curve* curve = curve_of(type)) {
    const Result<Bytes> point = ec_point(key, *curve);
    if (!point) return point.error();
    const Result<SecretBytes> scalar = number_of(key, OSSL_PKEY_PARAM_PRIV_KEY);
    if (!scalar) return scalar.error();
    to.string(curve->ssh_name).string(ByteView(*point)).mpint(scalar->view());
    return {};
  }
  for (const char* name : {OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_RSA_E, OSSL_PKEY_PARAM_RSA_D,
                           OSSL_PKEY_PARAM_RSA_COEFFICIENT1, OSSL_PKEY_PARAM_RSA_FACTOR1,
                           OSSL_PKEY_PARAM_RSA_FACTOR2}) {
    const Result<SecretBytes> number = number_of(key, name);
    if (!number) return number.error();
    to.mpint(number->view());
  }
  return {};
}

/// The base64 of `bytes` in lines between the two marker lines.
SecretBytes armour(ByteView bytes) {
  std::string digits = base64_encode(bytes);
  constexpr std::string_view begin = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
  constexpr std::string_view end = "-----END OPENSSH PRIVATE KEY-----\n";
  const std::size_t lines = (digits.size() + kLineLength - 1) / kLineLength;
  SecretBytes out(begin.size() + digits.size() + lines + end.size());
  std::byte* to = out.span().data();
  const auto put = [&to](std::string_view piece) {
    if (!piece.empty()) std::memcpy(to, piece.data(), piece.size());
    to += piece.size();
  };
  put(begin);
  for (std::size_t i = 0; i < digits.size(); i += kLineLength) {
    put(std::string_view(digits).substr(i, kLineLength));
    put("\n");
  }
  put(end);
  wipe(std::as_writable_bytes(std::span(digits)));
  return out;
}

}  // namespace

Result<Pkey> read_private_key(std::string_view text, const PrivateKey::Passphrase& passphrase) {
  if (text.size() > kMaxKeyText) return bad("a key file must not be longer than 64 KiB");
  const Result<Block> block = find_block(text);
  if (!block) return block.error();
  if (block->label == kOpensshLabel) return read_openssh(*block, passphrase);
  for (const std::string_view label :
       {"PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"})
    if (block->label == label) return read_pem(*block, passphrase);
  return bad("a private key of a kind that is not supported");
}

Result<SecretBytes> write_openssh_key(const EVP_PKEY* key, std::string_view comment) {
  if (comment.size() > kMaxComment) return Error(Errc::usage, "to_text: the comment is over 1 KiB");
  const Result<KeyType> type = type_of(key);
  if (!type) return type.error();
  const Result<Bytes> public_blob = write_public_blob(key);
  if (!public_blob) return public_blob.error();
  std::byte check[4];
  if (auto drawn = system_random().fill(check); !drawn) return drawn.error();

  // Both buffers get all the room they may need at once: growing would leave copies of the key
  // behind.
  constexpr std::size_t kRoom = 6 * (kMaxRsaBits / 8 + 8) + kMaxComment + 256;
  Bytes section;
  section.reserve(kRoom);
  wire::Writer to(section);
  to.bytes(check).bytes(check).string(key_type_name(*type));
  Result<void> written = write_private_numbers(to, key, *type);
  to.string(comment);
  for (unsigned i = 1; section.size() % kPadding != 0; ++i) to.u8(static_cast<std::uint8_t>(i));
  const SecretBytes owned_section(std::move(section));
  if (!written) return written.error();

  Bytes file;
  file.reserve(2 * kRoom);
  wire::Writer(file)
      .bytes(as_bytes(kMagic))
      .string("none")
      .string("none")
      .string("")
      .u32(1)
      .string(ByteView(*public_blob))
      .string(owned_section.view());
  const SecretBytes owned_file(std::move(file));
  return armour(owned_file.view());
}

}  // namespace streamkit::crypto
