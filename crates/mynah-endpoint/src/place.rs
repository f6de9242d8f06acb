//! Where an endpoint is, whatever its transport.

use crate::stream::EndpointStream;
use mynah_protocol::{Dialer, Listener, Transport, TransportError, TransportErrorKind};
use std::fmt;
use std::pin::Pin;

/// Opens connections, behind a pointer.
pub type BoxDialer<C> = Box<dyn Dialer<Connection = C>>;

/// Accepts connections, behind a pointer.
pub type BoxListener<C> = Box<dyn Listener<Connection = C>>;

/// A carrier of envelopes, behind a pointer.
pub type BoxTransport = Pin<Box<dyn Transport>>;

type Binding<C> = Pin<Box<dyn Future<Output = Result<BoxListener<C>, TransportError>> + Send>>;

/// How connections to a place are opened.
#[non_exhaustive]
pub enum Dialing {
    /// They carry bytes, and a dialect is spoken on them.
    Bytes(BoxDialer<EndpointStream>),
    /// They carry envelopes.
    Carrier(BoxDialer<BoxTransport>),
    /// There are none: a server of this process is called by its name.
    InProcess(String),
}

/// How connections at a place are accepted. Nothing is bound before the future is awaited; dropped before its end, it
/// leaves nothing bound.
#[non_exhaustive]
pub enum Listening {
    /// They carry bytes, and a dialect is spoken on them.
    Bytes(Binding<EndpointStream>),
    /// They carry envelopes.
    Carrier(Binding<BoxTransport>),
    /// There are none: the server is called by its name within this process.
    InProcess(String),
}

/// Where an endpoint is: what one transport knows of it. Displayed, it is the URL without options.
pub trait Place: fmt::Debug + fmt::Display + Send + Sync + 'static {
    /// How connections to it are opened.
    ///
    /// # Errors
    /// [`TransportErrorKind::Address`] when it can only be listened on.
    fn dial(&self) -> Result<Dialing, TransportError>;

    /// How connections at it are accepted.
    ///
    /// # Errors
    /// [`TransportErrorKind::Address`] when it can only be dialled.
    fn listen(&self) -> Result<Listening, TransportError>;

    /// Whether it can be dialled again when a connection is lost.
    ///
    /// # Errors
    /// [`TransportErrorKind::Address`] with the reason, when it cannot.
    fn again(&self) -> Result<(), TransportError> {
        match self.dial()? {
            Dialing::Bytes(_) | Dialing::Carrier(_) => Ok(()),
            Dialing::InProcess(_) => Err(TransportError::new(
                TransportErrorKind::Address,
                format!(
                    "{self} is a server of this process, to which no connection is lost: connect without reconnect"
                ),
            )),
        }
    }
}

impl fmt::Debug for Dialing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(_) => f.debug_tuple("Bytes").finish_non_exhaustive(),
            Self::Carrier(_) => f.debug_tuple("Carrier").finish_non_exhaustive(),
            Self::InProcess(name) => f.debug_tuple("InProcess").field(name).finish(),
        }
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(_) => f.debug_tuple("Bytes").finish_non_exhaustive(),
            Self::Carrier(_) => f.debug_tuple("Carrier").finish_non_exhaustive(),
            Self::InProcess(name) => f.debug_tuple("InProcess").field(name).finish(),
        }
    }
}
