// TrustFiles: what the files of a Trust say about who may come in, as they were last understood.
#pragma once

#include <streamkit/peer/options.hpp>
#include <streamkit/peer/trust.hpp>

#include <array>
#include <functional>
#include <optional>
#include <string>

namespace streamkit {

class TrustFiles {
 public:
  /// Each problem ("warning") and file that is not there ("info") is told to it once, as long as
  /// the files stay as they are.
  using Report = std::function<void(std::string_view level, const std::string& line)>;

  /// Reads the files again and takes in what has changed. The error says what is wrong with one of
  /// them, as often as it is asked. Authorised keys and authorities that were read without a
  /// problem then stay in force (is_behind()); where there are none, what is good in the files
  /// counts. Revocations count as they come. A file of keys that is not there is an empty one.
  Result<void> refresh(const Trust& trust, const Report& report);

  /// What is in force is not what the files say now.
  bool is_behind() const noexcept { return is_behind_ || !revoked_; }
  const AuthorizedKeys& keys() const noexcept { return keys_; }
  const AuthorizedKeys& authorities() const noexcept { return authorities_; }
  /// An error while it cannot be read or not be understood: every key is refused.
  const Result<RevokedKeys>& revoked() const noexcept { return revoked_; }

 private:
  struct File {
    std::string path;
    std::optional<std::string> text;  // nothing: no file, or one that cannot be read
    std::string error;                // why
    friend bool operator==(const File&, const File&) = default;
  };
  static File read(const std::string& path);
  static AuthorizedKeys parse(const File& file, std::vector<std::string>& problems,
                              const Report& report);
  static Result<RevokedKeys> parse_revoked(const File& file);

  std::array<File, 3> files_;  // as they were last seen: keys, authorities, revoked keys
  AuthorizedKeys keys_, authorities_;
  Result<RevokedKeys> revoked_ = RevokedKeys();
  Result<void> verdict_;
  bool is_clean_ = false, is_behind_ = false;
};

}  // namespace streamkit
