#!/usr/bin/env python3
"""A small web application with nothing but Python's standard library: what the demo puts behind a tunnel.

usage: webapp.py [--port PORT] [--host ADDRESS]

Port 0 (the default) takes a free one; the first line on stdout is the port. It listens on 127.0.0.1.

  GET  /               a guestbook that all visitors share, live
  GET  /api/notes      the notes as JSON
  POST /api/notes      {"author": ..., "text": ...} adds one
  GET  /events         server-sent events: one `note` event for each new note
  GET  /ws             a WebSocket that echoes every message (RFC 6455)
  GET  /blob?size=N&seed=S   N bytes that depend on S only
  GET  /blob/sha256?size=N&seed=S   their SHA-256
  POST /sha256         {"bytes": N, "sha256": ...} of the body, with Content-Length or chunked
  GET  /headers        the request's headers as JSON, as this server received them
"""

import argparse
import base64
import hashlib
import http.server
import json
import queue
import signal
import socketserver
import struct
import sys
import threading
import urllib.parse

MAX_NOTES = 200
MAX_NOTE_BODY = 16 * 1024
MAX_BLOB = 4 * 1024**3
MAX_WEBSOCKET_MESSAGE = 16 * 1024**2
CHUNK = 256 * 1024

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Guestbook</title>
<link rel="stylesheet" href="/style.css">
<main>
  <h1>Guestbook</h1>
  <p>This page is served from a process that listens on the loopback address only. You see it through a tunnel.</p>
  <form id="form">
    <label>Your name <input id="author" maxlength="40" required autocomplete="off"></label>
    <label>What you leave <input id="text" maxlength="400" required autocomplete="off"></label>
    <button>Sign</button>
  </form>
  <p id="state" role="status">connecting</p>
  <ol id="notes" aria-label="Notes, newest first"></ol>
  <p>WebSocket: <span id="echo">not tried</span></p>
