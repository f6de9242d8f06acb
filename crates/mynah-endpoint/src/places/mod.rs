//! One module for each transport. A new one is a module, a row of [`SCHEMES`], and a feature.

#[cfg(all(unix, any(feature = "ssh", feature = "stdio")))]
mod authority;
#[cfg(feature = "memory")]
mod memory;
#[cfg(feature = "redis-streams")]
mod redis;
#[cfg(all(unix, feature = "ssh"))]
mod ssh;
#[cfg(all(unix, feature = "stdio"))]
mod ssh_exec;
#[cfg(all(unix, feature = "stdio"))]
mod stdio;
#[cfg(all(unix, feature = "systemd"))]
mod systemd;
#[cfg(feature = "tcp")]
mod tcp;
#[cfg(all(unix, feature = "unix"))]
mod unix;

use crate::endpoint::Url;
use crate::error::EndpointError;
use crate::place::Place;

/// A kind of URL.
pub(crate) struct Scheme {
    /// What stands before the colon.
    pub(crate) name: &'static str,
    /// The feature that has it.
    pub(crate) feature: &'static str,
    /// How its URLs look.
    pub(crate) form: &'static str,
    /// Whether there is a wire, so that dialects and limits can be chosen.
    pub(crate) wire: bool,
    /// Reads the address, and takes the options that are its own. `None` without its feature.
    pub(crate) read: Option<Read>,
}

type Read = fn(&mut Url<'_>) -> Result<Box<dyn Place>, EndpointError>;

pub(crate) const SCHEMES: &[Scheme] = &[
    Scheme {
        name: "tcp",
        feature: "tcp",
        form: "tcp://host:port",
        wire: true,
        #[cfg(feature = "tcp")]
        read: Some(tcp::read),
        #[cfg(not(feature = "tcp"))]
        read: None,
    },
    Scheme {
        name: "unix",
        feature: "unix",
        form: "unix:/path or unix:@name",
        wire: true,
        #[cfg(all(unix, feature = "unix"))]
        read: Some(unix::read),
        #[cfg(not(all(unix, feature = "unix")))]
        read: None,
    },
    Scheme {
        name: "stdio",
        feature: "stdio",
        form: "stdio: or stdio:PROGRAM",
        wire: true,
        #[cfg(all(unix, feature = "stdio"))]
        read: Some(stdio::read),
        #[cfg(not(all(unix, feature = "stdio")))]
        read: None,
    },
    Scheme {
        name: "ssh",
        feature: "ssh",
        form: "ssh://user@host:port",
        wire: true,
        #[cfg(all(unix, feature = "ssh"))]
        read: Some(ssh::read),
        #[cfg(not(all(unix, feature = "ssh")))]
        read: None,
    },
    Scheme {
        name: "ssh+exec",
        feature: "stdio",
        form: "ssh+exec://host/PROGRAM",
        wire: true,
        #[cfg(all(unix, feature = "stdio"))]
        read: Some(ssh_exec::read),
        #[cfg(not(all(unix, feature = "stdio")))]
        read: None,
    },
    Scheme {
        name: "systemd",
        feature: "systemd",
        form: "systemd:NAME",
        wire: true,
        #[cfg(all(unix, feature = "systemd"))]
        read: Some(systemd::read),
        #[cfg(not(all(unix, feature = "systemd")))]
        read: None,
    },
    Scheme {
        name: "redis",
        feature: "redis-streams",
        form: "redis://host:port/db",
        wire: false,
        #[cfg(feature = "redis-streams")]
        read: Some(redis::read),
        #[cfg(not(feature = "redis-streams"))]
        read: None,
    },
    Scheme {
        name: "rediss",
        feature: "redis-streams-tls",
        form: "rediss://host:port/db",
        wire: false,
        #[cfg(feature = "redis-streams")]
        read: Some(redis::read_tls),
        #[cfg(not(feature = "redis-streams"))]
        read: None,
    },
    Scheme {
        name: "redis+unix",
        feature: "redis-streams",
        form: "redis+unix:///path",
        wire: false,
        #[cfg(feature = "redis-streams")]
        read: Some(redis::read_unix),
        #[cfg(not(feature = "redis-streams"))]
        read: None,
    },
    Scheme {
        name: "memory",
        feature: "memory",
        form: "memory:NAME",
        wire: false,
        #[cfg(feature = "memory")]
        read: Some(memory::read),
        #[cfg(not(feature = "memory"))]
        read: None,
    },
];
