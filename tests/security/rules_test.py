#!/usr/bin/env python3
"""Tests security.py: how names become numbers, and results become verdicts."""

import json
import unittest

import security

RULES = [{"number": "A1", "rule": "one"}, {"number": "A12", "rule": "twelve"}, {"number": "B2", "rule": "two"},
         {"number": "C3", "rule": "three", "not_built": True}]


class SecurityTest(unittest.TestCase):
    def test_numbers_stand_in_front_of_names(self):
        self.assertEqual(security.numbers_of("Suite.a1_words"), ["A1"])
        self.assertEqual(security.numbers_of("All/Suite.a12_b2_words/3"), ["A12", "B2"])
        for test in ("Suite.words_a1_more", "Suite.b64_", "Suite.a_1", "A1.words"):
            self.assertEqual(security.numbers_of(test), [])

    def test_lists_of_googletest_are_read(self):
        listing = "Running main()\nSuite.\n  a1_x\n  plain\nAll/Kind.  # TypeParam\n  a1_y/0  # GetParam() = 1\n"
        self.assertEqual(security.parse_list(listing), ["Suite.a1_x", "Suite.plain", "All/Kind.a1_y/0"])

    def verdicts(self, results):
        return {row["number"]: row["result"] for row in security.judge(RULES, results)}

    def test_one_failure_fails_a_rule_and_a_skip_passes_none(self):
        self.assertEqual(self.verdicts({"S.a1_x": "passed", "S.a1_y": "failed", "S.a12_x": "skipped",
                                        "S.b2_x": "passed", "S.b2_y": "skipped"}),
                         {"A1": "FAILED", "A12": "skipped", "B2": "passed", "C3": "not built"})
        self.assertEqual(self.verdicts({}), {"A1": "NO TEST", "A12": "NO TEST", "B2": "NO TEST", "C3": "not built"})

    def test_the_check_finds_each_kind_of_problem(self):
        good = ["S.a1_x", "S.a12_x", "S.b2_x"]
        self.assertEqual(security.problems(RULES, good), [])
        self.assertEqual(security.problems(RULES, good[1:]), ["A1 has no test"])
        self.assertEqual(security.problems(RULES, [*good, "S.c3_x"]), ["C3 has tests: take its not_built away"])
        self.assertEqual(security.problems(RULES, [*good, "S.c9_x"]), ["C9 of a test is no rule in rules.json"])

    def test_every_rule_of_the_file_has_a_number_of_its_own(self):
        numbers = [rule["number"] for rule in json.loads(security.RULES.read_text())]
        self.assertEqual(numbers, [f"{letter}{n}" for letter, last in (("A", 21), ("B", 13), ("C", 28))
                                   for n in range(1, last + 1)])


if __name__ == "__main__":
    unittest.main()
