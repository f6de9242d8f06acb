//! Opens and accepts connections by URL.
//!
//! A URL such as `tcp://host:port?dialect=cbor-rpc` is read into an [`Endpoint`]: where it is (a [`Place`]), what is
//! spoken there (a [`Dialect`](mynah_codec::Dialect)), and which limits hold ([`LimitChanges`]). A place is dialled and
//! listened on without anybody knowing which transport it is of.
//!
//! What it is not: it runs no connection (`mynah-peer` does) and keeps no registry; a program with a transport of its
//! own hands that transport to the peer.
//!
//! | feature | URLs |
//! |---|---|
//! | `memory` | `memory:NAME` |
//! | `redis-streams` | `redis://host:port/db`; `rediss://` with `redis-streams-tls` |
//! | `ssh` | `ssh://user@host:port` |
//! | `stdio` | `stdio:`, `stdio:PROGRAM`, `ssh+exec://host/PROGRAM` |
//! | `tcp` | `tcp://host:port` |
//! | `systemd` | `systemd:NAME`: sockets that were opened by whoever started the process |
//! | `unix` | `unix:/path`, `unix:@name` |

#![cfg_attr(
    not(any(feature = "ssh", feature = "stdio", feature = "tcp", feature = "unix")),
    allow(dead_code, reason = "without a transport little of a URL is read")
)]

mod dialects;
mod endpoint;
#[cfg(any(feature = "ssh", feature = "stdio", feature = "tcp", feature = "unix"))]
mod erase;
mod error;
mod hide;
mod limits;
#[cfg(all(unix, feature = "systemd"))]
mod passed;
#[cfg(any(
    feature = "redis-streams",
    all(unix, any(feature = "ssh", feature = "stdio"))
))]
mod percent;
mod place;
mod places;
mod query;
mod stream;

pub use endpoint::Endpoint;
pub use error::EndpointError;
pub use limits::LimitChanges;
#[cfg(all(unix, feature = "systemd"))]
pub use passed::PassedSocket;
pub use place::{BoxDialer, BoxListener, BoxTransport, Dialing, Listening, Place};
pub use stream::{ByteStream, EndpointStream};

/// The version of this crate, shared by every crate of the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

#[cfg(test)]
mod tests;
