//! Carriers of envelopes that are broken in one way each.

use crate::caught::{HANGS, caught, outcome};
use futures::{Sink, Stream};
use mynah::Evidence;
use mynah::protocol::{
    Envelope, Inbound, Outbound, Profile, Transport, TransportError, TransportErrorKind,
};
use mynah_testkit::transport::EnvelopeTransport;
use mynah_transport_memory::MemoryEnd;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, ready};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Two that follow each other change places.
    Reorders,
    /// Nothing to hear is the end.
    EndsEarly,
    /// The note of a progress is lost.
    LosesNotes,
    /// Does not hear while it cannot say.
    StallsWhenBothWrite,
    /// Messages above a megabyte are too large for it.
    SmallOnly,
    /// Takes without bound.
    Unbounded,
    /// Closed in one direction, it ends in both.
    NoHalfClose,
    /// Closed or dropped, it forgets the last one.
    LosesTail,
    /// Dropped, it stays open.
    NeverEnds,
    NoEvidence,
}

struct End {
    inner: Option<MemoryEnd>,
    fault: Fault,
    evidence: Evidence,
    held: VecDeque<Outbound>,
    stash: Option<Inbound>,
    full: bool,
    closed: bool,
}

static LEAKED: Mutex<Vec<MemoryEnd>> = Mutex::new(Vec::new());

impl Drop for End {
    fn drop(&mut self) {
        if self.fault == Fault::NeverEnds {
            LEAKED.lock().unwrap().extend(self.inner.take());
        }
    }
}

fn transport(fault: Fault) -> EnvelopeTransport {
    EnvelopeTransport::paired("broken", move || async move {
        let (near, far) = mynah_transport_memory::pair();
        let [near, far] = [near, far].map(|inner| End {
            evidence: match fault {
                Fault::NoEvidence => Evidence::new(),
                _ => inner.evidence().clone(),
            },
            inner: Some(inner),
            fault,
            held: VecDeque::new(),
            stash: None,
            full: false,
            closed: false,
        });
        Ok::<_, TransportError>((near, far))
    })
}

impl End {
    fn inner(&mut self) -> Pin<&mut MemoryEnd> {
        Pin::new(self.inner.as_mut().unwrap())
    }

    /// Passes on what is held, all but the last `keep`.
    fn poll_held(&mut self, cx: &mut Context<'_>, keep: usize) -> Poll<Result<(), TransportError>> {
        while self.held.len() > keep {
            ready!(self.inner().poll_ready(cx))?;
            let next = self.held.pop_front().unwrap();
            self.inner().start_send(next)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl Transport for End {
    fn profile(&self) -> &Profile {
        self.inner.as_ref().unwrap().profile()
    }

    fn evidence(&self) -> &Evidence {
        &self.evidence
    }
}

impl Stream for End {
    type Item = Result<Inbound, TransportError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.fault == Fault::StallsWhenBothWrite && this.full {
            return Poll::Pending;
        }
        if this.fault == Fault::NoHalfClose && this.closed {
            return Poll::Ready(None);
        }
        if let Some(stashed) = this.stash.take() {
            return Poll::Ready(Some(Ok(stashed)));
        }
        let mut polled = this.inner().poll_next(cx);
        if this.fault == Fault::EndsEarly && polled.is_pending() {
            return Poll::Ready(None);
        }
        if this.fault == Fault::Reorders
            && let Poll::Ready(Some(Ok(first))) = polled
        {
            polled = match this.inner().poll_next(cx) {
                Poll::Ready(Some(Ok(second))) => {
                    this.stash = Some(first);
                    Poll::Ready(Some(Ok(second)))
                }
                _ => Poll::Ready(Some(Ok(first))),
            };
        }
        if let (Fault::LosesNotes, Poll::Ready(Some(Ok(inbound)))) = (this.fault, &mut polled)
            && let Envelope::Progress(progress) = &mut inbound.envelope
        {
            progress.note = None;
        }
        polled
    }
}

impl Sink<Outbound> for End {
    type Error = TransportError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        match self.fault {
            Fault::Unbounded => Poll::Ready(Ok(())),
            Fault::LosesTail => self.poll_held(cx, 1),
            _ => {
                let polled = self.inner().poll_ready(cx);
                self.full = polled.is_pending();
                polled
            }
        }
    }

    fn start_send(mut self: Pin<&mut Self>, outbound: Outbound) -> Result<(), Self::Error> {
        let this = &mut *self;
        if let (Fault::SmallOnly, Outbound::Send(envelope)) = (this.fault, &outbound)
            && envelope.payload_bytes() > 1 << 20
        {
            let what = "more than a megabyte";
            return Err(TransportError::new(TransportErrorKind::TooLarge, what));
        }
        match this.fault {
            Fault::Unbounded | Fault::LosesTail => this.held.push_back(outbound),
            _ => this.inner().start_send(outbound)?,
        }
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        match self.fault {
            Fault::Unbounded => drop(self.poll_held(cx, 0)?),
            Fault::LosesTail => ready!(self.poll_held(cx, 1))?,
            _ => {}
        }
        self.inner().poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.closed = true;
        self.inner().poll_close(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn each_is_caught_by_the_case_that_is_meant_for_it() {
    for (fault, case, says) in [
        (Fault::Reorders, "order", "was due"),
        (Fault::EndsEarly, "silence", "the end came"),
        (Fault::LosesNotes, "every_kind", "a progress was sent as"),
        (Fault::SmallOnly, "large_messages", "more than a megabyte"),
        (Fault::StallsWhenBothWrite, "slow_both_write_64_mib", HANGS),
        (Fault::Unbounded, "back_pressure", "they have no bound"),
        (Fault::NoHalfClose, "half_close", "the end came"),
        (Fault::LosesTail, "tail", "the end came"),
        (Fault::NeverEnds, "vanishing_peer", HANGS),
        (Fault::NoEvidence, "evidence", "has no evidence"),
    ] {
        let sound = transport(Fault::None);
        let passed = outcome(sound.check(case)).await;
        assert!(matches!(passed, Some(Ok(_))), "{case}: {passed:?}");
        let broken = transport(fault);
        caught(&format!("{fault:?} in {case}"), broken.check(case), says).await;
    }
}
