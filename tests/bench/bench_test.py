#!/usr/bin/env python3
"""Tests `streamkit bench` and bench.py with very little work; no figure is judged, only that it is there.

usage: bench_test.py PROGRAM [TEST...]
"""

import json
import math
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM = pathlib.Path(sys.argv.pop(1)).resolve()
HERE = pathlib.Path(__file__).resolve().parent
TINY = "0.0005"
# A row whose smallest work is more than that.
SCALES = {"delay-100ms": "0.004", "stream": "0.002", "ping-beside-bulk": "0.002"}
RUN_SECONDS = 120

sys.path.insert(0, str(HERE))
import report  # noqa: E402  (after the path is set)
import targets  # noqa: E402


def bench(*words):
    return subprocess.run([PROGRAM, "bench", *words], capture_output=True, text=True, check=False, timeout=RUN_SECONDS)


def entries():
    return [json.loads(line) for line in bench("--list").stdout.splitlines()]


class EveryRow(unittest.TestCase):
    """Each compares, in the program, what one side sent with what the other counted; a difference is exit code 1."""

    def check(self, entry, run):
        self.assertEqual({k: run[k] for k in ("row", "subject", "variant")}, {k: entry[k] for k in ("row", "subject", "variant")})
        if "skipped" in run:
            self.assertNotEqual(run["skipped"], "")
            return
        self.assertEqual(run["unit"], entry["unit"])
        self.assertEqual(run["higher_is_better"], entry["unit"] not in ("us", "KiB"))
        self.assertTrue(math.isfinite(run["value"]))
        if entry["unit"] != "KiB":  # very few idle ones may fit in what was there
            self.assertGreater(run["value"], 0)
        if entry["unit"] == "us":
            self.assertLessEqual(run["p50_us"], run["p99_us"])
        if entry["row"] == "stream":
            self.assertGreaterEqual(run["cpu_s_per_gb"], 0)
        if entry["row"] == "ping-beside-bulk":
            self.assertGreater(run["bulk_mb_s"], 0)

    def test_answers_with_one_line_of_json(self):
        rows = entries()
        self.assertGreater(len({e["row"] for e in rows if e["subject"] == "ours"}), 15)
        for entry in rows:
            with self.subTest(**entry):
                done = bench("--run", entry["row"], "--subject", entry["subject"], "--variant", entry["variant"],
                             "--scale", SCALES.get(entry["row"], TINY))
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertEqual(done.stdout.count("\n"), 1)
                self.check(entry, json.loads(done.stdout))

    def test_holds_idle_ones_beside_a_row(self):
        done = bench("--run", "ping", "--scale", TINY, "--idle-channels", "20", "--idle-connections", "3")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        run = json.loads(done.stdout)
        self.assertEqual((run["idle_channels"], run["idle_connections"]), (20, 3))


class WrongUse(unittest.TestCase):
    def test_says_what_is_wrong_and_exits_2(self):
        for words in (["--run", "nonsense"], ["--run", "stream", "--subject", "nobody"], ["nonsense"],
                      ["--run", "stream", "--variant", "rot13"], ["--run", "stream", "--scale", "0"],
                      ["stream", "--rounds", "0"], ["stream", "--subjects", "nobody"],
                      ["--run", "stream", "--congestion", "nonsense"]):
            with self.subTest(words=words):
                done = bench(*words)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertEqual(done.stderr.count("\n"), 1)
                self.assertTrue(done.stderr.startswith("streamkit: "))

    def test_shows_a_table_or_json(self):
        table = bench("ping", "--rounds", "2", "--scale", TINY)
        self.assertEqual(table.returncode, 0)
        self.assertIn("ping (us)", table.stdout)
        self.assertIn("x limit blocking", table.stdout)
        done = bench("ping", "frames-64", "--rounds", "2", "--scale", TINY, "--json", "--subjects", "ours,limit")
        everything = json.loads(done.stdout)
        self.assertIn("cpu", everything["machine"])
        measured = [r for r in everything["results"] if "median" in r]
        self.assertEqual({r["row"] for r in measured}, {"ping", "frames-64"})
        for result in measured:
            self.assertEqual(len(result["runs"]), 2)
            self.assertLessEqual(result["min"], result["median"])
            self.assertLessEqual(result["median"], result["max"])


