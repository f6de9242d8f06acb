"""A client of PyPI clamator-over-redis that runs one named scenario against servers that share a Redis with it.

usage: clamator_redis_client.py URL PREFIX SCENARIO

Prints one line of JSON per check and ends with {"done": SCENARIO}. On a failed check it says so on stderr and ends with
status 1. It ends when its stdin ends, and by itself after 60 s.
"""

import asyncio
import json
import os
import sys

from clamator_over_redis import RedisRpcClient
from clamator_protocol import ClamatorTransportError, RpcError, build_notification
from redis.asyncio import Redis

from clamator_line import line
from clamator_scenarios import Scenarios, check, error_of, is_error, run
from ends import end_with_stdin

# The package lets go of its connections too late for these two when it is stopped right after a reply: known of
# redis-py 8 on CPython 3.11, where the cancel of its reading loop is swallowed.
SETTLE = 0.1


class Raw:
    """Entries that no client writes, and a stream of its own for their answers."""

    def __init__(self, redis, prefix):
        self.redis = redis
        self.prefix = prefix
        self.replies = f"{prefix}:replies:raw"
        self.lines = asyncio.Queue()
        self.task = asyncio.create_task(self.read())

    async def read(self):
        last = "0"
        while True:
            for _, entries in await self.redis.xread({self.replies: last}, block=1000) or []:
                for last, fields in entries:
                    assert fields[b"type"] == b"rpc", fields
                    # Spelled as `line` does, so that they compare: blanks may differ, order and numbers may not.
                    self.lines.put_nowait(line(json.loads(fields[b"envelope"])))

    async def raw(self, data):
        for text in data.split(b"\n"):
            if text:
                await self.entry({"type": "rpc", "envelope": text, "reply-to": self.replies})

    async def entry(self, fields):
        return await self.redis.xadd(f"{self.prefix}:cmds:arith", fields)

    async def reply(self):
        return json.loads(await asyncio.wait_for(self.lines.get(), 20))

    def forget(self):
        while not self.lines.empty():
            self.lines.get_nowait()


