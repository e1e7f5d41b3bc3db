#!/usr/bin/env python3
"""Adds what a run of ./run fuzz executed to the totals of all runs, and says them.

usage: totals.py TOTALS.json LOG...

A log is what a fuzz target said, and a line `seconds USER SYSTEM` of the processor's time behind it; its file is named
after its target.
"""

import json
import pathlib
import re
import sys


def read_log(text):
    """(executions, processor seconds) of a log, or None when the target did not come to its end."""
    executions = re.search(r"^stat::number_of_executed_units:\s*(\d+)", text, re.M)
    seconds = re.search(r"^seconds ([\d.]+) ([\d.]+)$", text, re.M)
    return (int(executions[1]), float(seconds[1]) + float(seconds[2])) if executions and seconds else None


def main(argv):
    path = pathlib.Path(argv[1])
    targets = json.loads(path.read_text())["targets"] if path.exists() else {}
    for log in map(pathlib.Path, argv[2:]):
        counted = read_log(log.read_text(errors="replace"))
        if counted is None:
            continue
        total = targets.setdefault(log.stem, {"executions": 0, "seconds": 0})
        total["executions"] += counted[0]
        total["seconds"] = round(total["seconds"] + counted[1], 2)
    executions = sum(t["executions"] for t in targets.values())
    seconds = sum(t["seconds"] for t in targets.values())
    path.write_text(json.dumps({"executions": executions, "seconds": round(seconds, 2), "targets": dict(sorted(targets.items()))}, indent=1) + "\n")
    for name, total in sorted(targets.items()):
        print(f"{total['executions']:>12,}  {total['seconds']:>6.0f} s  {name}")
    print(f"{executions:>12,}  {seconds:>6.0f} s  in all, since {path} was begun")


if __name__ == "__main__":
    main(sys.argv)
