// The options in front of a key in authorized_keys. Private to its reader.
#pragma once

#include <streamkit/peer/trust.hpp>

namespace streamkit {

/// Reads a line's options into `entry`: all of them, or an error that says which one is wrong.
Result<void> read_key_options(std::string_view options, AuthorizedKeys::Entry& entry);

}  // namespace streamkit
