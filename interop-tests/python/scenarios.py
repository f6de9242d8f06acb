"""The scenarios of the client, one function per check of the interop list.

Each takes the connected client and `check(name, condition, **seen)`. The server on the other side serves the methods
of `common.Methods`, in whatever language.
"""

import asyncio
import contextlib
import sys
import datetime
import decimal
import math
import time
import uuid

import cbor2


async def error_of(awaitable):
    """The single argument of the exception that an awaitable ends with."""
    try:
        value = await awaitable
    except asyncio.TimeoutError as error:
        return error
    except Exception as error:
        return error.args[0]
    raise AssertionError(f"no error but {value!r}")


async def until(condition, seconds=5.0):
    """Waits for something that happens at the other end, bounded."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        await asyncio.sleep(0.01)
    return False


async def until_state(client, key, value):
    """Waits until the server's state shows a value."""
    state = None
    for _ in range(500):
        state = await client.call("state")
        if state[key] == value:
            return True
        await asyncio.sleep(0.01)
    raise AssertionError(f"{key} is {state[key]!r}, not {value!r}")


# 1

async def golden(client, check):
    """The exchange of the golden bytes, in their order; the harness records the bytes."""
    check("add", await client.call("add", 2, 3) == 5)
    value = {"é": [None, True, 1]}
    check("echo", await client.call("echo", value) == value)
    check("fail", await error_of(client.call("fail", "boom")) == "boom")
    noted = asyncio.create_task(client.rpc.wait_next_event("noted", 5000))
    await asyncio.sleep(0)
    await client.rpc.fire_method("note", 7)
    check("fire", await noted == 7)
    seen = []
    handle = client.rpc.create_call("long_task", 1)
    handle.on_log(lambda level, content: seen.append([level, content]))
    handle.on_progress(lambda value, metadata: seen.append([value, metadata]))
    check("long_task", await handle.call() == {"steps": 1})
    check(
        "side messages",
        seen == [[1, "crit"], [2, "warn"], [3, "info"], [4, "verbose"], [5, "debug"], [100, {"step": 1}]],
        seen=seen,
    )
    handle = client.rpc.create_call("slow", 5000).call()
    await asyncio.sleep(0.1)
    await handle.cancel()
    error = await error_of(handle)
    check("cancel", isinstance(error, asyncio.TimeoutError), error=error)
    check("cancelled", await until_state(client, "cancelled", 1))
    await client.rpc.emit("note", {"k": 1})
    check("call back", await client.call("call_back", "ping") == "pong")


# 2

def values(codec):
    """Values that must come back as they went, in type and in value."""
    both = [
        None, True, False, 0, 1, -1, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**53 - 1, 2**53, 2**53 + 1,
        2**63 - 1, 2**63, 2**64 - 1, -(2**31), -(2**63),
        "", "text", "zero \x00 inside", "quotes \" and \\ and \n", "é ü ß", "\U0001f99c bird", "\u2028",
        [], [[]], [1, [2, [3, [4]]]], {}, {"b": 1, "a": 2, "c": {"z": None, "y": []}}, list(range(300)),
        {str(i): i for i in range(300)},
    ]
    if codec == "json":
        return both
    return both + [
        2**64, 2**70, -(2**64), -(2**70), b"", b"\x00\xff", bytes(range(256)), bytearray(b"mutable"),
        0.0, -0.0, 1.5, -1.5, 0.1, 5e-324, 1.7976931348623157e308, math.inf, -math.inf, math.nan, 1e100,
        {1: "a", b"k": None, "f": 1.5, -1: 2, (1, 2): 3, True: 4},
        datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
        decimal.Decimal("1.10"), uuid.UUID("12345678-1234-5678-1234-567812345678"),
        cbor2.CBORTag(4711, ["unknown", 1]), cbor2.CBORTag(4712, cbor2.CBORTag(4713, "twice")),
        {"deep": [{"er": [datetime.datetime(1999, 12, 31, 23, 59, 59, tzinfo=datetime.timezone.utc)]}]},
    ]


