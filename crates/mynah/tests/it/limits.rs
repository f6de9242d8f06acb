//! L: bombs, depth, fragments.

use crate::probe::{MyProbe, ProbeClient};
use crate::support::*;
use mynah::dialect::{CborRpc, Native, Side};
use mynah::prelude::*;
use mynah::{CloseReason, Limits};
use serde_json::json;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{self, Poll};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

#[tokio::test]
async fn l1_a_frame_of_4_gib_is_refused_at_its_head() {
    for place in Socket::each() {
        sends_lengths_of_4_gib(&place).await;
    }
}

async fn sends_lengths_of_4_gib(place: &Socket) {
    let probe = MyProbe::new();
    let server = Server::new()
        .register(probe.service())
        .listen(&place.url)
        .start()
        .await
        .unwrap();
    let healthy: ProbeClient = mynah::connect(server.address()).await.unwrap().client();
    for _ in 0..20 {
        let mut bomb = raw_socket(&server).await.greet().await;
        bomb.send(&u32::MAX.to_be_bytes()).await;
        let said = within("refusal", bomb.rest()).await;
        assert_eq!(said.len(), 1, "{said:?}");
        assert_eq!(
            said[0].head[1],
            json!(ErrorCode::TOO_LARGE.value()),
            "{said:?}"
        );
        assert_eq!(healthy.echo("a".into()).await.unwrap(), "a");
    }
    assert_eq!(probe.0.calls.started(), 20);
}

/// Hands out what is written to it, and notes how much room was made for it.
struct Room {
    input: io::Cursor<Vec<u8>>,
    most: Arc<AtomicUsize>,
}

