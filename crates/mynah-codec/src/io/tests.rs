//! Pipes over pairs of async bytes in memory.

use super::*;
use crate::framing::{CborSequence, HeaderFraming, JsonSequence, LengthFraming, LineFraming};
use crate::{DecodeErrorKind, EncodeError, FrameError};
use futures::stream::FusedStream as _;
use futures::{SinkExt as _, StreamExt as _, TryStreamExt as _};
use mynah_protocol::{DecodeLimits, Value};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex};

const LIMIT: usize = 1 << 20;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Reading {
    seq: u64,
    value: f64,
}

fn reading(seq: u64) -> Reading {
    Reading { seq, value: 0.5 }
}

type Lines<T> = Pipe<DuplexStream, LineFraming, T>;

/// A pipe over what was said and is over.
fn over(bytes: &[u8]) -> Pipe<&[u8], LineFraming, u64> {
    pipe(bytes, LineFraming::new(16), Format::Json)
}

async fn there_and_back<F: Framing + Unpin>(framing: impl Fn() -> F, format: Format) {
    // Smaller than a message, so that every write and read is a part of one.
    let (left, right) = duplex(5);
    let mut left: Pipe<_, _, Reading> = pipe(left, framing(), format);
    let mut right: Pipe<_, _, Reading> = pipe(right, framing(), format);
    let echo = async {
        while let Some(message) = right.next().await {
            right.send(message?).await?;
        }
        right.close().await
    };
    let talk = async {
        for seq in 0..20 {
            left.send(reading(seq)).await?;
            assert_eq!(left.next().await.transpose()?, Some(reading(seq)));
        }
        left.close().await?;
        assert!(left.next().await.is_none());
        assert!(left.is_terminated());
        Ok(())
    };
    let (echoed, talked) = tokio::join!(echo, talk);
    let both: Result<(), PipeError> = echoed.and(talked);
    both.unwrap();
}

#[tokio::test]
async fn every_framing_and_format_there_and_back() {
    let limits = DecodeLimits::DEFAULT;
    for format in [Format::Json, Format::Cbor, Format::MessagePack] {
        there_and_back(|| LengthFraming::new(LIMIT), format).await;
        there_and_back(|| HeaderFraming::new(LIMIT), format).await;
    }
    there_and_back(|| LineFraming::new(LIMIT), Format::Json).await;
    there_and_back(|| CborSequence::new(limits), Format::Cbor).await;
    there_and_back(|| JsonSequence::new(limits), Format::Json).await;
}

#[tokio::test]
async fn an_error_ends_the_stream() {
    let mut numbers = over(b"1\n2\nx\n4\n");
    assert_eq!(numbers.next().await.unwrap().unwrap(), 1);
    assert_eq!(numbers.next().await.unwrap().unwrap(), 2);
    let error = numbers.next().await.unwrap().unwrap_err();
    let PipeError::Decode(error) = error else {
        panic!("{error}")
    };
    assert_eq!(error.kind(), DecodeErrorKind::Malformed);
    assert!(numbers.is_terminated());
    assert!(numbers.next().await.is_none());
    assert!(numbers.next().await.is_none());

    let mut numbers = over(b"1\n22222222222222222222\n3\n");
    assert_eq!(numbers.next().await.unwrap().unwrap(), 1);
    let error = numbers.next().await.unwrap().unwrap_err();
    let too_large = matches!(
        &error,
        PipeError::Frame(FrameError::TooLarge { limit: 16, .. })
    );
    assert!(too_large, "{error:?}");
    assert!(numbers.next().await.is_none());

    // The other side goes in the middle of a message.
    let mut numbers = over(b"1\n2");
    assert_eq!(numbers.next().await.unwrap().unwrap(), 1);
    let error = numbers.next().await.unwrap().unwrap_err();
    assert!(
        matches!(error, PipeError::Frame(FrameError::Truncated)),
        "{error:?}"
    );
    assert!(numbers.next().await.is_none());
}

/// Serial handling is a loop; its order is that of the messages, and the first error ends it.
#[tokio::test]
async fn serial_handling_is_a_loop() {
    async fn handle(
        mut numbers: Pipe<&[u8], LineFraming, u64>,
        sum: &Cell<u64>,
    ) -> Result<(), PipeError> {
        while let Some(number) = numbers.next().await {
            sum.set(sum.get() * 10 + number?);
        }
        Ok(())
    }
    let seen = Cell::new(0);
    assert!(handle(over(b"1\n2\n3\n"), &seen).await.is_ok());
    assert_eq!(seen.get(), 123);
    assert!(handle(over(b"4\n[]\n5\n"), &seen).await.is_err());
    assert_eq!(seen.get(), 1234);
}

