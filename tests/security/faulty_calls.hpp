// System calls on sockets that fail, or move a single byte, when a test says so. The linker puts
// them between this program and the system (--wrap, see CMakeLists.txt).
#pragma once

namespace streamkit::testing::calls {

enum class Fault { reset, interrupted, would_block, one_byte };

/// The n-th read from or write to a socket from now on, of all threads, goes wrong; 0: none.
void fail(int n, Fault how) noexcept;
/// Whether it has.
bool has_failed() noexcept;

}  // namespace streamkit::testing::calls
