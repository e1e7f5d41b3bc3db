// A library to preload into a server that looks for authorized_keys in the home folder of a user
// and nowhere else: it finds the home folder that STREAMKIT_OTHER_HOME names, and a shell that
// every machine has. A server that trusts no folder below one that everybody may write to sees
// none.
#include <cstdlib>
#include <dlfcn.h>
#include <pwd.h>
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

extern "C" __attribute__((visibility("default"))) int stat(const char* path, struct stat* out) {
  using Function = int (*)(const char*, struct stat*);
  static const auto real = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "stat"));
  const int result = real ? real(path, out) : -1;
  if (result == 0 && S_ISDIR(out->st_mode)) out->st_mode &= ~static_cast<mode_t>(S_IWGRP | S_IWOTH);
  return result;
}
