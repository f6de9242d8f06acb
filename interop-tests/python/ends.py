"""How a driver ends: with the test that started it."""

import threading


def end_with_stdin(loop, stop):
    """Calls `stop` on the loop when stdin ends: a driver never outlives the test that started it."""

    def watch():
        import sys

        sys.stdin.buffer.read()
        try:
            loop.call_soon_threadsafe(stop)
        except RuntimeError:
            pass

    threading.Thread(target=watch, daemon=True).start()
