"""A server of the real package. Prints "listening PORT", or the path; ends when its stdin ends.

usage: cbor_rpc_server.py {cbor|json} [--server-class] [--unix PATH]

--server-class serves through the package's RpcV1Server, which installs no event handler; without it each connection
is a plain RpcV1. It emits "ready" on every connection before it can be talked to.
"""

import asyncio
import sys

from cbor_rpc import RpcV1, RpcV1Server, TcpServer

from common import Methods, UnixPipe, new_state, transformer
from ends import end_with_stdin


class Acceptor(TcpServer):
    async def accept(self, pipe):
        return True


class DocumentedServer(RpcV1Server):
    """The way the package's own page shows."""

    def __init__(self, state):
        super().__init__()
        self.state = state
        self.methods = {}

    async def handle_method_call(self, connection_id, context, method, args):
        methods = self.methods.get(connection_id)
        if methods is None:
            methods = self.methods[connection_id] = Methods(self.state)
            methods.rpc = self.rpc_clients[connection_id]
            methods.pipe = self.active_connections[connection_id]
        return await methods.handle(context, method, args)


async def main(codec, documented, path):
    state = new_state()
    done = asyncio.Event()
    end_with_stdin(asyncio.get_running_loop(), done.set)
    if path is not None:
        await serve_unix(path, codec, state, done)
        return
    server = await Acceptor.create("127.0.0.1", 0)

    if documented:
        service = DocumentedServer(state)

        async def on_connection(pipe):
            conn_id = str(pipe.get_peer_info())
            await service.add_connection(conn_id, transformer(codec).apply_transformer(pipe))
            # An async handler runs one turn late, and what arrives in that turn is lost: say when it is safe to talk.
            await service.rpc_clients[conn_id].emit("ready", None)

    else:

        def on_connection(pipe):
            methods = Methods(state)
            methods.pipe = transformer(codec).apply_transformer(pipe)
            methods.rpc = RpcV1.make_rpc_v1(
                methods.pipe, str(pipe.get_peer_info()), methods.handle, methods.on_event
            )

    server.on("connection", on_connection)
    print("listening", server.get_address()[1], flush=True)
    await done.wait()


async def serve_unix(path, codec, state, done):
    async def on_connection(reader, writer):
        pipe = UnixPipe(reader, writer)
        methods = Methods(state)
        methods.pipe = transformer(codec).apply_transformer(pipe)
        methods.rpc = RpcV1.make_rpc_v1(methods.pipe, "unix", methods.handle, methods.on_event)
        await pipe._setup_connection()

    await asyncio.start_unix_server(on_connection, path)
    print("listening", path, flush=True)
    await done.wait()


if __name__ == "__main__":
    arguments = sys.argv[2:]
    unix = arguments[arguments.index("--unix") + 1] if "--unix" in arguments else None
    asyncio.run(main(sys.argv[1], "--server-class" in arguments, unix))
