//! Ends of connections, and whoever opens and accepts them, whatever their types.

use crate::failure::{Because as _, Failure};
use futures_core::Stream;
use futures_sink::Sink;
use mynah_codec::Format;
use mynah_protocol::{
    Accepted, Dialer, Envelope, Evidence, FormatId, Inbound, Listener, Metadata, MethodName,
    Outbound, Payload, Profile, Request, Streams, Transport, TransportError, TransportErrorKind,
    WireId,
};
use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An open duplex of bytes.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// One end of an open byte transport.
pub(crate) struct ByteEnd {
    stream: Box<dyn Duplex>,
    pub(crate) evidence: Evidence,
    /// The listener, as long as this end is open.
    keep: Option<Box<dyn Any + Send>>,
}

/// One end of an open carrier of envelopes.
pub(crate) struct EnvelopeEnd {
    carrier: Pin<Box<dyn Transport>>,
    pub(crate) evidence: Evidence,
    keep: Option<Box<dyn Any + Send>>,
}

impl fmt::Debug for ByteEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ByteEnd").field(&self.evidence).finish()
    }
}

impl fmt::Debug for EnvelopeEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EnvelopeEnd").field(&self.evidence).finish()
    }
}

impl AsyncRead for ByteEnd {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for ByteEnd {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Stream for EnvelopeEnd {
    type Item = Result<Inbound, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.carrier.as_mut().poll_next(cx)
    }
}

impl Sink<Outbound> for EnvelopeEnd {
    type Error = TransportError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.carrier.as_mut().poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, outbound: Outbound) -> Result<(), Self::Error> {
        self.carrier.as_mut().start_send(outbound)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.carrier.as_mut().poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.carrier.as_mut().poll_close(cx)
    }
}

impl Transport for EnvelopeEnd {
    fn profile(&self) -> &Profile {
        self.carrier.profile()
    }

    fn evidence(&self) -> &Evidence {
        &self.evidence
    }
}

/// What cases need of an end of either kind.
pub(crate) trait End: Send + Unpin + Sized + 'static {
    fn evidence(&self) -> &Evidence;

    /// Keeps something as long as this end is there.
    fn keep(&mut self, other: Box<dyn Any + Send>);

    /// Says a number.
    fn say(&mut self, number: u8) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Hears a number; `None`: the other end is gone.
    fn hear(&mut self) -> impl Future<Output = Option<u8>> + Send;
}

impl ByteEnd {
    pub(crate) fn new<S>(stream: S, evidence: Evidence) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Self {
            stream: Box::new(stream),
            evidence,
            keep: None,
        }
    }
}

impl End for ByteEnd {
    fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    fn keep(&mut self, other: Box<dyn Any + Send>) {
        self.keep = Some(other);
    }

    async fn say(&mut self, number: u8) -> Result<(), Failure> {
        self.write_all(&[number]).await.because("write one byte")?;
        self.flush().await.because("flush")
    }

    async fn hear(&mut self) -> Option<u8> {
        self.read_u8().await.ok()
    }
}

impl EnvelopeEnd {
    pub(crate) fn new(carrier: impl Transport + 'static, evidence: Evidence) -> Self {
        Self {
            carrier: Box::pin(carrier),
            evidence,
            keep: None,
        }
    }

    /// Hands one envelope over and flushes.
    pub(crate) async fn send(&mut self, envelope: Envelope<'static>) -> Result<(), TransportError> {
        poll_fn(|cx| Pin::new(&mut *self).poll_ready(cx)).await?;
        Pin::new(&mut *self).start_send(Outbound::Send(envelope))?;
        poll_fn(|cx| Pin::new(&mut *self).poll_flush(cx)).await
    }

    pub(crate) async fn next(&mut self) -> Option<Result<Inbound, TransportError>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    pub(crate) async fn close(&mut self) -> Result<(), TransportError> {
        poll_fn(|cx| Pin::new(&mut *self).poll_close(cx)).await
    }
}

impl End for EnvelopeEnd {
    fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    fn keep(&mut self, other: Box<dyn Any + Send>) {
        self.keep = Some(other);
    }

    async fn say(&mut self, number: u8) -> Result<(), Failure> {
        let format = self.carrier.profile().format;
        let request = numbered(format, number.into(), 0)?;
        Ok(self.send(Envelope::Request(request)).await?)
    }

    async fn hear(&mut self) -> Option<u8> {
        match self.next().await?.ok()?.envelope {
            Envelope::Request(Request {
                id: WireId::Uint(number),
                ..
            }) => u8::try_from(number).ok(),
            _ => None,
        }
    }
}