/// Background handling is a bounded concurrent for-each: so many at once and no more, the stream is read no further
/// meanwhile, and the first error ends it.
#[tokio::test]
async fn background_handling_is_bounded() {
    let (left, right) = duplex(64);
    let mut left: Lines<u64> = pipe(left, LineFraming::new(LIMIT), Format::Json);
    let right: Lines<u64> = pipe(right, LineFraming::new(LIMIT), Format::Json);
    let gate = tokio::sync::Semaphore::new(0);
    let (running, most, done) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let handling = right.try_for_each_concurrent(3, async |number| {
        running.set(running.get() + 1);
        most.set(most.get().max(running.get()));
        gate.acquire().await.unwrap().forget();
        running.set(running.get() - 1);
        done.set(done.get() + number);
        Ok(())
    });
    let fed = Cell::new(0);
    let feeding = async {
        for number in 0..1000 {
            left.send(number).await?;
            fed.set(fed.get() + 1);
        }
        left.close().await
    };
    let mut both = std::pin::pin!(futures::future::join(handling, feeding));
    for _ in 0..1000 {
        assert!(futures::poll!(&mut both).is_pending());
    }
    // No handler goes on: what was sent lies between the two, and the sender waits.
    assert_eq!((running.get(), most.get(), done.get()), (3, 3, 0));
    assert!(fed.get() < 100, "{} were sent", fed.get());
    gate.add_permits(1000);
    let (handled, fed) = both.await;
    handled.and(fed).unwrap();
    assert_eq!((running.get(), most.get()), (0, 3));
    assert_eq!(done.get(), (0..1000).sum::<u64>());

    let seen = Cell::new(0);
    let ended = over(b"1\n2\n[]\n4\n")
        .try_for_each_concurrent(1, async |number| {
            seen.set(seen.get() + number);
            Ok(())
        })
        .await;
    assert!(matches!(ended, Err(PipeError::Decode(_))));
    assert_eq!(seen.get(), 3);
}

/// A reader that takes nothing holds the sender back, and what waits is bounded.
#[tokio::test]
async fn a_sink_waits_for_room() {
    let (left, mut right) = duplex(1024);
    let mut left: Pipe<_, _, Vec<u8>> = pipe(left, LengthFraming::new(LIMIT), Format::Cbor);
    let message = vec![7_u8; 1000];
    let mut fed = 0;
    let waiting = loop {
        match futures::poll!(left.feed(message.clone())) {
            Poll::Ready(Ok(())) => fed += 1,
            Poll::Ready(Err(error)) => panic!("{error}"),
            Poll::Pending => break fed,
        }
        assert!(fed < 1000, "nothing holds it back");
    };
    assert!(waiting * 1000 > 60_000, "{waiting}");
    // Once the reader takes something, there is room again.
    let read = async {
        let mut all = Vec::new();
        right.read_to_end(&mut all).await
    };
    let send = async {
        left.send(vec![8]).await?;
        left.close().await
    };
    let (read, sent) = tokio::join!(read, send);
    sent.unwrap();
    assert_eq!(read.unwrap(), waiting * 1007 + 6);
}

#[tokio::test]
async fn what_cannot_be_sent_leaves_the_sink_as_it_was() {
    let (left, right) = duplex(1 << 16);
    let mut left: Lines<Value> = pipe(left, LineFraming::new(16), Format::Json);
    let mut right: Lines<Value> = pipe(right, LineFraming::new(16), Format::Json);
    let error = left.send(Value::Float(f64::NAN)).await.unwrap_err();
    assert!(
        matches!(error, PipeError::Encode(EncodeError::Value(_))),
        "{error:?}"
    );
    let error = left.send("longer than the line".into()).await.unwrap_err();
    let too_large = matches!(
        error,
        PipeError::Encode(EncodeError::TooLarge { limit: 16, .. })
    );
    assert!(too_large, "{error:?}");
    left.send("short".into()).await.unwrap();
    assert_eq!(right.next().await.unwrap().unwrap(), Value::from("short"));

    drop(right);
    let error = left.send("x".into()).await.unwrap_err();
    assert!(matches!(error, PipeError::Io(_)), "{error:?}");
    // It is final: nobody knows how much of a message has left.
    let error = left.send("x".into()).await.unwrap_err();
    assert!(matches!(error, PipeError::Io(_)), "{error:?}");
}

/// A dropped `next` loses nothing.
#[tokio::test]
async fn a_future_that_is_dropped_loses_nothing() {
    let (mut left, right) = duplex(64);
    let mut right: Lines<u64> = pipe(right, LineFraming::new(LIMIT), Format::Json);
    for byte in b"123\n45" {
        left.write_all(&[*byte]).await.unwrap();
        match futures::poll!(right.next()) {
            Poll::Pending => {}
            Poll::Ready(number) => assert_eq!((*byte, number.unwrap().unwrap()), (b'\n', 123)),
        }
    }
    left.write_all(b"6\n").await.unwrap();
    assert_eq!(right.next().await.unwrap().unwrap(), 456);
}

/// L1: four bytes that announce 4 GiB get no room for it.
#[tokio::test]
async fn l1_room_is_made_for_what_has_come() {
    let (mut left, right) = duplex(64);
    let mut right: Pipe<_, _, Value> = pipe(right, LengthFraming::new(usize::MAX), Format::Cbor);
    left.write_all(&u32::MAX.to_be_bytes()).await.unwrap();
    left.write_all(b"abc").await.unwrap();
    assert!(futures::poll!(right.next()).is_pending());
    let (_, input, _) = right.into_parts();
    assert_eq!(input.len(), 7);
    assert!(input.capacity() < 64 << 10, "{}", input.capacity());
}

/// Bytes without end that are no message do not keep the task for themselves.
#[tokio::test]
async fn padding_without_end_lets_others_run() {
    struct Blank;
    impl AsyncRead for Blank {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            room: &mut ReadBuf<'_>,
        ) -> Poll<std::io::Result<()>> {
            let len = room.remaining();
            room.initialize_unfilled().fill(b'\n');
            room.advance(len);
            Poll::Ready(Ok(()))
        }
    }
    let mut blank: Pipe<_, _, u64> = pipe(Blank, LineFraming::new(16), Format::Json);
    assert!(futures::poll!(blank.next()).is_pending());
    let (_, input, _) = blank.into_parts();
    assert!(input.capacity() < 64 << 10, "{}", input.capacity());
}
