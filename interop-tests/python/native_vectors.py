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
    try:
        error = format.load(body)
    except (ValueError, native.cbor2.CBORDecodeError) as broken:
        raise Closed(-32010) from broken
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
    if format.own is not None and abilities.get("format") != format.own:
        raise Closed(-32011)
    names = ("format", "max_message_bytes", "calls_in_flight", "versions", "features", "session", "ack", "contracts")
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
    length = rest[0] if rest else None
    check(length is not None or format.own is None)
    end = length
    if format.own is None:
        end = value_end(body, format)
        # In JSON bytes may stand behind the text, which does not tell how many.
        check(length is None or length == end or format.letter == "J" and length > end)
        end = end if length is None else length
    check(end <= len(body))
    value, note = body[:end], body[end:].lstrip() if format.letter == "J" else body[end:]
    return {**says, "value": value.hex(), **({"note": note.hex()} if note else {})}


def value_end(body, format):
    if format.letter == "J":
        return json.JSONDecoder().raw_decode(body.decode("latin-1"))[1]
    return cbor_end(body)


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


def format_of(vector):
    """That of the heads; `own` is the number of the format of bodies where that is another one."""
    format = Format({"cbor": "C", "json": "J", "custom": "X"}[vector["format"]])
    format.own = 7 if format.letter == "X" else None
    if format.own is not None:
        format.letter = "C"
    return format


def run(vector):
    data = bytes.fromhex(vector["hex"])
    (size,) = struct.unpack_from(">I", data)
    try:
        if size > LIMIT:
            raise Closed(-32005)
        assert len(data) == 4 + size, "one whole frame"
        found = view(format_of(vector), data[4:])
    except Closed as closed:
        assert vector["verdict"] == "closed" and vector["code"] == closed.args[0], f"closed with {closed}"
        return
    if found is None:
        assert vector["verdict"] == "ignored", "ignored"
    else:
        assert vector["verdict"] == "envelope", f"understood as {found}"
        assert found == vector["view"], f"{found} is not {vector['view']}"


class Partials:
    """Section 9: messages of which some chunks have come."""

    def __init__(self, format):
        self.format, self.list, self.taken = format, {}, 0

    def hear(self, content):
        """The messages that are complete with this frame."""
        head, body = self.format.split(content)
        if head[:1] == [25]:
            check(len(head) > 1 and isinstance(head[1], int))
            return []
        if head[:1] != [24]:
            return [view(self.format, content)]
        number, total = head[1], head[2] if len(head) > 2 else None
        if total is None and not body:
            check(self.list.pop(number, None) is not None)
            return []
        if total is not None:
            self.begin(number, total, body)
        check(number in self.list)
        total, parts = self.list[number]
        parts += body
        check(len(parts) <= total)
        self.taken += len(body)
        if len(parts) < total:
            return []
        del self.list[number]
        check(self.format.split(bytes(parts))[0][0] not in (24, 25))
        return [view(self.format, bytes(parts))]

    def begin(self, number, total, body):
        if total > LIMIT:
            raise Closed(-32005)
        check(number not in self.list and body and len(self.list) < 8)
        check(not self.list or sum(one for one, _ in self.list.values()) + total <= 2 * LIMIT)
        self.list[number] = (total, bytearray())

    def tell(self):
        """What is said to be taken: when no message is incomplete, as long as it is little."""
        return 0 if self.list else self.taken


def run_messages(vector):
    data, at, heard = bytes.fromhex(vector["hex"]), 0, []
    partials = Partials(format_of(vector))
    try:
        while at < len(data):
            (size,) = struct.unpack_from(">I", data, at)
            heard += partials.hear(data[at + 4:at + 4 + size])
            at += 4 + size
    except Closed as closed:
        assert vector["verdict"] == "closed" and vector["code"] == closed.args[0], f"closed with {closed}"
        return
    heard = [message for message in heard if message is not None]
    assert vector["verdict"] == "messages", f"understood as {heard}"
    assert heard == vector["messages"], f"{heard} is not {vector['messages']}"
    assert partials.tell() == vector["taken"], f"{partials.tell()} taken"


def load_with_bytes(body):
    """Section 9: a body in JSON with its bytes behind the text."""
    text, end = json.JSONDecoder().raw_decode(body.decode("latin-1").lstrip())
    end += len(body) - len(body.lstrip(b" \t\r\n"))
    named = 0

    def put(value):
        nonlocal named
        if isinstance(value, dict) and list(value) == ["$bytes"]:
            place = value["$bytes"]
            check(isinstance(place, list) and len(place) == 2 and all(type(one) is int for one in place))
            check(place[0] == named and place[1] >= 0)
            named += place[1]
            check(end + named <= len(body))
            return {"bytes": body[end + place[0]:end + named].hex()}
        if isinstance(value, dict):
            return {key: put(one) for key, one in value.items()}
        return [put(one) for one in value] if isinstance(value, list) else value

    value = put(text)
    rest = body[end + named:]
    check(not rest or b"$bytes" not in body[:end] and not rest.strip(b" \t\r\n"))
    return value


def run_body(vector):
    try:
        found = load_with_bytes(bytes.fromhex(vector["hex"]))
    except Closed:
        assert vector["verdict"] == "refused", "refused"
        return
    assert vector["verdict"] == "value", f"read as {found}"
    assert found == vector["value"], f"{found} is not {vector['value']}"


def main():
    path = pathlib.Path(__file__).parent.parent / "vectors" / "native.json"
    file, count = json.loads(path.read_text("utf-8")), 0
    for kind, check_one in (("vectors", run), ("messages", run_messages), ("bodies", run_body)):
        for vector in file[kind]:
            if vector.get("format") == "messagepack":
                continue
            try:
                check_one(vector)
            except Exception as error:
                raise SystemExit(f"{vector['name']} ({vector.get('format', 'body')}): {error!r}") from error
            count += 1
    print(f"{count} vectors hold")


main()
