#include "aead.hpp"

#include "process.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <array>
#include <cstring>

#ifdef STREAMKIT_BENCH_IPSEC_MB
#include <intel-ipsec-mb.h>
#endif

namespace streamkit::bench {
namespace {

using Uchar = unsigned char;

constexpr std::size_t kGcmNonceSize = 12;
constexpr std::array<Uchar, 64> kKey = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

Uchar* raw(std::byte* bytes) {
  return reinterpret_cast<Uchar*>(bytes);
}
const Uchar* raw(const std::byte* bytes) {
  return reinterpret_cast<const Uchar*>(bytes);
}

void need(int ok) {
  if (ok != 1) fail("libcrypto refused");
}

void store_u32(Uchar* to, std::size_t value) {
  for (int i = 0; i < 4; ++i) to[i] = static_cast<Uchar>(value >> (24 - 8 * i));
}

std::size_t load_u32(const Uchar* from) {
  return std::size_t{from[0]} << 24 | std::size_t{from[1]} << 16 | std::size_t{from[2]} << 8 |
         from[3];
}

// A counter in the last 8 bytes, one a record.
struct Nonce {
  std::array<Uchar, kGcmNonceSize> bytes{};
  void advance() {
    for (std::size_t i = kGcmNonceSize; i-- > 4;)
      if (++bytes[i] != 0) return;
  }
};

struct FreeCipher {
  void operator()(EVP_CIPHER_CTX* c) const { EVP_CIPHER_CTX_free(c); }
  void operator()(EVP_MAC_CTX* c) const { EVP_MAC_CTX_free(c); }
};
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, FreeCipher>;
using MacContext = std::unique_ptr<EVP_MAC_CTX, FreeCipher>;

class Gcm final : public RecordCipher {
 public:
  explicit Gcm(const EVP_CIPHER* cipher)
      : seal_(EVP_CIPHER_CTX_new()), open_(EVP_CIPHER_CTX_new()) {
    need(EVP_EncryptInit_ex2(seal_.get(), cipher, kKey.data(), nullptr, nullptr));
    need(EVP_DecryptInit_ex2(open_.get(), cipher, kKey.data(), nullptr, nullptr));
  }

  void seal(ByteView body, std::byte* record) override {
    EVP_CIPHER_CTX* c = seal_.get();
    Uchar* to = raw(record);
    int n = 0;
    store_u32(to, body.size());
    need(EVP_EncryptInit_ex2(c, nullptr, nullptr, seal_nonce_.bytes.data(), nullptr));
    need(EVP_EncryptUpdate(c, nullptr, &n, to, kLengthSize));
    need(EVP_EncryptUpdate(c, to + kLengthSize, &n, raw(body.data()),
                           static_cast<int>(body.size())));
    Uchar* tag = to + kLengthSize + body.size();
    need(EVP_EncryptFinal_ex(c, tag, &n));
    need(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, kTagSize, tag));
    seal_nonce_.advance();
  }

  std::size_t body_size(const std::byte* record) override { return load_u32(raw(record)); }

  void open(std::byte* record, std::size_t body) override {
    EVP_CIPHER_CTX* c = open_.get();
    Uchar* at = raw(record);
    Uchar* tag = at + kLengthSize + body;
    int n = 0;
    need(EVP_DecryptInit_ex2(c, nullptr, nullptr, open_nonce_.bytes.data(), nullptr));
    need(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, kTagSize, tag));
    need(EVP_DecryptUpdate(c, nullptr, &n, at, kLengthSize));
    need(EVP_DecryptUpdate(c, at + kLengthSize, &n, at + kLengthSize, static_cast<int>(body)));
    need(EVP_DecryptFinal_ex(c, tag, &n));
    open_nonce_.advance();
  }

 private:
  CipherContext seal_, open_;
  Nonce seal_nonce_, open_nonce_;
};

// One direction of chacha20-poly1305@openssh.com.
class ChaChaStreams {
 public:
  ChaChaStreams() : body_(EVP_CIPHER_CTX_new()), length_(EVP_CIPHER_CTX_new()) {
    EVP_MAC* poly = EVP_MAC_fetch(nullptr, "POLY1305", nullptr);
    poly_.reset(EVP_MAC_CTX_new(poly));
    EVP_MAC_free(poly);
    if (!poly_) fail("libcrypto has no Poly1305");
    need(EVP_EncryptInit_ex2(body_.get(), EVP_chacha20(), kKey.data(), nullptr, nullptr));
    need(EVP_EncryptInit_ex2(length_.get(), EVP_chacha20(), kKey.data() + 32, nullptr, nullptr));
  }

  void crypt_length(const Uchar* from, Uchar* to) {
    set_nonce(length_.get());
    crypt(length_.get(), from, to, kLengthSize);
  }
  void crypt_body(const Uchar* from, Uchar* to, std::size_t size) {
    crypt(body_.get(), from, to, size);
  }

