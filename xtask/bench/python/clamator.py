"""PyPI clamator-over-redis as a contender of `cargo xtask bench`: the line protocol of xtask/bench/src/lib.rs.

Its own client and server, the workload's value as their contract, one task for each call in flight.
"""

import argparse
import asyncio
import json
import os
import sys
import threading
import time

from clamator_over_redis import RedisRpcClient, RedisRpcServer
from clamator_protocol import Contract, MethodEntry
from pydantic import BaseModel

PREFIX = "bench"


class Echo(BaseModel):
    id: int
    name: str
    values: list[float]


class Params(BaseModel):
    value: Echo


CONTRACT = Contract("echoing", {"echo": MethodEntry(Params, Echo, "echo")})


class Handler:
    async def echo(self, params):
        return params.value


def usage():
    with open("/proc/self/statm") as file:
        resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    # Nothing is counted of its allocations.
    return {"cpu_ns": time.process_time_ns(), "allocations": 0, "allocated_bytes": 0, "live_bytes": 0, "rss_bytes": resident}


def say(text):
    print(text, flush=True)


def url(address):
    return address.replace("redis+unix://", "unix://", 1)


async def serve():
    server = RedisRpcServer(redis_url=url(os.environ["MYNAH_BENCH_REDIS"]), key_prefix=PREFIX)
    server.register_service(CONTRACT, Handler())
    await server.start()
    say(f"listening {os.environ['MYNAH_BENCH_REDIS']}")

    def answer():
        for line in sys.stdin:
            if line.strip() != "snapshot":
                break
            say(json.dumps(usage()))
        os._exit(0)

    threading.Thread(target=answer, daemon=True).start()
    await asyncio.Event().wait()


class Pace:
    def __init__(self, amount):
        self.left = None if amount.endswith("s") else int(amount)
        self.end = time.monotonic() + float(amount[:-1]) if amount.endswith("s") else None

    def claim(self):
        if self.left is None:
            return time.monotonic() < self.end
        self.left -= 1
        return self.left >= 0


async def load(client, in_flight, amount, latencies):
    pace = Pace(amount)
    taken = []
    calls = 0

    async def one(number):
        nonlocal calls
        value = {"id": number, "name": "sixteen letters.", "values": [1.5, -2.25, 3.141592653589793, 0.001]}
        while pace.claim():
            begun = time.perf_counter_ns()
            back = await client.call("echoing", "echo", {"value": value})
            if back["id"] != number:
                raise ValueError(back)
            calls += 1
            if latencies:
                taken.append(time.perf_counter_ns() - begun)

    await asyncio.gather(*[one(number) for number in range(in_flight)])
    return calls, sorted(taken)


async def call(arguments):
    clients = [RedisRpcClient(redis_url=url(arguments.address), key_prefix=PREFIX) for _ in range(arguments.connections)]
    for client in clients:
        await client.start()

    async def phase(amount, latencies):
        results = await asyncio.gather(*[load(client, arguments.in_flight, amount, latencies) for client in clients])
        return sum(calls for calls, _ in results), sorted(sum((taken for _, taken in results), []))

    await phase(arguments.warm_up, False)
    say("ready")
    if sys.stdin.readline().strip() != "go":
        raise ValueError("expected go")
    before = usage()
    begun = time.monotonic_ns()
    calls, taken = await phase(arguments.measure, arguments.latencies)
    elapsed = time.monotonic_ns() - begun
    after = usage()
    report = {key: after[key] - before[key] for key in ["cpu_ns", "allocations", "allocated_bytes"]}
    report |= {"live_bytes": 0, "rss_bytes": after["rss_bytes"], "calls": calls, "elapsed_ns": elapsed}
    report |= {f"p{of}_ns": taken[len(taken) * of // 100] if taken else None for of in [50, 99]}
    report |= {"busy_p50_ns": None, "busy_p99_ns": None, "busy_bytes": 0, "busy_elapsed_ns": 0}
    say(json.dumps(report))
    sys.stdin.readline()
    os._exit(0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("role")
    for name in ["variant", "transport", "runtime", "scenario", "address", "warm-up", "measure"]:
        parser.add_argument(f"--{name}")
    for name in ["core", "connections", "in-flight", "size"]:
        parser.add_argument(f"--{name}", type=int)
    for name in ["count-allocations", "latencies"]:
        parser.add_argument(f"--{name}", action="store_true")
    arguments = parser.parse_args()
    if arguments.core is not None:
        os.sched_setaffinity(0, {arguments.core})
    asyncio.run(serve() if arguments.role == "server" else call(arguments))


main()
