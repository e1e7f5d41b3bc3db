#!/usr/bin/env python3
"""Tests that counts.py notices what it should. Nothing is counted here.

usage: counts_test.py
"""

import contextlib
import io
import json
import pathlib
import tempfile
import unittest

import counts

HERE = {"valgrind": "valgrind-1", "libcrypto": "OpenSSL 3", "cpu": "x86-64"}
KEPT = {
    "environment": HERE,
    "paths": {
        "seal": {"instructions": 1000, "allocations": 2.0, "system_calls": 3.0},
        "open": {"instructions": 2000, "allocations": 0.0, "system_calls": 0.0},
    },
}
KNOWN = ["seal", "open"]
STRACE = """% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 68.01    0.055912           6      8029           futex
 15.45    0.009140           2      4015         7 sendmsg
  0.01    0.000002           1        30           read
------ ----------- ----------- --------- --------- ----------------
100.00    0.059144           4     12074         7 total
"""


def results(**changes):
    """What KEPT has, with seal__instructions=1100 and the like changed."""
    made = json.loads(json.dumps(KEPT["paths"]))
    for name, count in changes.items():
        path, unit = name.split("__")
        made[path][unit] = count
    return made


class CountsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = pathlib.Path(folder.name) / "expected.json"
        self.file.write_text(json.dumps(KEPT))

    def judge(self, measured, environment=None, known=None, accept=False):
        """The exit code, and what was printed."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            code = counts.judge(self.file, measured, HERE if environment is None else environment, known or KNOWN, [],
                                accept)
        return code, said.getvalue()

    def kept(self):
        return json.loads(self.file.read_text())

    def test_passes_when_nothing_changed(self):
        code, said = self.judge(results())
        self.assertEqual(code, 0)
        for word in ("WORSE", "better", "notice"):
            self.assertNotIn(word, said)

    def test_lets_pass_what_is_within_the_tolerance(self):
        near = results(seal__instructions=1050, seal__allocations=2.05, seal__system_calls=3.46, open__system_calls=0.02,
                       open__allocations=0.01)
        self.assertEqual(self.judge(near)[0], 0)

    def test_reports_a_regression_of_each_count(self):
        for change in ({"seal__instructions": 1051}, {"seal__allocations": 2.06}, {"seal__system_calls": 3.48},
                       {"open__allocations": 0.02}, {"open__system_calls": 0.06}):
            code, said = self.judge(results(**change))
            self.assertEqual(code, 1, change)
            self.assertEqual(said.count("WORSE"), 1, change)
            self.assertIn("./run counts --accept", said)
        self.assertIn("1.500", self.judge(results(seal__instructions=1500))[1])

    def test_tells_an_improvement_and_passes(self):
        for change in ({"seal__instructions": 900}, {"seal__allocations": 0.0}, {"seal__system_calls": 1.0}):
            code, said = self.judge(results(**change))
            self.assertEqual(code, 0, change)
            self.assertIn("better", said)
            self.assertIn("./run counts --accept", said)

    def test_accept_writes_what_was_measured(self):
        code, _ = self.judge(results(seal__instructions=5000), accept=True)
        self.assertEqual(code, 0)
        self.assertEqual(self.kept()["paths"]["seal"]["instructions"], 5000)
        self.assertEqual(self.judge(results(seal__instructions=5000))[0], 0)
        self.assertEqual(self.judge(results(seal__instructions=5300))[0], 1)

    def test_writes_nothing_unless_told(self):
        before = self.file.read_bytes()
        self.judge(results(seal__instructions=5000))
        self.assertEqual(self.file.read_bytes(), before)

    def test_a_path_without_kept_numbers_fails_until_it_is_accepted(self):
        measured = {**results(), "ping": {"allocations": 1.0}}
        known = [*KNOWN, "ping"]
        code, said = self.judge(measured, known=known)
        self.assertEqual((code, "NEW" in said), (1, True))
        self.judge(measured, known=known, accept=True)
        self.assertEqual(self.judge(measured, known=known)[0], 0)

    def test_a_kept_path_that_is_gone_fails_until_that_is_accepted(self):
        measured = {"seal": results()["seal"]}
        code, said = self.judge(measured, known=["seal"])
        self.assertEqual((code, "GONE" in said), (1, True))
        self.judge(measured, known=["seal"], accept=True)
        self.assertEqual(list(self.kept()["paths"]), ["seal"])

    def test_a_path_that_was_not_asked_for_is_not_gone_and_stays(self):
        measured = {"seal": results()["seal"]}
        self.assertEqual(self.judge(measured)[0], 0)
        self.judge(measured, accept=True)
        self.assertEqual(self.kept(), KEPT)

    def test_compares_instructions_in_the_environment_they_were_kept_in_only(self):
        elsewhere = {**HERE, "libcrypto": "OpenSSL 4"}
        code, said = self.judge(results(seal__instructions=9000), environment=elsewhere)
        self.assertEqual(code, 0)
        self.assertIn("libcrypto: kept with OpenSSL 3, here OpenSSL 4", said)
        self.assertEqual(self.judge(results(seal__allocations=9.0), environment=elsewhere)[0], 1)

    def test_does_not_mix_numbers_of_two_environments(self):
        elsewhere = {**HERE, "libcrypto": "OpenSSL 4"}
        with self.assertRaises(ValueError):
            self.judge({"seal": results()["seal"]}, environment=elsewhere, accept=True)
        self.assertEqual(self.kept(), KEPT)
        self.judge(results(), environment=elsewhere, accept=True)
        self.assertEqual(self.kept()["environment"], elsewhere)

    def test_what_could_not_be_counted_here_keeps_its_numbers(self):
        without = {path: {"allocations": 1.0} for path in KNOWN}
        self.judge(without, environment={}, accept=True)
        self.assertEqual(self.kept()["paths"]["seal"], {"instructions": 1000, "allocations": 1.0, "system_calls": 3.0})
        self.assertEqual(self.kept()["environment"], HERE)

    def test_reads_the_table_of_strace_without_futex(self):
        self.assertEqual(counts.total_of_strace(STRACE), 4015 + 30)
        with self.assertRaises(RuntimeError):
            counts.total_of_strace("nothing was traced\n")


class ExpectedTest(unittest.TestCase):
    def test_the_kept_file_has_numbers_of_each_kind(self):
        kept = counts.load(counts.EXPECTED)
        self.assertTrue(kept["environment"])
        for unit in counts.UNITS:
            self.assertTrue([p for p, c in kept["paths"].items() if unit in c], unit)
        self.assertTrue(all(c > 0 for p in kept["paths"].values() for u, c in p.items() if u == "instructions"))


if __name__ == "__main__":
    unittest.main()
