#!/usr/bin/env python3
"""Makes what `go build -overlay` needs so that the installed golang.org/x/crypto/ssh can announce
peer@streamkit, and attach channels to channels: it has no way to send an entry of EXT_INFO of one's own
or to say a channel's number, and gets a variable and a function for them.

usage: announce.py SOURCE_OF_THE_PACKAGE FOLDER_TO_WRITE_TO

Nothing of the package is kept here: its file is read where Debian put it, and changed on the way.
"""

import json
import pathlib
import sys

ANNOUNCED = pathlib.Path(__file__).with_name("announce.go.txt")  # in the place of what sends EXT_INFO
DECLARED = """
// Announced has names and values that go into EXT_INFO.
var Announced []string

// RemoteID is the number that the other side has given a channel.
func RemoteID(c Channel) uint32 { return c.(*channel).remoteId }
"""
BEGIN = '\tif !isClient && firstKeyExchange && contains(clientInit.KexAlgos, "ext-info-c") {\n'
END = "\n\t}\n"


def main():
    source, folder = (pathlib.Path(p) for p in sys.argv[1:])
    text = (source / "handshake.go").read_text(encoding="utf-8")
    if text.count(BEGIN) != 1:
        sys.exit("this version of golang.org/x/crypto/ssh sends EXT_INFO in another way: look at announce.py")
    insertion = ANNOUNCED.read_text(encoding="utf-8")
    if "t.publicKeyAuthAlgorithms" in text:  # what newer versions have in place of a list for all
        insertion = insertion.replace("supportedPubKeyAuthAlgosList", 'strings.Join(t.publicKeyAuthAlgorithms, ",")')
    begin = text.index(BEGIN)
    end = text.index(END, begin) + len(END)
    folder.mkdir(parents=True, exist_ok=True)
    changed = folder / "handshake.go"
    changed.write_text(text[:begin] + insertion + text[end:] + DECLARED, encoding="utf-8")
    replace = {"Replace": {str(source / "handshake.go"): str(changed)}}
    (folder / "overlay.json").write_text(json.dumps(replace), encoding="utf-8")


if __name__ == "__main__":
    main()
