"""A transport of PyPI clamator-protocol over lines, and the contract of the tests.

The package has envelopes and the cores of client and server; transports are packages of their own. This one has each
envelope on a line. Everything on the lines is made and read by the package's own functions.
"""

import asyncio
import json
from typing import Any

from clamator_protocol import (
    ClamatorTransportError,
    Contract,
    MethodEntry,
    RpcError,
    parse_envelope,
)
from pydantic import BaseModel, ConfigDict

LIMIT = 16 * 1024 * 1024


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Empty(Closed):
    pass


class AddParams(Closed):
    a: int
    b: int


class AddResult(Closed):
    sum: int


class EchoParams(Closed):
    value: Any = None


class EchoResult(Closed):
    value: Any


class FailParams(Closed):
    code: int
    message: str
    data: Any = None


class NoteParams(Closed):
    text: str


class NotesResult(Closed):
    notes: list[str]


class SleepParams(Closed):
    milliseconds: int


CONTRACT = Contract(
    "arith",
    {
        "add": MethodEntry(AddParams, AddResult, "add"),
        "echo": MethodEntry(EchoParams, EchoResult, "echo"),
        "failWith": MethodEntry(FailParams, AddResult, "fail_with"),
        "boom": MethodEntry(Empty, AddResult, "boom"),
        "badResult": MethodEntry(Empty, AddResult, "bad_result"),
        "note": MethodEntry(NoteParams, None, "note"),
        "notes": MethodEntry(Empty, NotesResult, "notes"),
        "sleep": MethodEntry(SleepParams, AddResult, "sleep"),
    },
)


class Arith:
    def __init__(self):
        self.heard = []

    async def add(self, params):
        return {"sum": params.a + params.b}

    async def echo(self, params):
        return {"value": params.value}

    async def fail_with(self, params):
        raise RpcError(params.code, params.message, params.data)

    async def boom(self, params):
        raise ValueError("boom")

    async def bad_result(self, params):
        return {"sum": "zzz"}

    async def note(self, params):
        self.heard.append(params.text)
        if params.text == "fail":
            raise ValueError("nobody hears this")

    async def notes(self, params):
        return {"notes": self.heard}

    async def sleep(self, params):
        await asyncio.sleep(params.milliseconds / 1000)
        return {"sum": params.milliseconds}


def line(envelope):
    return (json.dumps(envelope) + "\n").encode("utf-8")


class ClientTransport:
    """What `RpcClientCore` sends through."""

    def __init__(self, path):
        self.path = path
        self.pending = {}
        self.lines = asyncio.Queue()

    async def register_service(self, name, dispatch):
        raise NotImplementedError

    async def start(self):
        self.reader, self.writer = await asyncio.open_unix_connection(self.path, limit=LIMIT)
        self.task = asyncio.create_task(self.read())

    async def stop(self):
        self.writer.close()
        self.task.cancel()

    async def read(self):
        while text := await self.reader.readline():
            if not text.strip():
                continue
            self.lines.put_nowait(text)
            message = json.loads(text)
            waiting = self.pending.get(message.get("id")) if isinstance(message.get("id"), str | int) else None
            if waiting is not None and not waiting.done():
                waiting.set_result(message)

    async def raw(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self):
        return json.loads(await asyncio.wait_for(self.lines.get(), 20))

    def forget(self):
        while not self.lines.empty():
            self.lines.get_nowait()

    async def send(self, envelope, *, timeout):
        waiting = self.pending[envelope["id"]] = asyncio.get_running_loop().create_future()
        try:
            await self.raw(line(envelope))
            return await asyncio.wait_for(waiting, timeout)
        except asyncio.TimeoutError:
            raise ClamatorTransportError("call timeout")
        finally:
            del self.pending[envelope["id"]]

    async def notify(self, envelope):
        await self.raw(line(envelope))


class ServerTransport:
    """What `RpcServerCore` is served through."""

    def __init__(self, path):
        self.path = path
        self.services = {}
        self.tasks = set()

    async def register_service(self, name, dispatch):
        self.services[name] = dispatch

    async def start(self):
        self.server = await asyncio.start_unix_server(self.serve, self.path, limit=LIMIT)

    async def stop(self):
        self.server.close()

    async def send(self, envelope, *, timeout):
        raise NotImplementedError

    async def notify(self, envelope):
        raise NotImplementedError

    async def serve(self, reader, writer):
        try:
            while text := await reader.readline():
                task = asyncio.create_task(self.answer(text, writer))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)
        except (ValueError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(self, text, writer):
        try:
            message = json.loads(text)
            envelope = parse_envelope(message)
        except ValueError:
            return
        if "raw" in message:
            # What no core would write, for the other side to cope with.
            for reply in message["raw"]:
                writer.write(reply.encode("utf-8") + b"\n")
            return
        # By the service of the method, as each service has a stream of its own elsewhere.
        service = getattr(envelope, "service", None)
        dispatch = self.services.get(service)
        reply = await dispatch(envelope) if dispatch else None
        if reply is not None:
            writer.write(line(reply))
            await writer.drain()
