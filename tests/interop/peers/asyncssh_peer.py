#!/usr/bin/env python3
"""AsyncSSH as a program: a client like `ssh`, and a server that runs commands with /bin/sh. The command line is
that of all peers: peers/go/main.go."""

import asyncio
import os
import sys
import warnings

warnings.filterwarnings("ignore")  # of what some of its ciphers will be called one day

import asyncssh  # noqa: E402

from peer_arguments import parse  # noqa: E402

PIECE = 64 * 1024


def known_host(line):
    return ([asyncssh.import_public_key(line)], [], [])


async def standard_input():
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def pour(reader, writer):
    """Everything from one to the other, then its end."""
    while piece := await reader.read(PIECE):
        writer.write(piece)
        await writer.drain()
    writer.write_eof()


async def to_file(reader, file):
    while piece := await reader.read(PIECE):
        file.write(piece)
        file.flush()


# ---------------------------------------------------------------- client


async def session(connection, args):
    env = dict(variable.split("=", 1) for variable in args.env)
    process = await connection.create_process(args.exec, subsystem=args.subsystem or (), env=env, encoding=None)
    feeding = asyncio.create_task(pour(await standard_input(), process.stdin))
    await asyncio.gather(to_file(process.stdout, sys.stdout.buffer), to_file(process.stderr, sys.stderr.buffer))
    await process.wait_closed()
    feeding.cancel()
    return process.exit_status if process.exit_status is not None else 255


async def direct(connection, service):
    reader, writer = await connection.open_connection(service, 1, encoding=None)
    feeding = asyncio.create_task(pour(await standard_input(), writer))
    await to_file(reader, sys.stdout.buffer)
    feeding.cancel()
    return 0


async def open_type(connection, name):
    # It has no public call for a type of one's own; this is what its own calls are made of.
    channel = connection.create_tcp_channel(encoding=None)
    try:
        await channel._open(name.encode())
    except asyncssh.ChannelOpenError as refused:
        print(f"refused {refused.code}")
        return 0
    return 255


class Answering(asyncssh.SSHClient):
    def __init__(self, answer):
        self.answer = answer

    def kbdint_auth_requested(self):
        return "" if self.answer else None

    def kbdint_challenge_received(self, name, instructions, lang, prompts):
        return [self.answer] * len(prompts)


async def client(args):
    options = {"known_hosts": known_host(args.host_key), "config": None, "username": args.user,
               "agent_path": os.environ["SSH_AUTH_SOCK"] if args.agent else None, "rekey_bytes": args.rekey,
               "client_factory": lambda: Answering(args.interactive), "password": args.password}
    if args.certificate:
        options |= {"client_keys": [(args.key, args.certificate)]}
    elif args.key:
        options |= {"client_keys": [args.key]}
    elif not args.agent:
        options |= {"client_keys": None}
    async with asyncssh.connect("127.0.0.1", args.port, **options) as connection:
        if args.direct:
            return await direct(connection, args.direct)
        if args.type:
            return await open_type(connection, args.type)
        if args.local:
            where, service = args.local
            if where.startswith("/"):
                listener = await connection.forward_local_path(where, "/" + service)
            else:
                listener = await connection.forward_local_port("127.0.0.1", int(where), service, 1)
            return await listener.wait_closed()
        if args.remote:
            port, target = args.remote
            listener = await connection.forward_remote_port("127.0.0.1", port, "127.0.0.1", target)
            return await listener.wait_closed()
        return await session(connection, args)


# ---------------------------------------------------------------- server


class Server(asyncssh.SSHServer):
    def __init__(self, args):
        self.args = args
        self.key = asyncssh.import_public_key(args.authorized)

    def public_key_auth_supported(self):
        return True

    def validate_public_key(self, username, key):
        return key == self.key

    def validate_ca_key(self, username, key):
        return self.args.authority is not None and key == asyncssh.import_public_key(self.args.authority)

    def password_auth_supported(self):
        return self.args.password is not None

    def validate_password(self, username, password):
        return password == self.args.password

    def kbdint_auth_supported(self):
        return self.args.interactive is not None

    def get_kbdint_challenge(self, username, lang, submethods):
        return "", "", "", [("Password: ", False)]

    def validate_kbdint_response(self, username, responses):
        return responses == [self.args.interactive]

    def connection_requested(self, dest_host, dest_port, orig_host, orig_port):
        return True

    def unix_connection_requested(self, dest_path):
        return True


# By itself it takes every subsystem where it has a function for processes.
asyncssh.SSHServerProcess.subsystem_requested = lambda self, name: name == "echo"


async def serve_process(process):
    command = "cat" if process.subsystem else process.command or "/bin/sh"
    local = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", command, env={**os.environ, **process.env},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    feeding = asyncio.create_task(pour(process.stdin, local.stdin))

    async def back(reader, writer):
        while piece := await reader.read(PIECE):
            writer.write(piece)
            await writer.drain()

    await asyncio.gather(back(local.stdout, process.stdout), back(local.stderr, process.stderr))
    code = await local.wait()
    feeding.cancel()
    if code < 0:
        process.exit_with_signal({15: "TERM", 9: "KILL"}.get(-code, "ABRT"))
    else:
        process.exit(code)


async def server(args):
    listener = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=lambda: Server(args), server_host_keys=[args.host_key], config=None,
        rekey_bytes=args.rekey, process_factory=serve_process, encoding=None)
    print(f"listening {listener.sockets[0].getsockname()[1]}", file=sys.stderr, flush=True)
    await listener.wait_closed()


def main():
    args = parse()
    try:
        return asyncio.run(server(args) if args.role == "server" else client(args)) or 0
    except (OSError, asyncssh.Error) as error:
        print(f"asyncssh peer: {error}", file=sys.stderr)
        return 255


if __name__ == "__main__":
    sys.exit(main())
