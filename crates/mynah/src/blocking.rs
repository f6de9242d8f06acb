//! Clients and servers of programs without a runtime, by URL.
//!
//! ```
//! use mynah::prelude::*;
//! use mynah::blocking;
//!
//! #[mynah::service]
//! trait Arith {
//!     #[blocking]
//!     fn add(&self, a: i64, b: i64) -> i64;
//! }
//!
//! struct MyArith;
//!
//! impl Arith for MyArith {
//!     fn add(&self, a: i64, b: i64) -> i64 {
//!         a + b
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = blocking::Server::new()
//!     .register(ArithService::new(MyArith))
//!     .listen("tcp://127.0.0.1:0")
//!     .start()?;
//!
//! let arith: ArithClient<blocking::Peer> = blocking::connect(server.address())?.client();
//! assert_eq!(arith.add(2, 3).wait()?, 5);
//! # Ok(())
//! # }
//! ```

use crate::url::{ConnectError, Connector, Listen, connector};
use mynah_peer::{Reconnect, Reconnecting};
use mynah_protocol::{TransportError, TransportErrorKind};
use std::io;

#[doc(inline)]
pub use mynah_peer::blocking::{
    Blocked, BlockingPool, FromIterator, FromStream, IntoInput, Iter, Peer, Server, ServerHandle,
    answer, stream,
};

/// Connects to a URL: [`mynah::connect`](crate::connect) for a program without a runtime.
///
/// # Errors
/// As there; [`ConnectError::Transport`] also when there is no thread to be had, and within async code.
pub fn connect(url: &str) -> Result<Peer, ConnectError> {
    connector(url)?.connect_blocking()
}

impl Connector {
    /// Opens the connection, for a program without a runtime.
    ///
    /// # Errors
    /// As [`Connector::connect`]; [`ConnectError::Transport`] also when there is no thread to be had, and within async
    /// code.
    pub fn connect_blocking(self) -> Result<Peer, ConnectError> {
        Peer::open(self.connect()).map_err(unopened)?
    }

    /// The same for a client that connects again by itself: [`Connector::reconnect`].
    ///
    /// # Errors
    /// As there, and as [`Reconnect::connect`].
    pub fn reconnect_blocking(
        self,
        backoff: mynah_peer::Backoff,
    ) -> Result<Peer<Reconnecting>, ConnectError> {
        let reconnect: Reconnect = self.reconnect(backoff)?;
        let opened = Peer::open(reconnect.connect()).map_err(unopened)?;
        opened.map_err(ConnectError::from)
    }
}

fn unopened(error: io::Error) -> ConnectError {
    let kind = match error.kind() {
        io::ErrorKind::Unsupported => TransportErrorKind::Denied,
        _ => TransportErrorKind::Other,
    };
    ConnectError::Transport(TransportError::new(kind, error.to_string()).with_source(error))
}

impl Listen for Server {
    fn listen(self, url: &str) -> Self {
        self.with(|server| server.listen(url))
    }
}
