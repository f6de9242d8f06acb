"""PyPI clamator-over-redis as a contender: the line protocol of src/lib.rs, scenario `calls`."""

import argparse
import asyncio
import json
import os
import resource
import socket
import subprocess
import sys
import time

from clamator_over_redis import RedisRpcClient, RedisRpcServer
from clamator_protocol import Contract, MethodEntry
from pydantic import BaseModel


class Echo(BaseModel):
    id: int
    name: str
    values: list[float]


class EchoParams(BaseModel):
    value: Echo


CONTRACT = Contract(
    service="echoing",
    methods={"echo": MethodEntry(params_model=EchoParams, result_model=Echo, handler_attr="echo")},
)


class Echoing:
    async def echo(self, params):
        return params.value


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("role")
    for name in ("variant", "transport", "runtime", "address", "scenario"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--core", type=int)
    parser.add_argument("--size", type=int)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--in-flight", type=int, default=1)
    parser.add_argument("--warm-up", default="0")
    parser.add_argument("--measure", default="1")
    parser.add_argument("--latencies", action="store_true")
    parser.add_argument("--count-allocations", action="store_true")
    return parser.parse_args()


def used(children=()):
    own = resource.getrusage(resource.RUSAGE_SELF)
    ns = int((own.ru_utime + own.ru_stime) * 1e9)
    for pid in children:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat") as file:
                ns += int(file.read().split()[0])
    return {"cpu_ns": ns, "allocations": 0, "allocated_bytes": 0, "live_bytes": 0, "rss_bytes": 0}


def say(line):
    print(line, flush=True)


async def serve():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    redis = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "redis-server", "--bind", "127.0.0.1", "--port", str(port)]
        + ["--save", "", "--appendonly", "no"],
        stdout=subprocess.DEVNULL,
    )
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)
    url = f"redis://127.0.0.1:{port}/0"
    server = RedisRpcServer(redis_url=url, key_prefix="bench")
    server.register_service(CONTRACT, Echoing())
    await server.start()
    say(f"listening {url}")
    loop = asyncio.get_running_loop()
    while (await loop.run_in_executor(None, sys.stdin.readline)).strip() == "snapshot":
        say(json.dumps(used([redis.pid])))
    redis.kill()
    os._exit(0)


async def load(clients, in_flight, amount, latencies):
    end = time.monotonic() + float(amount[:-1]) if amount.endswith("s") else None
    left = [None if end else int(amount)]
    times = []

    async def one(client, number):
        calls = 0
        while True:
            if end is not None:
                if time.monotonic() >= end:
                    break
            elif left[0] <= 0:
                break
            else:
                left[0] -= 1
            start = time.perf_counter_ns()
            value = {"id": number, "name": "sixteen letters.", "values": [1.5, -2.25, 3.141592653589793, 0.001]}
            answer = await client.call("echoing", "echo", {"value": value})
            assert answer["id"] == number
            calls += 1
            if latencies:
                times.append(time.perf_counter_ns() - start)
        return calls

    done = await asyncio.gather(*(one(client, number) for client in clients for number in range(in_flight)))
    return sum(done), sorted(times)


async def call(chosen):
    clients = [RedisRpcClient(redis_url=chosen.address, key_prefix="bench") for _ in range(chosen.connections)]
    for client in clients:
        await client.start()
    await load(clients, chosen.in_flight, chosen.warm_up, False)
    say("ready")
    if sys.stdin.readline().strip() != "go":
        sys.exit("expected `go`")
    before, start = used(), time.perf_counter_ns()
    calls, times = await load(clients, chosen.in_flight, chosen.measure, chosen.latencies)
    elapsed = time.perf_counter_ns() - start
    report = {name: after - before[name] for name, after in used().items()}
    quantile = lambda part: times[len(times) * part // 100] if times else None
    report |= {"calls": calls, "elapsed_ns": elapsed, "p50_ns": quantile(50), "p99_ns": quantile(99)}
    report |= {"busy_p50_ns": None, "busy_p99_ns": None, "busy_bytes": 0, "busy_elapsed_ns": 0}
    say(json.dumps(report))
    sys.stdin.readline()
    os._exit(0)


def main():
    chosen = options()
    if chosen.core is not None:
        os.sched_setaffinity(0, {chosen.core})
    asyncio.run(serve() if chosen.role == "server" else call(chosen))


if __name__ == "__main__":
    main()
