// Function<Signature>: a callable that is moved, not copied; std::move_only_function is C++23.
#pragma once

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

namespace streamkit {

template <class Signature, std::size_t Inside = 48>
class Function;

/// Captures of up to `Inside` bytes live inside it, without an allocation. Calling an empty one is
/// undefined.
template <class R, class... A, std::size_t Inside>
class Function<R(A...), Inside> {
 public:
  Function() = default;
  Function(std::nullptr_t) noexcept {}
  template <class F>
    requires(!std::is_same_v<std::decay_t<F>, Function> &&
             std::is_invocable_r_v<R, std::decay_t<F>&, A...>)
  Function(F&& f) {
    using D = std::decay_t<F>;
    if constexpr (sizeof(D) <= Inside && alignof(D) <= alignof(std::max_align_t) &&
                  std::is_nothrow_move_constructible_v<D>) {
      ::new (static_cast<void*>(store_)) D(std::forward<F>(f));
      ops_ = &kInPlace<D>;
    } else {
      ::new (static_cast<void*>(store_)) D*(new D(std::forward<F>(f)));
      ops_ = &kOnHeap<D>;
    }
  }
  Function(Function&& other) noexcept { take(other); }
  Function& operator=(Function&& other) noexcept {
    if (this != &other) reset(), take(other);
    return *this;
  }
  ~Function() { reset(); }

  explicit operator bool() const noexcept { return ops_ != nullptr; }
  R operator()(A... a) { return ops_->call(store_, std::forward<A>(a)...); }

 private:
  struct Ops {
    R (*call)(void*, A&&...);
    void (*move)(void* from, void* to) noexcept;  // and destroy `from`
    void (*destroy)(void*) noexcept;
  };
  template <class D>
  static constexpr Ops kInPlace = {
      [](void* p, A&&... a) -> R { return (*static_cast<D*>(p))(std::forward<A>(a)...); },
      [](void* from, void* to) noexcept {
        ::new (to) D(std::move(*static_cast<D*>(from)));
        static_cast<D*>(from)->~D();
      },
      [](void* p) noexcept { static_cast<D*>(p)->~D(); }};
  template <class D>
  static constexpr Ops kOnHeap = {
      [](void* p, A&&... a) -> R { return (**static_cast<D**>(p))(std::forward<A>(a)...); },
      [](void* from, void* to) noexcept { ::new (to) D*(*static_cast<D**>(from)); },
      [](void* p) noexcept { delete *static_cast<D**>(p); }};

  void take(Function& other) noexcept {
    ops_ = std::exchange(other.ops_, nullptr);
    if (ops_) ops_->move(other.store_, store_);
  }
  void reset() noexcept {
    if (const Ops* ops = std::exchange(ops_, nullptr)) ops->destroy(store_);
  }

  const Ops* ops_ = nullptr;
  alignas(std::max_align_t) std::byte store_[Inside];
};

using Task = Function<void()>;

}  // namespace streamkit
