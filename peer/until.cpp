#include <streamkit/io/context.hpp>
#include <streamkit/peer/until.hpp>

namespace streamkit {

TimePoint Until::from_now(Duration wait) noexcept { return after(io::now(), wait); }

}  // namespace streamkit
