//! Cases of byte transports: what arrives is what was written, whatever the pieces.

use super::pattern::Pattern;
use super::{ByteTransport, Case, cases};
use crate::Dice;
use crate::failure::{Because as _, Shown, Verdict, ensure};
use mynah_protocol::EvidenceKey;
use std::future::poll_fn;
use std::io::IoSlice;
use std::pin::{Pin, pin};
use tokio::io::{AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _};

pub(super) const CASES: &[Case<ByteTransport>] = cases! {
    ByteTransport: order, silence, split_writes, coalesced_writes, vectored_writes, large_messages,
    slow_both_write_64_mib, evidence,
};

const MIB: u64 = 1 << 20;

/// Pieces of every size, both ways at once.
async fn order(transport: &ByteTransport) -> Verdict {
    const LEN: u64 = MIB;
    let (near, far) = transport.source.open().await?;
    let (there, back) = (Pattern::new(1), Pattern::new(2));
    let mut dice = Dice::new(3);
    let mut sizes = || {
        let mut dice = dice.fork();
        move || usize::try_from(1 + dice.up_to(5_000)).unwrap_or(1)
    };
    let (near_writes, near_reads, far_writes, far_reads) = (sizes(), sizes(), sizes(), sizes());
    let (mut near_read, mut near_write) = tokio::io::split(near);
    let (mut far_read, mut far_write) = tokio::io::split(far);
    tokio::try_join!(
        async {
            there.write(&mut near_write, 0..LEN, near_writes).await?;
            near_write.flush().await.because("flush")
        },
        async {
            back.write(&mut far_write, 0..LEN, far_writes).await?;
            far_write.flush().await.because("flush")
        },
        there.read(&mut far_read, 0..LEN, far_reads),
        back.read(&mut near_read, 0..LEN, near_reads),
    )?;
    Ok(Shown::Holds)
}

/// Nothing is read where nothing was written, and one byte wakes who waits for it.
async fn silence(transport: &ByteTransport) -> Verdict {
    let (mut near, mut far) = transport.source.open().await?;
    for (byte, way) in [(7, "to the far side"), (8, "to the near side")] {
        let mut buffer = [0; 16];
        let mut read = pin!(far.read(&mut buffer));
        for _ in 0..100 {
            let early = poll_fn(|cx| std::task::Poll::Ready(read.as_mut().poll(cx))).await;
            ensure(early.is_pending(), || {
                format!("{way}: a read was ready before anything was written: {early:?}")
            })?;
            tokio::task::yield_now().await;
        }
        let (written, read) = tokio::join!(
            async {
                near.write_all(&[byte]).await?;
                near.flush().await
            },
            read
        );
        written.because("write one byte")?;
        let len = read.because("read one byte")?;
        ensure(buffer.get(..len) == Some(&[byte]), || {
            format!("{way}: one byte was written, {len} were read")
        })?;
        std::mem::swap(&mut near, &mut far);
    }
    Ok(Shown::Holds)
}

/// Cut in two at every byte: what was flushed arrives though nothing follows.
async fn split_writes(transport: &ByteTransport) -> Verdict {
    const LEN: usize = 300;
    let (mut near, mut far) = transport.source.open().await?;
    let pattern = Pattern::new(4);
    for cut in 1..LEN {
        let start = (cut * LEN) as u64;
        let (middle, end) = (start + cut as u64, start + LEN as u64);
        for span in [start..middle, middle..end] {
            let (written, read) = tokio::join!(
                async {
                    pattern.write(&mut near, span.clone(), || LEN).await?;
                    near.flush().await.because("flush")
                },
                pattern.read(&mut far, span.clone(), || LEN),
            );
            written?;
            read?;
        }
    }
    Ok(Shown::Holds)
}

/// Many small writes before one flush, and reads of every size.
async fn coalesced_writes(transport: &ByteTransport) -> Verdict {
    const LEN: u64 = 2_000;
    let (mut near, mut far) = transport.source.open().await?;
    let pattern = Pattern::new(5);
    for size in 1..64 {
        let start = LEN * size as u64;
        tokio::try_join!(
            async {
                pattern
                    .write(&mut near, start..start + LEN, || size)
                    .await?;
                near.flush().await.because("flush")
            },
            pattern.read(&mut far, start..start + LEN, || 64 - size),
        )?;
    }
    Ok(Shown::Holds)
}

/// Several buffers in one write, empty ones among them.
async fn vectored_writes(transport: &ByteTransport) -> Verdict {
    const LEN: u64 = 256 << 10;
    let (mut near, mut far) = transport.source.open().await?;
    let pattern = Pattern::new(6);
    let mut whole = Vec::new();
    pattern.write(&mut whole, 0..LEN, || 4096).await?;
    let mut dice = Dice::new(7);
    let written = async {
        let mut rest = whole.as_slice();
        while !rest.is_empty() {
            let mut cut = |most: usize| dice.index_below(most.min(9_000) + 1);
            let (one, behind) = rest.split_at(cut(rest.len()));
            let (two, _) = behind.split_at(cut(behind.len()));
            let parts = [one, &[], two].map(IoSlice::new);
            let total = one.len() + two.len();
            let len = poll_fn(|cx| Pin::new(&mut near).poll_write_vectored(cx, &parts)).await;
            let len = len.because("write several buffers")?;
            ensure(len <= total, || {
                format!("{len} bytes of {total} are said to have been written")
            })?;
            ensure(len > 0 || total == 0, || {
                format!("none of {total} bytes was written")
            })?;
            rest = rest.get(len..).unwrap_or_default();
        }
        near.flush().await.because("flush")
    };
    tokio::try_join!(written, pattern.read(&mut far, 0..LEN, || 10_000))?;
    Ok(Shown::Holds)
}

/// Far more than any buffer holds, in one write, each way in turn.
async fn large_messages(transport: &ByteTransport) -> Verdict {
    const LEN: u64 = 20 * MIB;
    let (mut near, mut far) = transport.source.open().await?;
    let pattern = Pattern::new(8);
    for _ in 0..2 {
        tokio::try_join!(
            async {
                pattern.write(&mut near, 0..LEN, || usize::MAX).await?;
                near.flush().await.because("flush")
            },
            pattern.read(&mut far, 0..LEN, || 1 << 20),
        )?;
        std::mem::swap(&mut near, &mut far);
    }
    Ok(Shown::Holds)
}

/// Both sides write at once, far more than what may be on its way, and each reads while it writes.
async fn slow_both_write_64_mib(transport: &ByteTransport) -> Verdict {
    const LEN: u64 = 64 * MIB;
    let (near, far) = transport.source.open().await?;
    let (there, back) = (Pattern::new(9), Pattern::new(10));
    let (mut near_read, mut near_write) = tokio::io::split(near);
    let (mut far_read, mut far_write) = tokio::io::split(far);
    tokio::try_join!(
        async {
            there.write(&mut near_write, 0..LEN, || usize::MAX).await?;
            near_write.flush().await.because("flush")
        },
        async {
            back.write(&mut far_write, 0..LEN, || usize::MAX).await?;
            far_write.flush().await.because("flush")
        },
        there.read(&mut far_read, 0..LEN, || 256 << 10),
        back.read(&mut near_read, 0..LEN, || 256 << 10),
    )?;
    Ok(Shown::Holds)
}

/// Both sides know by what they are connected.
async fn evidence(transport: &ByteTransport) -> Verdict {
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