def same(a, b):
    """Equality that tells 1 from 1.0 and True, knows NaN, and looks at the order of maps."""
    if isinstance(a, bytearray):
        a = bytes(a)
    if isinstance(a, tuple):
        a = list(a)
    if isinstance(b, tuple):
        b = list(b)
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    if isinstance(a, dict):
        return len(a) == len(b) and all(
            same(k, l) and same(v, w) for (k, v), (l, w) in zip(a.items(), b.items())
        )
    if isinstance(a, cbor2.CBORTag):
        return a.tag == b.tag and same(a.value, b.value)
    return a == b


async def echo(client, check):
    for value in values(client.codec):
        back = await client.call("echo", value)
        check(f"echo {value!r:.60}", same(value, back), back=back)
    nested = []
    for _ in range(100):
        nested = [nested]
    check("echo 100 deep", await client.call("echo", nested) == nested)


async def echo_back(client, check):
    """The same with the server as the caller: it is asked to call this side's echo."""
    for value in values(client.codec):
        back = await client.call("call_back_with", "echo", [value])
        check(f"echo back {value!r:.60}", same(value, back), back=back)


# 3

async def errors(client, check):
    texts = ["boom", "", "with \"quotes\" and \n", "é \U0001f99c", "x" * 10_000, "-32601"]
    for text in texts:
        check(f"fail {text!r:.40}", await error_of(client.call("fail", text)) == text)
        check("survives", await client.call("add", 1, 2) == 3)
    error = await error_of(client.call("no_such_method"))
    check("unknown method is a text", isinstance(error, str) and error != "", error=error)
    error = await error_of(client.call("add", "one"))
    check("wrong params are a text", isinstance(error, str) and error != "", error=error)
    check("survives", await client.call("add", 1, 2) == 3)


# 4

async def side_messages(client, check):
    async def one(tag):
        seen = []
        handle = client.rpc.create_call("tagged_task", tag, 5)
        handle.on_log(lambda level, content: seen.append(("log", level, content)))
        handle.on_progress(lambda value, metadata: seen.append(("progress", value, metadata)))
        result = await handle.call()
        return result, list(seen)

    tags = ["a", "b", "c", "d"]
    for tag, (result, seen) in zip(tags, await asyncio.gather(*(one(tag) for tag in tags))):
        wanted = []
        for step in range(5):
            wanted += [("log", 3, [tag, step]), ("progress", step, tag)]
        check(f"task {tag}", result == tag and seen == wanted, seen=seen)
    seen = []
    handle = client.rpc.create_call("long_task", 4)
    handle.on_log(lambda level, content: seen.append((level, content)))
    handle.on_progress(lambda value, metadata: seen.append((value, metadata)))
    result = await handle.call()
    wanted = [(1, "crit"), (2, "warn"), (3, "info"), (4, "verbose"), (5, "debug")]
    wanted += [(25 * step, {"step": step}) for step in range(1, 5)]
    check("five levels and progress", seen == wanted and result == {"steps": 4}, seen=seen)
    seen = []
    handle = client.rpc.create_call("late_side")
    handle.on_log(lambda level, content: seen.append((level, content)))
    handle.on_progress(lambda value, metadata: seen.append((value, metadata)))
    await handle.call()
    check("ahead of the reply without a pause", seen == [(1, "a"), (2, "b"), (50, None)], seen=seen)


# 6, 7, 8

async def cancel(client, check):
    handle = client.rpc.create_call("slow", 20_000).call()
    check("started", await until_state(client, "started", 1))
    await handle.cancel()
    error = await error_of(handle)
    check("cancel ends the call here", isinstance(error, asyncio.TimeoutError), error=error)
    check("the handler sees it", await until_state(client, "cancelled", 1))
    await client.pipe.write([1, 3, 4711])
    await client.pipe.write([1, 3, handle.id])
    check("cancels of unknown and ended calls are ignored", await client.call("add", 1, 2) == 3)


