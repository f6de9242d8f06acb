//! Connections that wait to be admitted.

use super::admission::busy;
use super::arrival::Arrival;
use super::shared::{Medium, WaitingPlace};
use crate::driver::ByteStream;
use mynah_codec::Side;
use mynah_protocol::{Evidence, HalfClose, Inbound, Limits, RpcError, Transport};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{self, Poll};
use tokio::io::ReadBuf;

/// Bytes that are read of a connection while it waits. It is read only so that its end is seen: what comes beyond this
/// stays where it is until it is admitted.
const EARLY_BYTES: usize = 4 << 10;
/// Envelopes that are taken from a carrier while it waits.
const EARLY_ENVELOPES: usize = 16;
/// Bytes read at once.
const STEP: usize = 512;

/// Waits until a connection is admitted, refused or gone, and goes on with it. It costs its socket, one task, and what it
/// has said so far.
pub(super) async fn wait(
    mut medium: Medium<impl ByteStream>,
    limits: Limits,
    evidence: Evidence,
    mut arrival: Arrival,
    place: WaitingPlace,
) {
    let decided = decide(&mut medium, &mut arrival, &limits).await;
    drop(place);
    let shared = Arc::clone(arrival.shared());
    match decided {
        Some(admitted) => shared.run(medium, limits, evidence, arrival, admitted),
        None => tracing::debug!(peer = %evidence, "a connection that waited is gone"),
    }
}

/// What becomes of a connection; `None`: it is gone, or the server has stopped.
async fn decide(
    medium: &mut Medium<impl ByteStream>,
    arrival: &mut Arrival,
    limits: &Limits,
) -> Option<Result<(), RpcError>> {
    let shared = Arc::clone(arrival.shared());
    // What has been asked is answered, though nothing more is.
    let stays = medium.answers_half_closed(limits);
    let mut late = pin!(tokio::time::sleep(limits.admission_timeout));
    // Asked for before the look, so that no stop is missed.
    let mut stopping = pin!(shared.stopping.notified());
    if shared.registry().is_stopped() {
        return None;
    }
    poll_fn(|cx| {
        // The end first: whoever is gone takes no place.
        if medium.poll_gone(stays, cx).is_ready() || stopping.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        if let Poll::Ready(admitted) = arrival.poll_admitted(cx) {
            return Poll::Ready(Some(admitted));
        }
        let over = || Some(Err(busy("not admitted in time")));
        late.as_mut().poll(cx).map(|()| over())
    })
    .await
}

impl<S: ByteStream> Medium<S> {
    /// Whether its wire has a peer that ends its direction answered.
    fn answers_half_closed(&self, limits: &Limits) -> bool {
        match self {
            Self::Bytes { dialect, .. } => {
                let wire = dialect.wire(Side::Accept, limits);
                wire.profile().half_close == HalfClose::Answers
            }
            Self::Carrier { .. } => false,
        }
    }

    /// Whether the peer is gone. Keeps what it says. `stays`: the end of its direction is not its going, if it has said
    /// anything.
    fn poll_gone(&mut self, stays: bool, cx: &mut task::Context<'_>) -> Poll<()> {
        match self {
            Self::Bytes { stream, early, .. } => poll_bytes(stream, early, stays, cx),
            Self::Carrier { transport, early } => poll_carrier(transport.as_mut(), early, cx),
        }
    }
}

fn poll_bytes(
    stream: &mut impl ByteStream,
    early: &mut Vec<u8>,
    stays: bool,
    cx: &mut task::Context<'_>,
) -> Poll<()> {
    while early.len() < EARLY_BYTES {
        let mut step = [0; STEP];
        let mut read = ReadBuf::new(&mut step);
        match task::ready!(Pin::new(&mut *stream).poll_read(cx, &mut read)) {
            Ok(()) if !read.filled().is_empty() => early.extend_from_slice(read.filled()),
            // The end is read once more when the connection runs. Until then it is told by `admission_timeout`
            // whether it is still there.
            Ok(()) if stays && !early.is_empty() => return Poll::Pending,
            Ok(()) | Err(_) => return Poll::Ready(()),
        }
    }
    Poll::Pending
}

fn poll_carrier(
    mut transport: Pin<&mut dyn Transport>,
    early: &mut Vec<Inbound>,
    cx: &mut task::Context<'_>,
) -> Poll<()> {
    let bytes = |early: &[Inbound]| -> usize {
        let payloads = early.iter().map(|inbound| inbound.envelope.payload_bytes());
        payloads.sum()
    };
    while early.len() < EARLY_ENVELOPES && bytes(early) < EARLY_BYTES {
        match task::ready!(transport.as_mut().poll_next(cx)) {
            Some(Ok(inbound)) => early.push(inbound),
            Some(Err(_)) | None => return Poll::Ready(()),
        }
    }
    Poll::Pending
}
