// Small files, read and written whole. Descriptors are opened without blocking and looked at before
// they are used, so that a FIFO, a folder or a device under the expected name does no harm.
#include "descriptor.hpp"
#include "os_error.hpp"

#include <streamkit/io/file.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <memory>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace streamkit::io {
namespace {

constexpr std::size_t kMaxPrivateFile = 64 * 1024;
constexpr mode_t kFolderMode = 0700;

struct OpenFile {
  Descriptor fd;
  struct stat status{};
};

Error bad_file(std::string_view action, const std::string& path, std::string_view why) {
  return Error(Errc::bad_file, fmt::format("cannot {} {}: {}", action, path, why));
}

Error file_error(int number, std::string_view action, const std::string& path) {
  if (number == EISDIR) return bad_file(action, path, "it is a folder");
  if (number == ENXIO) return bad_file(action, path, "it is not a regular file");  // a FIFO
  return os_error(number, fmt::format("cannot {} {}", action, path));
}

Result<OpenFile> open_regular(std::string_view action, const std::string& path, int flags,
                              mode_t mode = 0) {
  if (path.find('\0') != std::string::npos)
    return bad_file(action, path.c_str(), "the path has a zero byte");
  OpenFile file;
  file.fd = Descriptor(::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, mode));
  if (!file.fd || ::fstat(file.fd.number(), &file.status) != 0)
    return file_error(errno, action, path);
  if (S_ISDIR(file.status.st_mode)) return bad_file(action, path, "it is a folder");
  if (!S_ISREG(file.status.st_mode)) return bad_file(action, path, "it is not a regular file");
  return file;
}

// Fills `out` as far as the file goes; answers the bytes read or -1 with errno.
ssize_t read_fully(int fd, MutableByteView out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t n = ::read(fd, out.data() + done, out.size() - done);
    if (n == 0) break;
    if (n > 0)
      done += static_cast<std::size_t>(n);
    else if (errno != EINTR)
      return -1;
  }
  return static_cast<ssize_t>(done);
}

// Answers errno, 0 for success.
int write_fully(int fd, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n >= 0)
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    else if (errno != EINTR)
      return errno;
  }
  return 0;
}

Error too_large(const std::string& path, std::size_t max) {
  return bad_file("read", path, fmt::format("it is larger than {} bytes", max));
}

// Reads one byte more than the file is said to have: one that grew meanwhile is read again as long
// as it fits. The memory is wiped, as it may be a key.
Result<SecretBytes> read_all(const OpenFile& file, const std::string& path, std::size_t max) {
  auto expected = static_cast<std::size_t>(file.status.st_size);
  while (expected <= max) {
    SecretBytes buffer(expected + 1);
    if (::lseek(file.fd.number(), 0, SEEK_SET) < 0) return file_error(errno, "read", path);
    const ssize_t n = read_fully(file.fd.number(), buffer.span());
    if (n < 0) return file_error(errno, "read", path);
    const auto size = static_cast<std::size_t>(n);
    if (size <= expected) return SecretBytes(buffer.view().first(size));
    expected = std::max(size, std::min(max, 2 * size));
  }
  return too_large(path, max);
}

// --- writing ---

