"""What a client of PyPI clamator-protocol does and checks, whatever carries its envelopes.

`Scenarios` takes a started `RpcClientCore` and something with `raw(data)` (bytes, an envelope before each newline),
`reply()` (the next envelope that came for `raw`), `lines` (a queue of their texts) and `forget()` (empties it).
"""

import asyncio
import json
import math
import os
import sys
import traceback

from clamator_protocol import ClamatorTransportError, RpcError, build_notification, build_request

from clamator_line import line


def check(name, condition, **seen):
    """One line of the report; a failed one ends the program."""
    if not condition:
        print(f"check failed: {name}: {seen!r}", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(1)
    print(json.dumps({"check": name, "ok": True}), flush=True)


async def error_of(awaitable):
    try:
        value = await awaitable
    except Exception as error:
        return error
    raise AssertionError(f"no error but {value!r}")


def is_error(error, code, message):
    return type(error) is RpcError and (error.code, error.message) == (code, message)


class Scenarios:
    def __init__(self, core, transport):
        self.core = core
        self.transport = transport

    async def call(self, method, timeout_ms=None, **params):
        return await self.core.call("arith", method, params, timeout_ms=timeout_ms)

    async def usable(self, name):
        check(f"{name}: usable", await self.call("add", a=2, b=3) == {"sum": 5})
        self.transport.forget()

    async def until(self, notes):
        for _ in range(500):
            if (await self.call("notes"))["notes"] == notes:
                return True
            await asyncio.sleep(0.01)
        return False

    # 1, 16, 17, 18

    async def values(self):
        check("add", await self.call("add", a=2, b=3) == {"sum": 5})
        check("an optional param that is absent", await self.call("echo") == {"value": None})
        for value in [
            None, True, 0, -1, 2**53 + 1, 2**63 - 1, -(2**63), 2**64 - 1, 2**70, -(2**70), 0.1, -0.0, 1.0, 5e-324, 1.797e308,
            "", "é\U0001f600\u2028\x00\uffff\U0010ffff", "👩\u200d👩\u200d👧", [], {}, [1, [2]], {"é": {"": None}},
        ]:
            back = (await self.call("echo", value=value))["value"]
            check(f"echo {value!r}", back == value and type(back) is type(value) and str(back) == str(value), back=back)
        check("1 MiB", len((await self.call("echo", value="x" * 2**20))["value"]) == 2**20)
        check("100,000 elements", len((await self.call("echo", value=list(range(100_000))))["value"]) == 100_000)
        nested = json.loads("[" * 200 + "]" * 200)
        check("200 deep", (await self.call("echo", value=nested))["value"] == nested)
        await self.transport.raw('{"jsonrpc":"2.0","method":"arith.echo","params":{"value":"é"},"id":"u1"}\n'.encode())
        self.transport.forget()
        reply = await self.transport.reply()
        check("raw UTF-8", reply == {"jsonrpc": "2.0", "id": "u1", "result": {"value": "é"}}, reply=reply)

    # 3, 4, 11, 12

    async def shapes(self):
        for rpc_id in ["u1", "", "é\u2028", 5, 0, -1, 2**70]:
            await self.transport.raw(line(build_request("arith.add", {"a": 1, "b": 2}, rpc_id)))
            text = await self.transport.lines.get()
            expected = line({"jsonrpc": "2.0", "id": rpc_id, "result": {"sum": 3}})
            check(f"id {rpc_id!r}", text == expected, text=text)
        await self.transport.raw(line(build_request("arith.nope", {}, "u1")))
        text = await self.transport.lines.get()
        expected = line({"jsonrpc": "2.0", "id": "u1", "error": {"code": -32601, "message": "Method not found", "data": None}})
        check("an error has data", text == expected, text=text)
        for request in [
            {"jsonrpc": "2.0", "method": "arith.notes", "id": "u1"},
            {"id": "u1", "x": [1], "params": {}, "method": "arith.notes", "jsonrpc": "2.0"},
            {"jsonrpc": "2.0", "method": "arith.notes", "params": None, "id": "u1"},
        ]:
            await self.transport.raw(line(request))
            reply = await self.transport.reply()
            check(f"{request!r}", reply == {"jsonrpc": "2.0", "id": "u1", "result": {"notes": []}}, reply=reply)
        await self.usable("shapes")

    # 5, 6, 7, 9

    async def errors(self):
        for code, message, data in [
            (7, "seven", None), (-1, "", {"a": [1, None]}), (-32001, "é\u2028", [1]), (0, "zero", "text"), (-32601, "mine", 5),
        ]:
            error = await error_of(self.call("failWith", code=code, message=message, data=data))
            check(f"code {code}", is_error(error, code, message) and error.data == data, error=error)
        for method in ["nope", "constructor", "toString"]:
            error = await error_of(self.call(method))
            check(method, is_error(error, -32601, "Method not found") and error.data is None, error=error)
        await self.elsewhere()
        for params in [{"a": "two", "b": 3}, {"a": 1}, {"a": 1.5, "b": 3}, {"a": 1, "b": 2, "c": 3}, 5, "x"]:
            error = await error_of(self.core.call("arith", "add", params))
            check(f"params {params!r}", is_error(error, -32602, "Invalid params"), error=error)
            check("says where", isinstance(error.data["errors"], list) and error.data["errors"], data=error.data)
        error = await error_of(self.call("boom"))
        check("internal", is_error(error, -32603, "Internal error"), error=error)
        check("name and message", all(isinstance(error.data[key], str) for key in ["name", "message"]), data=error.data)
        await self.usable("errors")

    async def elsewhere(self):
        error = await error_of(self.core.call("other", "add", {"a": 1, "b": 2}))
        check("another service", is_error(error, -32601, "Method not found"), error=error)

    # 10

    async def notifications(self):
        for number in range(20):
            await self.core.notify("arith", "note", {"text": str(number)})
        check("20 in order", await self.until([str(number) for number in range(20)]))
        self.transport.forget()
        await self.core.notify("arith", "note", {"text": "fail"})
        await self.core.notify("arith", "note", {"wrong": 1})
        await self.core.notify("arith", "nope", {})
        await self.transport.raw(line({**build_notification("arith.note", {"text": "null"}), "id": None}))
        await self.transport.raw(line(build_request("arith.add", {"a": 1, "b": 2}, "u1")))
        reply = await self.transport.reply()
        check("none of them is answered", (reply["id"], self.transport.lines.empty()) == ("u1", True), reply=reply)
        notes = [str(number) for number in range(20)]
        check("each ran once", await self.until([*notes, "fail", "null"]))

    # 13

    async def malformed(self):
        for text in [
            b"junk", b"5", b"null", b"[]", b'[{"jsonrpc":"2.0","method":"arith.note","params":{"text":"x"}}]', b"{}", b"\xff\xfe",
            b'{"method":"arith.note","params":{"text":"x"}}', b'{"jsonrpc":"2.0","method":"note","params":{"text":"x"}}',
            b'{"jsonrpc":"2.0","method":"arith.note.x","params":{"text":"x"}}',
            b'{"jsonrpc":"2.0","method":"Arith.note","params":{"text":"x"}}',
            b'{"jsonrpc":"2.0","method":"arith.note","params":{"text":"x"},"id":true}',
            b'{"jsonrpc":"2.0","method":"arith.note","params":{"text":"x"},"id":{}}',
            b'{"jsonrpc":"2.0","id":"nobody","result":1}', b'{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"m"}}',
            b'{"jsonrpc":"2.0","method":"arith.note","params":{"text":"\\ud800"}}',
            b'{"jsonrpc":"2.0","method":"arith.note","params":{"text":NaN}}',
        ]:
            await self.transport.raw(text + b"\n" + line(build_request("arith.add", {"a": 1, "b": 2}, "u1")))
            reply = await self.transport.reply()
            check(f"behind {text!r}", reply["id"] == "u1", reply=reply)
        for text in [b'{"jsonrpc":"1.0","id":"u2"}', b'{"jsonrpc":"2.0","method":"add","params":{},"id":"u2"}', b'{"jsonrpc":"2.0","id":"u2","method":"arith.add","params":{"a":tru}}']:
            await self.transport.raw(text + b"\n")
            reply = await self.transport.reply()
            check(f"answer to {text!r}", reply["id"] == "u2" and reply["error"]["code"] in [-32600, -32700], reply=reply)
        back = (await self.call("echo", value=[1, "x"]))["value"]
        check("values pass", back == [1, "x"])
        error = await error_of(self.call("echo", value=math.nan))
        check("NaN is read and not written", type(error) is RpcError, error=error)
        check("nothing of it ran", await self.until([]))
        await self.usable("malformed")

    # 19, 20

    async def concurrent(self):
        calls = [self.call("sleep", milliseconds=200 - 3 * i) if i % 2 else self.call("failWith", code=i, message="m") for i in range(64)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        right = [r == {"sum": 200 - 3 * i} if i % 2 else is_error(r, i, "m") for i, r in enumerate(results)]
        check("64 among each other", all(right))
        error = await error_of(self.call("sleep", timeout_ms=50, milliseconds=200))
        check("timeout", type(error) is ClamatorTransportError, error=error)
        await asyncio.sleep(0.2)
        await self.usable("timeout")


async def run(scenarios, name):
    """Runs one scenario to its end and ends the program with what came of it."""
    try:
        await asyncio.wait_for(getattr(scenarios, name)(), 60)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(2)
    print(json.dumps({"done": name}), flush=True)
    os._exit(0)
