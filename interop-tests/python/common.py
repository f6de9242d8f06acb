"""What both drivers need: the codec by name, and one set of methods that either side can serve.

Everything on the wire is done by the real package; nothing of it is written again here.
"""

import asyncio
import os
import sys

from cbor_rpc import CborStreamTransformer, JsonStreamTransformer
from cbor_rpc.pipe.aio_pipe import AioPipe


def transformer(codec):
    """The stream transformer of a codec: "cbor" or "json"."""
    return {"cbor": CborStreamTransformer, "json": JsonStreamTransformer}[codec]()


class UnixPipe(AioPipe):
    """A Unix socket as a pipe of the package, which has none of its own: its pipe over any asyncio streams."""

    @classmethod
    async def create_connection(cls, path):
        pipe = cls(*await asyncio.open_unix_connection(path))
        await pipe._setup_connection()
        return pipe


class Unencodable:
    """A value that neither codec can write."""


class Methods:
    """The methods of the interop service. `state` is shared by all connections of one process."""

    def __init__(self, state):
        self.state = state
        self.rpc = None
        self.pipe = None

    async def handle(self, context, method, args):
        handler = getattr(self, "do_" + str(method), None)
        if handler is None:
            raise Exception(f"Unknown method {method}")
        return await handler(context, *args)

    async def on_event(self, topic, message):
        self.state["events"].append([topic, message])
        if topic == "note":
            self.state["notes"].append(message)

    # plain values

    async def do_add(self, context, a, b):
        return a + b

    async def do_echo(self, context, value):
        return value

    async def do_ping(self, context, *args):
        return "pong"

    async def do_id(self, context):
        return context.id

    async def do_kind(self, context, value):
        return f"{type(value).__name__} {value!r}"

    async def do_blob(self, context, size):
        return bytes(i % 251 for i in range(size))

    async def do_length(self, context, data):
        return len(data)

    # errors

    async def do_fail(self, context, text):
        raise Exception(text)

    async def do_fail_plain(self, context):
        raise RuntimeError()

    async def do_fail_pair(self, context):
        raise ValueError("bad", 42)

    async def do_unencodable(self, context):
        return Unencodable()

    # the process

    async def do_print(self, context, text):
        print(text, file=sys.stderr, flush=True)

    async def do_exit(self, context, status):
        os._exit(status)

    # fire and events

    async def do_note(self, context, value):
        self.state["notes"].append(value)
        await self.rpc.emit("noted", value)
        return value

    async def do_fail_note(self, context, value):
        self.state["notes"].append(value)
        raise Exception("nobody hears this")

    async def do_emit(self, context, topic, message):
        await self.rpc.emit(topic, message)
        return None

    async def do_wait_event(self, context, topic, timeout_ms):
        return await self.rpc.wait_next_event(topic, timeout_ms)

    async def do_state(self, context):
        return self.state

    # side messages

    async def do_long_task(self, context, steps):
        log = context.logger
        for write, text in (
            (log.crit, "crit"),
            (log.warn, "warn"),
            (log.info, "info"),
            (log.verbose, "verbose"),
            (log.debug, "debug"),
        ):
            write(text)
        for step in range(1, steps + 1):
            context.progress(100 * step // steps, {"step": step})
        await asyncio.sleep(0.05)
        return {"steps": steps}

    async def do_tagged_task(self, context, tag, count):
        for step in range(count):
            context.logger.info([tag, step])
            context.progress(step, tag)
            await asyncio.sleep(0.01)
        return tag

    async def do_late_side(self, context):
        context.logger.crit("a")
        context.logger.warn("b")
        context.progress(50)
        return "ok"

    async def do_system_log(self, context, text):
        self.rpc.logger.warn(text)
        await asyncio.sleep(0.05)
        return None

    # time

    async def do_slow(self, context, milliseconds):
        self.state["started"] += 1
        for _ in range(max(1, milliseconds // 10)):
            await asyncio.sleep(0.01)
            if context.cancelled:
                self.state["cancelled"] += 1
                return "cancelled"
        return "finished"

    async def do_sleep(self, context, milliseconds):
        await asyncio.sleep(milliseconds / 1000)
        return milliseconds

    # calls back

    async def do_call_back(self, context, method, *args):
        return await self.rpc.call_method(method, *args)

    async def do_call_back_with(self, context, method, args):
        return await self.rpc.call_method(method, *args)

    async def do_recurse(self, context, depth):
        if depth == 0:
            return 0
        return 1 + await self.rpc.call_method("recurse", depth - 1)

    async def do_close(self, context):
        await self.pipe.terminate("asked to")


def new_state():
    """What the methods remember, all of it encodable in both codecs."""
    return {"notes": [], "events": [], "started": 0, "cancelled": 0}
