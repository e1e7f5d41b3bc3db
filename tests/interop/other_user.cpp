// A library to preload into a server that lets in users of this machine only. Where it looks for
// authorized_keys in the home folder of a user, it finds the one that STREAMKIT_OTHER_HOME names,
// and a shell that every machine has; where it looks for a password, the one that
// STREAMKIT_OTHER_PASSWORD is the hash of. A server that trusts no folder below one that everybody
// may write to sees none.
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <pwd.h>
#include <shadow.h>
#include <sys/stat.h>

extern "C" __attribute__((visibility("default"))) passwd* getpwnam(const char* name) {
  using Function = passwd* (*)(const char*);
  static const auto real = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "getpwnam"));
  passwd* entry = real ? real(name) : nullptr;
  static char shell[] = "/bin/sh";
  char* home = std::getenv("STREAMKIT_OTHER_HOME");
  if (entry && home) {
    entry->pw_dir = home;
    entry->pw_shell = shell;
  }
  return entry;
}

extern "C" __attribute__((visibility("default"))) spwd* getspnam(const char* name) {
  using Function = spwd* (*)(const char*);
  static const auto real = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "getspnam"));
  static char user[256];
  static spwd other{};
  char* hash = std::getenv("STREAMKIT_OTHER_PASSWORD");
  if (!hash) return real ? real(name) : nullptr;
  std::strncpy(user, name, sizeof user - 1);
  other.sp_namp = user;
  other.sp_pwdp = hash;
  other.sp_lstchg = other.sp_max = 99999;  // days: it is not too old
  other.sp_inact = other.sp_expire = -1;
  return &other;
}

extern "C" __attribute__((visibility("default"))) int stat(const char* path, struct stat* out) {
  using Function = int (*)(const char*, struct stat*);
  static const auto real = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "stat"));
  const int result = real ? real(path, out) : -1;
  if (result == 0 && S_ISDIR(out->st_mode)) out->st_mode &= ~static_cast<mode_t>(S_IWGRP | S_IWOTH);
  return result;
}
