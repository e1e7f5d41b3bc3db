#!/usr/bin/env python3
"""Checks that what is committed makes sense to a stranger who has only this repository.

usage: check_texts.py ROOT | check_texts.py --self-test

- no absolute path of somebody's own machine (/home/me is nobody's);
- no mention of a Markdown file that is not here;
- no issue or ticket by number alone (nobody can look it up);
- no trailing white space, no tab in C++ and Python, and a newline at the end of every file.
"""

import pathlib
import re
import subprocess
import sys

MACHINE_PATH = re.compile(r"(?<![\w.:/~-])/(?:work|home(?!/me\b)|root|Users)/[\w.]")
MARKDOWN = re.compile(r"(?<![\w/.-])((?:[\w.-]+/)*[\w-]+\.md)\b")
TICKET = re.compile(r"\b(?:issue|ticket)\s+#?\d+", re.I)
TEXT = {".cpp", ".hpp", ".c", ".h", ".py", ".cmake", ".md", ".txt", ".sh", ".json", ".in", ".html", ".css", ".js", ""}
# Data from elsewhere, kept as it came, and this file, which has to name what it looks for.
EXEMPT = re.compile(r"^(tests/(vectors|transcripts)/|tests/fuzz/corpus/|tests/tidy/check_texts\.py$|LICENSE$)")


def committed_files(root):
    """What git knows, or (in a release archive, or without git) everything that is no build folder."""
    try:
        listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z"], capture_output=True, check=False)
    except FileNotFoundError:
        listed = None
    if listed and listed.returncode == 0 and listed.stdout:
        return [p for p in listed.stdout.decode().split("\0") if p and (root / p).is_file()]
    files = (p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())
    return [p for p in files if not p.startswith(("build/", ".git/"))]


def check_text(path, text, markdown_here):
    problems = []
    suffix = pathlib.PurePosixPath(path).suffix
    for number, line in enumerate(text.split("\n"), 1):
        where = f"{path}:{number}"
        if MACHINE_PATH.search(line):
            problems.append(f"{where}: a path of one machine: {line.strip()[:80]}")
        for name in MARKDOWN.findall(line):
            if pathlib.PurePosixPath(name).name not in markdown_here:
                problems.append(f"{where}: {name} is not in this repository")
        if TICKET.search(line):
            problems.append(f"{where}: say what it is about, not its number")
        if line != line.rstrip():
            problems.append(f"{where}: white space at the end of the line")
        if "\t" in line and suffix in {".cpp", ".hpp", ".py"}:
            problems.append(f"{where}: a tab")
    if text and not text.endswith("\n"):
        problems.append(f"{path}: no newline at the end")
    return problems


def self_test():
    here = {"README.md"}
    samples = [
        ("a.cpp", "int x;  // see README.md\n", 0),
        ("a.md", "`/etc/ssh` and https://example.com/home/x and ~/.ssh/config\n", 0),
        ("a.cpp", "// /work/" + "main/x\n", 1),
        ("a.md", "open /home/meta/x\n", 1),
        ("a.cpp", "/home/me/x\n", 0),
        ("a.cpp", "// as PLAN.md says\n", 1),
        ("a.md", "[x](docs/missing.md)\n", 1),
        ("a.cpp", "// fixes issue 12\n", 1),
        ("a.cpp", "int x; \n", 1),
        ("a.cpp", "\tint x;\n", 1),
        ("a.cpp", "int x;", 1),
    ]
    wrong = 0
    for path, text, expected in samples:
        got = check_text(path, text, here)
        if len(got) != expected:
            wrong += 1
            print(f"{text!r}: expected {expected}, got {got}")
    print(f"self-test: {len(samples)} samples, {wrong} wrong")
    return 1 if wrong else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    root = pathlib.Path(sys.argv[1])
    files = committed_files(root)
    markdown_here = {pathlib.PurePosixPath(p).name for p in files if p.endswith(".md")}
    problems, seen = [], 0
    for path in files:
        if EXEMPT.match(path) or pathlib.PurePosixPath(path).suffix not in TEXT:
            continue
        try:
            text = (root / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        seen += 1
        problems += check_text(path, text, markdown_here)
    for problem in problems:
        print(problem)
    print(f"{seen} files, {len(problems)} problems")
    return 1 if problems or seen == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
