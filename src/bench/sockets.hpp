// Blocking TCP sockets on the loopback address, for the yardsticks.
#pragma once

#include "process.hpp"

#include <streamkit/base/bytes.hpp>

namespace streamkit::bench {

/// Listens on a free port of 127.0.0.1.
Fd listen_tcp(std::uint16_t& port);
/// The next connection, with TCP_NODELAY.
Fd accept_tcp(const Fd& listener);
Fd connect_tcp(std::uint16_t port);

void set_notsent_lowat(const Fd& socket, int bytes);
/// How a socket waits: in the kernel, or asking again and again.
enum class Wait { blocking, spinning };

void write_all(const Fd& socket, ByteView bytes, Wait wait = Wait::blocking);
/// 1..out.size() bytes; 0 at the end.
std::size_t read_some(const Fd& socket, MutableByteView out, Wait wait = Wait::blocking);
/// False when the end came before all of it.
bool read_all(const Fd& socket, MutableByteView out, Wait wait = Wait::blocking);
void end_write(const Fd& socket);

}  // namespace streamkit::bench
