//! What a transport implements.
//!
//! There are two kinds. A *byte transport* (tcp, unix, stdio, ssh) yields a duplex stream of bytes
//! and [`Evidence`], and knows no dialect: it implements [`Listener`] and [`Dialer`] with its
//! connection type. A *carrier of envelopes* (the memory pair, a broker) moves whole envelopes: its
//! connection implements [`Transport`].

use crate::{Envelope, Evidence, Offer, Profile};
use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use async_trait::async_trait;
use core::any::Any;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use futures_core::Stream;
use futures_sink::Sink;

/// An ordered, reliable, two-way carrier of whole envelopes.
///
/// As a `Stream` it yields what the peer said; as a `Sink` it takes what is to be said. An error,
/// or the end of the stream, ends the connection. The driver polls both halves from one task: the
/// stream must make progress while the sink is full.
pub trait Transport:
    Stream<Item = Result<Inbound, TransportError>> + Sink<Outbound, Error = TransportError> + Send
{
    /// What this carrier can say.
    fn profile(&self) -> &Profile;

    /// What it knows about the peer.
    fn evidence(&self) -> &Evidence;
}

impl<T: Transport + ?Sized> Transport for Pin<Box<T>> {
    fn profile(&self) -> &Profile {
        (**self).profile()
    }

    fn evidence(&self) -> &Evidence {
        (**self).evidence()
    }
}

/// An envelope that arrived, and what must be settled once it is done with.
#[derive(Debug)]
pub struct Inbound {
    /// The envelope.
    pub envelope: Envelope<'static>,
    /// What a broker wants back when the envelope has been dealt with. `None`: nothing. That of a call or notification
    /// comes back once its handler has ended and its answer was handed over; that of anything else at once. It is
    /// dropped when the connection ends before.
    pub receipt: Option<Receipt>,
}

/// What is handed to a carrier.
#[derive(Debug)]
pub enum Outbound {
    /// Say this.
    Send(Envelope<'static>),
    /// This inbound envelope has been dealt with.
    Settle(Receipt, Settled),
}

/// How an inbound envelope was dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settled {
    /// It is done; it must not be delivered again.
    Done,
    /// It was not started, for want of a permit or because this side drains; somebody else may have it. A request that
    /// is given back so is not answered.
    Release,
}

/// What a carrier wants back when an inbound envelope has been dealt with.
pub struct Receipt {
    token: Box<dyn Any + Send>,
    attempt: u32,
    describe: fn(&(dyn Any + Send)) -> Evidence,
}

/// A token of a [`Receipt`] that knows more of the delivery than which attempt it is.
pub trait Delivered: Any + Send {
    /// What the carrier knows of this one delivery: asked for only when somebody wants to know.
    fn evidence(&self) -> Evidence;
}

impl Receipt {
    /// A receipt with a token that only the carrier understands, for the n-th delivery (from 1).
    pub fn new(token: impl Any + Send, attempt: u32) -> Self {
        Self {
            token: Box::new(token),
            attempt,
            describe: |_| Evidence::new(),
        }
    }

    /// The same with a token that has evidence of its own.
    pub fn delivered<T: Delivered>(token: T, attempt: u32) -> Self {
        Self {
            token: Box::new(token),
            attempt,
            describe: |token| {
                let token = token.downcast_ref::<T>();
                token.map_or_else(Evidence::new, Delivered::evidence)
            },
        }
    }

    /// What the carrier knows of this one delivery.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        (self.describe)(&*self.token)
    }

    /// Which delivery of the envelope this is, from 1.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The token, for the carrier that made it.
    ///
    /// # Errors
    /// The receipt itself when its token has another type.
    pub fn into_token<T: Any>(self) -> Result<Box<T>, Self> {
        let Self {
            token,
            attempt,
            describe,
        } = self;
        token.downcast().map_err(|token| Self {
            token,
            attempt,
            describe,
        })
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt")
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// A connection that a listener accepted.
#[derive(Debug)]
pub struct Accepted<C> {
    /// The connection: async bytes, or a [`Transport`].
    pub connection: C,
    /// What is known about the peer.
    pub evidence: Evidence,
}

/// A line of text that arrives beside the bytes of a connection: what a process writes to its stderr.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SideLine {
    /// The line, without its end. Whoever wrote it is not trusted: it may hold control characters.
    pub text: String,
    /// Bytes that were cut off its end because it was too long.
    pub cut_bytes: u64,
    /// Lines before it that were dropped because they were read too slowly.
    pub dropped: u64,
}

impl SideLine {
    /// A line that is whole, and follows the one before it.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            cut_bytes: 0,
            dropped: 0,
        }
    }
}

/// Lines that arrive beside the bytes of a connection, in order. What makes them bounds how many wait.
pub type SideLines = Pin<Box<dyn Stream<Item = SideLine> + Send>>;

