// Small files: keys, known_hosts, authorized_keys. Whole files in and out, with the care they need.
#pragma once

#include <streamkit/base/result.hpp>
#include <streamkit/base/secret.hpp>

#include <string>

namespace streamkit::io {

inline constexpr std::size_t kMaxSmallFile = 1024 * 1024;

/// The whole of a regular file (a FIFO, directory or device is Errc::bad_file) of at most `max`
/// bytes.
Result<std::string> read_file(const std::string& path, std::size_t max = kMaxSmallFile);
/// The same for a private key: also refuses a file that group or others may read, or that another
/// user (but root) owns, and says which chmod mends it. At most 64 KiB.
Result<SecretBytes> read_private_file(const std::string& path);
/// Makes a new file of mode `mode` with all of `content`, durable (fsync) before it appears under
/// its name. Errc::bad_file "exists" if there is one already: never overwrites. Missing parent
/// folders are made 0700.
Result<void> create_file(const std::string& path, ByteView content, unsigned mode);
/// Replaces (or makes, as create_file does) a file by writing beside it and renaming, keeping an
/// existing file's mode and, where that is allowed, its owner. What a symbolic link leads to is
/// replaced.
Result<void> replace_file(const std::string& path, ByteView content, unsigned mode = 0600);
/// Appends one line (a newline is added) with O_APPEND, making the file with `mode`, and its
/// folders, if they are missing. Whole lines also when several processes do so. Errc::usage for a
/// line break in it.
Result<void> append_line(const std::string& path, std::string_view line, unsigned mode = 0600);
bool file_exists(const std::string& path) noexcept;
/// $XDG_CONFIG_HOME/streamkit or ~/.config/streamkit.
std::string config_folder();

}  // namespace streamkit::io