class Orchestrator(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.build = self.folder / "build"
        self.build.joinpath("bin").mkdir(parents=True)
        self.build.joinpath("bin/streamkit").symlink_to(PROGRAM)
        rivals = self.build / "tests/bench/rivals"
        rivals.mkdir(parents=True)
        self.rival(rivals / "rival_steady", '{"row":"ping","subject":"steady","variant":"v","unit":"us"}',
                   '{"row":"ping","subject":"steady","variant":"v","value":5,"unit":"us","higher_is_better":false}')
        self.rival(rivals / "rival_absent", '{"subject":"absent","skipped":"install absent"}', "")
        self.rival(rivals / "rival_broken", '{"row":"ping","subject":"broken","variant":"v","unit":"us"}', None)

    def rival(self, path, listed, said):
        answer = "print(" + repr(said) + ")" if said is not None else "sys.exit('it broke')"
        path.write_text(f"#!{sys.executable}\nimport sys\nif sys.argv[1] == '--list':\n    print({listed!r})\nelse:\n    {answer}\n")
        path.chmod(0o755)

    def run_bench(self, *words):
        return subprocess.run([sys.executable, HERE / "bench.py", "--build", self.build, "--output", self.folder / "out", *words],
                              capture_output=True, text=True, check=False, timeout=RUN_SECONDS)

    def test_measures_everybody_in_turns_and_keeps_the_runs(self):
        done = self.run_bench("--rows", "ping", "--subjects", "ours,limit,tcp,steady", "--rounds", "2", "--scale", TINY)
        self.assertEqual(done.returncode, 0, done.stderr)
        rounds = [line.split("round ")[1] for line in done.stderr.splitlines() if "round " in line]
        self.assertEqual([r[2:] for r in rounds if r[0] == "1"], [r[2:] for r in rounds if r[0] == "2"])
        self.assertEqual(rounds, sorted(rounds, key=lambda r: r[0]))
        stored, = self.folder.joinpath("out").glob("results-*.json")
        results = json.loads(stored.read_text())["results"]
        for subject, variant in (("ours", "blocking"), ("limit", "blocking"), ("tcp", "blocking"), ("steady", "v")):
            self.assertEqual(len(report.find(results, "ping", subject, variant)["runs"]), 2)
        self.assertIn("ping  completion  <= 1.1 x tcp blocking", done.stdout)

        again = self.run_bench("--from", stored)
        self.assertEqual((again.returncode, again.stdout), (0, done.stdout))
        self.assertIn("| subject | variant | median |", self.run_bench("--from", stored, "--markdown").stdout)

    def test_goes_on_after_a_failure_and_tells(self):
        done = self.run_bench("--rows", "ping", "--subjects", "tcp,broken,absent", "--rounds", "1", "--scale", TINY)
        self.assertEqual(done.returncode, 1)
        self.assertIn("failed: it broke", done.stdout)
        self.assertIn("absent: install absent", done.stderr)
        self.assertRegex(done.stdout, r"tcp +blocking +\d")

    def test_wrong_use(self):
        self.assertEqual(self.run_bench("--rounds", "-1").returncode, 2)
        self.assertNotEqual(self.run_bench("--rows", "nonsense").returncode, 0)


class Targets(unittest.TestCase):
    def result(self, subject, variant, *numbers):
        return {"row": "ping", "subject": subject, "variant": variant, "unit": "us", "higher_is_better": False,
                "runs": [{"value": n} for n in numbers]}

    def test_the_median_of_the_rounds_ratios(self):
        # The second round was slow for both.
        results = [self.result("ours", "blocking", 11, 24, 36), self.result("tcp", "blocking", 10, 20, 40)]
        target = targets.Target("ping", "blocking", 1.15, ("tcp", "blocking"), at_most=True)
        figure = target.figure(*(report.values(r) for r in results))
        self.assertAlmostEqual(figure, 1.1)
        self.assertTrue(target.is_reached(figure))
        self.assertFalse(target.is_reached(1.2))

    def test_what_was_not_measured_is_not_judged(self):
        target = targets.Target("ping", "blocking", 1, ("tcp", "blocking"))
        self.assertIsNone(target.figure([1], []))
        self.assertIsNone(target.figure([], [1]))
        self.assertEqual(report.values(None), [])

    def test_a_difference_and_a_plain_bound(self):
        self.assertEqual(targets.Target("r", "v", 150, ("tcp", "v"), at_most=True, difference=True).figure([250, 300], [100, 150]), 150)
        self.assertTrue(targets.Target("r", "v", 6000).is_reached(6000))

    def test_each_target_is_about_something_that_can_be_measured(self):
        known = {(e["row"], e["subject"], e["variant"]) for e in entries()}
        for target in targets.TARGETS:
            self.assertIn((target.row, "ours", target.variant), known)
            if target.against and target.against[0] in ("limit", "tcp"):
                self.assertIn((target.row, *target.against), known)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[1:]], verbosity=1)
