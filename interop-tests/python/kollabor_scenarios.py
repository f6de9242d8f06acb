"""The scenarios of the client, one function per check. Each takes the connected client, `check` and `request`.

The server on the other side serves the methods `state.…` of kollabor_server.py, in whatever language.
"""

import asyncio
import json
import math
import time

from kollabor_rpc import RpcError, RpcHandlerError, RpcMethodNotFound, RpcResponse, RpcTimeoutError


async def error_of(awaitable):
    """The exception that an awaitable ends with."""
    try:
        value = await awaitable
    except Exception as error:
        return error
    raise AssertionError(f"no error but {value!r}")


async def usable(client, check, name):
    """The connection goes on."""
    check(f"{name}: connection usable", await client.call("add", a=2, b=3) == 5)
    client.forget()


async def until(condition, seconds=10.0):
    """Waits for something that happens at the other end, bounded."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if await condition():
            return True
        await asyncio.sleep(0.01)
    return False


# 1

async def shapes(client, check, request):
    ids = ["68dea0ca38bc4b4f82f6f5e39b191d27", "r1", "", "a\"\\é\U0001f600\u2028\x00", 7, -1, 2**70, 1.5, True, None, ["a", 1]]
    for request_id in ids:
        await client.send(request(request_id, "echo", {"value": "hé\U0001d11e\u2028"}))
        line = await client.line()
        expected = json.dumps(RpcResponse(request_id, "hé\U0001d11e\u2028").to_wire()) + "\n"
        check(f"reply to id {request_id!r}", line == expected.encode(), line=line, expected=expected)
    await client.send(request("r1", "nope"))
    expected = RpcResponse("r1", None, "method not found: state.nope", "not_found").to_wire()
    line = await client.line()
    check("not found", line == (json.dumps(expected) + "\n").encode(), line=line, expected=expected)
    await client.send(request("r1", "fail", {"text": "boom"}))
    expected = RpcResponse("r1", None, "boom", "handler").to_wire()
    line = await client.line()
    check("handler", line == (json.dumps(expected) + "\n").encode(), line=line, expected=expected)
    await client.send(request("r1", "echo", {"value": {"a": [1, 1.0, 1e-7, 1e100, None, True, {}]}}))
    expected = RpcResponse("r1", {"a": [1, 1.0, 1e-7, 1e100, None, True, {}]}).to_wire()
    line = await client.line()
    check("spelling", line == (json.dumps(expected) + "\n").encode(), line=line, expected=expected)
    await usable(client, check, "shapes")


# 2

async def values(client, check, request):
    for value in [
        None, False, True, 0, "", [], {}, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, -(2**63),
        0.1, -0.0, 1.0, 5e-324, 1.7976931348623157e308, 123456.789,
        "text", "nul \x00 inside", "\u2028\u2029", "\uffff", "\U0001f600\U0010ffff", "e\u0301", "\x7f", "\"\\/\b\f\n\r\t",
        [1, [2, [3]]], {"a": {"b": []}, "": 1, "é": 2},
    ]:
        back = await client.call("echo", value=value)
        same = back == value and type(back) is type(value) and str(back) == str(value)
        check(f"echo {value!r}", same, back=back)


# 3

async def errors(client, check, request):
    error = await error_of(client.call("nope"))
    check("not_found", type(error) is RpcMethodNotFound and error.args[0] == "method not found: state.nope", error=error)
    for text in ["boom", "é\U0001f600\u2028\x00", "x" * 10_000]:
        error = await error_of(client.call("fail", text=text))
        check("handler", type(error) is RpcHandlerError and error.remote_message == text, error=error)
    error = await error_of(client.call("fail", text=""))
    check("handler without a text", type(error) is RpcHandlerError and error.remote_message == "", error=error)
    error = await error_of(client.call("unencodable"))
    check("serialization", type(error) is RpcHandlerError, error=error)
    check("serialization says why", "cannot be written" in error.remote_message, error=error)
    error = await error_of(client.call("add", a=2))
    check("a parameter is missing", type(error) is RpcHandlerError, error=error)
    error = await error_of(client.call("add", a=2, b="three"))
    check("a parameter of another type", type(error) is RpcHandlerError, error=error)
    await client.send(request("r1", "unencodable"))
    client.forget()
    reply = await client.reply()
    check("kind", reply["error_kind"] == "serialization", reply=reply)
    await usable(client, check, "errors")


# 5

async def requests(client, check, request):
    bare = {"action": "rpc_request", "request_id": "r1", "method": "state.remaining"}

    async def remaining(**fields):
        await client.send((json.dumps({**bare, **fields}) + "\n").encode())
        return await client.reply()

    def near(reply, seconds):
        return reply["result"] is not None and seconds - 5 < reply["result"] / 1000 <= seconds

    for params in [None, {}, [], False, 0, ""]:
        reply = await remaining(params=params)
        check(f"params {params!r}", near(reply, 30), reply=reply)
    reply = await remaining()
    check("no params, no timeout", near(reply, 30), reply=reply)
    reply = await remaining(timeout=60)
    check("timeout an integer", near(reply, 60), reply=reply)
    reply = await remaining(timeout=90.5)
    check("timeout a float", near(reply, 90.5), reply=reply)
    reply = await remaining(timeout="60")
    check("timeout a text", near(reply, 60), reply=reply)
    reply = await remaining(timeout=math.inf)
    check("timeout without an end", reply["result"] is None and reply["error"] is None, reply=reply)
    for timeout in [None, "abc", {}]:
        reply = await remaining(timeout=timeout)
        check(f"timeout {timeout!r}", reply["error_kind"] == "invalid_request", reply=reply)
    for timeout in [0, -1]:
        reply = await remaining(timeout=timeout)
        check(f"timeout {timeout!r}", reply["error_kind"] == "timeout", reply=reply)
    reply = await remaining(x=1, action2="rpc_reply", error="no", result=[])
    check("unknown fields", near(reply, 30), reply=reply)
    fields = {"timeout": 30.0, "params": {"value": 5}, "method": "state.echo", "request_id": "r2", "action": "rpc_request"}
    await client.send(b"  " + json.dumps(fields).encode() + b" \t\n")
    reply = await client.reply()
    check("keys in any order", (reply["request_id"], reply["result"]) == ("r2", 5), reply=reply)
    await client.send(b'{"request_id":"no","action":"rpc_request","method":"state.echo","params":{"value":1},'
                      b'"params":{"value":2},"request_id":"r3"}\n')
    reply = await client.reply()
    check("the last of two keys", (reply["request_id"], reply["result"]) == ("r3", 2), reply=reply)
    reply = await remaining(method="state.echo", params={"value": 1, "unknown": 2})
    check("an unknown parameter", reply["error_kind"] == "handler" and "unknown" in reply["error"], reply=reply)
    await usable(client, check, "requests")


# 6

async def junk(client, check, request):
    for line in [
        b"junk", b"", b"   ", b"\xff\xfe\x00", b'{"a": "\xff"}', b"{", b"nul", b"null", b"5", b'"text"', b"[]", b"[1, 2]",
        b"{}", b'{"action": "what"}', b'{"action": "get_status"}', b'{"action": null}', b'{"request_id": "r1"}',
        b'{"type": "input", "text": "hello"}', b'{"action": "rpc_reply"}',
        b'{"action": "rpc_reply", "request_id": "nobody", "result": 1}', b'{"action": "rpc_cancel", "request_id": "nobody"}',
    ]:
        await client.send(line + b"\n" + request("r1", "echo", {"value": 1}))
        reply = await client.reply()
        check(f"behind {line!r}", (reply["request_id"], reply["result"]) == ("r1", 1), reply=reply)
        check(f"no other reply to {line!r}", client.lines.empty())
    await usable(client, check, "junk")


# 7

async def unusable(client, check, request):
    await client.send(b'{"action": "rpc_request", "method": "state.echo", "params": {}}\n')
    reply = await client.reply()
    check("no id", (reply["request_id"], reply["error_kind"]) == ("", "handler"), reply=reply)
    await client.send(b'{"action": "rpc_request", "request_id": "r1", "params": {}}\n')
    reply = await client.reply()
    check("no method", (reply["request_id"], reply["error_kind"]) == ("r1", "handler"), reply=reply)
    check("as the hub says it", reply["error"] == "KeyError('method')", reply=reply)
    for method in [5, None, ["state.echo"]]:
        await client.send(json.dumps({"action": "rpc_request", "request_id": 7, "method": method}).encode() + b"\n")
        reply = await client.reply()
        check(f"method {method!r}", reply["request_id"] == 7 and reply["error"], reply=reply)
    await client.send(b'{"action": "rpc_request", "request_id": "r2", "method": "state.echo", "params": {"value": tru}}\n')
    reply = await client.reply()
    check("JSON that is broken behind the id", reply["error_kind"] == "invalid_request", reply=reply)
    await usable(client, check, "unusable")


# 8

async def ends(client, check, request):
    lines = [request(f"r{i}", "echo", {"value": 1}).rstrip(b"\n") for i in range(2)]
    await client.send(b"\r\n".join([*lines, b""]))
    check("CR LF", [(await client.reply())["result"] for _ in range(2)] == [1, 1])
    # Two that still run, and a last line without an end.
    await client.send(request("slow", "sleep", {"milliseconds": 300}) + request("quick", "sleep", {"milliseconds": 100}))
    await client.send(request("last", "echo", {"value": 2}).rstrip(b"\n"))
    client.writer.write_eof()
    replies = [await client.reply() for _ in range(3)]
    check("replies after the end", [reply["request_id"] for reply in replies] == ["last", "quick", "slow"], replies=replies)
    check("their results", [reply["result"] for reply in replies] == [2, 100, 300], replies=replies)
    await asyncio.wait_for(client.closed.wait(), 10)
    check("then the other side ends too", client.lines.empty())
    # One that goes without waiting stops what runs for it.
    other = await client.another()
    await other.send(request("r1", "sleep", {"milliseconds": 60_000}))
    third = await client.another()
    check("it runs", await until(lambda: running(third, 1)))
    other.writer.close()
    check("it is stopped", await until(lambda: running(third, 0)))


async def running(client, count):
    return (await client.call("seen"))["running"] == count


# 9

async def concurrent(client, check, request):
    calls = [client.call("sleep", milliseconds=200 - 3 * i) for i in range(64)]
    check("64 calls", await asyncio.gather(*calls) == [200 - 3 * i for i in range(64)])
    client.forget()
    await client.send(b"".join(request(f"r{i}", "echo", {"value": i}) for i in range(64)))
    replies = [await client.reply() for _ in range(64)]
    check("64 requests in one write", sorted((r["result"], r["request_id"]) for r in replies) == [(i, f"r{i}") for i in range(64)])
    mixed = [client.call("echo", value=i) if i % 2 else client.call("fail", text=str(i)) for i in range(64)]
    results = await asyncio.gather(*mixed, return_exceptions=True)
    right = [r == i if i % 2 else isinstance(r, RpcHandlerError) and r.remote_message == str(i) for i, r in enumerate(results)]
    check("successes and failures among each other", all(right))
    # All of them have started before the first ends.
    calls = [asyncio.create_task(client.call("sleep", milliseconds=300)) for _ in range(20)]
    check("20 at once", await until(lambda: most(client, 20)))
    check("20 calls", await asyncio.gather(*calls) == [300] * 20)


async def most(client, count):
    return (await client.call("seen"))["most"] >= count


# 10

async def sizes(client, check, request):
    for letters in [70_000, 5_000_000, int(15.9 * 1024 * 1024)]:
        check(f"a result of {letters}", len(await client.call("grow", letters=letters)) == letters)
    for letters in [70_000, 5_000_000, int(15.9 * 1024 * 1024)]:
        check(f"a request of {letters}", await client.call("length", text="x" * letters) == letters)
    client.forget()
    error = await error_of(client.call("grow", letters=17 * 1024 * 1024))
    check("a result that nobody could read", type(error) is RpcHandlerError, error=error)
    reply = await client.reply()
    check("its kind", reply["error_kind"] == "serialization", reply=reply)
    error = await error_of(client.call("length", text="x" * (17 * 1024 * 1024)))
    check("a request that is too long", type(error) is RpcError and "limit" in error.args[0], error=error)
    reply = await client.reply()
    check("its kind", reply["error_kind"] == "too_large", reply=reply)
    await usable(client, check, "sizes")


# 11

async def timeouts(client, check, request):
    error = await error_of(client.call("sleep", timeout=0.1, milliseconds=60_000))
    check("timeout", isinstance(error, RpcTimeoutError | RpcError), error=error)
    check("nothing is pending", client.rpc._pending == {})
    # The handler is stopped at its deadline; nobody has to cancel it.
    check("the handler is stopped", await until(lambda: running(client, 0)))
    await client.send(request("r1", "sleep", {"milliseconds": 60_000}, timeout=0.1))
    client.forget()
    reply = await client.reply()
    check("the deadline is answered", (reply["request_id"], reply["error_kind"]) == ("r1", "timeout"), reply=reply)
    task = asyncio.create_task(client.call("sleep", milliseconds=100))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    check("an abandoned call leaves nothing", client.rpc._pending == {})
    await asyncio.sleep(0.15)
    await usable(client, check, "timeouts")
    await client.send(request("r2", "sleep", {"milliseconds": 60_000}) + b'{"action": "rpc_cancel", "request_id": "r2"}\n')
    check("rpc_cancel stops it", await until(lambda: running(client, 0)))
    client.forget()
    await usable(client, check, "cancel")


# 12

async def peer_closes(client, check, request):
    calls = [asyncio.create_task(client.call("sleep", milliseconds=60_000)) for _ in range(3)]
    third = await client.another()
    check("they run", await until(lambda: running(third, 3)))
    await client.send(request("r1", "close"))
    errors = await asyncio.gather(*calls, return_exceptions=True)
    # A server that closes says what becomes of them, if it still can.
    ends = {"call was cancelled", "rpc client closed"}
    check("pending calls fail", {str(error) for error in errors} <= ends, errors=errors)
    await asyncio.wait_for(client.closed.wait(), 10)
    error = await error_of(client.call("echo", value=1))
    check("later ones too", str(error) == "client closed", error=error)
    check("their handlers are stopped", await until(lambda: running(third, 0)))


# 13

async def connections(client, check, request):
    others = [await client.another() for _ in range(8)]
    slow = [asyncio.create_task(other.call("sleep", milliseconds=60_000)) for other in others[:4]]
    check("they run", await until(lambda: running(client, 4)))
    quick = await asyncio.gather(*(other.call("echo", value=i) for i, other in enumerate(others)))
    check("each hears its own", quick == list(range(8)))
    await others[0].send(b"junk\n" * 10 + b"\xff" * 10)
    others[0].writer.close()
    check("one that goes stops its own", await until(lambda: running(client, 3)))
    check("and no other", [task.done() for task in slow[1:]] == [False] * 3)
    check("the rest goes on", await others[1].call("echo", value=5) == 5)


# 14

async def odd(client, check, request):
    back = await client.call("echo", value=[math.nan, math.inf, -math.inf])
    check("NaN and infinities", math.isnan(back[0]) and back[1:] == [math.inf, -math.inf], back=back)
    for value in [2**64, -(2**63) - 1, 123456789012345678901234567890, -(2**200)]:
        check(f"{value}", await client.call("echo", value=value) == value)
    error = await error_of(client.call("echo", value="\ud800"))
    check("half a surrogate pair", type(error) is RpcHandlerError and "surrogate" in error.remote_message, error=error)
    await client.send(request("\ud800", "echo", {"value": 1}))
    client.forget()
    reply = await client.reply()
    check("as an id", (reply["request_id"], reply["result"]) == ("\ud800", 1), reply=reply)
    await usable(client, check, "odd")