std::string folder_of(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

Result<void> make_folders(const std::string& folder, const std::string& for_path) {
  if (::mkdir(folder.c_str(), kFolderMode) == 0 || errno == EEXIST) return {};
  if (errno != ENOENT)
    return os_error(errno, fmt::format("cannot make the folder of {}", for_path));
  const std::string parent = folder_of(folder);
  if (parent == folder)
    return os_error(ENOENT, fmt::format("cannot make the folder of {}", for_path));
  if (const auto made = make_folders(parent, for_path); !made) return made;
  if (::mkdir(folder.c_str(), kFolderMode) == 0 || errno == EEXIST) return {};
  return os_error(errno, fmt::format("cannot make the folder of {}", for_path));
}

// A name is durable when its folder is.
void sync_folder(const std::string& path) {
  const Descriptor folder(::open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder) ::fsync(folder.number());
}

// A complete, durable file beside `path`, removed unless it gets another name.
class Draft {
 public:
  Draft() = default;
  ~Draft() {
    if (!name_.empty()) ::unlink(name_.c_str());
  }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

  const char* name() const noexcept { return name_.c_str(); }
  void was_renamed() noexcept { name_.clear(); }

  Result<void> write(const std::string& path, ByteView content, unsigned mode,
                     const struct stat* like = nullptr) {
    std::string pattern = path + ".XXXXXX";
    const Descriptor fd(::mkostemp(pattern.data(), O_CLOEXEC));  // O_EXCL, mode 0600
    if (!fd) return os_error(errno, fmt::format("cannot write {}", path));
    name_ = std::move(pattern);
    // Only root can keep another's ownership; for others the file becomes their own.
    if (like && ::fchown(fd.number(), like->st_uid, like->st_gid) != 0 && errno != EPERM)
      return os_error(errno, fmt::format("cannot write {}", path));
    int number = ::fchmod(fd.number(), static_cast<mode_t>(mode)) == 0 ? 0 : errno;
    if (number == 0) number = write_fully(fd.number(), content);
    if (number == 0 && ::fsync(fd.number()) != 0) number = errno;
    if (number != 0) return os_error(number, fmt::format("cannot write {}", path));
    return {};
  }

 private:
  std::string name_;
};

Result<void> check_writable_name(const std::string& path) {
  if (path.empty() || path.find('\0') != std::string::npos || path.back() == '/')
    return bad_file("write", path.c_str(), "it is not the name of a file");
  return {};
}

// The file that a name stands for at the end of its symbolic links; `path` itself if there is none
// yet.
Result<std::string> final_path(const std::string& path, struct stat& status, bool& exists) {
  exists = ::lstat(path.c_str(), &status) == 0;
  if (!exists) {
    if (errno == ENOENT) return path;
    return file_error(errno, "write", path);
  }
  if (!S_ISLNK(status.st_mode)) return path;
  const std::unique_ptr<char, void (*)(void*)> real(::realpath(path.c_str(), nullptr), std::free);
  if (!real || ::stat(real.get(), &status) != 0)
    return bad_file("write", path, "it is a symbolic link that leads nowhere");
  return std::string(real.get());
}

// Whether the file's last byte is something else than a newline.
bool lacks_newline(const OpenFile& file, off_t size) {
  char last = '\n';
  return size > 0 && ::pread(file.fd.number(), &last, 1, size - 1) == 1 && last != '\n';
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t max) {
  const auto file = open_regular("read", path, O_RDONLY);
  if (!file) return file.error();
  const auto content = read_all(*file, path, max);
  if (!content) return content.error();
  return to_string(content->view());
}

Result<SecretBytes> read_private_file(const std::string& path) {
  const auto file = open_regular("read", path, O_RDONLY);
  if (!file) return file.error();
  const struct stat& status = file->status;
  if (status.st_uid != ::geteuid() && status.st_uid != 0)
    return bad_file("use", path,
                    "it belongs to another user, who can change it; copy it to a file of yours");
  if (status.st_mode & (S_IRWXG | S_IRWXO))
    return bad_file(
        "use", path,
        fmt::format("others may read or change this private key (mode {:04o}); mend it with: "
                    "chmod 600 {}",
                    status.st_mode & 07777, path));
  return read_all(*file, path, kMaxPrivateFile);
}

Result<void> create_file(const std::string& path, ByteView content, unsigned mode) {
  if (const auto checked = check_writable_name(path); !checked) return checked;
  struct stat status{};
  if (::lstat(path.c_str(), &status) == 0) return bad_file("make", path, "it exists");
  if (const auto made = make_folders(folder_of(path), path); !made) return made;
  Draft draft;
  if (const auto written = draft.write(path, content, mode); !written) return written;
  if (::link(draft.name(), path.c_str()) != 0) {  // unlike rename, never replaces
    if (errno == EEXIST) return bad_file("make", path, "it exists");
    return os_error(errno, fmt::format("cannot make {}", path));
  }
  sync_folder(path);
  return {};
}

Result<void> replace_file(const std::string& path, ByteView content, unsigned mode) {
  if (const auto checked = check_writable_name(path); !checked) return checked;
  struct stat status{};
  bool exists = false;
  const auto target = final_path(path, status, exists);
  if (!target) return target.error();
  if (exists && S_ISDIR(status.st_mode)) return bad_file("write", path, "it is a folder");
  if (exists && !S_ISREG(status.st_mode))
    return bad_file("write", path, "it is not a regular file");
  if (exists)
    mode = status.st_mode & 07777;
  else if (const auto made = make_folders(folder_of(path), path); !made)
    return made;
  Draft draft;
  if (const auto written = draft.write(*target, content, mode, exists ? &status : nullptr);
      !written)
    return written;
  if (::rename(draft.name(), target->c_str()) != 0)
    return os_error(errno, fmt::format("cannot write {}", path));
  draft.was_renamed();
  sync_folder(*target);
  return {};
}

Result<void> append_line(const std::string& path, std::string_view line, unsigned mode) {
  if (const auto checked = check_writable_name(path); !checked) return checked;
  if (line.find_first_of(std::string_view("\n\r\0", 3)) != std::string_view::npos)
    return Error(Errc::usage,
                 fmt::format("cannot write {}: a line holds no line break and no zero byte", path));
  if (const auto made = make_folders(folder_of(path), path); !made) return made;
  const auto file =
      open_regular("write", path, O_RDWR | O_APPEND | O_CREAT, static_cast<mode_t>(mode));
  if (!file) return file.error();
  // Two writers at once would both see, or both miss, a newline at the end.
  const int fd = file->fd.number();
  while (::flock(fd, LOCK_EX) != 0)
    if (errno != EINTR) return file_error(errno, "lock", path);
  struct stat status{};
  if (::fstat(fd, &status) != 0) return file_error(errno, "write", path);
  std::string text = lacks_newline(*file, status.st_size) ? "\n" : "";
  text.append(line).append("\n");
  int number = write_fully(fd, as_bytes(text));
  if (number == 0 && ::fsync(fd) != 0) number = errno;
  if (number != 0) return file_error(number, "write", path);
  return {};
}

bool file_exists(const std::string& path) noexcept {
  struct stat status{};
  return path.find('\0') == std::string::npos && ::stat(path.c_str(), &status) == 0;
}

std::string config_folder() {
  const char* const config = std::getenv("XDG_CONFIG_HOME");
  if (config && config[0] == '/')
    return std::string(config) + "/streamkit";  // relative ones do not count
  std::string home;
  if (const char* const from_environment = std::getenv("HOME")) home = from_environment;
  if (home.empty()) {
    std::array<char, 4096> text{};
    passwd entry{};
    passwd* found = nullptr;
    if (::getpwuid_r(::geteuid(), &entry, text.data(), text.size(), &found) == 0 && found)
      home = found->pw_dir;
  }
  return home + "/.config/streamkit";
}

}  // namespace streamkit::io
