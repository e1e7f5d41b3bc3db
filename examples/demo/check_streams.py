#!/usr/bin/env python3
"""Visits the demo's web application: WebSocket echo and server-sent events, as a browser would.

usage: check_streams.py HOST PORT [HOST-HEADER]

Exits 0 when both work, and says what was seen; 1 otherwise.
"""

import base64
import http.client
import json
import os
import socket
import struct
import sys

TIMEOUT = 20


def fail(sentence):
    sys.exit(f"check_streams.py: {sentence}")


def websocket(address, host):
    key = base64.b64encode(os.urandom(16)).decode()
    with socket.create_connection(address, TIMEOUT) as connection:
        connection.sendall(
            f"GET /ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
        stream = connection.makefile("rb")
        status = stream.readline()
        if b" 101 " not in status:
            fail(f"WebSocket: the answer was {status!r}")
        while stream.readline() not in (b"\r\n", b""):
            pass
        for size in (0, 5, 125, 126, 65535, 65536, 1_000_000):
            payload, mask = os.urandom(size), os.urandom(4)
            masked = bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
            length = (bytes([0x80 | size]) if size < 126 else struct.pack(">BH", 0x80 | 126, size) if size < 65536
                      else struct.pack(">BQ", 0x80 | 127, size))
            connection.sendall(b"\x82" + length + mask + masked)
            head = stream.read(2)
            got = head[1] if len(head) == 2 else fail("WebSocket: closed early")
            if got == 126:
                got = struct.unpack(">H", stream.read(2))[0]
            elif got == 127:
                got = struct.unpack(">Q", stream.read(8))[0]
            if got != size or stream.read(size) != payload:
                fail(f"WebSocket: a message of {size} bytes came back changed")
    return "WebSocket echoes messages of 0 to 1000000 bytes"


def events(address, host):
    listening = http.client.HTTPConnection(*address, timeout=TIMEOUT)
    listening.request("GET", "/events", headers={"Host": host, "Accept": "text/event-stream"})
    stream = listening.getresponse()
    if stream.status != 200:
        fail(f"events: status {stream.status}")
    if not stream.readline().startswith(b"retry"):  # the stream is open before the note is written
        fail("events: no first line")
    text = "note " + os.urandom(6).hex()
    writing = http.client.HTTPConnection(*address, timeout=TIMEOUT)
    writing.request("POST", "/api/notes", json.dumps({"author": "demo", "text": text}), {"Host": host})
    if writing.getresponse().status != 201:
        fail("events: the note was not taken")
    for line in stream:
        if line.startswith(b"data: ") and json.loads(line[6:])["text"] == text:
            listening.close()
            return "server-sent events arrive as they happen"
    fail("events: the stream ended before the note came")


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    address = (sys.argv[1], int(sys.argv[2]))
    host = sys.argv[3] if len(sys.argv) == 4 else f"{address[0]}:{address[1]}"
    try:
        print(websocket(address, host))
        print(events(address, host))
    except OSError as error:
        fail(f"{address[0]}:{address[1]}: {error}")


if __name__ == "__main__":
    main()
