//! The way of one call through its layers.

use crate::MapError;
use crate::call::{CallRequest, CallResponse, HandedOn};
use mynah_protocol::{ErrorCode, RpcError};
use std::future::{Future as _, poll_fn};
use std::task::Poll;
use tower_service::Service;

/// A call before it has come through.
pub(crate) struct Stage<S, E> {
    service: S,
    request: CallRequest,
    map: MapError<E>,
    handed_on: HandedOn,
}

impl<S, E> Stage<S, E>
where
    S: Service<CallRequest, Response = CallResponse, Error = E>,
    S::Future: Send + 'static,
    E: 'static,
{
    pub(crate) fn new(
        service: S,
        request: CallRequest,
        map: MapError<E>,
        handed_on: HandedOn,
    ) -> Self {
        Self {
            service,
            request,
            map,
            handed_on,
        }
    }

    /// Waits until the layers let the call go on, and leaves there what they still do.
    pub(crate) async fn pass(self) -> Result<(), RpcError> {
        let Self {
            mut service,
            request,
            map,
            handed_on,
        } = self;
        poll_fn(|cx| service.poll_ready(cx))
            .await
            .map_err(|error| map(error))?;
        let mut future = Box::pin(service.call(request));
        poll_fn(|cx| {
            if let Poll::Ready(answered) = future.as_mut().poll(cx) {
                return Poll::Ready(Err(answered.map_or_else(|error| map(error), |_| unasked())));
            }
            if handed_on.has_begun(cx) {
                Poll::Ready(Ok(()))
            } else {
                Poll::Pending
            }
        })
        .await?;
        handed_on.keep(Box::pin(
            async move { future.await.map_err(|error| map(error)) },
        ));
        Ok(())
    }
}

/// A layer has answered itself, and there is no result to answer with.
fn unasked() -> RpcError {
    RpcError::new(
        ErrorCode::INTERNAL,
        "a layer answered in place of the handler",
    )
}
