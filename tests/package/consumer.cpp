// What a stranger's program does first: it links only if everything that the static libraries need is found.
#include <streamkit/base/text.hpp>
#include <streamkit/crypto/key.hpp>
#include <streamkit/crypto/random.hpp>

#include <cstdio>

int main() {
  const auto key = streamkit::crypto::PrivateKey::generate();
  if (!key) {
    std::fprintf(stderr, "%s\n", key.error().message().c_str());
    return 1;
  }
  std::puts(streamkit::escape("linked, and made a key\n").c_str());
  return 0;
}
