#!/usr/bin/env python3
"""Runs every row of one runner with very little work, and checks what it prints.

usage: smoke.py RUNNER

Exits with 77 when every row was skipped, which ctest calls a skipped test.
"""

import json
import math
import subprocess
import sys

SCALE = "0.002"
UNITS = {"MB/s", "GB/s", "M/s", "frames/s", "channels/s", "connects/s", "req/s", "us", "KiB"}
LESS_IS_BETTER = {"us", "KiB"}
ROW_SECONDS = 60
SKIPPED = 77
WHAT_TO_DO = ("install", "run it as root", "this kernel does not let")


def run(words):
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=ROW_SECONDS)


def problem_of(asked, done):
    """What is wrong with the answer to one row, or None."""
    if done.returncode != 0:
        return f"exit code {done.returncode}: {done.stderr.strip()}"
    lines = done.stdout.splitlines()
    if len(lines) != 1:
        return f"{len(lines)} lines instead of one"
    answer = json.loads(lines[0])
    if any(answer.get(key) != asked[key] for key in ("row", "subject", "variant")):
        return f"another row: {answer}"
    if "skipped" in answer:
        return None if any(words in answer["skipped"] for words in WHAT_TO_DO) else f"does not say what to do: {answer}"
    numbers = [key for key, value in answer.items() if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if "value" not in numbers or not all(math.isfinite(answer[key]) for key in numbers):
        return f"no number: {answer}"
    if answer["unit"] != asked["unit"] or answer["unit"] not in UNITS:
        return f"another unit: {answer}"
    if answer["unit"] != "KiB" and not all(answer[key] > 0 for key in numbers if key != "cpu_s_per_gb"):
        return f"nothing was measured: {answer}"
    if answer["higher_is_better"] is not (answer["unit"] not in LESS_IS_BETTER):
        return f"the wrong way round: {answer}"
    return None


def main():
    runner = sys.argv[1]
    listed = run([runner, "--list"])
    rows = [json.loads(line) for line in listed.stdout.splitlines()]
    if listed.returncode != 0 or not rows:
        print(f"{runner} --list: exit code {listed.returncode}, {len(rows)} rows")
        return 1
    if "skipped" in rows[0]:
        print(rows[0]["skipped"])
        return SKIPPED
    problems, skipped = 0, 0
    for asked in rows:
        done = run([runner, asked["row"], "--variant", asked["variant"], "--scale", SCALE])
        problem = problem_of(asked, done)
        problems += problem is not None
        skipped += problem is None and "skipped" in done.stdout
        print(f"{asked['row']} {asked['variant']}: {problem or done.stdout.strip()}")
    again = run([runner, rows[0]["row"], "--scale", SCALE, "--congestion", "reno"])
    problem = problem_of(rows[0], again)
    problems += problem is not None
    print(f"with --congestion reno: {problem or again.stdout.strip()}")
    for wrong in (["no-such-row"], [rows[0]["row"], "--scale", "-1"], []):
        if run([runner, *wrong]).returncode != 2:
            problems += 1
            print(f"{wrong}: exit code 2 was expected")
    print(f"{len(rows)} rows, {skipped} skipped, {problems} problems")
    if problems:
        return 1
    return SKIPPED if skipped == len(rows) else 0


if __name__ == "__main__":
    sys.exit(main())
