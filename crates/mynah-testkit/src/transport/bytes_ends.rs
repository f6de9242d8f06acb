//! Cases of byte transports: how a connection ends.

use super::pattern::Pattern;
use super::{ByteEnd, ByteTransport, Case, cases};
use crate::failure::{Because as _, Failure, Shown, Verdict, ensure};
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

pub(super) const CASES: &[Case<ByteTransport>] =
    cases! { ByteTransport: half_close, tail, vanishing_peer, vanishing_reader };

/// Bytes that are more than one piece, and less than what a test should wait for.
const LEN: u64 = 300_000;

/// A side that has said everything still hears everything.
async fn half_close(transport: &ByteTransport) -> Verdict {
    let (mut near, mut far) = transport.source.open().await?;
    let (there, back) = (Pattern::new(1), Pattern::new(2));
    let sent = async {
        there.write(&mut near, 0..LEN, || 9_000).await?;
        near.shutdown().await.because("shut the near side down")
    };
    tokio::try_join!(sent, there.read_to_end(&mut far, 0..LEN, || 7_000))?;
    if !transport.half_close {
        drop(far);
        return ended(&mut near).await.map(|()| Shown::Kept);
    }
    let sent = async {
        back.write(&mut far, 0..LEN, || 9_000).await?;
        far.shutdown().await.because("shut the far side down")
    };
    tokio::try_join!(sent, back.read_to_end(&mut near, 0..LEN, || 7_000))?;
    Ok(Shown::Carried)
}

/// What was written before the end arrives, though whoever wrote it is gone by then.
async fn tail(transport: &ByteTransport) -> Verdict {
    let pattern = Pattern::new(3);
    for (shuts, what) in [(true, "shut down"), (false, "dropped")] {
        let (mut near, mut far) = transport.source.open().await?;
        let write = async {
            pattern.write(&mut near, 0..LEN, || 9_000).await?;
            if shuts {
                near.shutdown().await.because("shut down")?;
            } else {
                near.flush().await.because("flush")?;
            }
            drop(near);
            Ok::<_, Failure>(())
        };
        let mut write = pin!(write);
        // Nobody reads as long as the writer gets on.
        let mut over = false;
        for _ in 0..100 {
            let polled = poll_fn(|cx| Poll::Ready(write.as_mut().poll(cx))).await;
            if let Poll::Ready(written) = polled {
                written?;
                over = true;
                break;
            }
            tokio::task::yield_now().await;
        }
        let written = async { if over { Ok(()) } else { write.await } };
        let read = async {
            pattern
                .read(&mut far, 0..LEN, || 1_000)
                .await
                .because(&format!("the writer has {what}"))
        };
        tokio::try_join!(written, read)?;
        ended(&mut far).await?;
    }
    Ok(Shown::Holds)
}

/// Whoever waits for a peer that vanishes hears of it, and so does whoever writes to it.
async fn vanishing_peer(transport: &ByteTransport) -> Verdict {
    for swaps in [false, true] {
        let (mut near, mut far) = transport.source.open().await?;
        if swaps {
            std::mem::swap(&mut near, &mut far);
        }
        {
            let mut end = pin!(ended(&mut far));
            for _ in 0..10 {
                let early = poll_fn(|cx| Poll::Ready(end.as_mut().poll(cx))).await;
                ensure(early.is_pending(), || {
                    format!("the end came before anybody was gone: {early:?}")
                })?;
                tokio::task::yield_now().await;
            }
            drop(near);
            end.await?;
        }
        refused(&mut far).await?;
    }
    Ok(Shown::Holds)
}

/// Whoever waits to write to a peer that takes nothing hears of its going.
async fn vanishing_reader(transport: &ByteTransport) -> Verdict {
    let (near, mut far) = transport.source.open().await?;
    const MOST: usize = 256 << 20;
    let piece = vec![0; 64 << 10];
    let there = Cell::new(true);
    let mut write = pin!(async {
        let mut taken = 0;
        while there.get() && taken < MOST {
            if far.write_all(&piece).await.is_err() || far.flush().await.is_err() {
                return Ok(());
            }
            taken += piece.len();
        }
        if there.get() {
            return Err(Failure::new(format!(
                "{MOST} bytes were taken that nobody reads: what is on its way has no bound"
            )));
        }
        refused(&mut far).await
    });
    // The peer takes nothing: some day the writer has to wait.
    for _ in 0..200 {
        match poll_fn(|cx| Poll::Ready(write.as_mut().poll(cx))).await {
            Poll::Pending => tokio::task::yield_now().await,
            Poll::Ready(Err(unbounded)) => return Err(unbounded),
            Poll::Ready(Ok(())) => {
                return Err(Failure::new("writing failed though the peer is there"));
            }
        }
    }
    there.set(false);
    drop(near);
    write.await?;
    Ok(Shown::Holds)
}

/// The stream is at its end: nothing more, or an error.
async fn ended(end: &mut ByteEnd) -> Result<(), Failure> {
    let mut buffer = [0; 64];
    match end.read(&mut buffer).await {
        Ok(0) | Err(_) => Ok(()),
        Ok(len) => Err(Failure::new(format!(
            "{len} bytes came from a peer that is gone"
        ))),
    }
}

/// Writing to a peer that is gone fails before long: a process that is stopped gently takes its time.
async fn refused(end: &mut ByteEnd) -> Result<(), Failure> {
    const AT_ONCE: u32 = 500;
    const ALL: u32 = 2_500;
    let piece = vec![0; 64 << 10];
    for number in 0..ALL {
        if end.write_all(&piece).await.is_err() || end.flush().await.is_err() {
            return Ok(());
        }
        if number < AT_ONCE {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    Err(Failure::new(format!(
        "{ALL} pieces were written to a peer that is gone, without an error"
    )))
}
