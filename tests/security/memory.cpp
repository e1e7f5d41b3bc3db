#include "memory.hpp"

#include <openssl/crypto.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>

namespace streamkit::testing::memory {
namespace {

constexpr std::size_t kAlignment = __STDCPP_DEFAULT_NEW_ALIGNMENT__;

/// Before every block. Blocks form a ring.
struct alignas(kAlignment) Header {
  Header* previous;
  Header* next;
  void* whole;  // what malloc() gave
  std::size_t size;
};

struct Pattern {
  std::array<std::byte, 64> bytes;
  std::size_t size;
};

// Nothing here may allocate, nor be made or destroyed after the first or before the last block.
std::mutex mutex;
constinit Header ring{&ring, &ring, nullptr, 0};
std::array<Pattern, kMaxPatterns> wanted;
std::size_t wanted_count = 0, freed_secrets = 0;
std::atomic<std::size_t> live = 0;
std::atomic<std::uint64_t> asked = 0, refused_at = 0;
bool libcrypto_is_ours = false;

bool has(const Header& block, const std::byte* bytes, std::size_t size) {
  return ::memmem(&block + 1, block.size, bytes, size) != nullptr;
}

void* give(std::size_t size, std::size_t alignment) noexcept {
  if (++asked == refused_at) return nullptr;
  auto* whole = static_cast<std::byte*>(std::malloc(size + sizeof(Header) + alignment));
  if (!whole) return nullptr;
  auto at = reinterpret_cast<std::uintptr_t>(whole) + sizeof(Header);
  at = (at + alignment - 1) / alignment * alignment;
  auto* header = reinterpret_cast<Header*>(at) - 1;
  const std::lock_guard lock(mutex);
  *header = {&ring, ring.next, whole, size};
  ring.next->previous = header;
  ring.next = header;
  live += size;
  return header + 1;
}

void take_back(void* block) noexcept {
  if (!block) return;
  Header* header = static_cast<Header*>(block) - 1;
  {
    const std::lock_guard lock(mutex);
    header->previous->next = header->next;
    header->next->previous = header->previous;
    live -= header->size;
    for (std::size_t i = 0; i < wanted_count; ++i)
      if (has(*header, wanted[i].bytes.data(), wanted[i].size)) {
        ++freed_secrets;
        break;
      }
  }
  std::free(header->whole);
}

void* give_or_throw(std::size_t size, std::size_t alignment) {
  void* block = give(size, alignment);
  if (!block) throw std::bad_alloc();
  return block;
}

void* crypto_malloc(std::size_t size, const char*, int) {
  return give(size, kAlignment);
}
void crypto_free(void* block, const char*, int) {
  take_back(block);
}
void* crypto_realloc(void* block, std::size_t size, const char*, int) {
  if (!block) return give(size, kAlignment);
  if (size == 0) return take_back(block), nullptr;
  void* larger = give(size, kAlignment);
  if (!larger) return nullptr;
  std::memcpy(larger, block, std::min(size, (static_cast<Header*>(block) - 1)->size));
  take_back(block);
  return larger;
}

void take_over_libcrypto() {
  libcrypto_is_ours = CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free) == 1;
}
/// Before anything of libcrypto asked for memory, which libssh's constructor makes it do.
__attribute__((section(".preinit_array"), used)) void (*const kBeforeAll)() = take_over_libcrypto;

}  // namespace

std::size_t live_bytes() noexcept {
  return live;
}
std::uint64_t allocations() noexcept {
  return asked;
}
void refuse(std::uint64_t n) noexcept {
  refused_at = n == 0 ? 0 : asked + n;
}
bool has_refused() noexcept {
  return refused_at != 0 && asked >= refused_at;
}
bool is_under_libcrypto() noexcept {
  return libcrypto_is_ours;
}

void look_for(ByteView secret) noexcept {
  const std::lock_guard lock(mutex);
  if (wanted_count == wanted.size() || secret.size() < 8) return;
  Pattern& one = wanted[wanted_count++];
  one.size = std::min(secret.size(), one.bytes.size());
  std::memcpy(one.bytes.data(), secret.data(), one.size);
}
void look_for_nothing() noexcept {
  const std::lock_guard lock(mutex);
  wanted_count = freed_secrets = 0;
}
std::size_t patterns() noexcept {
  return wanted_count;
}
std::size_t freed_with_secrets() noexcept {
  return freed_secrets;
}

std::size_t blocks_with(ByteView secret) noexcept {
  const std::lock_guard lock(mutex);
  std::size_t found = 0;
  for (const Header* block = ring.next; block != &ring; block = block->next)
    found += has(*block, secret.data(), secret.size()) ? 1 : 0;
  return found;
}

}  // namespace streamkit::testing::memory

namespace memory = streamkit::testing::memory;

void* operator new(std::size_t size) {
  return memory::give_or_throw(size, memory::kAlignment);
}
void* operator new[](std::size_t size) {
  return memory::give_or_throw(size, memory::kAlignment);
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return memory::give(size, memory::kAlignment);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return memory::give(size, memory::kAlignment);
}
void* operator new(std::size_t size, std::align_val_t to) {
  return memory::give_or_throw(size, std::size_t(to));
}
void* operator new[](std::size_t size, std::align_val_t to) {
  return memory::give_or_throw(size, std::size_t(to));
}
void operator delete(void* block) noexcept {
  memory::take_back(block);
}
void operator delete[](void* block) noexcept {
  memory::take_back(block);
}
void operator delete(void* block, std::size_t) noexcept {
  memory::take_back(block);
}
void operator delete[](void* block, std::size_t) noexcept {
  memory::take_back(block);
}
void operator delete(void* block, const std::nothrow_t&) noexcept {
  memory::take_back(block);
}
void operator delete[](void* block, const std::nothrow_t&) noexcept {
  memory::take_back(block);
}
void operator delete(void* block, std::align_val_t) noexcept {
  memory::take_back(block);
}
void operator delete[](void* block, std::align_val_t) noexcept {
  memory::take_back(block);
}
void operator delete(void* block, std::size_t, std::align_val_t) noexcept {
  memory::take_back(block);
}
void operator delete[](void* block, std::size_t, std::align_val_t) noexcept {
  memory::take_back(block);
}
