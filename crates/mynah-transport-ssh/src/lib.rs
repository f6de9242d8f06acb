//! SSH for Mynah: a service on any host that has nothing but sshd, and a service with no shell.
//!
//! A byte transport: it yields a stream of bytes and [`Evidence`](mynah_protocol::Evidence), and knows no dialect.
//!
//! [`SshDialer`] uses a command, a subsystem or a Unix socket behind an SSH server, one channel for each connection. Host
//! keys are checked by [`HostKeys`], whoever logs in is proven by [`Identity`]s. What a remote command writes to stderr
//! arrives as [`RemoteLines`], how it ended is part of why the connection ended
//! ([`PeerEnd`](mynah_protocol::PeerEnd)), and it is stopped step by step ([`StopTimes`]).
//!
//! [`SshListener`] is the other side: a service that is a subsystem, on a server that grants nothing else.
//!
//! What it is not: a shell, a terminal, a tunnel for anything else. It reads no `~/.ssh/config`; for that there is
//! `ssh+exec:` of `mynah-endpoint`, which runs the system's `ssh`.

#![cfg(unix)]

mod client;
mod command;
mod duplex;
mod elastic;
mod exit;
mod host_keys;
mod identity;
mod known_hosts;
mod lines;
mod server;

pub use client::{
    KeyExchange, Remote, SshAddress, SshDialer, SshHandle, SshOptions, SshStream, StopTimes,
};
pub use command::RemoteCommand;
pub use exit::RemoteExit;
pub use host_keys::{DangerousHostKeys, HostKeys};
pub use identity::Identity;
pub use lines::RemoteLines;
pub use server::{DEFAULT_USER, SUBSYSTEM, SshListener, SshServerOptions, SshServerStream};

/// The version of this crate, shared by every crate of the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
