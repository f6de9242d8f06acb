"""A client of PyPI clamator-protocol that runs one named scenario against a server on a Unix socket, over lines.

usage: clamator_client.py PATH SCENARIO

Prints one line of JSON per check and ends with {"done": SCENARIO}. On a failed check it says so on stderr and ends with
status 1. It ends when its stdin ends, and by itself after 60 s.
"""

import asyncio
import os
import sys

from clamator_protocol import RpcClientCore

from clamator_line import ClientTransport
from clamator_scenarios import Scenarios, run
from ends import end_with_stdin


async def main(path, scenario):
    end_with_stdin(asyncio.get_running_loop(), lambda: os._exit(3))
    transport = ClientTransport(path)
    core = RpcClientCore(transport)
    await core.start()
    await run(Scenarios(core, transport), scenario)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
