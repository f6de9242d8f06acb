//! A carrier that is not ready now and then.

use super::dice::Dice;
use super::pipe::Weather;
use futures::{Sink, Stream};
use mynah::Evidence;
use mynah::memory::MemoryEnd;
use mynah::protocol::{Inbound, Outbound, Profile, Transport, TransportError};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

#[derive(Debug)]
pub(crate) struct Jam {
    end: MemoryEnd,
    /// For reading, being ready, and flushing.
    turns: [Turn; 3],
}

#[derive(Debug)]
struct Turn {
    dice: Dice,
    pause_in: u64,
    pause_ms: u64,
    pause: Option<Pin<Box<Sleep>>>,
    waited: bool,
}

impl Jam {
    pub(crate) fn new(end: MemoryEnd, dice: &mut Dice, weather: &Weather) -> Self {
        let turns = [(); 3].map(|()| Turn {
            dice: dice.fork(),
            pause_in: weather.pause_in,
            pause_ms: weather.pause_ms,
            pause: None,
            waited: false,
        });
        Self { end, turns }
    }
}

impl Turn {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
            self.waited = true;
        }
        if !self.waited && self.dice.once_in(self.pause_in) {
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

impl Transport for Jam {
    fn profile(&self) -> &Profile {
        self.end.profile()
    }

    fn evidence(&self) -> &Evidence {
        self.end.evidence()
    }
}

impl Stream for Jam {
    type Item = Result<Inbound, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        ready!(self.turns[0].poll(cx));
        let polled = Pin::new(&mut self.end).poll_next(cx);
        // Asked again for the same envelope, there is no second pause.
        self.turns[0].waited = polled.is_pending();
        polled
    }
}

impl Sink<Outbound> for Jam {
    type Error = TransportError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        ready!(self.turns[1].poll(cx));
        Pin::new(&mut self.end).poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, outbound: Outbound) -> Result<(), Self::Error> {
        Pin::new(&mut self.end).start_send(outbound)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        ready!(self.turns[2].poll(cx));
        Pin::new(&mut self.end).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Pin::new(&mut self.end).poll_close(cx)
    }
}
