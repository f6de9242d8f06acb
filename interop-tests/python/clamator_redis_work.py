"""The second contract of the Redis tests: each run leaves a mark in Redis, so that runs can be counted from outside."""

import asyncio

from clamator_line import Closed
from clamator_protocol import Contract, MethodEntry


class MarkParams(Closed):
    id: str
    milliseconds: int


class MarkResult(Closed):
    by: str


# A name with a hyphen; the stream, the group and the consumer are called after it.
WORK = Contract("fleet-work", {"mark": MethodEntry(MarkParams, MarkResult, "mark")})


class Work:
    """Appends the name of the server to `marks:ID` before it waits, and to `done:ID` after it."""

    def __init__(self, redis, instance):
        self.redis = redis
        self.instance = instance

    async def mark(self, params):
        await self.redis.rpush(f"marks:{params.id}", self.instance)
        await asyncio.sleep(params.milliseconds / 1000)
        await self.redis.rpush(f"done:{params.id}", self.instance)
        return {"by": self.instance}