  // Sets both to this record; the body's stream then stands at block 1.
  void begin() {
    std::array<Uchar, 64> block{};
    set_nonce(body_.get());
    crypt(body_.get(), block.data(), block.data(), block.size());
    need(EVP_MAC_init(poly_.get(), block.data(), 32, nullptr));
  }
  void tag(const Uchar* sealed, std::size_t size, Uchar* out) {
    std::size_t n = 0;
    need(EVP_MAC_update(poly_.get(), sealed, size));
    need(EVP_MAC_final(poly_.get(), out, &n, kTagSize));
    ++sequence_;
  }

 private:
  void set_nonce(EVP_CIPHER_CTX* c) {
    std::array<Uchar, 16> iv{};
    store_u32(iv.data() + 12, sequence_);
    need(EVP_EncryptInit_ex2(c, nullptr, nullptr, iv.data(), nullptr));
  }
  static void crypt(EVP_CIPHER_CTX* c, const Uchar* from, Uchar* to, std::size_t size) {
    int n = 0;
    need(EVP_EncryptUpdate(c, to, &n, from, static_cast<int>(size)));
  }

  CipherContext body_, length_;
  MacContext poly_;
  std::size_t sequence_ = 0;
};

class ChaCha final : public RecordCipher {
 public:
  void seal(ByteView body, std::byte* record) override {
    Uchar* to = raw(record);
    Uchar length[kLengthSize];
    store_u32(length, body.size());
    seal_.crypt_length(length, to);
    seal_.begin();
    seal_.crypt_body(raw(body.data()), to + kLengthSize, body.size());
    seal_.tag(to, kLengthSize + body.size(), to + kLengthSize + body.size());
  }

  std::size_t body_size(const std::byte* record) override {
    Uchar clear[kLengthSize];
    open_.crypt_length(raw(record), clear);
    return load_u32(clear);
  }

  void open(std::byte* record, std::size_t body) override {
    Uchar* at = raw(record);
    Uchar expected[kTagSize];
    open_.begin();
    open_.tag(at, kLengthSize + body, expected);
    if (CRYPTO_memcmp(expected, at + kLengthSize + body, kTagSize) != 0)
      fail("a record's tag is wrong");
    open_.crypt_body(at + kLengthSize, at + kLengthSize, body);
  }

 private:
  ChaChaStreams seal_, open_;
};

#ifdef STREAMKIT_BENCH_IPSEC_MB
class FastGcm final : public RecordCipher {
 public:
  static std::unique_ptr<RecordCipher> make(bool is_256) {
    std::unique_ptr<FastGcm> cipher(new FastGcm(is_256));
    if (!cipher->manager_) fail("Intel's Multi-Buffer Crypto library gives no manager");
    return cipher;
  }

  void seal(ByteView body, std::byte* record) override {
    Uchar* to = raw(record);
    store_u32(to, body.size());
    encrypt_(&key_, &context_, to + kLengthSize, raw(body.data()), body.size(),
             seal_nonce_.bytes.data(), to, kLengthSize, to + kLengthSize + body.size(), kTagSize);
    seal_nonce_.advance();
  }

  std::size_t body_size(const std::byte* record) override { return load_u32(raw(record)); }

  void open(std::byte* record, std::size_t body) override {
    Uchar* at = raw(record) + kLengthSize;
    Uchar expected[kTagSize];
    decrypt_(&key_, &context_, at, at, body, open_nonce_.bytes.data(), raw(record), kLengthSize,
             expected, kTagSize);
    if (CRYPTO_memcmp(expected, at + body, kTagSize) != 0) fail("a record's tag is wrong");
    open_nonce_.advance();
  }

 private:
  struct FreeManager {
    void operator()(IMB_MGR* m) const { free_mb_mgr(m); }
  };

  explicit FastGcm(bool is_256) : manager_(alloc_mb_mgr(0)) {
    if (!manager_) return;
    init_mb_mgr_auto(manager_.get(), nullptr);
    encrypt_ = is_256 ? manager_->gcm256_enc : manager_->gcm128_enc;
    decrypt_ = is_256 ? manager_->gcm256_dec : manager_->gcm128_dec;
    (is_256 ? manager_->gcm256_pre : manager_->gcm128_pre)(kKey.data(), &key_);
  }

  std::unique_ptr<IMB_MGR, FreeManager> manager_;
  aes_gcm_enc_dec_t encrypt_ = nullptr, decrypt_ = nullptr;
  gcm_key_data key_{};
  gcm_context_data context_{};
  Nonce seal_nonce_, open_nonce_;
};
#endif

}  // namespace

std::unique_ptr<RecordCipher> make_cipher(const std::string& name) {
  if (name == "aes128-gcm") return std::make_unique<Gcm>(EVP_aes_128_gcm());
  if (name == "aes256-gcm") return std::make_unique<Gcm>(EVP_aes_256_gcm());
  if (name == "chacha20-poly1305") return std::make_unique<ChaCha>();
#ifdef STREAMKIT_BENCH_IPSEC_MB
  if (name == "aes128-gcm-fast") return FastGcm::make(false);
  if (name == "aes256-gcm-fast") return FastGcm::make(true);
#endif
  return nullptr;
}

}  // namespace streamkit::bench
