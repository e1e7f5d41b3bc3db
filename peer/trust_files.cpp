#include "trust_files.hpp"

#include <streamkit/io/file.hpp>

namespace streamkit {

TrustFiles::File TrustFiles::read(const std::string& path) {
  File file{path, {}, {}};
  if (path.empty()) return file;
  Result<std::string> text = io::read_file(path);
  if (text) {
    file.text = std::move(*text);
  } else {
    file.error = text.error().message();
  }
  return file;
}

AuthorizedKeys TrustFiles::parse(const File& file, std::vector<std::string>& problems,
                                 const Report& report) {
  if (file.text) {
    AuthorizedKeys keys = AuthorizedKeys::parse(*file.text);
    for (const std::string& problem : keys.problems())
      problems.push_back(file.path + ": " + problem);
    return keys;
  }
  if (!file.path.empty() && io::file_exists(file.path)) {
    problems.push_back("cannot read " + file.path + ": " + file.error);
  } else if (!file.path.empty()) {
    report("info", "cannot read " + file.path + ", so nobody in it is let in: " + file.error);
  }
  return {};
}

Result<RevokedKeys> TrustFiles::parse_revoked(const File& file) {
  if (file.path.empty()) return RevokedKeys();
  Result<RevokedKeys> revoked = file.text ? RevokedKeys::parse(*file.text)
                                          : Result<RevokedKeys>(Error(Errc::bad_file, file.error));
  if (revoked) return revoked;
  return Error(Errc::bad_file, "cannot read the revoked keys in " + file.path +
                                   ", so every key is refused: " + revoked.error().message());
}

Result<void> TrustFiles::refresh(const Trust& trust, const Report& report) {
  std::array<File, 3> now = {read(trust.authorized_keys_file), read(trust.user_ca_file),
                             read(trust.revoked_keys_file)};
  if (now == files_) return verdict_;
  const bool same_files = files_[0].path == now[0].path && files_[1].path == now[1].path;
  files_ = std::move(now);

  std::vector<std::string> problems;
  AuthorizedKeys keys = parse(files_[0], problems, report),
                 authorities = parse(files_[1], problems, report);
  is_behind_ = !problems.empty() && is_clean_ && same_files;
  if (!is_behind_) {
    keys_ = std::move(keys);
    authorities_ = std::move(authorities);
    is_clean_ = problems.empty() && !(keys_.entries().empty() && authorities_.entries().empty());
  }
  revoked_ = parse_revoked(files_[2]);
  if (!revoked_) problems.push_back(revoked_.error().message());
  for (const std::string& problem : problems) report("warning", problem);
  if (is_behind_)
    report("warning", "authorised keys and authorities stay as they were before that");
  verdict_ =
      problems.empty() ? Result<void>() : Result<void>(Error(Errc::bad_file, problems.front()));
  return verdict_;
}

}  // namespace streamkit
