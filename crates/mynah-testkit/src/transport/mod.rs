//! The suite for transports.
//!
//! A byte transport is given as a [`ByteTransport`], a carrier of envelopes as an [`EnvelopeTransport`]: either as a
//! listener and a dialer of it (`dialled`), or, where there is nothing to dial, as connected pairs (`paired`). A carrier with
//! many servers behind one address, as a broker is, is a [`GroupTransport`] (`group`).
//!
//! ```
//! use mynah::tcp::{TcpDialer, TcpListener};
//! use mynah_testkit::transport::{ByteTransport, EnvelopeTransport};
//!
//! fn tcp() -> ByteTransport {
//!     ByteTransport::dialled("tcp", || async {
//!         let listener = TcpListener::bind("127.0.0.1:0").await?;
//!         let dialer = TcpDialer::new(listener.local_address().to_string());
//!         Ok((listener, dialer))
//!     })
//! }
//!
//! fn memory() -> EnvelopeTransport {
//!     EnvelopeTransport::paired("memory", || async { Ok(mynah::memory::pair()) })
//! }
//!
//! mynah_testkit::transport_suite! { bytes dialled tcp => super::tcp() }
//! mynah_testkit::transport_suite! { envelopes paired memory => super::memory() }
//! # fn main() {}
//! ```
//!
//! Each line makes a module of tests, one for each case, and for each dialect one for each kind of call. A case that
//! fails says what it saw. To look at a case outside tests, [`ByteTransport::check`] runs one by its name.

mod bytes;
mod bytes_ends;
mod dialled;
mod ends;
mod envelopes;
mod group;
mod pattern;

pub use group::{Group, GroupTransport};

pub(crate) use ends::{ByteEnd, EnvelopeEnd};
pub(crate) use group::{AnyGroup, check as check_group, check_calls as check_group_calls};

use crate::calls::{self, Joint};
use crate::failure::{Because as _, Failure, Shown, Verdict};
use ends::{BoxFuture, Listening, Source};
use mynah_codec::Dialect;
use mynah_protocol::{Accepted, Dialer, FormatId, Listener, Transport, TransportError};
use std::fmt;
use std::pin::Pin;
use tokio::io::{AsyncRead, AsyncWrite};

/// A future that stays where it is.
pub(crate) type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A case and its name.
pub(crate) struct Case<S> {
    pub(crate) name: &'static str,
    pub(crate) run: for<'a> fn(&'a S) -> LocalFuture<'a, Verdict>,
}

/// Makes a table of cases from async functions of the same module.
macro_rules! cases {
    ($of:ty: $($name:ident),* $(,)?) => {
        &[$($crate::transport::Case::<$of> {
            name: stringify!($name),
            run: |subject| Box::pin($name(subject)),
        }),*]
    };
}
pub(crate) use cases;

/// A transport of bytes, and how the suite gets connections of it.
pub struct ByteTransport {
    name: &'static str,
    source: Source<ByteEnd>,
    half_close: bool,
}

/// A carrier of envelopes, and how the suite gets connections of it.
pub struct EnvelopeTransport {
    name: &'static str,
    source: Source<EnvelopeEnd>,
}

impl fmt::Debug for ByteTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ByteTransport").field(&self.name).finish()
    }
}

impl fmt::Debug for EnvelopeTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EnvelopeTransport")
            .field(&self.name)
            .finish()
    }
}

fn byte_end<C: AsyncRead + AsyncWrite + Send + Unpin + 'static>(end: Accepted<C>) -> ByteEnd {
    ByteEnd::new(end.connection, end.evidence)
}

fn envelope_end<C: Transport + 'static>(end: Accepted<C>) -> EnvelopeEnd {
    EnvelopeEnd::new(end.connection, end.evidence)
}

impl ByteTransport {
    /// A transport with a listener and a dialer of it. Each case asks for new ones, at an address that is free.
    pub fn dialled<L, D, F>(
        name: &'static str,
        listen: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(L, D), TransportError>> + Send + 'static,
        L: Listener,
        L::Connection: AsyncRead + AsyncWrite + Unpin,
        D: Dialer,
        D::Connection: AsyncRead + AsyncWrite + Unpin,
    {
        let make = move || -> BoxFuture<'static, _> {
            let listen = listen();
            Box::pin(async move {
                let (listener, dialer) = listen.await?;
                Ok(Listening::new(listener, dialer, byte_end, byte_end))
            })
        };
        Self {
            name,
            source: Source::Listening(Box::new(make)),
            half_close: true,
        }
    }

