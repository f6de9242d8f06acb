"""Asks an SSH server for everything that it has to refuse, with asyncssh. Ends with status 0 when it has.

usage: ssh_probe.py PORT KEY
"""

import asyncio, asyncssh, sys

PORT, KEY = int(sys.argv[1]), sys.argv[2]

async def refused(what, wanted):
    try:
        await asyncio.wait_for(what, 20)
    except wanted:
        return
    except Exception as error:
        raise SystemExit(f"{wanted.__name__} expected, {error!r} came")
    raise SystemExit(f"granted: {what}")

async def connect(**more):
    return await asyncssh.connect("127.0.0.1", PORT, username="mynah", client_keys=[KEY], known_hosts=None,
        agent_path=None, config=None, **more)

async def main():
    Open = asyncssh.ChannelOpenError
    for ask in (
        lambda c: c.create_process("id"),
        lambda c: c.create_process(),
        lambda c: c.create_process(subsystem="sftp"),
        lambda c: c.create_process(term_type="xterm", subsystem="mynah"),
        lambda c: c.open_connection("127.0.0.1", 22),
        lambda c: c.open_unix_connection("/tmp/none"),
    ):
        async with await connect() as c:
            await refused(ask(c), Open)
    async with await connect() as c:
        await refused(c.forward_remote_port("", 0, "127.0.0.1", 1), asyncssh.ChannelListenError)
        await refused(c.forward_remote_path("/tmp/mynah-none", "/tmp/none"), asyncssh.ChannelListenError)
    # One channel and no more, though the first one is granted.
    async with await connect() as c:
        first = await c.create_process(subsystem="mynah", env={"LD_PRELOAD": "x"}, encoding=None)
        await refused(c.create_process(subsystem="mynah"), Open)
        assert not first.is_closing()
        first.close()
    # No passwords, and no questions.
    for more in ({"password": "x"}, {"kbdint_auth": True}):
        try:
            await asyncssh.connect("127.0.0.1", PORT, username="mynah", client_keys=None, known_hosts=None,
                agent_path=None, config=None, **more)
            raise SystemExit("let in without a key")
        except asyncssh.PermissionDenied:
            pass
    # A key that is not listed.
    try:
        await asyncssh.connect("127.0.0.1", PORT, username="mynah", client_keys=[asyncssh.generate_private_key("ssh-ed25519")],
            known_hosts=None, agent_path=None, config=None)
        raise SystemExit("let in with any key")
    except asyncssh.PermissionDenied:
        pass
    # Nothing is compressed, also when it is asked for.
    async with await connect(compression_algs=["zlib@openssh.com", "zlib", "none"]) as c:
        assert c.get_extra_info("send_compression") == "none", c.get_extra_info("send_compression")
    print("all refused")

asyncio.run(main())
