// How the program ends, for scripts. Documented in --help and docs/cli.md; a test compares them.
#pragma once

namespace streamkit::cli {

enum ExitCode : int {
  kExitStopped = 0,  // by SIGINT or SIGTERM
  kExitFailed = 1,   // an unexpected failure, such as an address in use
  kExitUsage = 2,
  kExitUnreachable = 3,  // the relay, and there had been no success before
  kExitUnauthorised = 4,
  kExitRefused = 5,
  kExitRelayKey = 6,
  kExitInterrupted = 130,  // a second signal while ending
};

inline constexpr const char* kExitCodeHelp =
    "Exit codes:\n"
    "  0    stopped by Ctrl-C or SIGTERM\n"
    "  1    something unexpected failed, such as an address that is in use\n"
    "  2    wrong usage\n"
    "  3    the relay cannot be reached (only before the first success)\n"
    "  4    the relay does not accept our key\n"
    "  5    the name or port is taken, forbidden, over a limit, or was taken over\n"
    "  6    the relay's key is not the known one\n"
    "  130  a second Ctrl-C while ending";

}  // namespace streamkit::cli
