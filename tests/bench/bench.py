#!/usr/bin/env python3
"""Measures ours, the limit and the rivals side by side, in turns, and shows what came out.

./run bench [ARGS] builds what is needed and calls this with --build BUILD_FOLDER.

Every measurement is one run of a runner: `streamkit bench --run`, or one of the programs rival_* in the build
folder, each of which prints one JSON object. Rounds go over all of them in turns, so that a machine that changes
its mind changes it for everybody. The raw results are kept; tables and plots can be made from them again (--from).
"""

import argparse
import datetime
import fcntl
import fnmatch
import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import time

import report
from targets import GROWTH_CHANNELS, GROWTH_CONNECTIONS, GROWTH_ROWS, GROWTH_SUFFIX

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECORDED = ROOT / "docs" / "bench"
RUN_SECONDS = 900  # no run takes longer
QUICK_ROUNDS, QUICK_SCALE = 3, 0.05
BUSY_LOAD = 0.5  # above it the machine is doing something else
CONGESTION = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control")
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


class Runner:
    """A program that measures: ours, or a rival's."""

    def __init__(self, program, is_ours):
        self.program, self.is_ours = str(program), is_ours

    def entries(self):
        """What it can measure: dictionaries with row, subject, variant, unit; or its name and why it cannot."""
        words = [self.program, "bench", "--list"] if self.is_ours else [self.program, "--list"]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=RUN_SECONDS)
        if done.returncode != 0:
            raise RuntimeError(f"{self.program} --list: {done.stderr.strip()}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def run(self, entry, scale):
        variant = entry["variant"].removesuffix(GROWTH_SUFFIX)
        if self.is_ours:
            words = [self.program, "bench", "--run", entry["row"], "--subject", entry["subject"]]
        else:
            words = [self.program, entry["row"]]
        words += ["--variant", variant, "--scale", repr(scale)]
        if entry["variant"] != variant:
            words += ["--idle-channels", str(GROWTH_CHANNELS), "--idle-connections", str(GROWTH_CONNECTIONS)]
        try:
            done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=RUN_SECONDS)
        except subprocess.TimeoutExpired:
            return {"failed": f"took longer than {RUN_SECONDS} s"}
        if done.returncode != 0:
            return {"failed": done.stderr.strip()[-400:] or f"exit code {done.returncode}"}
        return json.loads(done.stdout)


def runners_of(build):
    program = build / "bin" / "streamkit"
    if not program.exists():
        sys.exit(f"bench.py: there is no {program}: build it, or call this through ./run bench")
    rivals = sorted(p for p in build.glob("tests/bench/rivals/rival_*") if p.is_file() and os.access(p, os.X_OK))
    return [Runner(program, True)] + [Runner(p, False) for p in rivals]


def matches(word, patterns):
    return not patterns or any(fnmatch.fnmatchcase(word, p) for p in patterns)


def kind_of(variant):
    """By cipher, and by who computes it, where a variant says so."""
    return next((cipher for cipher in ("aes256-gcm", "chacha20-poly1305") if variant.startswith(cipher)), ""), "-fast" in variant


def collect(args):
    """What will be measured: results without runs yet, each with its runner, in the order of the rows."""
    results, order = [], []
    for runner in runners_of(args.build):
        for entry in runner.entries():
            if "row" not in entry:  # a rival that is not here at all
                if matches(entry.get("subject", "?"), args.subjects):
                    print(f"{entry.get('subject', runner.program)}: {entry['skipped']}", file=sys.stderr)
                continue
            if entry["row"] not in order:
                order.append(entry["row"])
            if matches(entry["row"], args.rows) and matches(entry["subject"], args.subjects):
                results.append((runner, entry))
    if args.growth:
        results += [(r, {**e, "variant": e["variant"] + GROWTH_SUFFIX}) for r, e in results
                    if e["subject"] == "ours" and e["row"] in GROWTH_ROWS]
    # What is compared is measured close together: the machine may be another one a minute later. Stable: ours first.
    results.sort(key=lambda pair: (order.index(pair[1]["row"]), *kind_of(pair[1]["variant"])))
    if not results:
        sys.exit("bench.py: nothing of that name can be measured; `streamkit bench --list` and rival_* --list tell")
    return [(runner, {**entry, "runs": []}) for runner, entry in results]


class Progress:
    """One line on stderr: where we are, and how long it will take."""

    def __init__(self, total):
        self.total, self.done, self.began = total, 0, time.monotonic()
        self.is_terminal = sys.stderr.isatty()

    def show(self, round_number, entry):
        left = ""
        if self.done > 0:
            seconds = (time.monotonic() - self.began) / self.done * (self.total - self.done)
            left = f", {seconds / 60:.0f} min left"
        text = f"[{self.done + 1}/{self.total}{left}] round {round_number}: {entry['row']} {entry['subject']} {entry['variant']}"
        print(f"\r{text[:99]:<99}" if self.is_terminal else text, end="" if self.is_terminal else "\n", file=sys.stderr, flush=True)
        self.done += 1

    def end(self):
        if self.is_terminal:
            print(f"\r{'':<99}\r", end="", file=sys.stderr)


