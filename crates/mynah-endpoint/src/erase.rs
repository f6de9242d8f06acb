//! Dialers and listeners of one transport as those of any.

use crate::place::{BoxDialer, BoxListener};
use crate::stream::EndpointStream;
use async_trait::async_trait;
use mynah_protocol::{Accepted, Dialer, Listener, Offer, SideLines, TransportError};
use std::task::{Context, Poll, ready};

/// A dialer whose connections are streams of an endpoint.
pub(crate) fn dialer<D>(dialer: D) -> BoxDialer<EndpointStream>
where
    D: Dialer<Connection: Into<EndpointStream>>,
{
    Box::new(Erased(dialer))
}

/// A listener whose connections are streams of an endpoint.
pub(crate) fn listener<L>(listener: L) -> BoxListener<EndpointStream>
where
    L: Listener<Connection: Into<EndpointStream>>,
{
    Box::new(Erased(listener))
}

struct Erased<T>(T);

fn erase(accepted: Accepted<impl Into<EndpointStream>>) -> Accepted<EndpointStream> {
    Accepted {
        connection: accepted.connection.into(),
        evidence: accepted.evidence,
    }
}

#[async_trait]
impl<D> Dialer for Erased<D>
where
    D: Dialer<Connection: Into<EndpointStream>>,
{
    type Connection = EndpointStream;

    async fn dial(&self) -> Result<Accepted<EndpointStream>, TransportError> {
        self.0.dial().await.map(erase)
    }

    fn take_side_lines(&self, connection: &mut EndpointStream) -> Option<SideLines> {
        connection.take_side_lines()
    }
}

#[async_trait]
impl<L> Listener for Erased<L>
where
    L: Listener<Connection: Into<EndpointStream>>,
{
    type Connection = EndpointStream;

    async fn open(&mut self, offer: &Offer) -> Result<(), TransportError> {
        self.0.open(offer).await
    }

    async fn close(&mut self) {
        self.0.close().await;
    }

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Accepted<EndpointStream>, TransportError>>> {
        let accepted = ready!(self.0.poll_accept(cx));
        Poll::Ready(accepted.map(|accepted| accepted.map(erase)))
    }

    fn address(&self) -> String {
        self.0.address()
    }
}
