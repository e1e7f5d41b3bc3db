#!/usr/bin/env python3
"""The matrix of interoperability: who was tried, in which role, with what, and how it went.

usage: interop.py --build BUILD_FOLDER [--json] [--jobs N] [--must-pass VALUE] [WORD...]

Runs interop_test and makes tables of what its tests say about themselves: a row is an implementation in a role,
a column a value of what was tried. With WORDs, only tests whose names contain one of them, such as Dropbear or
ClientKex. --json prints a list of cells instead of tables. Exits 1 when a cell (or another test of that program)
failed, or when nobody passed with the VALUE that must pass in each role; what the other side cannot do, or what is not
installed here, is no failure.

./run interop --debian13 [--json] [WORD...] does the same in a Debian 13 that lives in a folder, for OpenSSH unless told
otherwise.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile

PATIENCE = 3600  # seconds for all of it
# Rows, in their order: the name in the tests, what people call it, and what it needs here.
ROWS = {
    "OpenSsh": ("OpenSSH", "openssh-client, openssh-server"),
    "Dropbear": ("Dropbear", "dropbear-bin"),
    "Libssh": ("libssh", "libssh-dev"),
    "Libssh2": ("libssh2", "libssh2-1-dev"),
    "Go": ("x/crypto/ssh", "golang-go, golang-golang-x-crypto-dev"),
    "Paramiko": ("Paramiko", "python3-paramiko"),
    "AsyncSsh": ("AsyncSSH", "python3-asyncssh"),
    "Putty": ("PuTTY plink", "putty-tools"),
    "TinySsh": ("TinySSH", "tinysshd, socat"),
    "Ssh2": ("npm ssh2", "nodejs, and npm's ssh2, which ./run interop fetches"),
}
ONE_ROLE = {"Libssh2": "client", "Putty": "client", "TinySsh": "server"}
ROLES = {"client": "Clients that log in to us", "server": "Servers that we log in to"}
SHOWN = {"passed": "ok", "failed": "FAILED", "not supported": "-", "skipped": "skipped", "untested": "."}
COLUMNS = ("kex", "cipher", "MAC", "host key", "login", "service", "policy", "native")
OWN_COLUMNS = ("native",)  # that concern some rows only
WIDEST = 11  # of a column's heading, which is broken where it is longer


@dataclasses.dataclass
class Cell:
    implementation: str
    role: str
    column: str
    value: str
    result: str
    reason: str = ""
    seconds: float = 0
    test: str = ""
    place: int = 0  # among all tests


def order(cell):
    """As the first row has its columns and values."""
    column = COLUMNS.index(cell.column) if cell.column in COLUMNS else len(COLUMNS)
    row = list(ROWS).index(cell.implementation) if cell.implementation in ROWS else len(ROWS)
    return column, row, cell.place


# ---------------------------------------------------------------- from what the tests said


def reason_of_failure(test):
    return "; ".join(f["failure"].strip().splitlines()[-1] for f in test.get("failures", []))[:300]


def cells_of(report, shard=0, shards=1):
    """The cells of a report of GoogleTest's, and the failed tests that are no cells."""
    cells, others = [], []
    place = shard - shards
    for suite in report["testsuites"]:
        for test in suite["testsuite"]:
            place += shards  # the tests are dealt out one after another
            name = f"{suite['name']}.{test['name']}"
            result, reason = "passed", ""
            if test.get("failures"):
                result, reason = "failed", reason_of_failure(test)
            elif test["result"] == "SKIPPED":
                result, reason = "skipped", test.get("missing", "")
            elif "not_supported" in test:
                result, reason = "not supported", test["not_supported"]
            if "implementation" not in test:
                if result == "failed":
                    others.append(f"{name}: {reason}")
                continue
            for value in test["value"].split(", "):  # a test may stand for several cells
                cells.append(Cell(test["implementation"], test["role"], test["column"], value, result, reason,
                                  float(test["time"].rstrip("s")), name, place))
    return cells, others


def run_shard(program, words, shard, shards, folder):
    report = folder / f"{shard}.json"
    chosen = ":".join(f"*{word}*" for word in words) or "*"
    env = {**os.environ, "GTEST_TOTAL_SHARDS": str(shards), "GTEST_SHARD_INDEX": str(shard)}
    done = subprocess.run([program, f"--gtest_filter={chosen}", f"--gtest_output=json:{report}", "--gtest_brief=1"],
                          env=env, capture_output=True, text=True, errors="replace", timeout=PATIENCE, check=False)
    if not report.exists():
        return None, done.stdout + done.stderr
    return json.loads(report.read_text(encoding="utf-8")), done.stdout + done.stderr


def run(program, words, jobs):
    """All cells, what else failed, and what the program said."""
    cells, others, said = [], [], []
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        shards = [pool.submit(run_shard, program, words, n, jobs, pathlib.Path(folder)) for n in range(jobs)]
        for number, shard in enumerate(shards):
            report, text = shard.result()
            said.append(text)
            if report is None:
                others.append(f"process {number} of {jobs} ended without a report: "
                              f"{(text.strip().splitlines() or ['it said nothing'])[-1]}")
                continue
            more, bad = cells_of(report, number, jobs)
            cells += more
            others += bad
    return sorted(cells, key=order), others, "".join(said)


