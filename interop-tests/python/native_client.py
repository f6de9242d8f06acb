"""Scenarios of native.py against a server of the other language: native_client.py PORT LETTER SCENARIO.

Each checks what it gets and prints `done`; anything else is a failure.
"""

import sys

from native import Client, RpcError

SMALL = (4, 1 << 16)


def failure(call):
    try:
        value = call.wait()
    except RpcError as error:
        return error.args
    raise AssertionError(f"{value!r} is no failure")


def calls(client):
    """Unary calls, several at once, answers in any order."""
    assert client.call("native", "add", 2, 3).wait() == 5
    slow = client.call("native", "sleep", 50)
    fast = [client.call("native", "add", n, n) for n in range(100)]
    assert [call.wait() for call in reversed(fast)] == [2 * n for n in reversed(range(100))]
    assert slow.wait() == 50
    text = "größe \U0001f426 \x00 \"quoted\" \\"
    assert client.call("native", "echo", text).wait() == text
    client.notify("native", "note", "told")
    assert client.call("native", "notes", metadata={"k": "v"}).wait() == ["told"]


def errors(client):
    """Errors of the handler with code, message and data; errors of the other side."""
    assert failure(client.call("native", "divide", 1, 0)) == (7, "cannot divide by zero", {"dividend": 1})
    assert failure(client.call("native", "nothing"))[0] == -32601
    assert failure(client.call("native", "add", "a", "b"))[0] == -32602
    assert failure(client.call("native", "add", 1))[0] == -32602
    assert failure(client.call("native", "squares", 3))[0] == -32602, "a stream without credit"
    assert client.call("native", "add", 2, 3).wait() == 5


def cancel(client):
    """A cancel stops the handler; a deadline does too; both are answered."""
    call = client.call("native", "forever")
    while client.call("native", "running").wait() == 0:
        pass
    call.cancel()
    assert failure(call)[0] == -32001
    assert client.call("native", "running").wait() == 0
    assert failure(client.call("native", "forever", timeout=30))[0] == -32002
    client.send([5, 99999, 0])
    assert client.call("native", "add", 2, 3).wait() == 5


def progress(client):
    """Progress and logs, in order, before the answer."""
    call = client.call("native", "work", 5)
    assert call.wait() == 5
    assert call.progress == [1, 2, 3, 4, 5], call.progress
    assert call.logs == [(3, f"step {n}") for n in range(1, 6)], call.logs


def server_stream(client):
    """Results in order within the credit; errors in mid-stream; a stream that is cancelled stops."""
    assert list(client.call("native", "squares", 100, window=SMALL)) == [n * n for n in range(1, 101)]
    assert list(client.call("native", "squares", 0, window=SMALL)) == []
    call = client.call("native", "squares", 50, window=(1, 1))
    assert list(call) == [n * n for n in range(1, 51)], "a window that is smaller than an item"
    call, items = client.call("native", "squares_then_fail", 3, window=SMALL), []
    try:
        for item in call:
            items.append(item)
        raise AssertionError("it ends with an error")
    except RpcError as error:
        assert items == [1, 4, 9] and error.args[:2] == (8, "no more squares"), (items, error.args)
    call = client.call("native", "endless", window=SMALL)
    assert [item for _, item in zip(range(10), call)] == list(range(10))
    # Without credit nothing more comes, whatever else is said meanwhile.
    for _ in range(20):
        client.call("native", "add", 1, 1).wait()
    assert len(call.items) <= SMALL[0], len(call.items)
    call.cancel()
    call.items.clear()
    assert failure(call)[0] == -32001
    while client.call("native", "running").wait() != 0:
        pass


def client_stream(client):
    """An input stream within the credit of the server; one that the server stops; one that is not there."""
    assert client.call("native", "sum", None, input=range(10_000)).wait() == sum(range(10_000))
    assert client.call("native", "sum", None, input=[]).wait() == 0
    endless = client.call("native", "sum_of_first", 5, None, input=iter(int, 1))
    assert endless.wait() == 0 and endless.credit[0] >= 0
    assert failure(client.call("native", "sum", None))[0] == -32602
    running = client.call("native", "running_sum", None, window=SMALL, input=range(1, 101))
    assert list(running) == [n * (n + 1) // 2 for n in range(1, 101)]


def callbacks(client):
    """The server tells and asks while the call is in flight."""
    told = []
    client.callbacks["$callback", "1"] = lambda step: told.append(step)
    assert client.call("native", "index", ["a", "b", "c"], 1).wait() == 3
    assert told == [1, 2, 3], told
    client.callbacks["$callback", "2"] = lambda question: question.upper()
    assert client.call("native", "ask", "who", 2).wait() == "WHO"
    assert failure(client.call("native", "ask", "who", 3))[0] == 9, "nobody answers"


def events(client):
    """Nothing is lost after the subscription; what is dropped is counted; a subscription can be cancelled."""
    news = client.subscribe("news", window=(1000, 1 << 20))
    client.call("native", "publish", "news", 5).wait()
    assert [item for _, item in zip(range(5), news)] == [[0, n] for n in range(5)]
    latest = client.subscribe("latest", lag="latest", window=(1, 1 << 20))
    client.call("native", "publish", "latest", 100).wait()
    seen = []
    for dropped, message in latest:
        seen.append((dropped, message))
        if message == 99:
            break
    assert sum(dropped for dropped, _ in seen) + len(seen) == 100 and len(seen) < 10, seen
    for call in (news, latest):
        call.cancel()
        assert failure(call)[0] == -32001
    assert client.call("native", "subscribers", "news").wait() == 0
    client.call("native", "emit", "weather", "rain").wait()
    assert client.events == [("weather", "rain")], client.events


def main():
    port, letter, scenario = sys.argv[1:]
    client = Client(("127.0.0.1", int(port)), letter)
    {f.__name__: f for f in (calls, errors, cancel, progress, server_stream, client_stream, callbacks, events)}[scenario](client)
    print("done")


main()
