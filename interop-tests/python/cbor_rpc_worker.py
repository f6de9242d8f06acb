"""A worker of the real package on its own stdin and stdout. Says READY on stderr, ends with status 0 when stdin ends.

usage: cbor_rpc_worker.py {cbor|json}
"""

import asyncio
import sys

from cbor_rpc import RpcV1
from cbor_rpc.stdio.stdio_pipe import StdioPipe

from common import Methods, new_state, transformer


async def main(codec):
    closed = asyncio.Event()
    methods = Methods(new_state())
    raw = await StdioPipe.open()
    methods.pipe = transformer(codec).apply_transformer(raw)
    methods.pipe.on("close", lambda *args: closed.set())
    methods.rpc = RpcV1.make_rpc_v1(methods.pipe, "parent", methods.handle, methods.on_event)
    print("READY", file=sys.stderr, flush=True)
    await closed.wait()
    print("closed", file=sys.stderr, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