def measure(planned, rounds, scale):
    progress = Progress(len(planned) * rounds)
    for round_number in range(1, rounds + 1):
        for runner, result in planned:
            progress.show(round_number, result)
            if "skipped" in result or "failed" in result:
                continue
            run = runner.run(result, scale)
            reason = next((key for key in ("skipped", "failed") if key in run), None)
            if reason:
                result[reason] = run[reason]
                continue
            result["higher_is_better"] = run["higher_is_better"]
            same = ("row", "subject", "variant", "unit", "higher_is_better", "scale")
            result["runs"].append({key: value for key, value in run.items() if key not in same})
    progress.end()
    return [result for _, result in planned]


# ---------------------------------------------------------------- the network

def enter_namespace(congestion):
    """Starts this program again in a network namespace of its own, which needs root or user namespaces."""
    flags = "-n" if os.geteuid() == 0 else "-rn"
    os.execvp("unshare", ["unshare", flags, sys.executable, __file__, "--inside", congestion, *sys.argv[1:]])


def set_up_namespace(congestion):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
    try:
        CONGESTION.write_text(congestion, encoding="ascii")
    except OSError as e:
        sys.exit(f"bench.py: this kernel gives no congestion control {congestion}: {e}")


# ---------------------------------------------------------------- the whole

def describe_machine(args):
    program = args.build / "bin" / "streamkit"
    machine = json.loads(subprocess.run([program, "bench", "--machine"], capture_output=True, text=True, check=True).stdout)
    if os.getloadavg()[0] > BUSY_LOAD:
        print(f"bench.py: this machine is busy (load {os.getloadavg()[0]:.1f}): the figures will be worse and uneven",
              file=sys.stderr)
    return machine


def parse(words):
    parser = argparse.ArgumentParser(prog="./run bench", description="Measures ours, the limit and the rivals side by side.")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "bench", help=argparse.SUPPRESS)
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    listed = {"type": lambda text: text.split(","), "default": [], "metavar": "A,B"}
    parser.add_argument("--rows", help="only these rows; * and ? are understood", **listed)
    parser.add_argument("--subjects", help="only these: ours, limit, tcp, or a rival", **listed)
    parser.add_argument("--rounds", type=int, help="times that each is measured; default 5")
    parser.add_argument("--scale", type=float, help="part of the full amount of work; default 1")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds of {QUICK_SCALE} of the work, for an impression")
    parser.add_argument("--growth", action="store_true",
                        help=f"ours also beside {GROWTH_CHANNELS} idle channels and {GROWTH_CONNECTIONS} idle connections")
    parser.add_argument("--netns", nargs="?", const="reno", metavar="CONGESTION",
                        help="in a network namespace of its own, with this congestion control; default reno")
    parser.add_argument("--record", action="store_true", help="keep the results and the plots in docs/bench")
    parser.add_argument("--output", type=pathlib.Path, help="the folder for results and plots; default build/bench-results")
    parser.add_argument("--from", dest="stored", type=pathlib.Path, metavar="FILE", help="show stored results, measure nothing")
    parser.add_argument("--markdown", action="store_true", help="the tables as Markdown")
    args = parser.parse_args(words)
    args.rounds = args.rounds or (QUICK_ROUNDS if args.quick else 5)
    args.scale = args.scale or (QUICK_SCALE if args.quick else 1.0)
    if args.rounds < 1 or args.scale <= 0:
        parser.error("--rounds and --scale are above 0")
    return args


def main():
    args = parse(sys.argv[1:])
    if args.stored:
        everything = json.loads(args.stored.read_text(encoding="utf-8"))
    else:
        if args.netns and not args.inside:
            enter_namespace(args.netns)
        if args.inside:
            set_up_namespace(args.inside)
        machine = describe_machine(args)
        results = measure(collect(args), args.rounds, args.scale)
        everything = {"date": datetime.date.today().isoformat(), "machine": machine, "rounds": args.rounds,
                      "scale": args.scale, "results": results}
    report.show(everything, args.markdown)
    folder = args.output or (RECORDED if args.record else ROOT / "build" / "bench-results")
    if not args.stored:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"results-{everything['machine']['congestion_control']}.json"
        path.write_text(json.dumps(everything, indent=1) + "\n", encoding="utf-8")
        print(f"\nresults: {os.path.relpath(path)}", file=sys.stderr)
    if not args.stored or args.output or args.record:
        report.plot(everything, folder)
    return 1 if any("failed" in result for result in everything["results"]) else 0


if __name__ == "__main__":
    sys.exit(main())
