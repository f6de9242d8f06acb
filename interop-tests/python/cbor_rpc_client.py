"""A client of the real package that runs one named scenario against a server.

usage: cbor_rpc_client.py {PORT|PATH|stdio:PROGRAM|ssh:PORT:USER:KEY:PROGRAM|ssh:PORT:USER:KEY} {cbor|json} SCENARIO
       [ARGUMENT...]

A PORT is one of TCP on the loopback, a PATH is a Unix socket. PROGRAM is started as a worker, with the arguments "interop"
and the codec, and talked to over its stdin and stdout; behind "ssh:" it is started by an SSH server on the loopback, by the
package's own SSH client. Without a PROGRAM it is the subsystem "mynah" of that server that is talked to.

Prints one line of JSON per check and ends with {"done": SCENARIO}. On a failed check it says so on stderr and ends
with status 1. It ends when its stdin ends, and by itself after 60 s.
"""

import asyncio
import contextlib
import json
import os
import sys
import traceback

from cbor_rpc import RpcV1, SshPipe, SshServer, TcpPipe
from cbor_rpc.stdio.stdio_pipe import StdioPipe

import scenarios
from common import Methods, UnixPipe, new_state, transformer
from ends import end_with_stdin


class Client:
    """One connection: the package's RpcV1 with the common methods behind it, plus what a scenario looks at."""

    def __init__(self, codec):
        self.codec = codec
        self.methods = Methods(new_state())
        self.closed = asyncio.Event()

    async def connect(self, place):
        self.stderr = b""
        if place.startswith("stdio:"):
            program = place.removeprefix("stdio:")
            self.raw = await StdioPipe.start_process(program, "interop", self.codec, stderr_mode="pipe")
            self.raw.on("stderr", self.on_stderr)
        elif place.startswith("ssh:"):
            await self.connect_ssh(*place.split(":")[1:])
        elif place.isdigit():
            self.raw = await TcpPipe.create_connection("127.0.0.1", int(place))
        else:
            self.raw = await UnixPipe.create_connection(place)
        return self.attach()

    def attach(self):
        self.pipe = transformer(self.codec).apply_transformer(self.raw)
        self.methods.pipe = self.pipe
        self.methods.rpc = RpcV1.make_rpc_v1(self.pipe, "client", self.methods.handle, self.methods.on_event)
        self.pipe.on("close", lambda *args: self.closed.set())
        return self

    async def connect_ssh(self, port, user, key, *program):
        # What the package prints belongs to nobody here.
        with contextlib.redirect_stdout(sys.stderr):
            self.ssh = await SshServer.connect(
                "127.0.0.1", int(port), username=user, client_keys=[key], known_hosts=None, agent_path=None, config=None
            )
            if program:
                self.command = f"{program[0]} interop {self.codec}"
                self.raw = await self.ssh.run_command(self.command)
                self.raw.on("stderr", self.on_stderr)
                return
            channel = await self.ssh._connection.create_process(subsystem="mynah", encoding=None)
            self.raw = SshPipe(channel.stdout, channel.stdin, channel)
            await self.raw._setup_connection()

    def on_stderr(self, data):
        self.stderr += data

    @property
    def rpc(self):
        return self.methods.rpc

    @property
    def state(self):
        return self.methods.state

    async def call(self, method, *args):
        return await self.rpc.call_method(method, *args)


def check(name, condition, **seen):
    """One line of the report; a failed one ends the program."""
    if not condition:
        print(f"check failed: {name}: {seen!r}", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(1)
    print(json.dumps({"check": name, "ok": True}), flush=True)


async def main(place, codec, scenario, arguments):
    end_with_stdin(asyncio.get_running_loop(), lambda: os._exit(3))
    client = await Client(codec).connect(place)
    try:
        await asyncio.wait_for(getattr(scenarios, scenario)(client, check, *arguments), 60)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(2)
    print(json.dumps({"done": scenario}), flush=True)
    # A plain exit would wait for nothing and report loops that are still running; what matters was checked.
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]))
