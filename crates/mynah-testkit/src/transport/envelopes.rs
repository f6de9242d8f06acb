//! Cases of carriers of envelopes.

use super::ends::numbered;
use super::{Case, EnvelopeEnd, EnvelopeTransport, cases};
use crate::dialect::samples;
use crate::failure::{Because as _, Failure, Shown, Verdict, ensure};
use futures_sink::Sink as _;
use mynah_protocol::{Envelope, EvidenceKey, Outbound, Transport as _, WireId};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

pub(super) const CASES: &[Case<EnvelopeTransport>] = cases! {
    EnvelopeTransport: order, silence, every_kind, large_messages, slow_both_write_64_mib, back_pressure,
    half_close, tail, vanishing_peer, evidence,
};

/// Sends requests numbered from 0 and flushes each.
async fn say(end: &mut EnvelopeEnd, count: u64, letters: usize) -> Result<(), Failure> {
    let format = end.profile().format;
    for number in 0..count {
        let request = numbered(format, number, letters)?;
        end.send(Envelope::Request(request)).await?;
    }
    Ok(())
}

/// Hears requests numbered from 0, and holds each against what was sent.
async fn hear(end: &mut EnvelopeEnd, count: u64, letters: usize) -> Result<(), Failure> {
    let format = end.profile().format;
    for number in 0..count {
        let expected = Envelope::Request(numbered(format, number, letters)?);
        let got = next(end, number).await?;
        ensure(got == expected, || match &got {
            Envelope::Request(request) if request.id != WireId::Uint(number) => {
                format!("request {} came where {number} was due", request.id)
            }
            other => format!("request {number} was changed: {other:?}"),
        })?;
    }
    Ok(())
}

async fn next(end: &mut EnvelopeEnd, number: u64) -> Result<Envelope<'static>, Failure> {
    let next = end.next().await;
    Ok(next
        .because(&format!("the end came where envelope {number} was due"))??
        .envelope)
}

/// Many, both ways at once, in order.
async fn order(transport: &EnvelopeTransport) -> Verdict {
    const COUNT: u64 = 2_000;
    let (mut near, mut far) = transport.source.open().await?;
    // One task for each side, as the driver has it.
    tokio::try_join!(
        exchange(&mut near, COUNT, 10),
        exchange(&mut far, COUNT, 10)
    )?;
    Ok(Shown::Holds)
}

/// Sends and hears so many at once: the stream goes on while the sink is full.
async fn exchange(end: &mut EnvelopeEnd, count: u64, letters: usize) -> Result<(), Failure> {
    let format = end.profile().format;
    let (mut sent, mut heard, mut flushed) = (0, 0, false);
    poll_fn(|cx| {
        loop {
            let mut progress = false;
            // Until it is full: then the other side is, too.
            while sent < count {
                match Pin::new(&mut *end).poll_ready(cx) {
                    Poll::Ready(Ok(())) => {
                        let request = numbered(format, sent, letters)?;
                        let outbound = Outbound::Send(Envelope::Request(request));
                        Pin::new(&mut *end).start_send(outbound)?;
                        sent += 1;
                        progress = true;
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(Failure::from(error))),
                    Poll::Pending => break,
                }
            }
            // A full sink is full no longer than until it is flushed.
            flushed = Pin::new(&mut *end).poll_flush(cx)?.is_ready();
            if heard < count
                && let Poll::Ready(next) = Pin::new(&mut *end).poll_next_envelope(cx)
            {
                let got =
                    next.because(&format!("the end came where envelope {heard} was due"))??;
                ensure(
                    matches!(&got, Envelope::Request(request) if request.id == WireId::Uint(heard)),
                    || format!("{got:?} came where request {heard} was due"),
                )?;
                heard += 1;
                progress = true;
            }
            if sent == count && heard == count && flushed {
                return Poll::Ready(Ok(()));
            }
            if !progress {
                return Poll::Pending;
            }
        }
    })
    .await
}

impl EnvelopeEnd {
    fn poll_next_envelope(
        self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Envelope<'static>, mynah_protocol::TransportError>>> {
        futures_core::Stream::poll_next(self, cx)
            .map(|next| next.map(|next| next.map(|inbound| inbound.envelope)))
    }
}

/// Nothing comes where nothing was said, and one envelope wakes who waits for it.
async fn silence(transport: &EnvelopeTransport) -> Verdict {
    let (mut near, mut far) = transport.source.open().await?;
    for _ in 0..2 {
        {
            let mut wait = pin!(hear(&mut far, 1, 3));
            for _ in 0..100 {
                let early = poll_fn(|cx| Poll::Ready(wait.as_mut().poll(cx))).await;
                ensure(early.is_pending(), || {
                    format!("before anything was said: {early:?}")
                })?;
                tokio::task::yield_now().await;
            }
            tokio::try_join!(say(&mut near, 1, 3), wait)?;
        }
        std::mem::swap(&mut near, &mut far);
    }
    Ok(Shown::Holds)
}

/// Every kind of envelope that its profile says it carries arrives as it was.
async fn every_kind(transport: &EnvelopeTransport) -> Verdict {
    let (mut near, mut far) = transport.source.open().await?;
    let profile = near.profile().clone();
    for sample in samples::of(&profile)? {
        if !samples::carries(&profile.capabilities, &sample) {
            continue;
        }
        let kind = sample.kind();
        let (sent, got) = tokio::join!(near.send(sample.clone()), next(&mut far, 0));
        sent.because(&format!("send a {kind}"))?;
        let got = got?;
        samples::same(&profile, &sample, &got)?;
    }
    Ok(Shown::Holds)
}

