"""A server of PyPI clamator-over-redis. Prints "listening INSTANCE"; stops and ends when its stdin ends.

usage: clamator_redis_server.py URL PREFIX INSTANCE CLAIM_IDLE_MS
"""

import asyncio
import sys

from clamator_over_redis import RedisRpcServer
from redis.asyncio import Redis

from clamator_line import CONTRACT, Arith
from clamator_redis_work import WORK, Work
from ends import end_with_stdin


async def main(url, prefix, instance, claim_idle_ms):
    done = asyncio.Event()
    end_with_stdin(asyncio.get_running_loop(), done.set)
    server = RedisRpcServer(
        redis_url=url, key_prefix=prefix, instance_id=instance, consumer_claim_idle_ms=int(claim_idle_ms)
    )
    server.register_service(CONTRACT, Arith())
    server.register_service(WORK, Work(Redis.from_url(url), instance))
    await server.start()
    print("listening", instance, flush=True)
    await done.wait()
    await server.stop()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
