//! A format of one's own: on the native wire between a client and a server, and on a pipe without RPC.
//!
//! Run it with `cargo run --example custom_format`.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use futures::{SinkExt as _, StreamExt as _};
use mynah::codec::format::erased_serde::{Deserializer, Serialize};
use mynah::codec::format::{CustomFormat, Visit};
use mynah::codec::framing::{HeaderFraming, LineFraming};
use mynah::codec::io::{Pipe, PipeError, pipe};
use mynah::codec::{DecodeError, EncodeError, Format};
use mynah::dialect::Native;
use mynah::prelude::*;
use mynah::{DecodeLimits, Value};
use serde::de::Error as _;
use serde::ser::Error as _;

/// JSON as people like to read it.
#[derive(Debug)]
struct Pretty;

impl CustomFormat for Pretty {
    fn id(&self) -> u16 {
        7
    }
    fn encode(&self, value: &dyn Serialize, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        serde_json::to_writer_pretty(out, value).map_err(EncodeError::custom)
    }
    fn decode<'de>(
        &self,
        bytes: &'de [u8],
        limits: &DecodeLimits,
        visit: Visit<'_, 'de>,
    ) -> Result<(), DecodeError> {
        // The limits, and that nothing is left over, are those of JSON.
        Format::Json.scan(bytes, limits)?;
        let mut value = serde_json::Deserializer::from_slice(bytes);
        visit(&mut <dyn Deserializer<'_>>::erase(&mut value)).map_err(DecodeError::custom)
    }
}

static PRETTY: Pretty = Pretty;

/// Sums.
#[mynah::service]
pub trait Sums {
    /// The sum of two numbers.
    async fn add(&self, cx: &Context, a: i64, b: i64) -> Result<i64, RpcError>;
}

struct MySums;

impl Sums for MySums {
    async fn add(&self, _cx: &Context, a: i64, b: i64) -> Result<i64, RpcError> {
        a.checked_add(b)
            .ok_or_else(|| RpcError::new(ErrorCode::application(1), "too large"))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    over_a_wire().await?;
    over_a_pipe().await?;
    Ok(())
}

/// Calls whose params and results are in the format. A client without it is told so.
async fn over_a_wire() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::new()
        .register(SumsService::new(MySums))
        .listen_with(
            mynah::tcp::TcpListener::bind("127.0.0.1:0"),
            Native::custom(&PRETTY),
        )
        .start()
        .await?;
    let peer = mynah::connector(server.address())?
        .dialect(Native::custom(&PRETTY))
        .connect()
        .await?;
    let sums: SumsClient = peer.client();
    println!("2 + 3 = {}, in a format of our own", sums.add(2, 3).await?);
    // What the other side answers is no different: an error is one.
    let too_large = sums.add(i64::MAX, 1).await;
    println!("the largest and one: {too_large:?}");

    // The same server speaks CBOR with those who do not have the format.
    let sums: SumsClient = mynah::connect(server.address()).await?.client();
    println!("2 + 3 = {}, in CBOR", sums.add(2, 3).await?);
    Ok(())
}

/// Messages in the format between two ends of async bytes. It says nothing about where a message ends: the framing does.
async fn over_a_pipe() -> Result<(), PipeError> {
    let pretty = Format::Custom(&PRETTY);
    let (left, right) = tokio::io::duplex(64);
    let framing = HeaderFraming::new(1 << 20);
    let mut left: Pipe<_, _, Value> = pipe(left, framing, pretty);
    let mut right: Pipe<_, _, Value> = pipe(right, framing, pretty);
    let message = Value::from([
        ("language", "en".into()),
        ("numbers", Value::from([Value::from(1), 2.into()])),
    ]);
    let (sent, heard) = tokio::join!(left.send(message.clone()), right.next());
    sent?;
    assert_eq!(heard.transpose()?, Some(message.clone()));

    // It writes line feeds, so it is refused where they end a message.
    let mut lines: Pipe<_, _, Value> = pipe(tokio::io::sink(), LineFraming::new(1 << 20), pretty);
    if let Err(error) = lines.send(message).await {
        println!("over lines: {error}");
    }
    Ok(())
}