async def cancel_first(client, check):
    handle = client.rpc.create_call("slow", 200)
    handle.call()
    # The call is written by a task of its own, so this overtakes it.
    await handle.cancel()
    error = await error_of(handle)
    check("ended here", isinstance(error, asyncio.TimeoutError), error=error)
    check("no harm", await client.call("add", 1, 2) == 3)
    await asyncio.sleep(0.4)
    check("no harm later", await client.call("add", 3, 4) == 7)


async def timeout(client, check, sends_cancel="yes"):
    handle = client.rpc.create_call("slow", 20_000 if sends_cancel == "yes" else 600).set_timeout(200)
    error = await error_of(handle.call())
    wanted = {"timeout": True, "timeoutPeriod": 200, "message": "Timeout on RPC call"}
    check("local timeout", error == wanted, error=error)
    if sends_cancel == "yes":
        check("the handler is cancelled", await until_state(client, "cancelled", 1))
    else:
        await asyncio.sleep(0.6)
        check("the handler is not cancelled", (await client.call("state"))["cancelled"] == 0)
    check("the late reply does no harm", await client.call("add", 1, 2) == 3)


# 9

async def fire(client, check):
    await client.rpc.fire_method("note", 1)
    await client.rpc.fire_method("fail_note", 2)
    await client.rpc.fire_method("fail", "nobody hears this")
    await client.rpc.fire_method("no_such_method", 3)
    check("both ran", await until_state(client, "notes", [1, 2]))
    check("survives", await client.call("add", 1, 2) == 3)


# 10

async def events(client, check):
    for topic, message in [("noted", 7), ("n\u00f6ted \U0001f99c", {"k": [1]}), ("null", None)]:
        waiter = asyncio.create_task(client.rpc.wait_next_event(topic, 5000))
        await asyncio.sleep(0)
        await client.call("emit", topic, message)
        check(f"waiter {topic}", await waiter == message)
        check(f"handler {topic}", await until(lambda: [topic, message] in client.state["events"]))
    error = await error_of(client.rpc.wait_next_event("never", 100))
    check("time-out", error["message"] == "Timeout Waiting for Event on: never", error=error)


async def events_up(client, check):
    await client.rpc.emit("note", {"k": 1})
    await client.rpc.emit("note", None)
    check("emit", await until_state(client, "notes", [{"k": 1}, None]))
    heard = [["note", {"k": 1}], ["note", None]]
    for topic, message in [("up", 7), ("n\u00f6ted \U0001f99c", {"k": [1]}), ("null", None)]:
        waiter = asyncio.create_task(client.call("wait_event", topic, 5000))
        # The package writes a call from a task of its own, so the first ping may go ahead of it; the second is answered
        # behind it, and the waiter is in place.
        check("pings", await client.call("ping") == "pong")
        check("waits", await client.call("ping") == "pong")
        await client.rpc.emit(topic, message)
        check(f"waiter {topic}", await waiter == message)
        heard.append([topic, message])
        check(f"handler {topic}", await until_state(client, "events", heard))
    error = await error_of(client.call("wait_event", "never", 100))
    check("time-out", error == "Timeout Waiting for Event on: never", error=error)


async def hears_all(client, check, *topics):
    """Waits for one event under each topic, which the server emits when it has been told that this side is ready."""
    waiters = [asyncio.create_task(client.rpc.wait_next_event(topic, 20_000)) for topic in topics]
    await asyncio.sleep(0)
    await client.rpc.fire_method("note", "ready")
    for topic, waiter in zip(topics, waiters):
        message = await waiter
        check(f"waiter {topic}", message == {"topic": topic, "n": [1, None]}, message=message)
        check(f"handler {topic}", await until(lambda: [topic, message] in client.state["events"]))
    check("survives", await client.call("add", 1, 2) == 3)


# 11

