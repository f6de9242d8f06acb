//! TCP for Mynah: connect, listen, and what the socket knows about the peer.
//!
//! A byte transport: it yields a stream of bytes and [`Evidence`](mynah_protocol::Evidence), and knows no dialect.
//! Both ends set `TCP_NODELAY`, because each side writes once for all that is ready, and `SO_KEEPALIVE`, so that a host
//! that vanished is noticed.

mod dial;
mod listen;
mod options;

pub use dial::TcpDialer;
pub use listen::TcpListener;
pub use options::TcpOptions;

/// An open TCP connection.
pub type TcpStream = tokio::net::TcpStream;

/// The version of this crate, shared by every crate of the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

#[cfg(test)]
mod tests;
