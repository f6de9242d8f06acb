//! TCP for Mynah: connect, listen, and what the socket knows about the peer.