impl AsyncRead for Room {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.most.fetch_max(buffer.remaining(), Ordering::SeqCst);
        let mut few = [0; 1024];
        let wanted = buffer.remaining().min(few.len());
        let read = io::Read::read(&mut self.input, &mut few[..wanted])?;
        if read == 0 {
            return Poll::Pending;
        }
        buffer.put_slice(&few[..read]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Room {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What is reserved for a frame follows what has arrived, not what was announced.
#[tokio::test]
async fn l1_what_is_reserved_follows_what_has_arrived() {
    for arrived in [0, 1000, 100_000, 2 << 20] {
        let mut input = preface(b'J').to_vec();
        input.extend_from_slice(&(15_u32 << 20).to_be_bytes());
        input.extend(std::iter::repeat_n(b' ', arrived));
        let most = Arc::new(AtomicUsize::new(0));
        let stream = Room {
            input: io::Cursor::new(input),
            most: Arc::clone(&most),
        };
        let peer = over(
            stream,
            &Native::new(),
            Side::Accept,
            MyProbe::new().router(),
            Limits::new(),
        );
        for _ in 0..20 {
            settle().await;
        }
        assert!(!peer.is_closed());
        let most = most.load(Ordering::SeqCst);
        assert!(
            most <= (256 << 10).max(arrived) + (64 << 10),
            "{most} for {arrived}"
        );
    }
}

/// Announces much inside the params: the call is refused, the connection lives.
#[tokio::test]
async fn l1_bombs_inside_params_are_about_their_call_only() {
    let huge = [0xff; 8];
    let bombs: Vec<Vec<u8>> = vec![
        [&[0x9b][..], &huge].concat(),
        [&[0x81, 0x9b][..], &huge].concat(),
        [&[0x81, 0x9b, 0x7f][..], &huge[1..]].concat(),
        [&[0x81, 0xbb][..], &huge].concat(),
        [&[0x81, 0x7b][..], &huge].concat(),
        [&[0x81, 0x5b][..], &huge].concat(),
        [&[0x81, 0x7a][..], &huge[..4]].concat(),
        vec![0x81, 0x9a, 0x7f, 0xff, 0xff, 0xff],
        vec![0x81, 0x9f],
        vec![0x81, 0x7f],
        vec![],
    ];
    let probe = MyProbe::new();
    let (near, far) = tokio::io::duplex(1 << 16);
    let _peer = over(
        far,
        &Native::new(),
        Side::Accept,
        probe.router(),
        Limits::new(),
    );
    let (mut read, mut write) = tokio::io::split(near);
    let mut said = preface(b'C').to_vec();
    said.extend(cbor_frame(&json!([HELLO, 1]), &[]));
    for (id, bomb) in bombs.iter().enumerate() {
        said.extend(cbor_frame(&json!([REQUEST, id + 1, "probe", "echo"]), bomb));
    }
    said.extend(cbor_frame(
        &json!([REQUEST, 99, "probe", "echo"]),
        &cbor(&json!(["alive"])),
    ));
    write.write_all(&said).await.unwrap();
    let mut heard = Vec::new();
    let answer = [0x82, 0x02, 0x18, 99];
    within("answers", async {
        while !heard.windows(4).any(|bytes| bytes == answer) {
            assert_ne!(read.read_buf(&mut heard).await.unwrap(), 0, "closed");
        }
    })
    .await;
    // Every bomb was answered with an error of its call: [3, id] and [-32602 or -32005, ...].
    for id in 1..=bombs.len() {
        let error = [0x82, 0x03, u8::try_from(id).unwrap()];
        let at = heard
            .windows(3)
            .position(|bytes| bytes == error)
            .unwrap_or_else(|| panic!("{id}"));
        let code = &heard[at + 4..at + 7];
        let [invalid, large] = [ErrorCode::INVALID_PARAMS, ErrorCode::TOO_LARGE]
            .map(|code| cbor(&json!(code.value())));
        assert!(code == invalid || code == large, "{id}: {code:x?}");
    }
    assert_eq!(probe.0.calls.started(), 1);
}

#[tokio::test]
async fn l1_bombs_inside_json_params() {
    let probe = MyProbe::new();
    let (raw, _peer) = raw_pair(probe.router(), Limits::new(), 1 << 16);
    let mut raw = raw.greet().await;
    let digits = "9".repeat(100_000);
    let commas = format!("[{}]", ",".repeat(100_000));
    let bombs = [
        "[",
        "",
        "[\"",
        "{\"",
        "[1e999999999]",
        "[\"\\ud800\"]",
        &digits,
        &commas,
    ];
    for (id, bomb) in bombs.iter().enumerate() {
        raw.say(json!([REQUEST, id, "probe", "echo"]), bomb).await;
        let answer = within("answer", raw.answer()).await;
        assert_eq!(answer.head, json!([ERROR, id]));
        assert_eq!(
            answer.body[0],
            json!(ErrorCode::INVALID_PARAMS.value()),
            "{answer:?}"
        );
    }
    raw.say(json!([REQUEST, 99, "probe", "echo"]), "[\"alive\"]")
        .await;
    assert_eq!(raw.answer().await.body, json!("alive"));
}

/// Where messages have no frames, a bomb ends its connection, and only that.
#[tokio::test]
async fn l1_bombs_on_a_wire_without_frames() {
    let server = Server::new()
        .register(MyProbe::new().service())
        .listen("tcp://127.0.0.1:0?dialect=cbor-rpc")
        .start()
        .await
        .unwrap();
    let url = format!("{}?dialect=cbor-rpc", server.address());
    let healthy: ProbeClient = mynah::connect(&url).await.unwrap().client();
    for bomb in [0x9b_u8, 0xbb, 0x7b, 0x5b] {
        let mut raw = raw_tcp(&server).await;
        raw.send(&[&[0x85, 0x01, 0x00, bomb][..], &[0xff; 8]].concat())
            .await;
        assert!(within("refusal", raw.next()).await.is_none());
        assert_eq!(healthy.echo("a".into()).await.unwrap(), "a");
    }
}

/// Params of a depth, in CBOR and JSON: one verdict, and the connection lives.
#[tokio::test]
async fn l2_depth_has_one_verdict_in_all_formats() {
    #[mynah::service]
    trait Deep {
        async fn take(&self, value: mynah::Value) -> bool;
    }
    struct Taker;
    impl Deep for Taker {
        async fn take(&self, _value: mynah::Value) -> bool {
            true
        }
    }
    let router = || mynah::Router::new().register(DeepService::new(Taker));
    // The params themselves are one level.
    for (depth, fine) in [(127, true), (128, true), (129, false), (100_000, false)] {
        let inner = depth - 1;
        let json_bodies = [
            format!("[{}{}]", "[".repeat(inner), "]".repeat(inner)),
            format!("[{}0{}]", "{\"a\":".repeat(inner), "}".repeat(inner)),
            format!("[{}", "[".repeat(inner)),
        ];
        let (raw, _peer) = raw_pair(router(), Limits::new(), 1 << 16);
        let mut raw = raw.greet().await;
        for (id, body) in json_bodies.iter().enumerate() {
            raw.say(json!([REQUEST, id, "deep", "take"]), body).await;
            let answer = within("answer", raw.answer()).await;
            let cut_off = id == 2;
            let expected = match (fine, cut_off) {
                (true, false) => json!(true),
                (true, true) => json!(ErrorCode::INVALID_PARAMS.value()),
                (false, _) => json!(ErrorCode::TOO_LARGE.value()),
            };
            let got = if answer.kind() == ERROR {
                &answer.body[0]
            } else {
                &answer.body
            };
            assert_eq!(*got, expected, "json {id}, depth {depth}: {answer:?}");
        }

        let cbor_bodies: [Vec<u8>; 4] = [
            [vec![0x81; inner + 1], vec![0]].concat(),
            [vec![0x81], [0xa1, 0x61, b'a'].repeat(inner), vec![0]].concat(),
            [vec![0x81], [0xc6].repeat(inner), vec![0]].concat(),
            [vec![0x9f; inner + 1], vec![0xff; inner + 1]].concat(),
        ];
        for (id, body) in cbor_bodies.iter().enumerate() {
            let (near, far) = tokio::io::duplex(1 << 20);
            let _peer = over(far, &Native::new(), Side::Accept, router(), Limits::new());
            let mut raw = Raw {
                stream: near,
                read: Vec::new(),
            };
            raw.send(&preface(b'C')).await;
            raw.send(&cbor_frame(&json!([HELLO, 1]), &[])).await;
            raw.send(&cbor_frame(&json!([REQUEST, 1, "deep", "take"]), body))
                .await;
            // A second call shows that the connection lives.
            raw.send(&cbor_frame(
                &json!([REQUEST, 2, "deep", "take"]),
                &[0x81, 0],
            ))
            .await;
            let mut heard = Vec::new();
            within("answers", async {
                while !heard.ends_with(&[0x82, 0x02, 0x02, 0xf5]) {
                    assert_ne!(raw.stream.read_buf(&mut heard).await.unwrap(), 0, "closed");
                }
            })
            .await;
            let result = heard
                .windows(4)
                .any(|bytes| bytes == [0x82, 0x02, 0x01, 0xf5]);
            assert_eq!(result, fine, "cbor {id}, depth {depth}");
            if !fine {
                let code = cbor(&json!(ErrorCode::TOO_LARGE.value()));
                let at = heard
                    .windows(3)
                    .position(|bytes| bytes == [0x82, 0x03, 0x01])
                    .unwrap();
                assert_eq!(heard[at + 4..at + 7], code, "cbor {id}, depth {depth}");
            }
        }
    }
}

/// Strings in pieces do not nest: refused, however many there are.
#[tokio::test]
async fn l2_nested_pieces_of_strings() {
    let probe = MyProbe::new();
    for many in [2, 129, 100_000] {
        let (near, far) = tokio::io::duplex(1 << 20);
        let peer = over(
            far,
            &Native::new(),
            Side::Accept,
            probe.router(),
            Limits::new(),
        );
        let mut raw = Raw {
            stream: near,
            read: Vec::new(),
        };
        raw.send(&preface(b'C')).await;
        let body = [vec![0x81], vec![0x7f; many]].concat();
        raw.send(&cbor_frame(&json!([REQUEST, 1, "probe", "echo"]), &body))
            .await;
        raw.send(&cbor_frame(
            &json!([REQUEST, 2, "probe", "echo"]),
            &[0x81, 0x61, b'a'],
        ))
        .await;
        let mut heard = Vec::new();
        within("answers", async {
            while !heard.ends_with(&[0x82, 0x02, 0x02, 0x61, b'a']) {
                assert_ne!(raw.stream.read_buf(&mut heard).await.unwrap(), 0, "closed");
            }
        })
        .await;
        let code = cbor(&json!(ErrorCode::INVALID_PARAMS.value()));
        let at = heard
            .windows(3)
            .position(|bytes| bytes == [0x82, 0x03, 0x01])
            .unwrap();
        assert_eq!(heard[at + 4..at + 7], code);
        assert!(!peer.is_closed());
    }
}

/// Preface, hello, calls of all fates, a ping: what one side says in a conversation.
fn conversation(format: u8) -> Vec<u8> {
    let make = |head, body: serde_json::Value| match format {
        b'J' => frame(&head, &body.to_string()),
        _ => cbor_frame(&head, &cbor(&body)),
    };
    let bare = |head| match format {
        b'J' => frame(&head, ""),
        _ => cbor_frame(&head, &[]),
    };
    [
        preface(format).to_vec(),
        bare(json!([HELLO, 1, {"agent": "test"}])),
        make(json!([REQUEST, 1, "probe", "echo", 5000]), json!(["one"])),
        make(
            json!([REQUEST, "two", "probe", "echo_later", null, {"a": "b"}]),
            json!(["two", 3]),
        ),
        make(json!([REQUEST, 3, "probe", "hang"]), json!([])),
        make(json!([NOTIFICATION, "probe", "touch"]), json!(["key"])),
        bare(json!([CANCEL, 3, 0])),
        bare(json!([PING, 7])),
        make(json!([REQUEST, 4, "probe", "none"]), json!([])),
        make(json!([REQUEST, 5, "probe", "echo"]), json!([5])),
        make(json!([REQUEST, 6, "probe", "echo"]), json!(["six"])),
    ]
    .concat()
}

/// Every frame of the answer, sorted: what was ready at once may overtake what was not.
async fn answers(format: u8, pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    const FRAMES: usize = 8;
    let probe = MyProbe::new();
    let (mut near, far) = tokio::io::duplex(1 << 16);
    let peer = over(
        far,
        &Native::new(),
        Side::Accept,
        probe.router(),
        Limits::new(),
    );
    for piece in pieces {
        near.write_all(piece).await.unwrap();
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
    let mut heard = Vec::new();
    let mut frames = Vec::new();
    within("all answers", async {
        while frames.len() < FRAMES {
            assert_ne!(near.read_buf(&mut heard).await.unwrap(), 0, "closed");
            frames.clear();
            let mut rest = heard
                .strip_prefix(&preface(format))
                .expect("the preface is first");
            while let Some((head, behind)) = rest.split_first_chunk::<4>() {
                let len = u32::from_be_bytes(*head) as usize;
                let Some((frame, behind)) = behind.split_at_checked(len) else {
                    break;
                };
                frames.push(frame.to_vec());
                rest = behind;
            }
        }
    })
    .await;
    frames.sort();
    assert!(!peer.is_closed());
    assert_eq!(*probe.0.touched.lock().unwrap(), ["key"]);
    until("the cancelled call is over", || probe.0.calls.alive() == 0).await;
    frames
}

#[tokio::test]
async fn l5_a_conversation_split_at_every_offset() {
    for format in [b'C', b'J'] {
        let said = conversation(format);
        let whole = answers(format, &[&said]).await;
        assert_eq!(whole.len(), 8);
        for at in 1..said.len() {
            let (one, two) = said.split_at(at);
            assert_eq!(answers(format, &[one, two]).await, whole, "split at {at}");
        }
        let bytes: Vec<&[u8]> = said.chunks(1).collect();
        assert_eq!(answers(format, &bytes).await, whole, "byte by byte");
    }
}

/// On a wire without frames.
#[tokio::test]
async fn l5_a_cbor_rpc_conversation_split_at_every_offset() {
    let message = |value| cbor(&value);
    let said = [
        message(json!([1, 1, 0, "echo", ["one"]])),
        message(json!([1, 1, 3, "echo", ["two"]])),
    ]
    .concat();
    let mut whole: Option<Vec<u8>> = None;
    for at in 0..said.len() {
        let (mut near, far) = tokio::io::duplex(1 << 16);
        let peer = over(
            far,
            &CborRpc::cbor(),
            Side::Accept,
            MyProbe::new().router(),
            Limits::new(),
        );
        near.write_all(&said[..at]).await.unwrap();
        settle().await;
        near.write_all(&said[at..]).await.unwrap();
        settle().await;
        let mut heard = Vec::new();
        peer.close();
        within("end", near.read_to_end(&mut heard)).await.unwrap();
        assert!(matches!(peer.closed().await, CloseReason::Local), "{at}");
        let whole = whole.get_or_insert_with(|| heard.clone());
        assert_eq!(*whole, heard, "split at {at}");
    }
}

/// Bytes examined are counted in the tests of the codec; here a large message arrives whole through small reads, and
/// the room that is made for it grows by doubling.
#[tokio::test]
async fn l6_a_large_message_in_small_pieces() {
    let probe = MyProbe::new();
    let (raw, _peer) = raw_pair(probe.router(), Limits::new(), 1024);
    let raw = raw.greet().await;
    let text = "y".repeat(4 << 20);
    let said = frame(
        &json!([REQUEST, 1, "probe", "echo"]),
        &json!([text]).to_string(),
    );
    let Raw { stream, read } = raw;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let sending = async {
        for piece in said.chunks(1024) {
            writer.write_all(piece).await.unwrap();
        }
    };
    let mut heard = read;
    let hearing = async {
        while heard.len() < 4 + 5 + text.len() + 2 {
            assert_ne!(reader.read_buf(&mut heard).await.unwrap(), 0);
        }
    };
    within("the echo", async { tokio::join!(sending, hearing) }).await;
    assert_eq!(parse(&heard[4..]).body, json!(text));
}
