//! Byte transports that are broken in one way each.

use crate::caught::{HANGS, caught, outcome};
use mynah::protocol::{Accepted, TransportError};
use mynah::{Evidence, EvidenceKey};
use mynah_testkit::transport::ByteTransport;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Halves of a write change places.
    Reorders,
    /// Small writes that follow each other without a flush change places.
    SwapsWhatIsJoined,
    /// The first byte of a buffer that is not the first of its write is lost.
    LosesWhereBuffersMeet,
    /// What is written goes out when there is enough of it, flushed or not.
    HoldsBack,
    /// A large write is said to be written when a part of it is.
    LosesOfLargeWrites,
    /// Does not read while it cannot write.
    StallsWhenBothWrite,
    /// Shut down, it forgets what was not flushed.
    LosesTail,
    /// Shut down in one direction, it ends in both.
    NoHalfClose,
    /// Nothing to read is the end.
    EndsEarly,
    /// Dropped, it stays open.
    NeverEnds,
    /// Takes without bound.
    Unbounded,
    /// Takes what a peer that is gone should have.
    WritesToNobody,
    NoEvidence,
}

/// One end.
#[derive(Debug)]
struct End {
    /// Taken when it is dropped.
    inner: Option<DuplexStream>,
    fault: Fault,
    held: Vec<u8>,
    full: bool,
    shut: bool,
}

static LEAKED: Mutex<Vec<DuplexStream>> = Mutex::new(Vec::new());

impl Drop for End {
    fn drop(&mut self) {
        if self.fault == Fault::NeverEnds {
            LEAKED.lock().unwrap().extend(self.inner.take());
        }
    }
}

fn transport(fault: Fault) -> ByteTransport {
    ByteTransport::paired("broken", move || async move {
        let (near, far) = tokio::io::duplex(16 << 10);
        let [near, far] = [near, far].map(|inner| {
            let evidence = Evidence::new().with(EvidenceKey::TRANSPORT, "broken");
            Accepted {
                connection: End {
                    inner: Some(inner),
                    fault,
                    held: Vec::new(),
                    full: false,
                    shut: false,
                },
                evidence: match fault {
                    Fault::NoEvidence => Evidence::new(),
                    _ => evidence,
                },
            }
        });
        Ok::<_, TransportError>((near, far))
    })
}

impl End {
    fn inner(&mut self) -> Pin<&mut DuplexStream> {
        Pin::new(self.inner.as_mut().unwrap())
    }

    /// Passes on what is held.
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            let written = self.inner().poll_write(cx, &held);
            let len = match &written {
                Poll::Ready(Ok(len)) => *len,
                _ => 0,
            };
            self.held = held[len..].to_vec();
            self.full = written.is_pending();
            ready!(written)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for End {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.fault == Fault::StallsWhenBothWrite && self.full {
            return Poll::Pending;
        }
        if self.fault == Fault::NoHalfClose && self.shut {
            return Poll::Ready(Ok(()));
        }
        let polled = self.inner().poll_read(cx, buffer);
        if self.fault == Fault::EndsEarly && polled.is_pending() {
            return Poll::Ready(Ok(()));
        }
        polled
    }
}

