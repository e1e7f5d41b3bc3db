#!/usr/bin/env python3
"""Checks who includes whom, against the table of floors in ARCHITECTURE.md.

usage: check_includes.py ROOT | check_includes.py --self-test

Reports every violation as FILE:LINE: sentence, and exits 1 if there was one.
"""

import pathlib
import re
import sys
import tempfile

# Room -> (folder of its sources, the rooms whose public headers it may include besides its own).
EVERYTHING_BELOW = {"base", "crypto", "io", "ssh", "channel"}
ROOMS = {
    "base": ("src/base", set()),
    "crypto": ("src/crypto", {"base"}),
    "io": ("src/io", {"base"}),
    "ssh": ("src/ssh", {"base", "crypto"}),
    "channel": ("channel", {"base"}),
    "peer": ("peer", EVERYTHING_BELOW),
    "message": ("peer/message", EVERYTHING_BELOW | {"peer"}),
    "relay": ("peer/relay", EVERYTHING_BELOW | {"peer"}),
    "tunnel": ("peer/tunnel", EVERYTHING_BELOW | {"peer"}),
    "taps": ("peer/taps", EVERYTHING_BELOW | {"peer"}),
    "bench": ("src/bench", EVERYTHING_BELOW | {"peer", "tunnel"}),
    "cli": ("src/cli", {"peer", "message", "relay", "tunnel", "taps", "base", "crypto", "streamkit.hpp"}),
}
SANS_IO = {"base", "crypto", "ssh", "channel"}

# Pattern of a foreign header -> (rooms that may include it, why).
FOREIGN = [
    (r"openssl/", {"crypto", "bench"}, "libcrypto is named in src/crypto only"),
    (r"asio(\.hpp|/)", set(), "the event loop is src/io's own"),
    (r"intel-ipsec-mb\.h", {"crypto", "bench"}, "ipsec-mb is named in src/crypto only"),
    (r"(sys/(socket|epoll|un|eventfd|timerfd)|netinet/.*|arpa/.*|netdb|poll)\.h$", {"io", "bench"},
     "sockets live in src/io only"),
    (r"(thread|mutex|shared_mutex|atomic|condition_variable|future|stop_token|semaphore|latch|barrier)$",
     set(ROOMS) - SANS_IO, "no threads, locks or atomics in a sans-IO room"),
    (r"(random|fstream|iostream|filesystem)$", set(ROOMS) - SANS_IO,
     "a sans-IO room has no entropy, files or console"),
    (r"boost/", {"tunnel"}, "Boost is used for the HTTP parser of peer/tunnel only"),
    (r"bench/", {"cli"}, "only the program has a benchmark"),
    (r"CLI/", {"cli"}, "arguments are parsed in src/cli only"),
    (r"(libssh/|libssh2)", {"crypto"}, "libssh is used for encrypted key files only, in src/crypto"),
    (r"(expected|format)$", set(), "GCC 12 has no <expected> in C++20 and no <format> at all"),
    (r"coroutine$", set(), "no coroutines in the library: GCC 12 miscompiles them"),
]
NOT_IN_PUBLIC_HEADERS = r"(openssl/|intel-ipsec-mb|asio|fmt/|boost/|CLI/|nlohmann/|libssh)"

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
CLOCK = re.compile(r"(?:steady_clock|system_clock|high_resolution_clock)::now\b|\bclock_gettime\b|\bgettimeofday\b")
COROUTINE = re.compile(r"\bco_(?:await|return|yield)\b")


def room_of_source(path):
    """The room whose folder holds `path`, a posix path relative to the root; the deepest one."""
    homes = [(folder, room) for room, (folder, _) in ROOMS.items() if path.startswith(folder + "/")]
    return max(homes)[1] if homes else None


def without_comments(text):
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group().count("\n"), text, flags=re.S)
    return re.sub(r"//[^\n]*", "", text)


def check_include(root, path, room, public, bracket, header):
    """One sentence about what is wrong with this include, or None."""
    if bracket == '"':
        if public:
            return f'a public header includes its neighbours as <streamkit/...>, not "{header}"'
        if ".." in header.split("/"):
            return f'"{header}" reaches out of its own folder'
        if not (root / path).parent.joinpath(header).exists() and not root.joinpath(ROOMS[room][0], header).exists():
            return f'"{header}" is not in the folder of its room: private headers stay private'
        inner = room_of_source((pathlib.PurePosixPath(path).parent / header).as_posix())
        if inner and inner != room and (root / path).parent.joinpath(header).exists():
            return f'"{header}" belongs to the room {inner}'
        return None
    if header.startswith("streamkit/"):
        target = header.split("/")[1]
        if target != room and target not in ROOMS[room][1]:
            return f"{room} may not include {target} (<{header}>)"
        return None
    if public and re.match(NOT_IN_PUBLIC_HEADERS, header):
        return f"a public header may not include <{header}>"
    for pattern, rooms, why in FOREIGN:
        if re.match(pattern, header) and room not in rooms:
            return f"<{header}>: {why}"
    return None


def check_file(root, path, room, public):
    problems = []
    text = without_comments((root / path).read_text(encoding="utf-8"))
    for number, line in enumerate(text.split("\n"), 1):
        include = INCLUDE.match(line)
        if include:
            problem = check_include(root, path, room, public, include.group(1), include.group(2))
            if problem:
                problems.append(f"{path}:{number}: {problem}")
        elif CLOCK.search(line) and room != "io":
            problems.append(f"{path}:{number}: only src/io reads a clock; take the time as an argument")
        elif COROUTINE.search(line):
            problems.append(f"{path}:{number}: no coroutines in the library: GCC 12 miscompiles them")
    return problems


