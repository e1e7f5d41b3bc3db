#!/usr/bin/env python3
"""Runs the tests of the SSH and channel rooms and says which of their lines were reached.

usage: coverage.py --build BUILD_FOLDER [--missed]

BUILD_FOLDER was built by GCC with --coverage. --missed lists the lines that were not reached. Sources only: the lines of
headers are counted where the linker took them from. A closing brace is no line: what GCC puts there runs when memory has
run out, which is for the tests of tests/security. Exits 1 when a file of the two rooms is below 95 %.
"""

from __future__ import annotations

import argparse
import collections
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROOMS = ("src/ssh", "channel")
PROGRAMS = ("tests/ssh/ssh_test", "tests/channel/channel_test")
LEAST = 95  # percent of the lines of a file
PATIENCE = 1800  # seconds that one program may take


def run_tests(build):
    for old in build.rglob("*.gcda"):
        old.unlink()
    for program in PROGRAMS:
        subprocess.run([build / program, "--gtest_brief=1"], check=True, timeout=PATIENCE)


def count_lines(build):
    """{file: {line: times}} of the two rooms."""
    counts = collections.defaultdict(lambda: collections.defaultdict(int))
    for room in ROOMS:
        for data in sorted((build / room).rglob("*.gcda")):
            done = subprocess.run(["gcov", "--json-format", "--stdout", data], cwd=build, check=True, capture_output=True)
            for file in json.loads(done.stdout)["files"]:
                path = (build / file["file"]).resolve()
                if path.suffix != ".cpp" or not path.is_relative_to(ROOT / room):
                    continue
                text = path.read_text().splitlines()
                for line in file["lines"]:
                    if text[line["line_number"] - 1].strip() == "}":
                        continue
                    counts[str(path.relative_to(ROOT))][line["line_number"]] += line["count"]
    return counts


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--missed", action="store_true", help="list the lines that were not reached")
    asked = parser.parse_args(arguments)
    build = asked.build.resolve()
    run_tests(build)
    all_lines, all_missed, short = collections.Counter(), collections.Counter(), []
    for file, lines in sorted(count_lines(build).items()):
        missed = [number for number, times in sorted(lines.items()) if times == 0]
        reached = 100 * (len(lines) - len(missed)) / len(lines)
        print(f"{file:<32} {len(lines):>5} lines {reached:>6.1f} %")
        if reached < LEAST:
            short.append(file)
        if asked.missed and missed:
            print(f"{'':33}{', '.join(map(str, missed))}")
        room = file.rpartition("/")[0]
        all_lines[room] += len(lines)
        all_missed[room] += len(missed)
    for room in ROOMS:
        reached = 100 * (all_lines[room] - all_missed[room]) / all_lines[room]
        print(f"{room:<32} {all_lines[room]:>5} lines {reached:>6.1f} %")
    if short:
        print(f"below {LEAST} %: {', '.join(short)}", file=sys.stderr)
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