class RedisScenarios(Scenarios):
    def __init__(self, url, prefix, core, raw):
        super().__init__(core, raw)
        self.url = url
        self.prefix = prefix
        self.redis = raw.redis
        self.stream = f"{prefix}:cmds:arith"

    def client(self, instance):
        return RedisRpcClient(redis_url=self.url, key_prefix=self.prefix, instance_id=instance)

    async def settled(self):
        """Nothing is pending in the group, and nothing is left to read."""
        for _ in range(1000):
            [group] = await self.redis.xinfo_groups(self.stream)
            if group["pending"] == 0 and group["lag"] == 0:
                return True
            await asyncio.sleep(0.01)
        return False

    async def elsewhere(self):
        # Each service has a stream of its own, and this one is read by nobody: written to that of another it is refused.
        request = {"jsonrpc": "2.0", "method": "other.add", "params": {"a": 1, "b": 2}, "id": "u1"}
        self.transport.forget()
        await self.transport.raw(line(request))
        reply = await self.transport.reply()
        check("another service", (reply["id"], reply["error"]["code"]) == ("u1", -32601), reply=reply)

    # 11, 12

    async def fields(self):
        request = {"jsonrpc": "2.0", "method": "arith.note", "params": {"text": "1"}, "id": "u1"}
        text = json.dumps(request)
        await self.transport.entry({"type": "rpc", "envelope": text})
        check("without a reply-to it runs", await self.until(["1"]))
        await self.transport.entry({"type": "rpc", "envelope": text, "reply-to": ""})
        check("so it does with an empty one", await self.until(["1", "1"]))
        add = {"jsonrpc": "2.0", "method": "arith.add", "params": {"a": 1, "b": 2}, "id": "u2"}
        for fields in [
            {"reply-to": self.transport.replies, "envelope": json.dumps(add), "type": "rpc"},
            {"envelope": json.dumps(add), "reply-to": self.transport.replies},
            {"type": "other", "envelope": json.dumps(add), "reply-to": self.transport.replies, "x-more": "1"},
        ]:
            await self.transport.entry(fields)
            reply = await self.transport.reply()
            check(f"{list(fields)}", reply == {"jsonrpc": "2.0", "id": "u2", "result": {"sum": 3}}, reply=reply)
        notification = build_notification("arith.note", {"text": "2"})
        for envelope in [notification, {**notification, "id": None}]:
            await self.transport.entry(
                {"type": "rpc", "envelope": json.dumps(envelope), "reply-to": self.transport.replies}
            )
        check("notifications with a reply-to run", await self.until(["1", "1", "2", "2"]))
        await self.transport.raw(line(add))
        reply = await self.transport.reply()
        check("and are not answered", (reply["id"], self.transport.lines.empty()) == ("u2", True), reply=reply)
        check("all are acknowledged", await self.settled())

    # 13, what only an entry can be

    async def entries(self):
        for fields in [
            {"type": "rpc"}, {"type": "rpc", "envelope": ""}, {"x": "1"}, {"envelope": b"\xff\xfe{}"},
            {"type": "rpc", "reply-to": self.transport.replies},
            {"type": "rpc", "envelope": "junk", "reply-to": f"{self.prefix}:cmds:arith"},
            {"type": "rpc", "envelope": b'{"jsonrpc":"2.0","method":"arith.note","params":{"text":"x"}}\xff'},
        ]:
            await self.transport.entry(fields)
            await self.usable(f"{fields!r}")
        check("nothing of it ran", await self.until([]))
        check("all are acknowledged", await self.settled())

    # 19

    async def four(self):
        clients = [self.client(f"four-{number}") for number in range(4)]
        for client in clients:
            await client.start()

        async def one(number, client):
            results = [
                await client.call("arith", "echo", {"value": f"{number}-{call}"}) for call in range(50)
            ]
            return [result["value"] for result in results] == [f"{number}-{call}" for call in range(50)]

        right = await asyncio.gather(*[one(number, client) for number, client in enumerate(clients)])
        check("each gets its own replies", right == [True] * 4, right=right)
        await asyncio.sleep(SETTLE)
        for client in clients:
            await client.stop()
        left = [await self.redis.exists(f"{self.prefix}:replies:four-{number}") for number in range(4)]
        check("they leave nothing", left == [0] * 4, left=left)

    # 21, 32

    async def stopping(self):
        client = self.client("stopping")
        await client.start()
        await client.start()
        check("a call", await client.call("arith", "add", {"a": 1, "b": 2}) == {"sum": 3})
        ttl = await self.redis.pttl(f"{self.prefix}:replies:stopping")
        check("a stream of replies does not stay for ever", ttl > 0, ttl=ttl)
        waiting = asyncio.ensure_future(error_of(client.call("arith", "sleep", {"milliseconds": 500})))
        await asyncio.sleep(SETTLE)
        await client.stop()
        await client.stop()
        error = await waiting
        check("what waits is told", type(error) is ClamatorTransportError, error=error)
        for _ in range(500):
            if await self.settled() and await self.redis.pttl(f"{self.prefix}:replies:stopping") != 0:
                break
        # The late reply has made the stream again, and it goes by itself.
        ttl = await self.redis.pttl(f"{self.prefix}:replies:stopping")
        check("a late reply leaves nothing for ever", ttl == -2 or ttl > 0, ttl=ttl)
        error = await error_of(client.start())
        check("no start after the stop", type(error) is RuntimeError, error=error)
        await self.usable("stopping")

    # 31

    async def names(self):
        result = await self.core.call("fleet-work", "mark", {"id": "names", "milliseconds": 0})
        check("a service with a hyphen", isinstance(result["by"], str) and result["by"], result=result)
        error = await error_of(self.core.call("fleet-work", "nope", {}))
        check("its errors", is_error(error, -32601, "Method not found"), error=error)

    # 19 under load, for tests that look at what is left

    async def thousand(self):
        async def some(count):
            for number in range(count):
                result = await self.call("add", a=number, b=1)
                assert result == {"sum": number + 1}, result

        await asyncio.gather(*[some(100) for _ in range(10)])
        check("1,000 calls", await self.settled())

    # 22, 28: calls until one is answered

    async def patient(self):
        print("ready", flush=True)
        for _ in range(200):
            try:
                if await self.call("add", timeout_ms=300, a=2, b=3) == {"sum": 5}:
                    check("answered", True)
                    return
            except (ClamatorTransportError, RpcError):
                await asyncio.sleep(0.05)
        check("answered", False)

    # 22: waits for a server as long as it takes

    async def early(self):
        result = await self.call("add", timeout_ms=30_000, a=2, b=3)
        check("a call made before its server came", result == {"sum": 5}, result=result)


async def main(url, prefix, scenario):
    end_with_stdin(asyncio.get_running_loop(), lambda: os._exit(3))
    raw = Raw(Redis.from_url(url), prefix)
    core = RedisRpcClient(redis_url=url, key_prefix=prefix, instance_id="main")
    await core.start()
    await run(RedisScenarios(url, prefix, core, raw), scenario)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