def check_tree(root):
    problems, seen = [], 0
    for file in sorted(root.glob("include/streamkit/*/**/*.hpp")):
        path = file.relative_to(root).as_posix()
        room = path.split("/")[2]
        seen += 1
        if room not in ROOMS:
            problems.append(f"{path}:1: no room is called {room}")
            continue
        problems += check_file(root, path, room, public=True)
    for top in ("src", "channel", "peer"):
        for file in sorted(root.joinpath(top).rglob("*.[ch]pp")):
            path = file.relative_to(root).as_posix()
            room = room_of_source(path)
            seen += 1
            if room is None:
                problems.append(f"{path}:1: this folder is no room")
                continue
            problems += check_file(root, path, room, public=False)
    return problems, seen


# path, text, a part of the sentence that must come (None: nothing may come).
SAMPLES = [
    ("src/base/a.cpp", "#include <streamkit/base/bytes.hpp>\n#include <vector>\n", None),
    ("src/ssh/a.cpp", '#include "a.hpp"\n#include <streamkit/crypto/key.hpp>\n', None),
    ("src/ssh/a.hpp", "#pragma once\n// #include <openssl/evp.h>\n", None),
    ("peer/a.cpp", "#include <streamkit/io/context.hpp>\n#include <mutex>\n", None),
    ("src/base/b.cpp", "#include <streamkit/crypto/key.hpp>\n", "base may not include crypto"),
    ("src/io/b.cpp", "#include <streamkit/ssh/config.hpp>\n", "io may not include ssh"),
    ("src/ssh/b.cpp", "#include <streamkit/channel/frame.hpp>\n", "ssh may not include channel"),
    ("channel/b.cpp", "#include <streamkit/crypto/key.hpp>\n", "channel may not include crypto"),
    ("peer/b.cpp", "#include <streamkit/tunnel/http.hpp>\n", "peer may not include tunnel"),
    ("peer/tunnel/b.cpp", "#include <streamkit/message/rpc.hpp>\n", "tunnel may not include message"),
    ("src/cli/b.cpp", "#include <streamkit/ssh/config.hpp>\n", "cli may not include ssh"),
    ("src/bench/a.cpp", "#include <openssl/evp.h>\n#include <sys/socket.h>\n", None),
    ("src/bench/b.cpp", '#include "../crypto/evp.hpp"\n', "reaches out of its own folder"),
    ("src/cli/a.cpp", "#include <bench/bench.hpp>\n", None),
    ("peer/c0.cpp", "#include <bench/bench.hpp>\n", "only the program has a benchmark"),
    ("src/ssh/c.cpp", "#include <openssl/evp.h>\n", "libcrypto is named in src/crypto only"),
    ("peer/c.cpp", "#include <asio/ip/tcp.hpp>\n", "the event loop is src/io's own"),
    ("src/ssh/c2.cpp", "#include <intel-ipsec-mb.h>\n", "ipsec-mb is named in src/crypto only"),
    ("peer/c2.cpp", "#include <sys/socket.h>\n", "sockets live in src/io only"),
    ("channel/c.cpp", "#include <mutex>\n", "no threads"),
    ("src/crypto/c.cpp", "#include <random>\n", "no entropy"),
    ("src/io/c.cpp", "#include <boost/beast.hpp>\n", "Boost is used"),
    ("src/base/d.cpp", "#include <expected>\n", "GCC 12"),
    ("src/ssh/d.cpp", '#include "../crypto/evp.hpp"\n', "reaches out of its own folder"),
    ("src/ssh/d2.cpp", '#include "evp.hpp"\n', "private headers stay private"),
    ("peer/d.cpp", '#include "tunnel/proxy.hpp"\n', "belongs to the room tunnel"),
    ("peer/tunnel/proxy.hpp", "#pragma once\n", None),
    ("peer/e.cpp", "auto now = std::chrono::steady_clock::now();\n", "only src/io reads a clock"),
    ("peer/e2.cpp", "co_await x;\n", "no coroutines"),
    ("src/odd/e.cpp", "\n", "this folder is no room"),
    ("include/streamkit/peer/f.hpp", "#include <fmt/format.h>\n", "public header may not include"),
    ("include/streamkit/io/f.hpp", "#include <asio.hpp>\n", "public header may not include"),
    ("include/streamkit/io/f2.hpp", '#include "stream.hpp"\n', "not \"stream.hpp\""),
    ("include/streamkit/odd/f.hpp", "\n", "no room is called odd"),
]


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for path, text, _ in SAMPLES:
            root.joinpath(path).parent.mkdir(parents=True, exist_ok=True)
            root.joinpath(path).write_text(text, encoding="utf-8")
        problems, _ = check_tree(root)
        wrong = 0
        for path, _, expected in SAMPLES:
            got = [p for p in problems if p.startswith(path + ":")]
            good = not got if expected is None else len(got) == 1 and expected in got[0]
            if not good:
                wrong += 1
                print(f"{path}: expected {expected!r}, got {got}")
    print(f"self-test: {len(SAMPLES)} samples, {wrong} wrong")
    return 1 if wrong else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    problems, seen = check_tree(pathlib.Path(sys.argv[1]))
    for problem in problems:
        print(problem)
    print(f"{seen} files, {len(problems)} violations")
    return 1 if problems or seen == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
