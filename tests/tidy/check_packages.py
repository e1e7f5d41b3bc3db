#!/usr/bin/env python3
"""Checks third_party/packages.txt: four columns, known groups, each package once, sorted in its group;
behind a name, in brackets, the architectures that have it.

usage: check_packages.py ROOT
"""

import pathlib
import re
import sys

GROUPS = ["build", "test", "clang", "go", "bench", "interop", "ci"]
NAME = re.compile(r"^([a-z0-9][a-z0-9+.-]+)( \[[a-z0-9-]+( [a-z0-9-]+)*\])?$")
STARTS_A_DAEMON = {"nginx-light": "bench", "openssh-server": "interop", "tinysshd": "interop"}  # the only group that it is allowed in


def main():
    path = pathlib.Path(sys.argv[1]) / "third_party" / "packages.txt"
    problems, seen, last = [], set(), ("", "")
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        columns = [c.strip() for c in line.split("|")]
        if len(columns) != 4 or not all(columns):
            problems.append(f"{number}: not `package | group | licence | why`")
            continue
        package, group, _, _ = columns
        if name := NAME.match(package):
            package = name.group(1)
        else:
            problems.append(f"{number}: {package} is no name of a package")
        if package in seen:
            problems.append(f"{number}: {package} is listed twice")
        if group not in GROUPS:
            problems.append(f"{number}: no group is called {group}")
        elif last[0] in GROUPS and GROUPS.index(group) < GROUPS.index(last[0]):
            problems.append(f"{number}: the groups are not in order")
        if group == last[0] and package < last[1]:
            problems.append(f"{number}: {package} is not in alphabetical order")
        if group != STARTS_A_DAEMON.get(package, group):
            problems.append(f"{number}: {package} starts a daemon: {STARTS_A_DAEMON[package]} only")
        seen.add(package)
        last = (group, package)
    for problem in problems:
        print(f"{path}:{problem}")
    print(f"{len(seen)} packages, {len(problems)} problems")
    return 1 if problems or not seen else 0


if __name__ == "__main__":
    sys.exit(main())
