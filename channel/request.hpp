// AnswerQueue: the answers we owe, in the order in which they were asked for (RFC 4254 sections 4
// and 5.4). Some are known at once, some only when the application says so; none may overtake
// another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace streamkit::channel {

/// Costs no memory while nothing is owed, and a bounded amount whatever the other side asks for.
class AnswerQueue {
 public:
  /// The application is asked. False when `limit` questions wait for it already: then a refusal is
  /// queued instead and it must not be asked.
  bool ask(std::size_t limit);
  /// An answer that is known already.
  void settle(bool ok, std::size_t limit);
  /// The application answered the oldest question. False when there is none.
  bool take_asked();
  /// The next answer that can be sent now.
  std::optional<bool> take_settled();

  bool empty() const noexcept { return total_ == 0; }
  /// Answers owed, known or not.
  std::size_t total() const noexcept { return total_; }
  void clear() noexcept;

 private:
  enum class Answer : std::uint8_t { asked, yes, no };
  struct Run {
    Answer answer;
    std::uint32_t count;
  };
  void push(Answer answer);
  void pop();

  std::vector<Run> runs_;
  std::uint32_t asked_ = 0;
  std::uint32_t total_ = 0;
};

}  // namespace streamkit::channel
