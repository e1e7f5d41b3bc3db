#!/usr/bin/env python3
"""Checks that every C++ block in the documents is an example that is compiled and run.

usage: check_readme.py ROOT

A block ```cpp follows a line `<!-- examples/NAME.cpp -->` and is that file without its first comment.
"""

import pathlib
import re
import sys

BLOCK = re.compile(r"(?:<!-- (\S+) -->\n)?```cpp\n(.*?)```", re.S)


def main():
    root = pathlib.Path(sys.argv[1])
    problems, seen = [], 0
    for document in sorted(root.glob("*.md")) + sorted(root.glob("docs/*.md")):
        for source, block in BLOCK.findall(document.read_text(encoding="utf-8")):
            seen += 1
            if not source:
                problems.append(f"{document.name}: a block of C++ that is no example: {block.splitlines()[0]}")
            elif not (root / source).is_file():
                problems.append(f"{document.name}: {source} is not there")
            else:
                text = (root / source).read_text(encoding="utf-8")
                if block != text[text.index("#include"):]:
                    problems.append(f"{document.name}: the block is not what {source} says")
    for problem in problems:
        print(problem)
    print(f"{seen} blocks, {len(problems)} problems")
    return 1 if problems or not seen else 0


if __name__ == "__main__":
    sys.exit(main())
