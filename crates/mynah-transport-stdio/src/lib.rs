//! Stdin and stdout for Mynah: serve on one's own, or run a child process as a peer.
//!
//! A byte transport: it yields a stream of bytes and [`Evidence`](mynah_protocol::Evidence), and knows no dialect.
//!
//! # On one's own stdin and stdout
//!
//! [`OwnStdio::take`] moves both away from their numbers: stdin reads nothing from then on, and what the program prints
//! to stdout lands on stderr. A `println!` anywhere in it does no harm to the connection.
//!
//! They may be pipes, sockets (Node gives its children sockets), terminals, other devices or files. The flags of what
//! was inherited are never changed: whether a read waits (`O_NONBLOCK`) belongs to the open file, which other processes
//! share, the shell of a terminal above all. Pipes and terminals are opened anew, sockets are asked with each call not
//! to wait, and what cannot be watched (files, `/dev/null`) is read and written by threads. No thread keeps the program
//! from ending.
//!
//! # A child process as a peer
//!
//! [`Program`] says what to run and how; [`Program::spawn`] runs it. What it writes to stderr arrives as
//! [`StderrLines`]. How it ended is part of why the connection ended: [`PeerEnd`](mynah_protocol::PeerEnd) with
//! [`EXIT_STATUS`](mynah_protocol::EvidenceKey::EXIT_STATUS) or [`SIGNAL`](mynah_protocol::EvidenceKey::SIGNAL).
//! A child is stopped gently, and reaped whatever happens to the runtime: see [`StopTimes`].

#![cfg(unix)]

mod child;
mod descriptor;
mod own;
mod thread;

pub use child::{
    ChildExit, ChildHandle, ChildProcess, ProcessGroup, Program, StderrLines, StderrMode, StopTimes,
};
pub use own::{OwnStdio, OwnStdioListener};

/// The version of this crate, shared by every crate of the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

#[cfg(test)]
mod tests;
