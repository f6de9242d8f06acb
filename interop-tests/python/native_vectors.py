"""Holds native.py against the vectors of the wire. Prints how many hold, or fails at the first that does not."""

import json
import pathlib
import struct

import native
from native import Format, cbor_end, items_of

KINDS = ["hello", "request", "result", "error", "notification", "cancel", "progress", "log", "event", "ping", "pong",
         "going-away", "items", "input-end", "credit", "stop", "accepted"]
LIMIT = 16 << 20


class Closed(Exception):
    """The connection ends, with a code."""


def check(holds):
    if not holds:
        raise Closed(-32010)


def is_id(value):
    return isinstance(value, str) or isinstance(value, int) and value >= 0


def view(format, content):
    """What a frame says, `None` when it is to be ignored."""
    try:
        head, body = format.split(content)
    except (ValueError, IndexError, UnicodeDecodeError, native.cbor2.CBORDecodeError) as error:
        raise Closed(-32010) from error
    check(isinstance(head, list) and head and isinstance(head[0], int) and head[0] >= 0)
    if head[0] >= len(KINDS):
        return None
    kind, fields = KINDS[head[0]], head[1:]
    names = {"request": "id service method", "result": "id", "error": "id", "notification": "service method",
             "cancel": "id", "progress": "id", "log": "id level", "event": "topic", "ping": "number", "pong": "number",
             "going-away": "code message", "items": "id stream count", "input-end": "id",
             "credit": "id stream items bytes", "stop": "id", "accepted": "id", "hello": "version"}[kind].split()
    check(len(fields) >= len(names))
    says = {"kind": kind, **dict(zip(names, fields))}
    rest = fields[len(names):]
    if kind != "hello" and "id" in says and not (kind == "log" and says["id"] is None):
        check(is_id(says["id"]))
    return SAY[kind](says, rest, body, format)


def metadata_of(says, rest):
    if rest and rest[0] is not None:
        check(isinstance(rest[0], dict) and all(isinstance(text, str) for pair in rest[0].items() for text in pair))
        if rest[0]:
            says["metadata"] = rest[0]


def error_of(says, body, format):
    error = format.load(body)
    check(isinstance(error, list) and len(error) >= 2 and isinstance(error[0], int) and isinstance(error[1], str))
    says["code"], says["message"] = error[:2]
    if len(error) > 2:
        says["data"] = error[2]
    return says


def say_hello(says, rest, body, format):
    if says["version"] != 1:
        raise Closed(-32011)
    abilities = rest[0] if rest and rest[0] is not None else {}
    check(isinstance(abilities, dict))
    names = ("max_message_bytes", "calls_in_flight", "versions", "features", "session", "ack", "contracts")
    known = {name: abilities[name] for name in names if abilities.get(name) is not None}
    oldest, newest = known.get("versions", [1, 1])
    check(oldest <= 1 <= newest)
    check(isinstance(known.get("features", []), list) and isinstance(known.get("contracts", {}), dict))
    if "session" in known:
        known["session"] = opaque_of(known["session"])
    if "contracts" in known:
        known["contracts"] = {service: opaque_of(known["contracts"][service]) for service in known["contracts"]}
    return {**says, **known, "agent": abilities.get("agent", "")}


def opaque_of(value):
    check(isinstance(value, (str, bytes)))
    return {"bytes": value.hex()} if isinstance(value, bytes) else value


def say_request(says, rest, body, format):
    check(isinstance(says["service"], str) and isinstance(says["method"], str) and says["method"])
    timeout, metadata, items, size, given = (rest + [None] * 5)[:5]
    if timeout is not None:
        says["timeout_ms"] = timeout
    metadata_of(says, [metadata])
    if items is not None:
        says["window"] = [items, size]
    if given == 1:
        says["input"] = True
    return {**says, "params": body.hex()}


def say_notification(says, rest, body, format):
    metadata_of(says, rest)
    return {**says, "params": body.hex()}


def say_cancel(says, rest, body, format):
    return {**says, "reason": "deadline" if rest[:1] == [1] else "caller"}


def say_progress(says, rest, body, format):
    if format.letter == "C":
        end = cbor_end(body)
    else:
        _, end = json.JSONDecoder().raw_decode(body.decode("latin-1"))
    value, note = body[:end], body[end:].lstrip() if format.letter == "J" else body[end:]
    return {**says, "value": value.hex(), **({"note": note.hex()} if note else {})}


def say_log(says, rest, body, format):
    if says["id"] is None:
        del says["id"]
    return {**says, "dropped": rest[0] if rest else 0, "content": body.hex()}


def say_items(says, rest, body, format):
    if says["stream"] not in (0, 1):
        return None
    try:
        items = items_of(body, says.pop("count"))
    except (ValueError, struct.error) as error:
        raise Closed(-32010) from error
    return {**says, "items": [item.hex() for item in items]}


def say_credit(says, rest, body, format):
    if says["stream"] not in (0, 1):
        return None
    more = [says.pop("items"), says.pop("bytes")]
    return {**says, "more": more}


def plain(says, rest, body, format):
    check("number" not in says or isinstance(says["number"], int))
    return says


SAY = {kind: plain for kind in KINDS} | {
    "hello": say_hello, "request": say_request, "notification": say_notification, "cancel": say_cancel,
    "progress": say_progress, "log": say_log, "items": say_items, "credit": say_credit,
    "result": lambda says, rest, body, format: {**says, "result": body.hex()},
    "error": lambda says, rest, body, format: error_of(says, body, format),
    "event": lambda says, rest, body, format: {**says, "message": body.hex()},
    "input-end": lambda says, rest, body, format: error_of(says, body, format) if body else says,
}


def run(vector):
    data = bytes.fromhex(vector["hex"])
    (size,) = struct.unpack_from(">I", data)
    try:
        if size > LIMIT:
            raise Closed(-32005)
        assert len(data) == 4 + size, "one whole frame"
        found = view(Format({"cbor": "C", "json": "J"}[vector["format"]]), data[4:])
    except Closed as closed:
        assert vector["verdict"] == "closed" and vector["code"] == closed.args[0], f"closed with {closed}"
        return
    if found is None:
        assert vector["verdict"] == "ignored", "ignored"
    else:
        assert vector["verdict"] == "envelope", f"understood as {found}"
        assert found == vector["view"], f"{found} is not {vector['view']}"


def main():
    path = pathlib.Path(__file__).parent.parent / "vectors" / "native.json"
    vectors = [v for v in json.loads(path.read_text("utf-8"))["vectors"] if v["format"] in ("cbor", "json")]
    for vector in vectors:
        try:
            run(vector)
        except Exception as error:
            raise SystemExit(f"{vector['name']} ({vector['format']}): {error!r}") from error
    print(f"{len(vectors)} vectors hold")


main()
