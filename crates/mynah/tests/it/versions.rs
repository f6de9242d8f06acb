//! A peer that speaks another version, made of bytes.

use crate::probe::{MyProbe, ProbeClient};
use crate::support::{over, within};
use mynah::codec::Format;
use mynah::dialect::{Native, Side};
use mynah::prelude::*;
use mynah::{CloseReason, DecodeLimits, Limits, Router};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

const FORMATS: [(u8, Format, &str); 3] = [
    (b'C', Format::Cbor, ""),
    (b'J', Format::Json, "?format=json"),
    (b'M', Format::MessagePack, "?format=messagepack"),
];

fn encoded(format: Format, value: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::new();
    format.encode(value, &mut out).unwrap();
    out
}

fn framed(content: &[u8]) -> Vec<u8> {
    let len = u32::try_from(content.len()).unwrap();
    [&len.to_be_bytes()[..], content].concat()
}

/// Reads what a peer says up to its end: a preface of version 1, frames, and a going-away that names both versions.
async fn hear_farewell(stream: &mut (impl AsyncRead + Unpin), letter: u8, format: Format) {
    let mut heard = Vec::new();
    within("end", stream.read_to_end(&mut heard)).await.unwrap();
    let mut rest = heard
        .strip_prefix(&[b'M', b'Y', b'N', b'A', b'H', 1, letter, b'\n'][..])
        .expect("a preface of its own");
    let mut last = &rest[..0];
    while let Some((len, frame)) = rest.split_first_chunk::<4>() {
        let len = u32::from_be_bytes(*len) as usize;
        (last, rest) = frame.split_at(len);
    }
    let (kind, code, message): (u64, i64, String) =
        format.decode(last, &DecodeLimits::DEFAULT).unwrap();
    assert_eq!((kind, code), (11, -32011));
    assert!(
        message.contains("version 2, this side version 1"),
        "{message}"
    );
}

fn assert_names_both(reason: &CloseReason) {
    let CloseReason::Violation(ErrorCode::VERSION_MISMATCH, text) = reason else {
        panic!("{reason}")
    };
    assert!(text.contains("version 2, this side version 1"), "{text}");
}

/// Dials a server as a client of version 2 does: its preface, and a hello and a request right behind it.
#[tokio::test]
async fn a_client_of_another_version_is_told_why() {
    for (letter, format, _) in FORMATS {
        let server = Server::new()
            .register(MyProbe::new().service())
            .listen("tcp://127.0.0.1:0")
            .start()
            .await
            .unwrap();
        let address = server.address().strip_prefix("tcp://").unwrap();
        let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
        let hello = encoded(format, &(0, 2, [1, 2, 3]));
        let said = [&b"MYNAH\x02"[..], &[letter, b'\n'], &framed(&hello)].concat();
        client.write_all(&said).await.unwrap();
        hear_farewell(&mut client, letter, format).await;

        // The same at a peer, which has an error to look at.
        let (mut near, far) = tokio::io::duplex(1 << 16);
        let (dialect, side) = (Native::new(), Side::Accept);
        let peer = over(far, &dialect, side, Router::new(), Limits::new());
        near.write_all(&said).await.unwrap();
        assert_names_both(&within("end", peer.closed()).await);
        near.shutdown().await.unwrap();
        hear_farewell(&mut near, letter, format).await;
    }
}

/// Answers a client as a server of version 2 does: with its own preface, or with a hello of its own.
#[tokio::test]
async fn a_server_of_another_version_is_a_clear_error_of_the_call() {
    for (letter, format, query) in FORMATS {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("tcp://{}{query}", listener.local_addr().unwrap());
        let hello = framed(&encoded(format, &(0, 2)));
        for said in [
            [&b"MYNAH\x02"[..], &[letter, b'\n'], &hello].concat(),
            [&b"MYNAH\x01"[..], &[letter, b'\n'], &hello].concat(),
        ] {
            let peer = mynah::connect(&url).await.unwrap();
            let call = peer.client::<ProbeClient>().hang().start();
            let (mut server, _) = within("accept", listener.accept()).await.unwrap();
            server.write_all(&said).await.unwrap();
            let error = within("end", call).await.unwrap_err();
            let (CallError::Indeterminate(reason) | CallError::Disconnected(reason)) = &error
            else {
                panic!("{error:?}")
            };
            assert_names_both(reason);
            assert!(error.to_string().contains("version 2, this side version 1"));
            assert_names_both(&within("end", peer.closed()).await);
            server.shutdown().await.unwrap();
            hear_farewell(&mut server, letter, format).await;
        }
    }
}

#[tokio::test]
async fn what_is_no_preface_at_all_is_refused() {
    for strange in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"\0\0\0\x05",
        b"MYNAH\x01X\n",
        b"MYNAH\x01J\r",
    ] {
        let (mut near, far) = tokio::io::duplex(1 << 16);
        let server = over(
            far,
            &Native::new(),
            Side::Accept,
            Router::new(),
            Limits::new(),
        );
        near.write_all(strange).await.unwrap();
        let reason = within("end", server.closed()).await;
        assert!(
            matches!(
                reason,
                CloseReason::Violation(ErrorCode::VERSION_MISMATCH, _)
            ),
            "{reason}"
        );
    }
}
