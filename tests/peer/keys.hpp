// Keys for tests of trust: made once a run, told apart by a number.
#pragma once

#include <streamkit/crypto/key.hpp>

#include <map>
#include <utility>

namespace streamkit::test {

inline const crypto::PublicKey& key(unsigned number = 0,
                                    crypto::KeyType type = crypto::KeyType::ed25519) {
  static std::map<std::pair<crypto::KeyType, unsigned>, crypto::PublicKey> keys;
  crypto::PublicKey& key = keys[{type, number}];
  if (key.is_empty()) key = crypto::PrivateKey::generate(type, 2048).value().public_key();
  return key;
}

inline std::string text(unsigned number = 0, crypto::KeyType type = crypto::KeyType::ed25519) {
  return key(number, type).text();
}

}  // namespace streamkit::test