impl AsyncWrite for End {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let len = bytes.len();
        match this.fault {
            Fault::Reorders if len > 100 => {
                ready!(this.poll_held(cx))?;
                this.held.extend_from_slice(&bytes[len / 2..]);
                this.held.extend_from_slice(&bytes[..len / 2]);
            }
            Fault::SwapsWhatIsJoined => {
                if this.held.len() > 4_000 {
                    ready!(this.poll_held(cx))?;
                }
                let end = this.held.len();
                let at = end - usize::from(end % 50 == 49 && len < 4);
                this.held.splice(at..at, bytes.iter().copied());
            }
            Fault::HoldsBack | Fault::LosesTail | Fault::Unbounded => {
                if this.held.len() > 4_000 && this.fault != Fault::Unbounded {
                    ready!(this.poll_held(cx))?;
                }
                this.held.extend_from_slice(bytes);
            }
            Fault::LosesOfLargeWrites if len > 10_000 => {
                ready!(this.inner().poll_write(cx, &bytes[..10_000]))?;
                return Poll::Ready(Ok(len.min(10_001)));
            }
            Fault::WritesToNobody => match this.inner().poll_write(cx, bytes) {
                Poll::Ready(Err(_)) => {}
                other => return other,
            },
            _ => {
                let polled = this.inner().poll_write(cx, bytes);
                this.full = polled.is_pending();
                return polled;
            }
        }
        Poll::Ready(Ok(len))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.fault == Fault::LosesWhereBuffersMeet {
            ready!(self.poll_held(cx))?;
            let mut len = 0;
            for part in parts {
                let lost = usize::from(len > 0 && !part.is_empty());
                self.held.extend_from_slice(&part[lost..]);
                len += part.len();
            }
            return Poll::Ready(Ok(len));
        }
        let part = parts.iter().find(|part| !part.is_empty());
        self.poll_write(cx, part.map_or(&[], |part| part))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        match this.fault {
            Fault::HoldsBack | Fault::Unbounded => {}
            _ => ready!(this.poll_held(cx))?,
        }
        this.inner().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.fault != Fault::LosesTail {
            ready!(self.poll_held(cx))?;
        }
        self.shut = true;
        self.inner().poll_shutdown(cx)
    }
}

async fn check(fault: Fault, case: &str, says: &str) {
    let sound = transport(Fault::None);
    let passed = outcome(sound.check(case)).await;
    assert!(matches!(passed, Some(Ok(_))), "{case}: {passed:?}");
    let broken = transport(fault);
    caught(&format!("{fault:?} in {case}"), broken.check(case), says).await;
}

#[tokio::test(start_paused = true)]
async fn each_is_caught_by_the_case_that_is_meant_for_it() {
    check(
        Fault::Reorders,
        "order",
        "is not the one that was written there",
    )
    .await;
    check(
        Fault::EndsEarly,
        "silence",
        "ready before anything was written",
    )
    .await;
    check(Fault::HoldsBack, "split_writes", HANGS).await;
    check(
        Fault::SwapsWhatIsJoined,
        "coalesced_writes",
        "is not the one",
    )
    .await;
    check(
        Fault::LosesWhereBuffersMeet,
        "vectored_writes",
        "is not the one",
    )
    .await;
    check(
        Fault::LosesOfLargeWrites,
        "large_messages",
        "is not the one",
    )
    .await;
    check(Fault::StallsWhenBothWrite, "slow_both_write_64_mib", HANGS).await;
    check(
        Fault::NoHalfClose,
        "half_close",
        "the stream ended at byte 0",
    )
    .await;
    check(Fault::LosesTail, "tail", "the stream ended at byte").await;
    check(Fault::NeverEnds, "vanishing_peer", HANGS).await;
    check(Fault::WritesToNobody, "vanishing_peer", "without an error").await;
    check(Fault::Unbounded, "vanishing_reader", "has no bound").await;
    check(Fault::NoEvidence, "evidence", "has no evidence").await;
}

/// Whole calls are not fooled either.
#[tokio::test(start_paused = true)]
async fn calls_over_them_are_caught() {
    let native = mynah::dialect::Native::new();
    let check = async |fault, case: &str, says: &str| {
        let sound = transport(Fault::None);
        let passed = outcome(sound.check_calls(case, &native)).await;
        assert!(matches!(passed, Some(Ok(_))), "{case}: {passed:?}");
        let broken = transport(fault);
        let what = format!("{fault:?} in {case}");
        caught(&what, broken.check_calls(case, &native), says).await;
    };
    check(Fault::NoEvidence, "evidence_of_the_caller", "does not know").await;
    check(Fault::LosesOfLargeWrites, "large_calls_both_ways", "").await;
    check(Fault::NeverEnds, "vanishing_caller", HANGS).await;
    check(Fault::NeverEnds, "vanishing_callee", HANGS).await;
    check(Fault::HoldsBack, "calls", "a call of the near side").await;
}

/// What it says is what is asked for, and written down.
#[tokio::test(start_paused = true)]
async fn a_transport_may_say_that_it_has_no_half_close() {
    let transport = transport(Fault::NoHalfClose).without_half_close();
    let shown = outcome(transport.check("half_close")).await;
    assert_eq!(shown, Some(Ok(mynah_testkit::Shown::Kept)));
}
