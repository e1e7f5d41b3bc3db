#include "inproc.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <optional>

namespace streamkit {
namespace {

constexpr std::size_t kHighWater =
    256 * 1024;  // bytes that wait for the other side before writers must
constexpr std::size_t kLargestMessage = 256 * 1024;

}  // namespace

// What one side has to read. The other side pushes; the lock is held for a push or a swap only.
struct InprocLink::End {
  explicit End(std::shared_ptr<io::Context> c) : context(std::move(c)) {}

  std::shared_ptr<io::Context> context;
  std::mutex mutex;
  std::deque<std::shared_ptr<const Bytes>> messages;
  std::size_t bytes = 0;
  std::optional<Error> closed;  // the other side is gone, and why
  bool poked = false;           // a visit to the owner is under way
  bool writer_waits = false;    // the other side found us full
  LinkOwner* owner = nullptr;
  std::weak_ptr<void> alive;  // the owner's life

  // Has the owner look at this link soon, on its own Context. Needs `mutex`.
  void poke(const std::shared_ptr<End>& self) {
    if (poked || owner == nullptr) return;
    poked = true;
    context->post([self] {
      LinkOwner* to = nullptr;
      std::shared_ptr<void> hold;
      {
        const std::lock_guard lock(self->mutex);
        self->poked = false;
        hold = self->alive.lock();
        to = hold ? self->owner : nullptr;
      }
      if (to) to->link_active();
    });
  }
};

std::pair<std::unique_ptr<InprocLink>, std::unique_ptr<InprocLink>> InprocLink::pair(
    std::shared_ptr<io::Context> a, std::shared_ptr<io::Context> b) {
  auto end_a = std::make_shared<End>(std::move(a));
  auto end_b = std::make_shared<End>(std::move(b));
  return {std::unique_ptr<InprocLink>(new InprocLink(end_a, end_b)),
          std::unique_ptr<InprocLink>(new InprocLink(end_b, end_a))};
}

InprocLink::InprocLink(std::shared_ptr<End> ours, std::shared_ptr<End> theirs)
    : ours_(std::move(ours)), theirs_(std::move(theirs)) {}

InprocLink::~InprocLink() {
  close(Error(Errc::connection_lost, "the other side is gone"));
}

void InprocLink::attach(LinkOwner& owner, std::weak_ptr<void> alive) {
  owner_ = &owner;
  const std::lock_guard lock(ours_->mutex);
  ours_->owner = &owner;
  ours_->alive = std::move(alive);
}

std::size_t InprocLink::sendable_bytes() const noexcept {
  if (is_down_) return 0;
  const std::lock_guard lock(theirs_->mutex);
  if (theirs_->bytes < kHighWater) return kLargestMessage;
  theirs_->writer_waits = true;
  return 0;
}

Result<void> InprocLink::send(ByteView header, ByteView body) {
  if (is_down_) return Errc::closed;
  // The one copy: the other side's reader reads from here.
  auto message = std::make_shared<Bytes>();
  message->reserve(header.size() + body.size());
  append(*message, header);
  append(*message, body);
  const std::lock_guard lock(theirs_->mutex);
  theirs_->bytes += message->size();
  theirs_->messages.push_back(std::move(message));
  theirs_->poke(theirs_);
  return {};
}

void InprocLink::start() {
  const std::lock_guard lock(ours_->mutex);
  ours_->poke(ours_);
}

void InprocLink::pump() {
  while (!is_down_ && !owner_->is_congested()) {
    std::deque<std::shared_ptr<const Bytes>> batch;
    std::optional<Error> closed;
    bool wake_writer = false;
    {
      const std::lock_guard lock(ours_->mutex);
      batch.swap(ours_->messages);
      ours_->bytes = 0;
      if (batch.empty()) closed = ours_->closed;
      wake_writer = std::exchange(ours_->writer_waits, false);
    }
    if (wake_writer) {
      const std::lock_guard lock(theirs_->mutex);
      theirs_->poke(theirs_);
    }
    for (const std::shared_ptr<const Bytes>& message : batch) {
      if (const Result<void> r = owner_->link_payload(*message, message); !r) {
        close(r.error());
        return owner_->link_down(r.error());
      }
      if (is_down_) return;
    }
    if (closed) {
      is_down_ = true;
      return owner_->link_down(*closed);
    }
    if (batch.empty()) return;
  }
}

bool InprocLink::flush() {
  return true;
}

void InprocLink::close(const Error& why) {
  if (is_down_) return;
  is_down_ = true;
  {
    const std::lock_guard lock(ours_->mutex);
    ours_->owner = nullptr;
    ours_->messages.clear();
  }
  const std::lock_guard lock(theirs_->mutex);
  if (!theirs_->closed) theirs_->closed = Error(Errc::disconnected, why.message());
  theirs_->poke(theirs_);
}

namespace {

struct Names {
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<const InprocRegistry::Entry>> entries;
};
Names& names() {
  static Names instance;
  return instance;
}

}  // namespace

Result<void> InprocRegistry::bind(const std::string& name, std::shared_ptr<const Entry> entry) {
  const std::lock_guard lock(names().mutex);
  if (!names().entries.emplace(name, std::move(entry)).second)
    return Error(Errc::usage, "inproc://" + name + " is already bound in this process");
  return {};
}

void InprocRegistry::unbind(const std::string& name) {
  std::shared_ptr<const Entry> gone;
  const std::lock_guard lock(names().mutex);
  const auto it = names().entries.find(name);
  if (it == names().entries.end()) return;
  gone = std::move(it->second);
  names().entries.erase(it);
}

std::shared_ptr<const InprocRegistry::Entry> InprocRegistry::find(const std::string& name) {
  const std::lock_guard lock(names().mutex);
  const auto it = names().entries.find(name);
  return it == names().entries.end() ? nullptr : it->second;
}

}  // namespace streamkit