def not_passed(cells, value):
    """A complaint for each role in which no cell of this value passed."""
    return [f"nobody passed with {value} as a {role}" for role in ROLES
            if not any(c.role == role and c.value == value and c.result == "passed" for c in cells)]


def with_holes(cells, whole):
    """The cells, and those that rows have no test for, and rows that have no test at all (when all were run)."""
    known = {(c.implementation, c.role, c.column, c.value) for c in cells}
    values = dict.fromkeys((c.role, c.column, c.value) for c in cells)
    rows = dict.fromkeys((c.implementation, c.role) for c in cells)
    out = list(cells)
    for row in rows:
        out += [Cell(*row, column, value, "untested", "no test yet") for role, column, value in values
                if role == row[1] and column not in OWN_COLUMNS and (*row, column, value) not in known]
    if whole:
        for name, (_, needs) in ROWS.items():
            for role in ROLES:
                if (name, role) in rows or ONE_ROLE.get(name, role) != role:
                    continue
                out += [Cell(name, role, column, value, "skipped", f"install {needs}")
                        for other, column, value in values if other == role and column not in OWN_COLUMNS]
    return out


# ---------------------------------------------------------------- to what people read


def heading(text):
    """The words of a heading, a line each."""
    for cut in ("@openssh.com", "ecdh-sha2-", "ecdsa-sha2-", "ssh-"):
        text = text.replace(cut, "")
    lines, line = [], ""
    for part in text.replace("-", "-\0").replace(" ", " \0").replace("@", "\0@").split("\0"):
        if line and len((line + part).rstrip()) > WIDEST:
            lines.append(line.strip())
            line = ""
        line += part
    return lines + [line.strip()]


def table(rows, values, cell_at, notes):
    headings = [heading(value) for value in values]
    widths = [max(8, *(len(line) for line in lines)) for lines in headings]
    first = max(len(row) for row in rows.values())
    out = []
    for n in range(max(len(lines) for lines in headings)):
        line = " ".join((lines[n] if n < len(lines) else "").ljust(w) for lines, w in zip(headings, widths))
        out.append(" " * (first + 2) + line.rstrip())
    for name, label in rows.items():
        words = []
        for value, width in zip(values, widths):
            cell = cell_at.get((name, value))
            word = SHOWN[cell.result] if cell else " "
            if cell and cell.result in ("not supported", "skipped"):
                word += f" {notes.setdefault(cell.reason, len(notes) + 1)}"
            words.append(word.ljust(width))
        out.append(f"{label.ljust(first)}  {' '.join(words)}".rstrip())
    return out


def render(cells, others):
    lines, notes = [], {}
    for role, title in ROLES.items():
        of_role = [c for c in cells if c.role == role]
        for column in dict.fromkeys(c.column for c in of_role):
            here = [c for c in of_role if c.column == column]
            present = {c.implementation for c in here}
            rows = {name: label for name, (label, _) in ROWS.items() if name in present}
            rows |= {name: name for name in sorted(present - set(ROWS))}
            values = list(dict.fromkeys(c.value for c in here))
            cell_at = {}
            for c in here:  # a cell with several tests is as good as the worst of them
                if (c.implementation, c.value) not in cell_at or c.result == "failed":
                    cell_at[c.implementation, c.value] = c
            lines += ["", f"{title}: {column}", ""] + table(rows, values, cell_at, notes)
    if notes:
        lines += ["", f"{SHOWN['not supported']} not supported by the other side, skipped: not here; because"]
        lines += [f"  {number}  {reason}" for reason, number in notes.items()]
    failed = [c for c in cells if c.result == "failed"]
    if failed or others:
        lines += ["", "Failed:"]
        lines += [f"  {c.test} ({c.implementation}, {c.role}, {c.column} {c.value}): {c.reason}" for c in failed]
        lines += [f"  {other}" for other in others]
    count = {result: sum(c.result == result for c in cells) for result in SHOWN}
    lines += ["", ", ".join(f"{n} {result}" for result, n in count.items())]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--must-pass", metavar="VALUE")
    parser.add_argument("words", nargs="*", metavar="WORD")
    args = parser.parse_args()
    program = str((args.build / "tests/interop/interop_test").resolve())
    cells, others, said = run(program, args.words, args.jobs)
    if not cells:
        print(said, file=sys.stderr)
        sys.exit("no test is called so" if args.words else "there are no cells")
    if args.must_pass:
        others += not_passed(cells, args.must_pass)
    cells = with_holes(cells, whole=not args.words)
    failed = bool(others) or any(c.result == "failed" for c in cells)
    if failed:
        print(said, file=sys.stderr)
    print(json.dumps([dataclasses.asdict(c) for c in cells], indent=1) if args.json else render(cells, others))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
