#!/usr/bin/env python3
"""Tests that interop.py makes of the tests' reports what it should. No test of interoperability runs here.

usage: interop_test.py
"""

import contextlib
import io
import json
import os
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

import interop


def test(name, result="COMPLETED", failures=(), **properties):
    made = {"name": name, "result": result, "time": "0.5s", **properties}
    if failures:
        made["failures"] = [{"failure": text} for text in failures]
    return made


def cell(name, implementation, value, role="client", column="kex", **more):
    return test(name, implementation=implementation, role=role, column=column, value=value, **more)


def report(*tests):
    return {"testsuites": [{"name": "Suite", "testsuite": list(tests)}]}


class CellsTest(unittest.TestCase):
    def results(self, *tests):
        cells, others = interop.cells_of(report(*tests))
        return {(c.implementation, c.value): (c.result, c.reason) for c in cells}, others

    def test_each_result_is_told_from_the_others(self):
        results, others = self.results(
            cell("a", "Go", "x"), cell("b", "Go", "y", failures=["somewhere:1\nnot equal"]),
            cell("c", "Go", "z", not_supported="has none"),
            cell("d", "Putty", "x", result="SKIPPED", missing="no plink here: install putty-tools"))
        self.assertEqual(results, {("Go", "x"): ("passed", ""), ("Go", "y"): ("failed", "not equal"),
                                   ("Go", "z"): ("not supported", "has none"),
                                   ("Putty", "x"): ("skipped", "no plink here: install putty-tools")})
        self.assertEqual(others, [])

    def test_a_failure_weighs_more_than_not_supported(self):
        results, _ = self.results(cell("a", "Go", "x", not_supported="has none", failures=["boom"]))
        self.assertEqual(results[("Go", "x")], ("failed", "boom"))

    def test_one_test_may_be_several_cells(self):
        results, _ = self.results(cell("a", "Go", "exit status, error lane"))
        self.assertEqual(set(results), {("Go", "exit status"), ("Go", "error lane")})

    def test_tests_that_are_no_cells_count_when_they_fail(self):
        _, others = self.results(test("fine"), test("broken", failures=["boom"]))
        self.assertEqual(others, ["Suite.broken: boom"])

    def test_a_value_must_have_passed_in_both_roles(self):
        cells, _ = interop.cells_of(report(cell("a", "Go", "x"), cell("b", "Go", "y"),
                                           cell("c", "Go", "x", role="server", not_supported="has none"),
                                           cell("d", "Go", "y", role="server")))
        self.assertEqual(interop.not_passed(cells, "x"), ["nobody passed with x as a server"])
        self.assertEqual(interop.not_passed(cells, "y"), [])

    def test_a_row_without_a_test_for_a_value_has_a_hole(self):
        cells, _ = interop.cells_of(report(cell("a", "Go", "x"), cell("b", "Putty", "x"), cell("c", "Putty", "y")))
        found = [c for c in interop.with_holes(cells, whole=False) if c.result == "untested"]
        self.assertEqual([(c.implementation, c.value) for c in found], [("Go", "y")])

    def test_a_row_without_any_test_says_what_it_needs(self):
        cells, _ = interop.cells_of(report(cell("a", "Go", "x")))
        reasons = {(c.implementation, c.role): c.reason for c in interop.with_holes(cells, whole=True)
                   if c.result == "skipped"}
        self.assertEqual(reasons[("Libssh", "client")], "install libssh-dev")
        self.assertNotIn(("Go", "client"), reasons)
        self.assertNotIn(("TinySsh", "client"), reasons)


