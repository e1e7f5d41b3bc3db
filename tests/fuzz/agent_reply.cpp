// What an ssh-agent answers: cut out of the stream, then read as a list of keys and as a signature.
// Nothing comes out that was not in it, and no more than may be.
#include "agent_messages.hpp"

#include <fuzz/check.hpp>

using namespace streamkit;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView in = std::as_bytes(std::span(data, size));
  const auto found = find_agent_answer(in);
  if (found && *found) {
    require((*found)->size() + 4 == in.size() && (*found)->size() <= kMaxAgentAnswer);
    for (std::size_t cut = 0; cut < in.size(); cut += in.size() / 8 + 1)
      require(!find_agent_answer(in.first(cut)).value().has_value());
  }
  const ByteView answer = found && *found ? **found : in;
  if (const auto keys = read_agent_keys(answer)) {
    require(keys->size() <= kMaxAgentKeys && keys->size() <= answer.size() / 8);
    for (const crypto::PublicKey& key : *keys) require(!key.is_empty());
  }
  if (const auto signature = read_agent_signature(answer))
    require(signature->size() < answer.size());
  return 0;
}
