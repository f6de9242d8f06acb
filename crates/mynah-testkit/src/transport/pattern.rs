//! Bytes that tell where they belong.

use crate::Dice;
use crate::failure::{Because as _, Failure, ensure};
use mynah_protocol::PeerEnd;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// An endless row of bytes that repeats after a prime number of them: no shift by a power of two, or by the size of
/// a buffer, goes unnoticed.
#[derive(Debug)]
pub(crate) struct Pattern {
    block: Vec<u8>,
}

/// Bytes after which the pattern begins again.
const PERIOD: usize = 65_521;

impl Pattern {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let block = (0..PERIOD)
            .map(|_| dice.throw().to_le_bytes().into_iter().fold(0, |a, b| a ^ b))
            .collect();
        Self { block }
    }

    /// The bytes from `at` on, as many as there are before the pattern begins again, `most` at most.
    fn piece(&self, at: u64, most: usize) -> &[u8] {
        let start = usize::try_from(at % PERIOD as u64).unwrap_or(0);
        let end = PERIOD.min(start.saturating_add(most));
        self.block.get(start..end).unwrap_or_default()
    }

    /// Holds what arrived at `at` against what was written there.
    pub(crate) fn check(&self, mut at: u64, mut got: &[u8]) -> Result<(), Failure> {
        while !got.is_empty() {
            let expected = self.piece(at, got.len());
            let (head, rest) = got.split_at_checked(expected.len()).unwrap_or((got, &[]));
            if head != expected {
                let off = head.iter().zip(expected).take_while(|(a, b)| a == b);
                let off = at + off.count() as u64;
                return Err(Failure::new(format!(
                    "byte {off} is not the one that was written there"
                )));
            }
            at += head.len() as u64;
            got = rest;
        }
        Ok(())
    }

    /// Writes the bytes `from..to`, in pieces of the sizes that `sizes` gives. Does not flush.
    pub(crate) async fn write(
        &self,
        to: &mut (impl AsyncWrite + Unpin),
        span: std::ops::Range<u64>,
        mut sizes: impl FnMut() -> usize,
    ) -> Result<(), Failure> {
        let mut at = span.start;
        while at < span.end {
            let left = usize::try_from(span.end - at).unwrap_or(usize::MAX);
            let piece = self.piece(at, sizes().clamp(1, left));
            to.write_all(piece)
                .await
                .because(&format!("write at byte {at}"))?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    /// Reads and checks the bytes `from..to`, in pieces of the sizes that `sizes` gives.
    pub(crate) async fn read(
        &self,
        from: &mut (impl AsyncRead + Unpin),
        span: std::ops::Range<u64>,
        mut sizes: impl FnMut() -> usize,
    ) -> Result<(), Failure> {
        let mut at = span.start;
        let mut buffer = Vec::new();
        while at < span.end {
            let left = usize::try_from(span.end - at).unwrap_or(usize::MAX);
            buffer.resize(sizes().clamp(1, left), 0);
            let len = from
                .read(&mut buffer)
                .await
                .because(&format!("read at byte {at}"))?;
            ensure(len > 0, || {
                format!("the stream ended at byte {at} of {}", span.end)
            })?;
            self.check(at, buffer.get(..len).unwrap_or_default())?;
            at += len as u64;
        }
        Ok(())
    }

    /// The same to the end of the stream, which must come behind exactly these bytes; it may say how the peer ended.
    pub(crate) async fn read_to_end(
        &self,
        from: &mut (impl AsyncRead + Unpin),
        span: std::ops::Range<u64>,
        sizes: impl FnMut() -> usize,
    ) -> Result<(), Failure> {
        let end = span.end;
        self.read(from, span, sizes).await?;
        let mut more = [0; 64];
        match from.read(&mut more).await {
            Ok(0) => Ok(()),
            Ok(len) => Err(Failure::new(format!(
                "{len} bytes came behind the {end} that were written"
            ))),
            // An end that says how the peer ended is an end.
            Err(error) if error.get_ref().is_some_and(|error| error.is::<PeerEnd>()) => Ok(()),
            Err(error) => Err(error).because("read the end of the stream"),
        }
    }
}