</main>
<script src="/app.js"></script>
</html>
"""

STYLE = """:root { color-scheme: light dark; font: 1.05rem/1.5 system-ui, sans-serif; }
body { margin: 0; }
main { max-width: 42rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; }
form { display: grid; gap: .75rem; margin: 1.5rem 0; padding: 1rem; border: 1px solid #8888; border-radius: .5rem; }
label { display: grid; gap: .25rem; }
input, button { font: inherit; padding: .5rem; border: 1px solid #888; border-radius: .35rem; }
button { justify-self: start; background: #175; color: #fff; padding-inline: 1.25rem; }
:focus-visible { outline: 3px solid #29f; outline-offset: 2px; }
ol { list-style: none; padding: 0; }
li { padding: .6rem 0; border-top: 1px solid #8884; overflow-wrap: anywhere; }
#state[data-live=yes]::before { content: "\\25CF "; color: #2a7; }
"""

SCRIPT = """'use strict';
const $ = (id) => document.getElementById(id);

function show(note) {
  const item = document.createElement('li');
  const who = document.createElement('strong');
  who.textContent = note.author;
  item.append(who, ': ' + note.text);
  $('notes').prepend(item);
}

fetch('/api/notes').then((r) => r.json()).then((notes) => {
  notes.forEach(show);
  const events = new EventSource('/events?after=' + (notes.length ? notes[notes.length - 1].id : 0));
  events.onopen = () => { $('state').textContent = 'live'; $('state').dataset.live = 'yes'; };
  events.onerror = () => { $('state').textContent = 'reconnecting'; $('state').dataset.live = 'no'; };
  events.addEventListener('note', (e) => show(JSON.parse(e.data)));
});

$('form').addEventListener('submit', (event) => {
  event.preventDefault();
  fetch('/api/notes', {
    method: 'POST',
    headers: {'Content-Type': 'application/json'},
    body: JSON.stringify({author: $('author').value, text: $('text').value}),
  }).then((r) => { if (r.ok) $('text').value = ''; });
});

const socket = new WebSocket((location.protocol === 'https:' ? 'wss://' : 'ws://') + location.host + '/ws');
socket.onopen = () => socket.send('hello from the browser');
socket.onmessage = (e) => { $('echo').textContent = e.data === 'hello from the browser' ? 'works' : 'odd answer'; };
socket.onerror = () => { $('echo').textContent = 'failed'; };
"""


class Guestbook:
    """The notes, and a queue for each visitor who listens for new ones."""

    def __init__(self):
        self.lock = threading.Lock()
        self.notes = []
        self.next_id = 1
        self.listeners = set()

    def since(self, last_id):
        with self.lock:
            return [n for n in self.notes if n["id"] > last_id]

    def add(self, author, text):
        with self.lock:
            note = {"id": self.next_id, "author": author, "text": text}
            self.next_id += 1
            self.notes = (self.notes + [note])[-MAX_NOTES:]
            for listener in list(self.listeners):
                try:
                    listener.put_nowait(note)
                except queue.Full:
                    self.listeners.discard(listener)  # it reconnects and asks for what it missed
        return note

    def listen(self, last_id):
        """The notes after `last_id`, and a queue that gets every later one: none is lost between the two."""
        listener = queue.Queue(maxsize=100)
        with self.lock:
            self.listeners.add(listener)
            return [n for n in self.notes if n["id"] > last_id], listener

    def leave(self, listener):
        with self.lock:
            self.listeners.discard(listener)


def blob(size, seed):
    """`size` bytes that depend on `seed` only, in pieces: SHAKE-128 of seed and piece number."""
    piece = 0
    while size > 0:
        data = hashlib.shake_128(f"{seed}/{piece}".encode()).digest(CHUNK)
        yield data[:size]
        size -= len(data)
        piece += 1


class BadRequest(Exception):
    pass


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keep-alive
    server_version = "guestbook"
    wbufsize = 64 * 1024
    disable_nagle_algorithm = True
    guestbook = Guestbook()

    # --- answering ---

    def answer(self, body, content_type, status=200):
        if isinstance(body, str):
            body = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def answer_json(self, value, status=200):
        self.answer(json.dumps(value) + "\n", "application/json", status)

    def refuse(self, status, sentence):
        self.close_connection = True  # the rest of the body, if any, is not read
        self.answer_json({"error": sentence}, status)

    def log_message(self, format, *args):
        pass

    # --- asking ---

    def body(self):
        """The request's body in pieces, whatever its framing."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while True:
                size = int(self.rfile.readline(1024).split(b";")[0].strip(), 16)
                if size == 0:
                    while self.rfile.readline(65536) not in (b"\r\n", b"\n", b""):
                        pass  # trailers
                    return
                yield from self.exactly(size)
                if self.rfile.read(2) != b"\r\n":
                    raise BadRequest("a chunk without its end")
        else:
            yield from self.exactly(int(self.headers.get("Content-Length", "0")))

    def exactly(self, size):
        while size > 0:
            data = self.rfile.read(min(size, CHUNK))
            if not data:
                raise BadRequest("the body ended early")
            size -= len(data)
            yield data

    def number(self, query, name, default, least, most):
        value = int(query.get(name, [str(default)])[0])
        if not least <= value <= most:
            raise BadRequest(f"{name} must be {least} to {most}")
        return value

    # --- routes ---

    def do_GET(self):
        self.route("GET")

    def do_HEAD(self):
        self.route("GET")

    def do_POST(self):
        self.route("POST")

    def route(self, method):
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query)
        handler = self.ROUTES.get((method, url.path))
        try:
            if handler:
                handler(self, query)
            else:
                self.refuse(404, f"there is no {method} {url.path}")
        except (BadRequest, ValueError, KeyError) as error:
            self.refuse(400, str(error))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def page(self, _query):
        self.answer(PAGE, "text/html; charset=utf-8")

    def style(self, _query):
        self.answer(STYLE, "text/css; charset=utf-8")

    def script(self, _query):
        self.answer(SCRIPT, "text/javascript; charset=utf-8")

    def notes(self, _query):
        self.answer_json(self.guestbook.since(0))

    def add_note(self, _query):
        body = b""
        for data in self.body():
            body += data
            if len(body) > MAX_NOTE_BODY:
                self.refuse(413, "a note is at most 16 KiB")
                return
        note = json.loads(body)
        author, text = str(note["author"])[:40], str(note["text"])[:400]
        self.answer_json(self.guestbook.add(author, text), 201)

    def events(self, query):
        last_id = int(self.headers.get("Last-Event-ID") or query.get("after", ["0"])[0])
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        missed, listener = self.guestbook.listen(last_id)
        try:
            self.wfile.write(b"retry: 500\n\n")
            for note in missed:
                self.send_event(note)
            self.wfile.flush()
            while True:
                try:
                    self.send_event(listener.get(timeout=10))
                except queue.Empty:
                    self.wfile.write(b": still here\n\n")
                self.wfile.flush()
        finally:
            self.guestbook.leave(listener)

    def send_event(self, note):
        self.wfile.write(f"event: note\nid: {note['id']}\ndata: {json.dumps(note)}\n\n".encode())

    def send_blob(self, query):
        size = self.number(query, "size", 1024, 0, MAX_BLOB)
        seed = self.number(query, "seed", 0, 0, 2**63)
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(size))
        self.end_headers()
        if self.command != "HEAD":
            for data in blob(size, seed):
                self.wfile.write(data)

    def blob_sha256(self, query):
        size = self.number(query, "size", 1024, 0, MAX_BLOB)
        seed = self.number(query, "seed", 0, 0, 2**63)
        digest = hashlib.sha256()
        for data in blob(size, seed):
            digest.update(data)
        self.answer_json({"bytes": size, "sha256": digest.hexdigest()})

    def sha256(self, _query):
        digest, size = hashlib.sha256(), 0
        for data in self.body():
            digest.update(data)
            size += len(data)
        self.answer_json({"bytes": size, "sha256": digest.hexdigest()})

    def show_headers(self, _query):
        self.answer_json([[name, value] for name, value in self.headers.items()])

    # --- WebSocket, RFC 6455: text, binary, ping and close; fragments are joined ---

    def websocket(self, _query):
        key = self.headers.get("Sec-WebSocket-Key")
        if self.headers.get("Upgrade", "").lower() != "websocket" or not key:
            self.refuse(426, "this address speaks WebSocket")
            return
        accept = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        self.close_connection = True
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(accept).decode())
        self.end_headers()
        self.wfile.flush()
        message, kind = b"", 0
        while True:
            final, opcode, data = self.read_frame()
            if opcode is None or opcode == 8:
                self.write_frame(8, data[:2])
                return
            if opcode == 9:
                self.write_frame(10, data)
            elif opcode in (0, 1, 2):
                kind = opcode or kind
                message += data
                if len(message) > MAX_WEBSOCKET_MESSAGE:
                    self.write_frame(8, struct.pack(">H", 1009))
                    return
                if final:
                    self.write_frame(kind, message)
                    message = b""

    def read_frame(self):
        head = self.rfile.read(2)
        if len(head) < 2 or not head[1] & 0x80:  # a client must mask
            return True, None, b""
        size = head[1] & 0x7F
        if size == 126:
            size = struct.unpack(">H", self.rfile.read(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self.rfile.read(8))[0]
        if size > MAX_WEBSOCKET_MESSAGE:
            return True, None, b""
        mask, data = self.rfile.read(4), self.rfile.read(size)
        if len(data) < size or len(mask) < 4:
            return True, None, b""
        # XOR as one big number: Python has no faster way without a library.
        key = (mask * (size // 4 + 1))[:size]
        data = (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
        return bool(head[0] & 0x80), head[0] & 0x0F, data

    def write_frame(self, opcode, data):
        head = bytes([0x80 | opcode])
        if len(data) < 126:
            head += bytes([len(data)])
        elif len(data) < 65536:
            head += struct.pack(">BH", 126, len(data))
        else:
            head += struct.pack(">BQ", 127, len(data))
        self.wfile.write(head + data)
        self.wfile.flush()

    ROUTES = {
        ("GET", "/"): page,
        ("GET", "/style.css"): style,
        ("GET", "/app.js"): script,
        ("GET", "/api/notes"): notes,
        ("POST", "/api/notes"): add_note,
        ("GET", "/events"): events,
        ("GET", "/ws"): websocket,
        ("GET", "/blob"): send_blob,
        ("GET", "/blob/sha256"): blob_sha256,
        ("POST", "/sha256"): sha256,
        ("GET", "/headers"): show_headers,
    }


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        # A visitor who goes away is no news.
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


def main():
    arguments = argparse.ArgumentParser(description="A small guestbook to put behind a tunnel.")
    arguments.add_argument("--port", type=int, default=0, help="0 takes a free port (default)")
    arguments.add_argument("--host", default="127.0.0.1")
    options = arguments.parse_args()
    try:
        server = Server((options.host, options.port), Handler)
    except OSError as error:
        sys.exit(f"webapp.py: cannot listen on {options.host}:{options.port}: {error.strerror}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(server.server_address[1], flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
