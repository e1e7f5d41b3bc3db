// require(): an invariant of a fuzz target. It stays on in every build, unlike assert().
#pragma once

#include <cstdio>
#include <cstdlib>

#define STREAMKIT_STRING_OF(x) #x
#define STREAMKIT_LINE_OF(x) STREAMKIT_STRING_OF(x)
#define require(condition)                                                                        \
  ((condition) ? void(0)                                                                          \
               : (std::fputs(__FILE__ ":" STREAMKIT_LINE_OF(__LINE__) ": " #condition "\n", stderr), \
                  std::abort()))