/// Messages of several megabytes.
async fn large_messages(transport: &EnvelopeTransport) -> Verdict {
    const LETTERS: usize = 4 << 20;
    let (mut near, mut far) = transport.source.open().await?;
    for _ in 0..2 {
        tokio::try_join!(say(&mut near, 3, LETTERS), hear(&mut far, 3, LETTERS))?;
        std::mem::swap(&mut near, &mut far);
    }
    Ok(Shown::Holds)
}

/// Both sides send 64 MiB at once, far more than what may be on its way, and each hears while it sends.
async fn slow_both_write_64_mib(transport: &EnvelopeTransport) -> Verdict {
    const LETTERS: usize = 256 << 10;
    const COUNT: u64 = 256;
    let (mut near, mut far) = transport.source.open().await?;
    tokio::try_join!(
        exchange(&mut near, COUNT, LETTERS),
        exchange(&mut far, COUNT, LETTERS)
    )?;
    Ok(Shown::Holds)
}

/// What is on its way is bounded, and a side whose peer takes nothing still hears it.
async fn back_pressure(transport: &EnvelopeTransport) -> Verdict {
    const MOST: u64 = 4_096;
    const LETTERS: usize = 64 << 10;
    let (mut near, mut far) = transport.source.open().await?;
    let mut sent = 0;
    {
        let mut say = pin!(async {
            let format = near.profile().format;
            loop {
                let request = numbered(format, sent, LETTERS)?;
                near.send(Envelope::Request(request)).await?;
                sent += 1;
                ensure(sent < MOST, || {
                    format!("{MOST} envelopes of 64 KiB are on their way: they have no bound")
                })?;
            }
        });
        for _ in 0..200 {
            let polled: Poll<Result<(), Failure>> =
                poll_fn(|cx| Poll::Ready(say.as_mut().poll(cx))).await;
            if let Poll::Ready(failed) = polled {
                failed?;
            }
            tokio::task::yield_now().await;
        }
    }
    // The way to the far side is full; the way back is not.
    tokio::try_join!(say(&mut far, 3, 3), hear(&mut near, 3, 3))?;
    hear(&mut far, sent, LETTERS).await?;
    Ok(Shown::Holds)
}

/// A side that has said everything still hears everything.
async fn half_close(transport: &EnvelopeTransport) -> Verdict {
    let (mut near, mut far) = transport.source.open().await?;
    let sent = async {
        say(&mut near, 20, 100).await?;
        near.close().await.map_err(Failure::from)
    };
    tokio::try_join!(sent, hear(&mut far, 20, 100))?;
    at_end(&mut far).await?;
    tokio::try_join!(say(&mut far, 20, 100), hear(&mut near, 20, 100))?;
    Ok(Shown::Carried)
}

async fn at_end(end: &mut EnvelopeEnd) -> Result<(), Failure> {
    match end.next().await {
        None | Some(Err(_)) => Ok(()),
        Some(Ok(inbound)) => Err(Failure::new(format!(
            "a {} came where the end was due",
            inbound.envelope.kind()
        ))),
    }
}

/// What was said before the end arrives, though whoever said it is gone by then.
async fn tail(transport: &EnvelopeTransport) -> Verdict {
    for closes in [true, false] {
        let (mut near, mut far) = transport.source.open().await?;
        let sent = async {
            say(&mut near, 20, 100).await?;
            if closes {
                near.close().await?;
            }
            drop(near);
            Ok(())
        };
        tokio::try_join!(sent, async {
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            hear(&mut far, 20, 100).await
        })?;
        at_end(&mut far).await?;
    }
    Ok(Shown::Holds)
}

/// Whoever waits for a peer that vanishes hears of it, and so does whoever says something to it.
async fn vanishing_peer(transport: &EnvelopeTransport) -> Verdict {
    for swaps in [false, true] {
        let (mut near, mut far) = transport.source.open().await?;
        if swaps {
            std::mem::swap(&mut near, &mut far);
        }
        {
            let mut end = pin!(at_end(&mut far));
            for _ in 0..10 {
                let early = poll_fn(|cx| Poll::Ready(end.as_mut().poll(cx))).await;
                ensure(early.is_pending(), || {
                    "the end came before anybody was gone".to_owned()
                })?;
                tokio::task::yield_now().await;
            }
            drop(near);
            end.await?;
        }
        let refused = say(&mut far, 1_000, 64 << 10).await;
        ensure(refused.is_err(), || {
            "64 MB were said to a peer that is gone, without an error".to_owned()
        })?;
    }
    Ok(Shown::Holds)
}

/// Both sides know by what they are connected.
async fn evidence(transport: &EnvelopeTransport) -> Verdict {
    let (near, far) = transport.source.open().await?;
    for (side, end) in [("near", &near), ("far", &far)] {
        let kind = end.evidence.text(EvidenceKey::TRANSPORT);
        ensure(kind.is_some_and(|kind| !kind.is_empty()), || {
            format!(
                "the {side} side has no evidence of its transport: {:?}",
                end.evidence
            )
        })?;
    }
    Ok(Shown::Holds)
}
