//! A carrier of one envelope.

use crate::link::Link;
use futures_core::Stream;
use futures_sink::Sink;
use mynah_protocol::{
    Envelope, Evidence, Inbound, Outbound, Profile, Response, Transport, TransportError,
};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

/// Delivers one call, then has its connection end once that is answered.
pub(super) struct OneCall {
    envelope: Option<Box<Envelope<'static>>>,
    profile: Profile,
    link: Arc<Link>,
    answer: Answer,
}

/// Where the answer is put.
#[derive(Clone, Default)]
pub(super) struct Answer(Arc<Mutex<Option<Response<'static>>>>);

impl Answer {
    pub(super) fn take(&self) -> Option<Response<'static>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl OneCall {
    pub(super) fn new(
        envelope: Envelope<'static>,
        profile: Profile,
        link: Arc<Link>,
    ) -> (Self, Answer) {
        let answer = Answer::default();
        let call = Self {
            envelope: Some(Box::new(envelope)),
            profile,
            link,
            answer: answer.clone(),
        };
        (call, answer)
    }
}

impl Stream for OneCall {
    type Item = Result<Inbound, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.envelope.take() {
            Some(envelope) => Poll::Ready(Some(Ok(Inbound {
                envelope: *envelope,
                receipt: None,
            }))),
            None => {
                // What was delivered has been taken up, or is answered already.
                self.link.close_when_idle();
                Poll::Pending
            }
        }
    }
}

impl Sink<Outbound> for OneCall {
    type Error = TransportError;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(self: Pin<&mut Self>, item: Outbound) -> Result<(), TransportError> {
        if let Outbound::Send(Envelope::Response(response)) = item {
            let mut answer = self.answer.0.lock().unwrap_or_else(PoisonError::into_inner);
            *answer = Some(response);
        }
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }
}

impl Transport for OneCall {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn evidence(&self) -> &Evidence {
        &self.link.config.evidence
    }
}
