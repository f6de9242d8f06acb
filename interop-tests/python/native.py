"""A client of Mynah's native wire (docs/wire/native.md), with cbor2 and the standard library.

    client = Client(("127.0.0.1", 9000))
    client.call("arith", "add", 2, 3).wait()                  # a value, or an RpcError
    for item in client.call("arith", "squares", 4, window=(16, 1 << 16)): ...
    client.call("arith", "sum", None, input=[1, 2, 3]).wait()
"""

import json
import socket
import struct

import cbor2

(HELLO, REQUEST, RESULT, ERROR, NOTIFICATION, CANCEL, PROGRESS, LOG, EVENT, PING, PONG, GOING_AWAY,
 ITEMS, INPUT_END, CREDIT, STOP, ACCEPTED) = range(17)


class RpcError(Exception):
    """Code, message, and data if there are any, as its arguments."""


def cbor_end(data, at=0):
    """Where the CBOR item that begins at `at` ends."""
    major, info = data[at] >> 5, data[at] & 31
    at += 1
    size = {24: 1, 25: 2, 26: 4, 27: 8}.get(info, 0)
    value = info if info < 24 else int.from_bytes(data[at:at + size], "big")
    if info > 27:
        raise ValueError("length is not definite")
    at += size + (value if major in (2, 3) else 0)
    for _ in range({4: value, 5: 2 * value, 6: 1}.get(major, 0)):
        at = cbor_end(data, at)
    if at > len(data):
        raise ValueError("cut off")
    return at


class Format:
    def __init__(self, letter):
        self.letter = letter

    def dump(self, value):
        return cbor2.dumps(value) if self.letter == "C" else json.dumps(value, allow_nan=False).encode()

    def load(self, data):
        return cbor2.loads(data) if self.letter == "C" else json.loads(data)

    def split(self, content):
        """The head of a frame, and its body."""
        if self.letter == "C":
            end = cbor_end(content)
            return cbor2.loads(content[:end]), content[end:]
        text = content.decode("latin-1")
        _, end = json.JSONDecoder().raw_decode(text, len(text) - len(text.lstrip()))
        return json.loads(content[:end]), content[end:]


def items_of(body, count):
    items, at = [], 0
    while at < len(body):
        (size,) = struct.unpack_from(">I", body, at)
        items.append(body[at + 4:at + 4 + size])
        at += 4 + size
    if at != len(body) or len(items) != count:
        raise ValueError("the lengths of items do not add up")
    return items


class Call:
    """One call in flight: wait for it, iterate over it, or cancel it."""

    def __init__(self, client, number, window, source):
        self.client, self.id, self.window = client, number, window
        self.source, self.credit, self.items, self.taken = source, [0, 0], [], [0, 0]
        self.progress, self.logs, self.accepted, self.outcome = [], [], False, None

    def wait(self):
        while self.outcome is None:
            self.client.step()
        if isinstance(self.outcome, RpcError):
            raise self.outcome
        return self.outcome[0]

    def __iter__(self):
        while True:
            while not self.items and self.outcome is None:
                self.client.step()
            if not self.items:
                return self.wait()
            item = self.items.pop(0)
            self.take(len(item))
            yield self.client.format.load(item)

    def take(self, size):
        self.taken = [self.taken[0] + 1, self.taken[1] + 4 + size]
        if self.outcome is None and any(2 * t >= w for t, w in zip(self.taken, self.window)):
            self.client.send([CREDIT, self.id, 0, *self.taken])
            self.taken = [0, 0]

    def cancel(self):
        self.client.send([CANCEL, self.id, 0])

    def feed(self):
        while self.source is not None and self.credit[0] > 0 and self.credit[1] > 0:
            try:
                item = self.client.format.dump(next(self.source))
            except StopIteration:
                self.source = None
                return self.client.send([INPUT_END, self.id])
            self.credit = [self.credit[0] - 1, self.credit[1] - 4 - len(item)]
            self.client.send([ITEMS, self.id, 1, 1], struct.pack(">I", len(item)) + item)


class Client:
    def __init__(self, address, letter="C", max_message_bytes=16 << 20):
        self.format, self.calls, self.next = Format(letter), {}, 1
        self.callbacks, self.events, self.limit = {}, [], max_message_bytes
        self.socket = socket.create_connection(address, timeout=20)
        self.file = self.socket.makefile("rb")
        preface = b"MYNAH\x01" + letter.encode() + b"\n"
        self.socket.sendall(preface)
        self.send([HELLO, 1, {"max_message_bytes": max_message_bytes, "agent": "native.py"}])
        if self.read(8) != preface:
            raise RpcError(-32011, "the server does not speak this version and format")

    def read(self, size):
        data = self.file.read(size)
        if len(data) < size:
            raise ConnectionError("the server has gone")
        return data

    def send(self, head, body=b""):
        content = self.format.dump(head) + body
        self.socket.sendall(struct.pack(">I", len(content)) + content)

    def call(self, service, method, *params, timeout=None, metadata=None, window=None, input=None):
        number, self.next = self.next, self.next + 1
        call = Call(self, number, window, iter(input) if input is not None else None)
        head = [REQUEST, number, service, method, timeout, metadata]
        if window or input is not None:
            head += [*(window or (None, None)), 0 if input is None else 1]
        self.calls[number] = call
        self.send(head, self.format.dump(list(params)))
        return call

    def notify(self, service, method, *params):
        self.send([NOTIFICATION, service, method], self.format.dump(list(params)))

    def subscribe(self, topic, lag=None, capacity=None, window=(64, 1 << 20)):
        call = self.call("$events", "subscribe", topic, lag, capacity, window=window)
        while not call.accepted and call.outcome is None:
            self.step()
        return call if call.outcome is None else call.wait()

    def step(self):
        (size,) = struct.unpack(">I", self.read(4))
        if size > self.limit:
            raise RpcError(-32005, f"frame of {size} bytes")
        head, body = self.format.split(self.read(size))
        kind, load = head[0], self.format.load
        if kind in (REQUEST, NOTIFICATION):
            self.called(kind, head, load(body))
        elif kind == EVENT:
            self.events.append((head[1], load(body)))
        elif kind == PING:
            self.send([PONG, head[1]])
        elif kind == GOING_AWAY and head[1] != -32004:
            raise RpcError(*head[1:3])
        about_call = kind in (RESULT, ERROR, PROGRESS, LOG, ITEMS, CREDIT, STOP, ACCEPTED)
        call = self.calls.get(head[1]) if about_call else None
        if call is None:
            return  # it is over, or this is a kind of a newer server
        if kind in (RESULT, ERROR):
            call.outcome = (load(body),) if kind == RESULT else RpcError(*load(body)[:3])
            del self.calls[call.id]
        elif kind == PROGRESS:
            end = cbor_end(body) if self.format.letter == "C" else len(body)
            call.progress.append(load(body[:end]))
        elif kind == LOG:
            call.logs.append((head[2], load(body)))
        elif kind == ITEMS:
            call.items += items_of(body, head[3])
        elif kind == CREDIT:
            call.credit = [call.credit[0] + head[3], call.credit[1] + head[4]]
            call.feed()
        elif kind == STOP:
            call.source = None
        else:
            call.accepted = True

    def called(self, kind, head, params):
        service, method = head[1:3] if kind == NOTIFICATION else head[2:4]
        function = self.callbacks.get((service, method))
        result = function(*params) if function else None
        if kind == REQUEST and function:
            self.send([RESULT, head[1]], self.format.dump(result))
        elif kind == REQUEST:
            self.send([ERROR, head[1]], self.format.dump([-32601, "method not found"]))
