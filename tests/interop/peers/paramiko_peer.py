#!/usr/bin/env python3
"""Paramiko as a program: a client like `ssh`, and a server that runs commands with /bin/sh. The command line is
that of all peers: peers/go/main.go."""

import os
import socket
import subprocess
import sys
import threading
import warnings

warnings.filterwarnings("ignore")  # of what its ciphers will be called one day

import paramiko  # noqa: E402

from peer_arguments import parse  # noqa: E402

PIECE = 32 * 1024


def private_key(path):
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key_file(path)
        except paramiko.SSHException:
            pass
    sys.exit(f"paramiko peer: what key is {path}?")


def blob_of(line):
    import base64
    return base64.b64decode(line.split()[1])


def prepared(stream, args):
    transport = paramiko.Transport(stream)
    transport.packetizer.REKEY_BYTES = args.rekey or transport.packetizer.REKEY_BYTES
    return transport


def pour(read, write, end):
    """Everything from one to the other, then its end."""
    try:
        while piece := read(PIECE):
            write(piece)
        end()
    except (OSError, EOFError):
        pass


def in_background(function, *args):
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread


def handle_request(channel, message):
    """What a request starts begins behind its reply, for a program may be quicker than that."""
    paramiko.Channel._handle_request(channel, message)
    if after := channel.__dict__.pop("after_reply", None):
        in_background(*after)


paramiko.Transport._channel_handler_table[paramiko.common.MSG_CHANNEL_REQUEST] = handle_request


def join(channel, visitor):
    """A channel and a socket, with both half-closes."""
    there = in_background(pour, visitor.recv, channel.sendall, channel.shutdown_write)
    pour(channel.recv, visitor.sendall, lambda: visitor.shutdown(socket.SHUT_WR))
    there.join()
    channel.close()
    visitor.close()


def write_out(file):
    def write(piece):
        file.write(piece)
        file.flush()
    return write


# ---------------------------------------------------------------- client


def run(channel):
    in_background(pour, sys.stdin.buffer.raw.read, channel.sendall, channel.shutdown_write)
    beside = in_background(pour, channel.recv_stderr, write_out(sys.stderr.buffer), lambda: None)
    pour(channel.recv, write_out(sys.stdout.buffer), lambda: None)
    beside.join()


def session(transport, args):
    channel = transport.open_session()
    for variable in args.env:
        channel.set_environment_variable(*variable.split("=", 1))
    if args.subsystem:
        channel.invoke_subsystem(args.subsystem)
    elif args.shell:
        channel.invoke_shell()
    else:
        channel.exec_command(args.exec)
    run(channel)
    return channel.recv_exit_status() & 255


def local(transport, port, service):
    listener = socket.create_server(("127.0.0.1", int(port)), backlog=128)
    while True:
        visitor, address = listener.accept()
        in_background(lambda v, a: join(transport.open_channel("direct-tcpip", (service, 1), a), v), visitor, address)


def remote(transport, port, target):
    transport.request_port_forward("127.0.0.1", port)
    while channel := transport.accept(3600):
        in_background(join, channel, socket.create_connection(("127.0.0.1", target)))


def log_in(transport, args):
    if args.password:
        return transport.auth_password(args.user, args.password, fallback=False)
    if args.interactive:
        return transport.auth_interactive(args.user, lambda title, text, prompts: [args.interactive] * len(prompts))
    key = paramiko.Agent().get_keys()[0] if args.agent else private_key(args.key)
    if args.certificate:
        key.load_certificate(args.certificate)
    return transport.auth_publickey(args.user, key)


def client(args):
    transport = prepared(socket.create_connection(("127.0.0.1", args.port)), args)
    transport.start_client(timeout=60)
    if transport.get_remote_server_key().asbytes() != blob_of(args.host_key):
        raise paramiko.SSHException("the host key is another one")
    log_in(transport, args)
    if args.direct:
        run(transport.open_channel("direct-tcpip", (args.direct, 1), ("127.0.0.1", 1)))
    elif args.local:
        local(transport, *args.local)
    elif args.remote:
        remote(transport, *args.remote)
    elif args.type:
        try:
            transport.open_channel(args.type)
        except paramiko.ChannelException as refused:
            print(f"refused {refused.code}")
    else:
        return session(transport, args)
    return 0