/// A request with a number and a text of so many letters.
pub(super) fn numbered(
    format: FormatId,
    number: u64,
    letters: usize,
) -> Result<Request<'static>, Failure> {
    let codec = Format::built_in(format).because("its profile has a format that nobody knows")?;
    let mut params = Vec::new();
    codec
        .encode(&["x".repeat(letters)], &mut params)
        .because("encode a text")?;
    Ok(Request {
        id: WireId::Uint(number),
        name: MethodName::new("testkit", "number"),
        timeout: None,
        metadata: Metadata::new(),
        streams: Streams::NONE,
        params: Payload::owned(format, params.into()),
    })
}

/// A listener whose connections are of one of our types.
pub(crate) trait Accepts<E>: Send {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<E, TransportError>>>;
    fn address(&self) -> String;
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
}

/// A dialer whose connections are of one of our types.
pub(crate) trait Dials<E>: Send + Sync {
    fn dial(&self) -> BoxFuture<'_, Result<E, TransportError>>;
}

/// Somebody's listener or dialer, and how its connections become ours.
struct Foreign<T, C, E> {
    inner: T,
    make: fn(Accepted<C>) -> E,
}

impl<L: Listener, E: 'static> Accepts<E> for Foreign<L, L::Connection, E> {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<E, TransportError>>> {
        let make = self.make;
        self.inner
            .poll_accept(cx)
            .map(|accepted| accepted.map(|accepted| accepted.map(make)))
    }

    fn address(&self) -> String {
        self.inner.address()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        Box::new(self.inner)
    }
}

impl<D: Dialer, E> Dials<E> for Foreign<D, D::Connection, E> {
    fn dial(&self) -> BoxFuture<'_, Result<E, TransportError>> {
        Box::pin(async { self.inner.dial().await.map(self.make) })
    }
}

/// A listener and a dialer of it.
pub(crate) struct Listening<E> {
    pub(crate) listener: Box<dyn Accepts<E>>,
    pub(crate) dialer: Box<dyn Dials<E>>,
}

impl<E: End> Listening<E> {
    pub(crate) fn new<L: Listener, D: Dialer>(
        listener: L,
        dialer: D,
        accepted: fn(Accepted<L::Connection>) -> E,
        dialled: fn(Accepted<D::Connection>) -> E,
    ) -> Self {
        Self {
            listener: Box::new(Foreign {
                inner: listener,
                make: accepted,
            }),
            dialer: Box::new(Foreign {
                inner: dialer,
                make: dialled,
            }),
        }
    }

    pub(crate) async fn accept(&mut self) -> Result<E, Failure> {
        accept(&mut *self.listener).await
    }

    /// Dials once and accepts once.
    pub(crate) async fn connect(&mut self) -> Result<(E, E), Failure> {
        let Self { listener, dialer } = self;
        Self::meet(dialer.dial(), &mut **listener).await
    }

    /// Lets a dial and the listener meet.
    pub(crate) async fn meet(
        dial: BoxFuture<'_, Result<E, TransportError>>,
        listener: &mut dyn Accepts<E>,
    ) -> Result<(E, E), Failure> {
        let dialled = async { Ok(dial.await?) };
        tokio::try_join!(dialled, accept(listener))
    }
}

/// The next connection. An attempt that came to nothing is about that attempt: whoever made it has gone again.
pub(crate) async fn accept<E>(listener: &mut dyn Accepts<E>) -> Result<E, Failure> {
    /// More than any case makes.
    const ATTEMPTS: u32 = 100;
    let mut failed = 0;
    loop {
        let accepted = poll_fn(|cx| listener.poll_accept(cx)).await;
        let accepted = accepted.because("the listener accepts no more")?;
        match accepted {
            Err(error) if is_of_attempt(&error) && failed < ATTEMPTS => failed += 1,
            accepted => return Ok(accepted?),
        }
    }
}

fn is_of_attempt(error: &TransportError) -> bool {
    matches!(
        error.kind(),
        TransportErrorKind::Denied | TransportErrorKind::Broken
    )
}

type Make<T> = Box<dyn Fn() -> BoxFuture<'static, Result<T, TransportError>> + Send + Sync>;

/// Where connections come from.
pub(crate) enum Source<E> {
    Pairs(Make<(E, E)>),
    Listening(Make<Listening<E>>),
}

impl<E: End> Source<E> {
    /// A listener and a dialer.
    pub(crate) async fn listen(&self) -> Result<Listening<E>, Failure> {
        match self {
            Self::Listening(make) => Ok(make().await?),
            Self::Pairs(_) => Err(Failure::new(
                "it was given as pairs: it has no listener to be dialled",
            )),
        }
    }

    /// Two connected ends: of the side that dialled, and of the side that accepted.
    pub(crate) async fn open(&self) -> Result<(E, E), Failure> {
        match self {
            Self::Pairs(make) => Ok(make().await?),
            Self::Listening(make) => {
                let mut listening = make().await?;
                let (near, mut far) = listening.connect().await?;
                far.keep(listening.listener.into_any());
                Ok((near, far))
            }
        }
    }
}