async def call_back(client, check):
    check("ping", await client.call("call_back", "ping") == "pong")
    check("echo", await client.call("call_back_with", "echo", [{"a": [1, None]}]) == {"a": [1, None]})
    error = await error_of(client.call("call_back_with", "fail", ["two hops"]))
    check("error through two hops", error == "two hops", error=error)
    error = await error_of(client.call("call_back_with", "call_back_with", ["fail", ["three hops"]]))
    check("error through three hops", error == "three hops", error=error)
    check("recursion", await client.call("recurse", 64) == 64)
    results = await asyncio.gather(*(client.call("recurse", 16) for _ in range(16)))
    check("sixteen recursions at once", results == [16] * 16)
    check("survives", await client.call("add", 1, 2) == 3)


# 12

async def system_log(client, check):
    seen = []
    handle = client.rpc.create_call("slow", 400)
    check("it is call 0", handle.id == 0)
    handle.on_log(lambda level, content: seen.append((level, content)))
    handle.call()
    await client.call("system_log", "while call 0 is active")
    check("goes to call 0", await until(lambda: (2, "while call 0 is active") in seen), seen=seen)
    await handle
    await client.call("system_log", "when it is not")
    check("the connection goes on", await client.call("add", 1, 2) == 3)
    check("and to nobody else", seen == [(2, "while call 0 is active")], seen=seen)


async def system_log_up(client, check):
    """Lines of this side that belong to no call, while a call 0 of the other side may run or not."""
    client.rpc.logger.warn("up")
    client.rpc.logger.debug({"more": [1, None]})
    check("heard", await until_state(client, "logs", [[2, "up"], [5, {"more": [1, None]}]]))
    check("the connection goes on", await client.call("add", 1, 2) == 3)


# 13

async def many(client, check):
    results = await asyncio.gather(*(client.call("add", i, 1) for i in range(64)))
    check("64 at once", results == [i + 1 for i in range(64)])
    started = time.monotonic()
    await asyncio.gather(*(client.call("sleep", 300) for _ in range(20)))
    check("20 of 300 ms run side by side", time.monotonic() - started < 3.0)


async def large(client, check):
    blob = bytes(i % 251 for i in range(64 * 1024))
    results = await asyncio.gather(*(client.call("echo", blob) for _ in range(64)))
    check("64 of 64 KiB", all(result == blob for result in results))
    for size in (1 << 20, 4 << 20):
        blob = bytes(size)
        check(f"up {size}", await client.call("length", blob) == size)
        check(f"down {size}", len(await client.call("blob", size)) == size)
        check(f"both ways {size}", await client.call("echo", blob) == blob)


# 16, 17

async def unencodable(client, check):
    error = await error_of(client.call("unencodable"))
    check("an error text", isinstance(error, str) and error != "", error=error)
    check("survives", await client.call("add", 1, 2) == 3)


async def server_closes(client, check):
    pending = [asyncio.create_task(error_of(client.call("slow", 20_000))) for _ in range(3)]
    await asyncio.sleep(0.1)
    # Whether this one is still answered is the server's affair.
    closing = asyncio.gather(client.call("close"), return_exceptions=True)
    for error in [await task for task in pending]:
        # A server may still say that it stopped them before it goes.
        stopped = isinstance(error, str) or (isinstance(error, dict) and error["transportClosed"])
        check("pending calls fail at once", stopped, error=error)
    await closing
    await asyncio.wait_for(client.closed.wait(), 5)


async def server_drains(client, check):
    """The server is told from outside to finish what runs and to go."""
    check("what runs is answered", await client.call("slow", 300) == "finished")
    await asyncio.wait_for(client.closed.wait(), 10)
    check("and then it goes", True)


async def client_closes(client, check):
    """Leaves while a handler of the server runs and while the server waits for a call of its own."""
    tasks = [
        asyncio.create_task(error_of(client.call("slow", 20_000))),
        asyncio.create_task(error_of(client.call("call_back_with", "sleep", [20_000]))),
    ]
    check("both run", await until_state(client, "started", 1))
    await client.raw.terminate()
    for task in tasks:
        check("ended here", (await task)["transportClosed"])


async def half_close(client, check):
    """EOF of this side ends the connection as a whole; what was answered before it is there."""
    check("before", await client.call("add", 1, 2) == 3)
    await client.raw.write_eof()
    await asyncio.wait_for(client.closed.wait(), 10)
    check("closed by the other side", True)


