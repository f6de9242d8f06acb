"""A server of PyPI kollabor-rpc on a Unix socket. Prints "listening PATH"; ends when its stdin ends.

usage: kollabor_server.py PATH [--hub]

The package dispatches requests and has no listener, so the reading of lines is written here, the way its only carrier
does it. Requests run side by side; with --hub one after the other, and lines of more than 64 KiB close the connection.
"""

import asyncio
import json
import sys

from kollabor_rpc import LARGE_BUFFER_LIMIT, RpcServer

from ends import end_with_stdin


class State:
    """What the handlers remember."""

    def __init__(self):
        self.running = 0
        self.most = 0
        self.actions = []
        # Whether each line was spelled as the package would spell it.
        self.alike = True


def register(server, state):
    def handler(function):
        server.register("state." + function.__name__, function)
        return function

    server.register("ping", lambda params: {"status": "ok", **params})

    @handler
    def echo(params):
        return params["value"]

    @handler
    async def add(params):
        return params["a"] + params["b"]

    @handler
    async def fail(params):
        raise ValueError(params["text"], 1)

    @handler
    def unencodable(params):
        cycle = []
        cycle.append(cycle)
        return cycle

    @handler
    async def sleep(params):
        state.running += 1
        state.most = max(state.most, state.running)
        try:
            await asyncio.sleep(params["milliseconds"] / 1000)
        finally:
            state.running -= 1
        return params["milliseconds"]

    @handler
    async def grow(params):
        return "x" * params["letters"]

    @handler
    async def length(params):
        return len(params["text"])

    @handler
    async def seen(params):
        return {"running": state.running, "most": state.most, "actions": state.actions, "alike": state.alike}

    @handler
    def odd(params):
        return {
            "nan": [float("nan"), float("inf"), float("-inf")],
            "big": [2**64, -(2**63) - 1, 123456789012345678901234567890],
            "half": "\ud800",
        }[params["what"]]


class Listener:
    def __init__(self, server, state, hub):
        self.server = server
        self.state = state
        self.hub = hub
        self.tasks = set()

    async def serve(self, reader, writer):
        try:
            while True:
                # The hub has the default limit of asyncio: a longer line raises, and closes the connection.
                line = await reader.readline()
                if not line:
                    break
                try:
                    message = json.loads(line.decode("utf-8"))
                except (UnicodeDecodeError, json.JSONDecodeError):
                    continue
                if not isinstance(message, dict):
                    break
                self.state.actions.append(message.get("action"))
                self.state.alike &= line == (json.dumps(message) + "\n").encode("utf-8")
                if message.get("action") != "rpc_request":
                    continue
                task = asyncio.create_task(self.answer(message, writer))
                if self.hub:
                    await task
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)
        except (ValueError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(self, message, writer):
        request_id = message.get("request_id", "")
        params = message.get("params") or {}
        match message.get("method"):
            case "state.raw":
                # What the listener of a hub, or nobody at all, would write.
                for text in params["lines"]:
                    writer.write(text.replace("REQUEST_ID", json.dumps(request_id)).encode("utf-8") + b"\n")
                await writer.drain()
                return
            case "state.close":
                writer.close()
                return
        try:
            response = await self.server.handle_wire(message)
        except Exception as error:
            response = {
                "action": "rpc_reply",
                "request_id": request_id,
                "error": repr(error),
                "error_kind": "handler",
            }
        writer.write((json.dumps(response, default=str) + "\n").encode("utf-8"))
        await writer.drain()


async def main(path, hub):
    done = asyncio.Event()
    end_with_stdin(asyncio.get_running_loop(), done.set)
    state = State()
    server = RpcServer()
    register(server, state)
    listener = Listener(server, state, hub)
    limit = 64 * 1024 if hub else LARGE_BUFFER_LIMIT
    await asyncio.start_unix_server(listener.serve, path, limit=limit)
    print("listening", path, flush=True)
    await done.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], "--hub" in sys.argv[2:]))
