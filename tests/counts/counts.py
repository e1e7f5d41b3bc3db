#!/usr/bin/env python3
"""Counts what the hot paths cost, and compares with what is kept in expected.json. It knows no clock.

usage: counts.py --build BUILD_FOLDER [--accept] [--expected FILE] [PATH...]

Instructions (valgrind's callgrind), allocations (the program counts its own) and system calls (strace,
without futex and sched_yield, of which the scheduler decides how many there are), each as (count at 2N
operations - count at N operations) / N, so that starting up costs nothing. Exits 1 when a path got worse, has
no kept numbers, or is gone. --accept keeps what was measured.

Numbers of instructions are compared only where compiler, libraries, valgrind and CPU are those that they were
kept with; the others everywhere. A program that is missing, or must not trace, is told and left out; with
STREAMKIT_NO_SKIP=1 a missing program is a failure.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

EXPECTED = pathlib.Path(__file__).with_name("expected.json")
REGION = "streamkit_counted_region"
PATIENCE = 300  # seconds that one run may take
OF_THE_SCHEDULER = ("futex", "sched_yield")


@dataclasses.dataclass(frozen=True)
class Tolerance:
    part: float  # of what is expected
    slack: float  # an operation, besides

    def covers(self, expected, measured):
        return measured - expected <= expected * self.part + self.slack


TOLERANCES = {
    "instructions": Tolerance(0.05, 0),
    "allocations": Tolerance(0.02, 0.01),
    "system_calls": Tolerance(0.15, 0.02),
}
# Between threads it depends on the moment how much one of them finds to do at once.
THREADED = {
    "allocations": Tolerance(0.25, 0.5),
    "system_calls": Tolerance(0.5, 0.5),
}
# A burst leaves together as far as it is written fast enough, and who is traced writes slowly.
WITHOUT_SYSTEM_CALLS = ("peers-64-frames-1KiB",)
UNITS = tuple(TOLERANCES)


def tolerance_of(path, unit):
    return (THREADED if path.startswith("peers-") else TOLERANCES)[unit]


@dataclasses.dataclass(frozen=True)
class Path:
    name: str
    operations: int
    has_instructions: bool
    is_available: bool


class Skipped(Exception):
    """Something cannot be counted here; the text says what and why."""


# --- counting -----------------------------------------------------------------------------------


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))} exited with {done.returncode}:\n{done.stderr[-2000:]}")
    return done


class Program:
    def __init__(self, binary):
        self.binary = str(binary)

    def paths(self):
        rows = (line.split() for line in run(self.binary, "--list").stdout.splitlines())
        return [Path(name, int(n), how == "instructions", here == "available") for name, n, how, here in rows]

    def allocations(self, name, operations):
        return int(re.search(r"^allocations (\d+)", run(self.binary, name, str(operations)).stdout, re.M)[1])

    def instructions(self, name, operations):
        done = run("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", f"--toggle-collect={REGION}",
                   self.binary, name, str(operations))
        return int(re.search(r"Collected : (\d+)", done.stderr)[1])

    def system_calls(self, name, operations):
        with tempfile.NamedTemporaryFile("r") as out:
            run("strace", "-f", "-c", "-o", out.name, self.binary, name, str(operations))
            return total_of_strace(out.read())

    def environment(self):
        """Under valgrind, because that is where instructions are counted."""
        said = run("valgrind", "--tool=none", self.binary, "--environment").stdout
        found = dict(line.split(" ", 1) for line in said.splitlines())
        found["valgrind"] = run("valgrind", "--version").stdout.strip()
        found["architecture"] = platform.machine()
        return found


def total_of_strace(table):
    """Adds up the calls of `strace -c`, without those of which the scheduler decides how many there are."""
    rows = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?([a-z]\w*)$", table, re.M)
    if not rows:
        raise RuntimeError(f"strace said something else than a table:\n{table[:2000]}")
    return sum(int(calls) for calls, name in rows if name not in ("total", *OF_THE_SCHEDULER))


def per_operation(count, path):
    n = path.operations
    return round((count(path.name, 2 * n) - count(path.name, n)) / n, 3)


def settled(count, path):
    """Several threads may run a little differently each time."""
    times = 1 if path.has_instructions else 3
    return statistics.median(per_operation(count, path) for _ in range(times))


def need_valgrind():
    if not shutil.which("valgrind"):
        raise Skipped("instructions are not counted: apt-get install valgrind")


def need_strace():
    if not shutil.which("strace"):
        raise Skipped("system calls are not counted: apt-get install strace")
    if subprocess.run(["strace", "-f", "-c", "-o", os.devnull, "true"], capture_output=True, check=False).returncode:
        raise Skipped("system calls are not counted: this machine lets nobody trace (ptrace)")


def measure(program, paths, notices):
    """{path: {unit: count an operation}} and the environment, which is empty when no instruction was counted."""
    results = {path.name: {} for path in paths if path.is_available}
    notices += [f"{path.name} is left out: this CPU, or this build, has no such AES-GCM"
                for path in paths if not path.is_available]
    here = [path for path in paths if path.is_available]
    environment = {}
    try:
        need_valgrind()
        environment = program.environment()
        counted = [path for path in here if path.has_instructions]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for path, count in zip(counted, pool.map(lambda p: per_operation(program.instructions, p), counted)):
                results[path.name]["instructions"] = round(count)
    except Skipped as why:
        notices.append(str(why))
    for path in here:
        results[path.name]["allocations"] = per_operation(program.allocations, path)
    try:
        need_strace()
        for path in here:
            if path.name in WITHOUT_SYSTEM_CALLS:
                continue
            results[path.name]["system_calls"] = settled(program.system_calls, path)
    except Skipped as why:
        notices.append(str(why))
    return results, environment


# --- comparing ----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Row:
    path: str
    unit: str
    expected: float | None
    measured: float | None
    verdict: str  # same, better, WORSE, NEW, GONE, not compared

    @property
    def is_failure(self):
        return self.verdict.isupper()


def verdict(path, unit, expected, measured, is_comparable):
    if expected is None:
        return "NEW"
    if not is_comparable:
        return "not compared"
    tolerance = tolerance_of(path, unit)
    if not tolerance.covers(expected, measured):
        return "WORSE"
    return "same" if tolerance.covers(measured, expected) else "better"


def compare(kept, results, environment, known):
    """A row for each number; `known` are the names of all paths that the program has."""
    same_environment = environment == kept["environment"]
    rows = []
    for path, counts in results.items():
        for unit, measured in counts.items():
            expected = kept["paths"].get(path, {}).get(unit)
            comparable = same_environment or unit != "instructions"
            rows.append(Row(path, unit, expected, measured, verdict(path, unit, expected, measured, comparable)))
    rows += [Row(path, unit, count, None, "GONE")
             for path, counts in kept["paths"].items() if path not in known for unit, count in counts.items()]
    return rows


def differences(kept, found):
    return [f"{what}: kept with {kept.get(what, 'none')}, here {found.get(what, 'none')}"
            for what in sorted(kept.keys() | found.keys()) if kept.get(what) != found.get(what)]


def accepted(kept, results, environment, known):
    """What is kept from now on. What was not counted this time stays."""
    if environment and environment != kept["environment"]:
        left = [path for path, counts in kept["paths"].items()
                if "instructions" in counts and path in known and "instructions" not in results.get(path, {})]
        if left:
            raise ValueError("the numbers of instructions were kept in another environment: accept all paths at once")
    paths = {path: counts for path, counts in kept["paths"].items() if path in known}
    for path, counts in results.items():
        paths[path] = {**paths.get(path, {}), **counts}
    order = {name: i for i, name in enumerate(known)}
    return {"environment": environment or kept["environment"],
            "paths": {path: {unit: paths[path][unit] for unit in UNITS if unit in paths[path]}
                      for path in sorted(paths, key=order.__getitem__)}}


def number(count):
    return "-" if count is None else f"{count:,.0f}" if count >= 1000 else f"{count:g}"


def table(rows):
    lines = [f"{'an operation of':<21} {'count':<13} {'expected':>10} {'measured':>10} {'ratio':>6}"]
    for row in rows:
        ratio = f"{row.measured / row.expected:.3f}" if row.expected and row.measured is not None else "-"
        lines.append(f"{row.path:<21} {row.unit:<13} {number(row.expected):>10} {number(row.measured):>10} {ratio:>6}"
                     f"{'' if row.verdict == 'same' else '  ' + row.verdict}")
    return "\n".join(lines)


def load(file):
    return json.loads(file.read_text()) if file.exists() else {"environment": {}, "paths": {}}


def judge(file, results, environment, known, notices, accept):
    """Prints, and writes `file` if asked. The exit code."""
    kept = load(file)
    rows = compare(kept, results, environment, known)
    print(table(rows))
    if environment and kept["environment"] and environment != kept["environment"]:
        notices.append("instructions are not compared, only shown: "
                       + "; ".join(differences(kept["environment"], environment)))
    for notice in notices:
        print(f"notice: {notice}")
    if accept:
        file.write_text(json.dumps(accepted(kept, results, environment, known), indent=2) + "\n")
        print(f"kept in {file.name}")
        return 0
    failures = [row for row in rows if row.is_failure]
    if any(row.verdict == "better" for row in rows):
        print("some paths got better: `./run counts --accept` keeps that")
    if failures:
        print(f"{len(failures)} counts are not as expected. If that is on purpose: ./run counts --accept")
    return 1 if failures else 0


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True, help="folder of the build that is counted")
    parser.add_argument("--accept", action="store_true", help="keep what was measured")
    parser.add_argument("--expected", type=pathlib.Path, default=EXPECTED, help="where numbers are kept")
    parser.add_argument("path", nargs="*", help="count these only (default: all)")
    asked = parser.parse_args(arguments)
    program = Program(asked.build / "tests" / "counts" / "hot_paths")
    paths = program.paths()
    known = [path.name for path in paths]
    if unknown := set(asked.path) - set(known):
        parser.error(f"no path is called {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    missing = [tool for tool in ("valgrind", "strace") if not shutil.which(tool)]
    if missing and os.environ.get("STREAMKIT_NO_SKIP") == "1":
        print(f"counts are not skipped here: apt-get install {' '.join(missing)}", file=sys.stderr)
        return 1
    notices = []
    results, environment = measure(program, [p for p in paths if not asked.path or p.name in asked.path], notices)
    return judge(asked.expected, results, environment, known, notices, asked.accept)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (ValueError, RuntimeError) as error:
        sys.exit(f"counts.py: {error}")
