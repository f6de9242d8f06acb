//! A carrier of envelopes that is not ready now and then.

use super::Weather;
use crate::Dice;
use futures_core::Stream;
use futures_sink::Sink;
use mynah_protocol::{Evidence, Inbound, Outbound, Profile, Transport, TransportError};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

/// A carrier of envelopes that pauses, as dice say, when it is read, made ready and flushed.
///
/// Of the [`Weather`] its pauses hold here; bytes are no matter of a carrier.
#[derive(Debug)]
pub struct Faltering<T> {
    carrier: T,
    reads: Turn,
    readies: Turn,
    flushes: Turn,
}

#[derive(Debug)]
struct Turn {
    dice: Dice,
    pause_in: u64,
    pause_ms: u64,
    pause: Option<Pin<Box<Sleep>>>,
    waited: bool,
}

impl<T: Transport + Unpin> Faltering<T> {
    /// The carrier, in some weather.
    pub fn new(carrier: T, dice: &mut Dice, weather: &Weather) -> Self {
        let [reads, readies, flushes] = [(); 3].map(|()| Turn {
            dice: dice.fork(),
            pause_in: weather.pause_in,
            pause_ms: weather.pause_ms,
            pause: None,
            waited: false,
        });
        Self {
            carrier,
            reads,
            readies,
            flushes,
        }
    }
}

impl Turn {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
            self.waited = true;
        }
        if !self.waited && self.pause_in > 0 && self.dice.once_in(self.pause_in) {
            let pause = self.dice.millis(self.pause_ms) + Duration::from_millis(1);
            let mut pause = Box::pin(tokio::time::sleep(pause));
            if pause.as_mut().poll(cx).is_pending() {
                self.pause = Some(pause);
                return Poll::Pending;
            }
        }
        self.waited = false;
        Poll::Ready(())
    }
}

impl<T: Transport + Unpin> Transport for Faltering<T> {
    fn profile(&self) -> &Profile {
        self.carrier.profile()
    }

    fn evidence(&self) -> &Evidence {
        self.carrier.evidence()
    }
}

impl<T: Transport + Unpin> Stream for Faltering<T> {
    type Item = Result<Inbound, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        ready!(self.reads.poll(cx));
        let polled = Pin::new(&mut self.carrier).poll_next(cx);
        // Asked again for the same envelope, there is no second pause.
        self.reads.waited = polled.is_pending();
        polled
    }
}

impl<T: Transport + Unpin> Sink<Outbound> for Faltering<T> {
    type Error = TransportError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        ready!(self.readies.poll(cx));
        Pin::new(&mut self.carrier).poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, outbound: Outbound) -> Result<(), Self::Error> {
        Pin::new(&mut self.carrier).start_send(outbound)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        ready!(self.flushes.poll(cx));
        Pin::new(&mut self.carrier).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Pin::new(&mut self.carrier).poll_close(cx)
    }
}