    /// A transport whose connected ends are there already: the side that counts as dialling, and the other.
    pub fn paired<A, B, F>(name: &'static str, open: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(Accepted<A>, Accepted<B>), TransportError>> + Send + 'static,
        A: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        B: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let make = move || -> BoxFuture<'static, _> {
            let open = open();
            Box::pin(async move {
                let (near, far) = open.await?;
                Ok((byte_end(near), byte_end(far)))
            })
        };
        Self {
            name,
            source: Source::Pairs(Box::new(make)),
            half_close: true,
        }
    }

    /// It has no half close: shut down in one direction, it may end in both. The case `half_close` then asks for
    /// less.
    #[must_use]
    pub const fn without_half_close(mut self) -> Self {
        self.half_close = false;
        self
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The names of the cases that look at bytes; those after `address` are for transports that are dialled.
    pub fn cases() -> impl Iterator<Item = &'static str> {
        let cases = bytes::CASES.iter().chain(bytes_ends::CASES);
        cases.chain(DIALLED_BYTES).map(|case| case.name)
    }

    /// The names of the cases that look at calls over it, in one dialect or another.
    pub fn cases_of_calls() -> impl Iterator<Item = &'static str> {
        calls::names().chain(calls::names_over_bytes())
    }

    /// Runs a case by its name.
    ///
    /// # Errors
    /// [`Failure`] with what was seen, or when there is no such case.
    pub async fn check(&self, case: &str) -> Result<Shown, Failure> {
        let mut cases = bytes::CASES
            .iter()
            .chain(bytes_ends::CASES)
            .chain(DIALLED_BYTES);
        let case = cases.find(|known| known.name == case);
        (case.because("there is no case of this name")?.run)(self).await
    }

    /// Runs a case that looks at calls in a dialect by its name.
    ///
    /// # Errors
    /// [`Failure`] with what was seen, or when there is no such case.
    pub async fn check_calls(&self, case: &str, dialect: &dyn Dialect) -> Result<Shown, Failure> {
        let joint = Joint::over_bytes(|| Box::pin(self.source.open()), dialect);
        calls::check(case, &joint).await
    }
}

impl EnvelopeTransport {
    /// A carrier with a listener and a dialer of it.
    pub fn dialled<L, D, F>(
        name: &'static str,
        listen: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(L, D), TransportError>> + Send + 'static,
        L: Listener,
        L::Connection: Transport,
        D: Dialer,
        D::Connection: Transport,
    {
        let make = move || -> BoxFuture<'static, _> {
            let listen = listen();
            Box::pin(async move {
                let (listener, dialer) = listen.await?;
                Ok(Listening::new(listener, dialer, envelope_end, envelope_end))
            })
        };
        Self {
            name,
            source: Source::Listening(Box::new(make)),
        }
    }

    /// A carrier whose connected ends are there already: the side that counts as dialling, and the other.
    pub fn paired<A, B, F>(name: &'static str, open: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(A, B), TransportError>> + Send + 'static,
        A: Transport + 'static,
        B: Transport + 'static,
    {
        let make = move || -> BoxFuture<'static, _> {
            let open = open();
            Box::pin(async move {
                let (near, far) = open.await?;
                let evidence = (near.evidence().clone(), far.evidence().clone());
                Ok((
                    EnvelopeEnd::new(near, evidence.0),
                    EnvelopeEnd::new(far, evidence.1),
                ))
            })
        };
        Self {
            name,
            source: Source::Pairs(Box::new(make)),
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The format of its payloads.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be opened.
    pub async fn format(&self) -> Result<FormatId, Failure> {
        let (near, _far) = self.source.open().await?;
        Ok(near.profile().format)
    }

    /// The names of the cases that look at envelopes; those after `address` are for carriers that are dialled.
    pub fn cases() -> impl Iterator<Item = &'static str> {
        let cases = envelopes::CASES.iter().chain(DIALLED_ENVELOPES);
        cases.map(|case| case.name)
    }

    /// The names of the cases that look at calls over it.
    pub fn cases_of_calls() -> impl Iterator<Item = &'static str> {
        calls::names()
    }

    /// Runs a case by its name.
    ///
    /// # Errors
    /// [`Failure`] with what was seen, or when there is no such case.
    pub async fn check(&self, case: &str) -> Result<Shown, Failure> {
        let mut cases = envelopes::CASES.iter().chain(DIALLED_ENVELOPES);
        let case = cases.find(|known| known.name == case);
        (case.because("there is no case of this name")?.run)(self).await
    }

    /// Runs a case that looks at calls by its name.
    ///
    /// # Errors
    /// [`Failure`] with what was seen, or when there is no such case.
    pub async fn check_calls(&self, case: &str) -> Result<Shown, Failure> {
        let joint = Joint::over_envelopes(|| Box::pin(self.source.open()));
        calls::check(case, &joint).await
    }
}

/// The cases of dialling, for either kind.
macro_rules! dialled_cases {
    ($of:ty: $($name:ident),* $(,)?) => {
        &[$(Case::<$of> {
            name: stringify!($name),
            run: |transport| Box::pin(dialled::$name(&transport.source)),
        }),*]
    };
}

const DIALLED_BYTES: &[Case<ByteTransport>] = dialled_cases! {
    ByteTransport: address, dial_before_accept, accept_dropped, dial_dropped, many_dials, nobody_listens,
};
const DIALLED_ENVELOPES: &[Case<EnvelopeTransport>] = dialled_cases! {
    EnvelopeTransport: address, dial_before_accept, accept_dropped, dial_dropped, many_dials, nobody_listens,
};
