//! What a listener accepts.

use super::publish::EventsRemote;
use super::remote::ClientRemote;
use super::session::SessionRemote;
use futures_core::Stream;
use futures_sink::Sink;
use mynah_protocol::{Evidence, Inbound, Outbound, Profile, Transport, TransportError};
use std::pin::Pin;
use std::task::{Context, Poll};

/// One client of a fleet, on the serving side: all of its plain calls, or one call with streams or callbacks. Where the
/// server publishes events, there is one more, for all who read them.
#[derive(Debug)]
pub struct RedisRemote {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Client(ClientRemote),
    Session(SessionRemote),
    Events(EventsRemote),
}

macro_rules! each {
    ($self:expr, $remote:ident => $what:expr) => {
        match &mut $self.get_mut().kind {
            Kind::Client($remote) => $what,
            Kind::Session($remote) => $what,
            Kind::Events($remote) => $what,
        }
    };
}

impl RedisRemote {
    pub(super) const fn client(remote: ClientRemote) -> Self {
        Self {
            kind: Kind::Client(remote),
        }
    }

    pub(super) const fn events(remote: EventsRemote) -> Self {
        Self {
            kind: Kind::Events(remote),
        }
    }

    pub(super) const fn session(remote: SessionRemote) -> Self {
        Self {
            kind: Kind::Session(remote),
        }
    }
}

impl Transport for RedisRemote {
    fn profile(&self) -> &Profile {
        match &self.kind {
            Kind::Client(remote) => remote.profile(),
            Kind::Session(remote) => remote.profile(),
            Kind::Events(remote) => remote.profile(),
        }
    }

    fn evidence(&self) -> &Evidence {
        match &self.kind {
            Kind::Client(remote) => remote.evidence(),
            Kind::Session(remote) => remote.evidence(),
            Kind::Events(remote) => remote.evidence(),
        }
    }
}

impl Stream for RedisRemote {
    type Item = Result<Inbound, TransportError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        each!(self, remote => Pin::new(remote).poll_next(cx))
    }
}

impl Sink<Outbound> for RedisRemote {
    type Error = TransportError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        each!(self, remote => Pin::new(remote).poll_ready(cx))
    }

    fn start_send(self: Pin<&mut Self>, outbound: Outbound) -> Result<(), TransportError> {
        each!(self, remote => Pin::new(remote).start_send(outbound))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        each!(self, remote => Pin::new(remote).poll_flush(cx))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        each!(self, remote => Pin::new(remote).poll_close(cx))
    }
}
