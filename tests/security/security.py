#!/usr/bin/env python3
"""Runs the tests of the security rules of rules.json, and says for each rule how it stands.

usage: security.py --build BUILD_FOLDER [--json | --check]

A rule's tests are those whose names begin with its number: `a12_...`; `c5_c6_...` belongs to two. A rule has passed
when one of its tests has, and none failed. Exits 0 only if all rules have. --check runs nothing: it looks whether
every rule has a test or is marked as not built, and no test has a number that is no rule.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

RULES = pathlib.Path(__file__).with_name("rules.json")
NUMBERED = re.compile(r"((?:[abc]\d+_)+)[a-z]")
PATIENCE = 900  # seconds that one program may take


def numbers_of(test):
    """`Suite.a1_b2_words/0` -> ["A1", "B2"]."""
    found = NUMBERED.match(test.split(".", 1)[1])
    return found[1].rstrip("_").upper().split("_") if found else []


def parse_list(listing):
    """What --gtest_list_tests prints, as full names."""
    suite, names = "", []
    for line in listing.splitlines():
        name = line.split("#")[0].rstrip()
        if not name.startswith(" "):
            suite = name if name.endswith(".") else ""
        elif suite:
            names.append(suite + name.strip())
    return names


def list_tests(program):
    done = subprocess.run([program, "--gtest_list_tests"], capture_output=True, text=True, check=True, timeout=PATIENCE)
    return [test for test in parse_list(done.stdout) if numbers_of(test)]


def programs(build):
    return sorted(path for path in (build / "tests").glob("*/*_test") if os.access(path, os.X_OK) and path.is_file())


def run_tests(program, tests):
    """{test: "passed", "failed" or "skipped"}; a test of which nothing is heard has failed."""
    results = dict.fromkeys(tests, "failed")
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder, "report.json")
        try:
            subprocess.run([program, f"--gtest_filter={':'.join(tests)}", f"--gtest_output=json:{report}"], check=False,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=PATIENCE, cwd=folder)
        except subprocess.TimeoutExpired:
            pass
        if report.exists():
            for suite in json.loads(report.read_text())["testsuites"]:
                for test in suite["testsuite"]:
                    words = "failed" if test.get("failures") else "skipped" if test["result"] == "SKIPPED" else "passed"
                    results[f"{suite['name']}.{test['name']}"] = words
    return results


def judge(rules, results):
    """A row for each rule; `results` is {test: result}."""
    rows = []
    for rule in rules:
        tests = {test: words for test, words in sorted(results.items()) if rule["number"] in numbers_of(test)}
        words = set(tests.values())
        if "failed" in words:
            result = "FAILED"
        elif "passed" in words:
            result = "passed"
        elif words:
            result = "skipped"
        else:
            result = "not built" if rule.get("not_built") else "NO TEST"
        rows.append({"number": rule["number"], "rule": rule["rule"], "result": result,
                     "tests": [{"name": test, "result": words} for test, words in tests.items()]})
    return rows


def problems(rules, tests):
    """What --check complains about."""
    known = {rule["number"] for rule in rules}
    found = {number for test in tests for number in numbers_of(test)}
    unbuilt = {rule["number"] for rule in rules if rule.get("not_built")}
    said = [f"{number} has no test" for number in sorted(known - found - unbuilt)]
    said += [f"{number} has tests: take its not_built away" for number in sorted(unbuilt & found)]
    return said + [f"{number} of a test is no rule in {RULES.name}" for number in sorted(found - known)]


def table(rows):
    lines = []
    for row in rows:
        lines.append(f"{row['number']:<4}{row['result']:<10}{row['rule']}")
        lines += [f"{'':14}{test['name']}{'' if test['result'] == 'passed' else '  ' + test['result'].upper()}"
                  for test in row["tests"]]
    passed = sum(row["result"] == "passed" for row in rows)
    lines.append(f"{passed} of {len(rows)} rules have passed"
                 + "".join(f", {count} {words}" for words in ("FAILED", "NO TEST", "skipped", "not built")
                           if (count := sum(row["result"] == words for row in rows))))
    return "\n".join(lines)


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True, help="folder of the build that is tested")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print the rows as JSON")
    how.add_argument("--check", action="store_true", help="only look whether every rule has a test")
    asked = parser.parse_args(arguments)
    rules = json.loads(RULES.read_text())
    lists = {program: tests for program in programs(asked.build.resolve()) if (tests := list_tests(program))}
    if asked.check:
        said = problems(rules, [test for tests in lists.values() for test in tests])
        print("\n".join(said) or f"{len(rules)} rules, {sum(map(len, lists.values()))} tests")
        return 1 if said else 0
    results = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for some in pool.map(run_tests, lists.keys(), lists.values()):
            results.update(some)
    rows = judge(rules, results)
    print(json.dumps(rows, indent=2) if asked.json else table(rows))
    return 0 if all(row["result"] == "passed" for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
