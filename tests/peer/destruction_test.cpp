// What is left when a Peer is gone: nothing that runs.
#include "support/peer_pair.hpp"

#include <filesystem>
#include <fstream>

namespace streamkit::testing {
namespace {

/// Threads of this process that run a Context.
std::size_t context_threads() {
  std::size_t count = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream comm(task.path() / "comm");
    std::string name;
    if (std::getline(comm, name) && name == "streamkit-io") ++count;
  }
  return count;
}

TEST(Destruction, of_a_connected_peer_ends_its_thread_before_it_returns) {
  const std::size_t before = context_threads();
  for (int i = 0; i < 50; ++i) {
    {
      PeerPair peers("tcp");
      EXPECT_GE(context_threads(), before + 2);
    }
    EXPECT_EQ(context_threads(), before) << "in round " << i;
  }
}

TEST(Destruction, of_a_peer_with_open_channels_ends_its_thread_when_they_are_gone_too) {
  const std::size_t before = context_threads();
  {
    std::optional<Channel> opened, accepted;
    PeerPair peers("tcp");
    std::thread acceptor([&] { accepted.emplace(peers.a->accept(kPatience).value()); });
    opened.emplace(peers.b->open("a", "service", {}, kPatience).value());
    acceptor.join();
    peers.a.reset();
    peers.b.reset();
    Bytes buffer(1);
    EXPECT_FALSE(opened->read(buffer, kPatience));
    EXPECT_FALSE(accepted->write("x", kPatience));
  }
  EXPECT_EQ(context_threads(), before);
}

}  // namespace
}  // namespace streamkit::testing
