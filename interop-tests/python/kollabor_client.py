"""A client of PyPI kollabor-rpc that runs one named scenario against a server on a Unix socket.

usage: kollabor_client.py PATH SCENARIO

The package writes requests and is handed replies, so the reading of lines is written here. Prints one line of JSON per
check and ends with {"done": SCENARIO}. On a failed check it says so on stderr and ends with status 1. It ends when its
stdin ends, and by itself after 60 s.
"""

import asyncio
import json
import os
import sys
import traceback

from kollabor_rpc import RpcClient, RpcRequest, open_unix_connection_with_large_buffer

import kollabor_scenarios
from ends import end_with_stdin


class Client:
    """One connection: the package's client, and what a scenario does without it."""

    def __init__(self, path):
        self.path = path
        self.lines = asyncio.Queue()
        self.closed = asyncio.Event()

    async def connect(self):
        self.reader, self.writer = await open_unix_connection_with_large_buffer(self.path)
        self.rpc = RpcClient(self.writer)
        self.task = asyncio.create_task(self.read())
        return self

    async def read(self):
        try:
            while True:
                line = await self.reader.readline()
                if not line:
                    break
                try:
                    message = json.loads(line)
                except json.JSONDecodeError:
                    continue
                self.lines.put_nowait(line)
                if message.get("action") == "rpc_reply":
                    try:
                        self.rpc.on_reply(message)
                    except TypeError:
                        # The package looks an id up in a dictionary, whatever it is.
                        pass
        except ConnectionError:
            pass
        self.rpc.close()
        self.closed.set()

    async def call(self, method, timeout=None, **params):
        return await self.rpc.call("state." + method, params, timeout=timeout)

    async def send(self, data):
        """Bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def line(self):
        """The next line that arrives, as it is."""
        return await asyncio.wait_for(self.lines.get(), 20)

    async def reply(self):
        return json.loads(await self.line())

    def forget(self):
        while not self.lines.empty():
            self.lines.get_nowait()

    async def another(self):
        return await Client(self.path).connect()


def request(request_id, method, params=None, **more):
    """The line of a request, written as the package writes it."""
    wire = RpcRequest(request_id, "state." + method, params or {}).to_wire()
    return (json.dumps({**wire, **more}, default=str) + "\n").encode("utf-8")


def check(name, condition, **seen):
    """One line of the report; a failed one ends the program."""
    if not condition:
        print(f"check failed: {name}: {seen!r}", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(1)
    print(json.dumps({"check": name, "ok": True}), flush=True)


async def main(path, scenario):
    end_with_stdin(asyncio.get_running_loop(), lambda: os._exit(3))
    client = await Client(path).connect()
    try:
        await asyncio.wait_for(getattr(kollabor_scenarios, scenario)(client, check, request), 60)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(2)
    print(json.dumps({"done": scenario}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