# 18, 19

async def json_one_at_a_time(client, check):
    for value in values("json"):
        back = await client.call("echo", value)
        check(f"echo {value!r:.60}", same(value, back), back=back)


async def json_many(client, check):
    results = await asyncio.gather(*(client.call("add", i, 1) for i in range(64)))
    check("64 at once", results == [i + 1 for i in range(64)])


# 20

async def worker_ends_with_stdin(client, check):
    """The gentle way: the end of its stdin ends the worker, with status 0."""
    check("ready on stderr", await until(lambda: b"READY\n" in client.stderr), stderr=client.stderr)
    check("protocol on stdout", await client.call("add", 1, 2) == 3)
    check("what it prints", await client.call("print", "printed") is None)
    check("lands on stderr", await until(lambda: b"printed\n" in client.stderr), stderr=client.stderr)
    await client.raw.write_eof()
    await asyncio.wait_for(client.closed.wait(), 10)
    status = await asyncio.wait_for(client.raw.wait_for_process_termination(), 10)
    check("status 0", status == 0, status=status)


async def worker_is_terminated(client, check):
    """SIGTERM and the end of both pipes: calls in flight end at once."""
    task = asyncio.create_task(error_of(client.call("slow", 20_000)))
    check("it runs", await until_state(client, "started", 1))
    await client.raw.terminate()
    check("ended here", (await task)["transportClosed"])
    status = await asyncio.wait_for(client.raw.wait_for_process_termination(), 10)
    check("by the signal", status == -15, status=status)


async def worker_is_killed(client, check):
    """The worker goes without a word: calls in flight end at once."""
    task = asyncio.create_task(error_of(client.call("slow", 20_000)))
    check("it runs", await until_state(client, "started", 1))
    client.raw._process.kill()
    check("ended here", (await asyncio.wait_for(task, 10))["transportClosed"])
    status = await asyncio.wait_for(client.raw.wait_for_process_termination(), 10)
    check("by the signal", status == -9, status=status)


# 21

async def worker_over_ssh(client, check):
    """A worker behind sshd: no terminal, stderr apart, two on one connection, and its exit status."""
    check("ready on stderr", await until(lambda: b"READY\n" in client.stderr), stderr=client.stderr)
    check("protocol on stdout", await client.call("add", 1, 2) == 3)
    await client.call("print", "printed")
    check("what it prints lands on stderr", await until(lambda: b"printed\n" in client.stderr), stderr=client.stderr)
    # A terminal would make other bytes of these, and an end of the third.
    odd = bytes(range(256)) if client.codec == "cbor" else "\r\n\u0003\u0004\u001a\u007f"
    check("no terminal", await client.call("echo", odd) == odd)

    first = client.raw
    second = type(client)(client.codec)
    second.stderr = b""
    with contextlib.redirect_stdout(sys.stderr):
        second.raw = await client.ssh.run_command(client.command)
    second.attach()
    check("two on one connection", await second.call("add", 3, 4) == 7)
    await second.raw.write_eof()
    channel = second.raw._ssh_channel
    await asyncio.wait_for(channel.wait_closed(), 20)
    check("the end of stdin is status 0", channel.exit_status == 0, status=channel.exit_status)
    check("the other one stays", await client.call("add", 5, 6) == 11)
    with contextlib.redirect_stdout(sys.stderr):
        await asyncio.wait_for(first.terminate(), 20)
    channel = first._ssh_channel
    check("stopped gently", channel.exit_status == 0 or channel.exit_signal, status=channel.exit_status)

    with contextlib.redirect_stdout(sys.stderr):
        none = await client.ssh.run_command("/no/such/program")
    await asyncio.wait_for(none._ssh_channel.wait_closed(), 20)
    check("no such program", none._ssh_channel.exit_status == 127, status=none._ssh_channel.exit_status)


# Rich errors

async def rich_errors(client, check):
    error = await error_of(client.call("fail_rich"))
    check("a map", error == {"code": 7, "message": "seven", "data": [1, "two"]}, error=error)
