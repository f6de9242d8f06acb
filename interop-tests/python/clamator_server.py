"""A server of PyPI clamator-protocol on a Unix socket, over lines. Prints "listening PATH"; ends when its stdin ends.

usage: clamator_server.py PATH
"""

import asyncio
import sys

from clamator_protocol import RpcServerCore

from clamator_line import CONTRACT, Arith, ServerTransport
from ends import end_with_stdin


async def main(path):
    done = asyncio.Event()
    end_with_stdin(asyncio.get_running_loop(), done.set)
    core = RpcServerCore(ServerTransport(path))
    core.register_service(CONTRACT, Arith())
    await core.start()
    print("listening", path, flush=True)
    await done.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