# ---------------------------------------------------------------- server


class Server(paramiko.ServerInterface):
    def __init__(self, args):
        self.args = args
        self.environments = {}
        self.targets = {}

    def get_allowed_auths(self, username):
        offered = {"password": self.args.password, "keyboard-interactive": self.args.interactive}
        return ",".join(["publickey", *(name for name, word in offered.items() if word)])

    def check_auth_publickey(self, username, key):
        right = key.asbytes() == blob_of(self.args.authorized)
        return paramiko.AUTH_SUCCESSFUL if right else paramiko.AUTH_FAILED

    def check_auth_password(self, username, password):
        right = self.args.password and password == self.args.password
        return paramiko.AUTH_SUCCESSFUL if right else paramiko.AUTH_FAILED

    def check_auth_interactive(self, username, submethods):
        query = paramiko.InteractiveQuery()
        query.add_prompt("Password: ", False)
        return query if self.args.interactive else paramiko.AUTH_FAILED

    def check_auth_interactive_response(self, responses):
        right = list(responses) == [self.args.interactive]
        return paramiko.AUTH_SUCCESSFUL if right else paramiko.AUTH_FAILED

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED if kind == "session" else paramiko.OPEN_FAILED_UNKNOWN_CHANNEL_TYPE

    def check_channel_direct_tcpip_request(self, chanid, origin, destination):
        try:
            self.targets[chanid] = socket.create_connection(destination)
        except OSError:
            return paramiko.OPEN_FAILED_CONNECT_FAILED
        return paramiko.OPEN_SUCCEEDED

    def check_channel_env_request(self, channel, name, value):
        self.environments.setdefault(channel.chanid, {})[name.decode()] = value.decode()
        return True

    def check_channel_exec_request(self, channel, command):
        channel.after_reply = (self.run, channel, command.decode())
        return True

    def check_channel_subsystem_request(self, channel, name):
        if name != "echo":
            return False
        channel.after_reply = (self.run, channel, "cat")
        return True

    def check_channel_shell_request(self, channel):
        channel.after_reply = (self.run, channel, "/bin/sh")
        return True

    def run(self, channel, command):
        environment = {**os.environ, **self.environments.get(channel.chanid, {})}
        program = subprocess.Popen(["/bin/sh", "-c", command], env=environment, bufsize=0, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        in_background(pour, channel.recv, program.stdin.write, program.stdin.close)
        beside = in_background(pour, program.stderr.read, channel.sendall_stderr, lambda: None)
        pour(program.stdout.read, channel.sendall, lambda: None)
        beside.join()
        code = program.wait()
        if code < 0:
            message = paramiko.Message()
            message.add_byte(paramiko.common.cMSG_CHANNEL_REQUEST)
            message.add_int(channel.remote_chanid)
            message.add_string("exit-signal")
            message.add_boolean(False)
            message.add_string({15: "TERM", 9: "KILL"}.get(-code, "ABRT"))
            message.add_boolean(False)
            message.add_string("")
            message.add_string("")
            channel.transport._send_user_message(message)
        else:
            channel.send_exit_status(code)
        channel.shutdown_write()
        channel.close()


def serve(stream, args):
    transport = prepared(stream, args)
    transport.add_server_key(private_key(args.host_key))
    ours = Server(args)
    try:
        transport.start_server(server=ours)
        while channel := transport.accept(3600):
            if channel.chanid in ours.targets:
                in_background(join, channel, ours.targets.pop(channel.chanid))
    except (paramiko.SSHException, EOFError) as error:
        print(f"paramiko peer: {error}", file=sys.stderr, flush=True)


def server(args):
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"listening {listener.getsockname()[1]}", file=sys.stderr, flush=True)
    while True:
        stream, _ = listener.accept()
        in_background(serve, stream, args)


def main():
    args = parse()
    try:
        code = server(args) if args.role == "server" else client(args)
    except (OSError, EOFError, paramiko.SSHException) as error:
        print(f"paramiko peer: {error}", file=sys.stderr)
        code = 255
    sys.stdout.flush()
    os._exit(code)  # its threads would be waited for


if __name__ == "__main__":
    main()
