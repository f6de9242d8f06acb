//! A client that connects again by itself.

mod builder;
mod caller;
mod connections;
mod open;
mod state;
mod supervise;

pub use builder::Reconnect;
pub use open::DialError;
pub use state::{ReconnectState, ReconnectStats, ReconnectWatch};

use crate::call::{CallBuilder, CallerExt, ServiceClient};
use crate::events::{Subscribe, Subscription};
use crate::peer::Peer;
use connections::Connections;
use mynah_codec::Dialect;
use mynah_connection::CloseReason;
use mynah_protocol::{Dialer, Transport, TransportError};
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// A client that connects again by itself: calls go through whichever connection there is.
///
/// Cheap to clone, usable from any task or thread, and what a typed client can stand on: `ArithClient<Reconnecting>`.
/// When the last handle is dropped, it closes.
///
/// What becomes of a call when its connection ends:
///
/// | the call | then |
/// |---|---|
/// | waits for a connection | waits on, within its deadline; [`Reconnect::fail_fast`]: ends as `Disconnected` |
/// | its request never left | is sent on the next connection: it did not run |
/// | was refused because the server drains | the same |
/// | may have run | ends as `Indeterminate` |
/// | may have run, and is `#[idempotent]` | is sent once on each new connection, within its deadline |
/// | a stream of results that has begun | ends as `Indeterminate`; it is not resumed |
/// | had a stream or callbacks attached | they end with the connection; never sent again |
/// | a subscription | is made again where it is polled; `Subscription::reconnects` counts the gaps |
///
/// A call is sent again where it is awaited: one that nobody polls waits. Its progress and logs begin anew.
///
/// A server that drains says so: new calls go to the next connection, old ones finish on the old one.
#[derive(Clone)]
pub struct Reconnecting {
    handle: Arc<Handle>,
}

/// Counts as the program's hold on the connections.
struct Handle {
    connections: Arc<Connections>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.connections.close(CloseReason::Local);
        self.connections.let_go();
    }
}

impl fmt::Debug for Reconnecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnecting")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

impl Reconnecting {
    /// Connections of a transport that carries bytes.
    pub fn dial<D>(dialer: D, dialect: &impl Dialect) -> Reconnect
    where
        D: Dialer<Connection: AsyncRead + AsyncWrite + Unpin>,
    {
        Reconnect::new(open::bytes(dialer, dialect))
    }

    /// Connections of a carrier of envelopes.
    pub fn dial_transport<D>(dialer: D) -> Reconnect
    where
        D: Dialer<Connection: Transport>,
    {
        Reconnect::new(open::carrier(dialer))
    }

    /// Connections that a closure opens. Dropping its future must leave nothing open.
    ///
    /// ```
    /// use mynah_codec::dialect::native::Native;
    /// use mynah_peer::{Peer, Reconnecting};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = Reconnecting::open_with(|| async {
    ///     let (near, far) = tokio::io::duplex(4096);
    ///     tokio::spawn(async move { Peer::over(far, &Native::new()).start() });
    ///     Ok(Peer::over(near, &Native::new()))
    /// })
    /// .connect()
    /// .await?;
    /// # client.close();
    /// # Ok(())
    /// # }
    /// ```
    pub fn open_with<F, Fut>(open: F) -> Reconnect
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<crate::PeerBuilder, TransportError>> + Send + 'static,
    {
        Reconnect::new(open::closure(open))
    }

    fn over(connections: Arc<Connections>) -> Self {
        let handle = Arc::new(Handle { connections });
        Self { handle }
    }

    fn connections(&self) -> &Connections {
        &self.handle.connections
    }

    /// A typed client that calls through whichever connection there is.
    #[must_use]
    pub fn client<K: ServiceClient<Self>>(&self) -> K {
        K::from_caller(self.clone())
    }

    /// A call by name through whichever connection there is. See [`CallerExt::call`].
    pub fn call(
        &self,
        service: impl Into<Cow<'static, str>>,
        method: impl Into<Cow<'static, str>>,
    ) -> CallBuilder<Self> {
        CallerExt::call(self, service, method)
    }

    /// Subscribes to a topic of the other side, again on each connection. See
    /// [`Subscription::reconnects`](crate::Subscription::reconnects).
    pub fn subscribe<T>(&self, topic: impl Into<Box<str>>) -> Subscribe<T, Self> {
        Subscribe::new(self.clone(), topic)
    }

    /// The events of a topic of the other side, subscribed to when this is called, and again on each connection. See
    /// [`Peer::events`].
    pub fn events<T>(&self, topic: impl Into<Box<str>>) -> Subscription<T, Self>
    where
        T: DeserializeOwned + Send + 'static,
    {
        CallerExt::events(self, topic)
    }

    /// The events of all topics of the other side, each with its topic. See [`Peer::events_any`].
    pub fn events_any<T>(&self) -> Subscription<(String, T), Self>
    where
        T: DeserializeOwned + Send + 'static,
    {
        CallerExt::events_any(self)
    }

    /// The connection of now, `None` while there is none. For what belongs to one connection: evidence, events that are
    /// emitted, its end.
    #[must_use]
    pub fn peer(&self) -> Option<Peer> {
        self.connections().current()
    }

    /// How it stands.
    #[must_use]
    pub fn state(&self) -> ReconnectState {
        self.connections().state()
    }

    /// Tells of changes of [`Self::state`].
    #[must_use]
    pub fn watch(&self) -> ReconnectWatch {
        self.connections().watch()
    }

    /// Waits for a connection.
    ///
    /// Cancel safety: may be dropped and called again at any time.
    ///
    /// # Errors
    /// Why it closed, when it has closed for good.
    pub async fn connected(&self) -> Result<(), CloseReason> {
        let mut watch = self.watch();
        loop {
            match watch.state() {
                ReconnectState::Connected => return Ok(()),
                ReconnectState::Closed(reason) => return Err(reason),
                ReconnectState::Connecting | ReconnectState::Waiting { .. } => {}
            }
            watch.changed().await;
        }
    }

    /// Closes for good: what waits in the output of the connection is written, calls that wait for a connection end as
    /// `Disconnected`, those on their way as they do when a connection ends.
    pub fn close(&self) {
        self.connections().close(CloseReason::Local);
    }

    /// Whether it has closed for good.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.state(), ReconnectState::Closed(_))
    }

    /// Waits until it has closed for good and its connections have ended, and says why it closed.
    ///
    /// Cancel safety: may be dropped and called again at any time.
    pub async fn closed(&self) -> CloseReason {
        let mut watch = self.watch();
        let reason = loop {
            if let ReconnectState::Closed(reason) = watch.state() {
                break reason;
            }
            watch.changed().await;
        };
        for peer in self.connections().peers() {
            peer.closed().await;
        }
        reason
    }

    /// What it has done, and how much of its connection is in use.
    #[must_use]
    pub fn stats(&self) -> ReconnectStats {
        self.connections().stats()
    }
}