/// Accepts connections.
///
/// An error is about one attempt, never about the listener: the driver counts it, waits a moment
/// and polls again. A listener that can never accept again returns `Ready(None)`.
#[async_trait]
pub trait Listener: Send + Unpin + 'static {
    /// What an accepted connection is: async bytes, or a [`Transport`].
    type Connection: Send + 'static;

    /// Told once what the server offers, before the first [`Self::poll_accept`]. What a listener needs the names of
    /// services for begins here. An error is one of the server's start. Most have nothing to do.
    async fn open(&mut self, offer: &Offer) -> Result<(), TransportError> {
        let _nothing = offer;
        Ok(())
    }

    /// The server takes nothing new: called once, while the connections that were accepted finish, and awaited until
    /// what stands outside of the process is left in order. It ends soon after the last of those connections has; nothing
    /// is accepted any more. Not called when the server stops without a drain: then the listener is dropped. Most have
    /// nothing to do.
    async fn close(&mut self) {}

    /// Waits for the next connection. Cancel safe: nothing is lost when it is not polled again.
    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Accepted<Self::Connection>, TransportError>>>;

    /// Where it listens, as text for people and logs: `tcp://127.0.0.1:9000`.
    fn address(&self) -> String;
}

#[async_trait]
impl<L: Listener + ?Sized> Listener for Box<L> {
    type Connection = L::Connection;

    async fn open(&mut self, offer: &Offer) -> Result<(), TransportError> {
        (**self).open(offer).await
    }

    async fn close(&mut self) {
        (**self).close().await;
    }

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Accepted<Self::Connection>, TransportError>>> {
        (**self).poll_accept(cx)
    }

    fn address(&self) -> String {
        (**self).address()
    }
}

/// Opens connections to one place, again and again if need be.
#[async_trait]
pub trait Dialer: Send + Sync + 'static {
    /// What an opened connection is: async bytes, or a [`Transport`].
    type Connection: Send + 'static;

    /// Opens one connection. Dropping the future gives up and leaves nothing open.
    async fn dial(&self) -> Result<Accepted<Self::Connection>, TransportError>;

    /// Takes what arrives beside the bytes of a connection that this opened, once. `None`, as for most: nothing does.
    fn take_side_lines(&self, connection: &mut Self::Connection) -> Option<SideLines> {
        let _nothing = connection;
        None
    }
}

#[async_trait]
impl<D: Dialer + ?Sized> Dialer for Box<D> {
    type Connection = D::Connection;

    async fn dial(&self) -> Result<Accepted<Self::Connection>, TransportError> {
        (**self).dial().await
    }

    fn take_side_lines(&self, connection: &mut Self::Connection) -> Option<SideLines> {
        (**self).take_side_lines(connection)
    }
}

/// What kind of thing failed below the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// Nobody answers at that address.
    Refused,
    /// The address is no address, or cannot be used.
    Address,
    /// It took too long.
    TimedOut,
    /// The connection broke.
    Broken,
    /// A limit of this side or of the machine is reached (connections, file descriptors).
    Exhausted,
    /// The peer sent more than a limit allows.
    TooLarge,
    /// Not allowed.
    Denied,
    /// Anything else.
    Other,
}

/// The environment failed: a socket, a process, a broker.
#[derive(Debug)]
pub struct TransportError {
    kind: TransportErrorKind,
    message: Box<str>,
    source: Option<Box<dyn core::error::Error + Send + Sync>>,
}

impl TransportError {
    /// An error of a kind, with what was attempted.
    pub fn new(kind: TransportErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into().into_boxed_str(),
            source: None,
        }
    }

    /// The same error with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl core::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// What kind of thing failed.
    #[must_use]
    pub const fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// The text of the error and of its causes, in one line.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut next = core::error::Error::source(self);
        while let Some(error) = next {
            text.push_str(": ");
            text.push_str(&error.to_string());
            next = error.source();
        }
        text
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl core::error::Error for TransportError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match &self.source {
            Some(source) => Some(&**source),
            None => None,
        }
    }
}

#[cfg(feature = "std")]
impl From<std::io::Error> for TransportError {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match error.kind() {
            Io::ConnectionRefused | Io::NotFound => TransportErrorKind::Refused,
            Io::AddrInUse | Io::AddrNotAvailable | Io::InvalidInput => TransportErrorKind::Address,
            Io::TimedOut => TransportErrorKind::TimedOut,
            Io::PermissionDenied => TransportErrorKind::Denied,
            Io::BrokenPipe
            | Io::ConnectionReset
            | Io::ConnectionAborted
            | Io::UnexpectedEof
            | Io::NotConnected => TransportErrorKind::Broken,
            _ => TransportErrorKind::Other,
        };
        Self::new(kind, "i/o failed").with_source(error)
    }
}