class TableTest(unittest.TestCase):
    def test_columns_and_values_are_in_the_order_of_the_first_row(self):
        cells, _ = interop.cells_of(report(cell("a", "Putty", "y", column="service"), cell("b", "Putty", "z"),
                                           cell("c", "OpenSsh", "x"), cell("d", "OpenSsh", "z")))
        self.assertEqual([(c.column, c.value) for c in sorted(cells, key=interop.order)],
                         [("kex", "x"), ("kex", "z"), ("kex", "z"), ("service", "y")])

    def test_a_table_has_a_line_for_each_row_and_says_why(self):
        cells, others = interop.cells_of(report(
            cell("a", "Go", "curve25519-sha256"), cell("b", "Go", "ecdh-sha2-nistp256"),
            cell("c", "Dropbear", "curve25519-sha256", not_supported="does not offer it"),
            cell("d", "Dropbear", "ecdh-sha2-nistp256", failures=["boom"])))
        text = interop.render(cells, others)
        lines = text.splitlines()
        self.assertIn("Clients that log in to us: kex", lines)
        self.assertTrue(any(line.split() == ["x/crypto/ssh", "ok", "ok"] for line in lines), text)
        self.assertTrue(any(line.split() == ["Dropbear", "-", "1", "FAILED"] for line in lines), text)
        self.assertIn("  1  does not offer it", lines)
        self.assertIn("  Suite.d (Dropbear, client, kex ecdh-sha2-nistp256): boom", lines)
        self.assertEqual(lines[-1], "2 passed, 1 failed, 1 not supported, 0 skipped, 0 untested")

    def test_a_heading_is_broken_where_it_is_long(self):
        self.assertEqual(interop.heading("ecdh-sha2-nistp256"), ["nistp256"])
        self.assertEqual(interop.heading("unknown type of channel"), ["unknown", "type of", "channel"])


class RunTest(unittest.TestCase):
    """The whole command, with a program in place of interop_test."""

    def run_with(self, script, *arguments):
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder) / "tests/interop/interop_test"
            program.parent.mkdir(parents=True)
            program.write_text(f"#!{sys.executable}\nimport json, os, sys\n{script}\n")
            program.chmod(0o755)
            out, err = io.StringIO(), io.StringIO()
            with mock.patch.object(sys, "argv", ["interop.py", "--build", folder, "--jobs", "2", *arguments]), \
                    contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    code = interop.main()
                except SystemExit as end:
                    code = end.code
            return code, out.getvalue()

    REPORTS = ("path = [a for a in sys.argv if a.startswith('--gtest_output')][0].split(':', 1)[1]\n"
               "shard = os.environ['GTEST_SHARD_INDEX']\n")

    def script_of(self, *shards):
        return self.REPORTS + f"open(path, 'w').write({[json.dumps(s) for s in shards]!r}[int(shard)])"

    def test_the_exit_code_tells_whether_a_cell_failed(self):
        good, bad = cell("a", "Go", "x"), cell("b", "Go", "y", failures=["boom"])
        self.assertEqual(self.run_with(self.script_of(report(good), report()))[0], 0)
        self.assertEqual(self.run_with(self.script_of(report(good), report(bad)))[0], 1)

    def test_json_lists_the_cells_of_all_processes(self):
        script = self.script_of(report(cell("a", "Go", "x")), report(cell("b", "Go", "y")))
        code, out = self.run_with(script, "--json", "Go")
        self.assertEqual(code, 0)
        self.assertEqual([(c["implementation"], c["value"], c["result"]) for c in json.loads(out)],
                         [("Go", "x", "passed"), ("Go", "y", "passed")])

    def test_a_process_that_dies_is_a_failure(self):
        script = self.REPORTS + f"""if shard == '1': os._exit(139)
open(path, 'w').write({json.dumps(report(cell("a", "Go", "x")))!r})"""
        code, out = self.run_with(script)
        self.assertEqual(code, 1)
        self.assertIn("process 1 of 2 ended without a report", out)

    def test_no_cell_at_all_is_a_failure(self):
        self.assertTrue(self.run_with(self.script_of(report(), report()), "nobody")[0])


if __name__ == "__main__":
    os.chdir(pathlib.Path(__file__).parent)
    unittest.main()
