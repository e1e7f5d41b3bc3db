#include "inproc.hpp"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>

namespace streamkit {
namespace {

constexpr std::size_t kHighWater =
    1024 * 1024;  // bytes that wait for the other side before writers must
constexpr std::size_t kLargestMessage = 256 * 1024;
constexpr std::size_t kKeptMessages = 64;  // room for so many is kept

}  // namespace

// What one side has to read. The other side hands over, a batch at a time; the lock is held for that
// or for taking it.
struct InprocLink::End {
  explicit End(std::shared_ptr<io::Context> c) : context(std::move(c)) {}

  std::shared_ptr<io::Context> context;
  std::mutex mutex;
  std::vector<Message> messages;
  std::atomic<std::size_t> bytes{0};  // of these; changed under the lock
  std::optional<Error> closed;        // the other side is gone, and why
  bool poked = false;                 // a visit to the owner is under way
  bool writer_waits = false;          // the other side found us full
  LinkOwner* owner = nullptr;
  std::weak_ptr<void> alive;  // the owner's life

  // Whether visit() should follow, without the lock. Needs `mutex`.
  bool poke() { return owner != nullptr && !std::exchange(poked, true); }

  // Has the owner look at this link soon, on its own Context.
  static void visit(const std::shared_ptr<End>& self) {
    // A thread that calls in takes what has come without being told.
    self->context->post_lazily([self] {
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
  template <class Change>
  static void change(const std::shared_ptr<End>& self, Change change) {
    std::unique_lock lock(self->mutex);
    change(*self);
    if (!self->poke()) return;
    lock.unlock();
    visit(self);
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
  const auto is_full = [this] {
    return theirs_->bytes.load(std::memory_order_relaxed) + outgoing_bytes_ >= kHighWater;
  };
  if (!is_full()) return kLargestMessage;
  const std::lock_guard lock(theirs_->mutex);
  if (!is_full()) return kLargestMessage;
  theirs_->writer_waits = true;
  return 0;
}

// The one copy of what is not given away: the other side's reader reads from it.
Result<void> InprocLink::send(ByteView header, ByteView body) {
  if (is_down_) return Errc::closed;
  queue(header, to_bytes(body), body.size());
  return {};
}

Result<void> InprocLink::send_owned(ByteView header, Bytes body) {
  if (is_down_) return Errc::closed;
  // What moves costs nobody more than a little copy would, and the window bounds it.
  queue(header, std::move(body), kMovedCounts);
  return {};
}

void InprocLink::queue(ByteView header, Bytes body, std::size_t most) {
  outgoing_bytes_ += header.size() + std::min(body.size(), most);
  Message& message = outgoing_.emplace_back();
  if (header.size() <= message.header.size()) {
    std::copy(header.begin(), header.end(), message.header.begin());
    message.header_size = header.size();
  } else {
    body.insert(body.begin(), header.begin(), header.end());
  }
  message.body = std::move(body);
  if (outgoing_bytes_ >= kHandOver) hand_over();
}

void InprocLink::hand_over() {
  if (outgoing_.empty()) return;
  End::change(theirs_, [this](End& end) {
    end.bytes.fetch_add(outgoing_bytes_, std::memory_order_relaxed);
    if (end.messages.empty()) return end.messages.swap(outgoing_);
    std::move(outgoing_.begin(), outgoing_.end(), std::back_inserter(end.messages));
  });
  outgoing_bytes_ = 0;
  forget(outgoing_);
}

void InprocLink::forget(std::vector<Message>& messages) {
  messages.clear();
  if (messages.capacity() > kKeptMessages) std::vector<Message>().swap(messages);
}

void InprocLink::start() {
  End::change(ours_, [](End&) {});
}

void InprocLink::pump(TimePoint now) {
  while (!is_down_ && !owner_->is_congested()) {
    std::optional<Error> closed;
    bool wake_writer = false;
    {
      const std::lock_guard lock(ours_->mutex);
      incoming_.swap(ours_->messages);
      ours_->bytes.store(0, std::memory_order_relaxed);
      if (incoming_.empty()) closed = ours_->closed;
      wake_writer = std::exchange(ours_->writer_waits, false);
    }
    if (wake_writer) End::change(theirs_, [](End&) {});
    if (closed) {
      is_down_ = true;
      return owner_->link_down(*closed);
    }
    if (incoming_.empty()) return;
    for (Message& m : incoming_) {
      const ByteView header = ByteView(m.header).first(m.header_size);
      if (const Result<void> r = owner_->link_given(header, std::move(m.body), now); !r) {
        close(r.error());
        return owner_->link_down(r.error());
      }
      if (is_down_) return;
    }
    forget(incoming_);
  }
}

bool InprocLink::flush() {
  hand_over();
  return true;
}

void InprocLink::close(const Error& why) {
  if (is_down_) return;
  hand_over();
  is_down_ = true;
  {
    const std::lock_guard lock(ours_->mutex);
    ours_->owner = nullptr;
    ours_->messages.clear();
  }
  End::change(theirs_, [&](End& end) {
    if (!end.closed) end.closed = Error(Errc::disconnected, why.message());
  });
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
