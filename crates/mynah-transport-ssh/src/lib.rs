//! SSH for Mynah: a service on any host that has nothing but sshd, and a service with no shell.
//!
//! A byte transport: it yields a stream of bytes and [`Evidence`](mynah_protocol::Evidence), and knows no dialect.

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
#[cfg(unix)]
mod server;

pub use client::{
    KeyExchange, Remote, SshAddress, SshDialer, SshHandle, SshOptions, SshStream, StopTimes,
};
pub use command::RemoteCommand;
pub use exit::RemoteExit;
pub use host_keys::{DangerousHostKeys, HostKeys};
pub use identity::Identity;
pub use lines::RemoteLines;
#[cfg(unix)]
pub use server::{DEFAULT_USER, SUBSYSTEM, SshListener, SshServerOptions, SshServerStream};

/// The version of this crate, shared by every crate of the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
