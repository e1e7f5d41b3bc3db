"""The command line that every peer of this folder has; peers/go/main.go says what it means."""

import argparse


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["client", "server"])
    parser.add_argument("--port", type=int)
    parser.add_argument("--user")
    parser.add_argument("--key")
    parser.add_argument("--certificate")
    parser.add_argument("--password")
    parser.add_argument("--interactive")
    parser.add_argument("--agent", action="store_true")
    parser.add_argument("--authority")
    parser.add_argument("--host-key")
    parser.add_argument("--authorized")
    parser.add_argument("--rekey", type=int)
    parser.add_argument("--env", action="append", default=[])
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--exec")
    what.add_argument("--subsystem")
    what.add_argument("--shell", action="store_true")
    what.add_argument("--direct")
    what.add_argument("--local", nargs=2)
    what.add_argument("--remote", nargs=2, type=int)
    what.add_argument("--type")
    return parser.parse_args()
