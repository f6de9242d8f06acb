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

class Nonsense(asyncssh.channel.SSHChannel):
    """Asks for a channel of a kind that nobody knows, over and over. russh says no twice for each; no client of OpenSSH
    asks for such a thing, and this one would call two answers an error."""

    codes, answered = set(), None

    def process_open_failure(self, code, reason, lang):
        self.codes.add(code)
        if self.answered and not self.answered.done():
            self.answered.set_result(True)

    def process_connection_close(self, exc):
        if self.answered and not self.answered.done():
            self.answered.set_result(False)
        super().process_connection_close(exc)

    async def ask(self):
        if self._conn is None or self._conn.is_closed():
            return False
        self.answered = asyncio.get_running_loop().create_future()
        number = self._recv_chan.to_bytes(4, "big")
        self._conn.send_packet(asyncssh.constants.MSG_CHANNEL_OPEN, asyncssh.packet.String(b"nonsense@example.com"),
            number, b"\0\x10\0\0", b"\0\0\x80\0")
        return await asyncio.wait_for(self.answered, 20)

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
    # Kinds of channels that nobody knows are refused, one by one, and whoever goes on asking is cut off.
    async with await connect() as c:
        await c.create_process(subsystem="mynah", encoding=None)
        nonsense = Nonsense(c, c._loop, None, "strict", 1 << 20, 32768)
        for asked in range(100_000):
            if not await nonsense.ask():
                break
        else:
            raise SystemExit("never cut off")
        assert asked > 8 and nonsense.codes == {asyncssh.constants.OPEN_UNKNOWN_CHANNEL_TYPE,
            asyncssh.constants.OPEN_ADMINISTRATIVELY_PROHIBITED}, (asked, nonsense.codes)
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
