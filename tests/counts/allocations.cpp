// Counts allocations by standing before glibc's malloc, which operator new and libcrypto call too.
// A sanitizer has its own there; under one nothing is counted.
#include "hot_paths.hpp"

#include <atomic>
#include <cerrno>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STREAMKIT_FOREIGN_MALLOC
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define STREAMKIT_FOREIGN_MALLOC
#endif

namespace {

std::atomic<bool> is_counting{false};
std::atomic<std::uint64_t> calls{0};

[[maybe_unused]] void note() noexcept {
  if (is_counting.load(std::memory_order_relaxed)) calls.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

#ifndef STREAMKIT_FOREIGN_MALLOC
extern "C" {

void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* old, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) noexcept {
  return note(), __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) noexcept {
  return note(), __libc_calloc(count, size);
}
void* realloc(void* old, std::size_t size) noexcept {
  return note(), __libc_realloc(old, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  return note(), __libc_memalign(alignment, size);
}
int posix_memalign(void** out, std::size_t alignment, std::size_t size) noexcept {
  note();
  *out = __libc_memalign(alignment, size);
  return *out == nullptr ? ENOMEM : 0;
}

}  // extern "C"
#endif

namespace streamkit::counts {

extern "C" [[gnu::noinline]] void streamkit_counted_region(const std::function<void()>& work) {
  is_counting.store(true);
  work();
  is_counting.store(false);
}

std::uint64_t allocations() noexcept {
  return calls.load();
}

}  // namespace streamkit::counts
