//! Calls that no connection carries: the bytes of a delivery go in, the bytes of its answer come out.
//!
//! Here the deliveries are datagrams, which know no connections. Run it with `cargo run --example direct_dispatch`.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use mynah::codec::{Format, Lane, Output, OutputChunk, Step};
use mynah::dialect::{CborRpc, Dialect as _, Side};
use mynah::prelude::*;
use mynah::protocol::{Envelope, Payload, Request, Streams, WireId};
use mynah::{
    Before, DecodeLimits, DirectError, Evidence, EvidenceKey, InterceptedCall, Interceptor, Limits,
    Metadata, MethodName, Router,
};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::UdpSocket;

/// The largest datagram.
const MOST: usize = 64 << 10;

/// It stands around these calls as around any other.
struct Says;

impl Interceptor for Says {
    fn before(&self, call: &mut InterceptedCall<'_>) -> Before {
        println!("{} for {:?}", call.method_name(), call.evidence());
        Before::Proceed
    }
}

/// Answers what comes, until it is dropped.
async fn serve(socket: UdpSocket, router: Arc<Router>) -> std::io::Result<()> {
    let dialect = CborRpc::cbor();
    let mut buffer = vec![0; MOST];
    loop {
        let (len, from) = socket.recv_from(&mut buffer).await?;
        let delivery = buffer.get(..len).unwrap_or_default().to_vec();
        let caller = Evidence::new()
            .with(EvidenceKey::TRANSPORT, "udp")
            .with(EvidenceKey::REMOTE_ADDRESS, from.to_string());
        match router.handle_wire(&dialect, delivery, caller).await {
            Ok(Some(answer)) => drop(socket.send_to(&answer, from).await?),
            Ok(None) => {}
            Err(DirectError::Incomplete { unread, .. }) => {
                println!("{unread} bytes from {from} are no message");
            }
            Err(error) => println!("{from}: {error}"),
        }
    }
}

/// A client in a few lines, as another language would have it.
async fn ask(to: SocketAddr, method: &str, params: (i64, i64)) -> Result<i64, RpcError> {
    let failed =
        |error: &dyn std::fmt::Display| RpcError::new(ErrorCode::application(1), error.to_string());
    let mut encoded = Vec::new();
    Format::Cbor
        .encode(&params, &mut encoded)
        .map_err(|error| failed(&error))?;
    let mut wire = CborRpc::cbor().wire(Side::Dial, &Limits::default());
    let mut output = Output::new();
    let request = Envelope::Request(Request {
        id: WireId::Uint(1),
        name: MethodName::new("", method),
        timeout: None,
        metadata: Metadata::new(),
        streams: Streams::NONE,
        params: Payload::lent(Format::Cbor.id(), &encoded),
    });
    wire.encode(&request, Lane::Data, &mut output)
        .map_err(|error| failed(&error))?;
    let mut chunk = OutputChunk::default();
    output.take(Lane::Data, &mut chunk);

    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .map_err(|error| failed(&error))?;
    let sent = socket.send_to(&chunk.bytes, to).await;
    sent.map_err(|error| failed(&error))?;
    let mut answer = vec![0; MOST];
    let len = socket
        .recv(&mut answer)
        .await
        .map_err(|error| failed(&error))?;
    let answer = answer.get(..len).unwrap_or_default();
    match wire.decode(answer).map_err(|error| failed(&error))? {
        Step::Envelope(_, Envelope::Response(response)) => {
            let payload = response.result.map_err(|error| *error)?;
            Format::Cbor
                .decode(payload.as_slice(), &DecodeLimits::DEFAULT)
                .map_err(|error| failed(&error))
        }
        other => Err(failed(&format!("{other:?} is no answer"))),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let router = Router::new()
        .method("add", |(a, b): (i64, i64)| a + b)
        .method("divide", |(a, b): (i64, i64)| {
            a.checked_div(b)
                .ok_or_else(|| RpcError::new(ErrorCode::application(2), "division by zero"))
        })
        .intercept(Says)
        .share()?;

    // One call without any bytes of a wire.
    let request = Request {
        id: WireId::Text("first".into()),
        name: MethodName::new("", "add"),
        timeout: None,
        metadata: Metadata::new(),
        streams: Streams::NONE,
        params: Payload::owned(Format::Json.id(), b"[2,3]".to_vec().into()),
    };
    let response = router
        .dispatch(Envelope::Request(request), Evidence::new())
        .await;
    if let Some(Ok(payload)) = response.map(|response| response.result) {
        println!("2 + 3 = {}", String::from_utf8_lossy(payload.as_slice()));
    }

    // And some over datagrams.
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = socket.local_addr()?;
    let serving = tokio::spawn(serve(socket, router));
    println!("20 / 4 = {}", ask(address, "divide", (20, 4)).await?);
    println!("1 / 0: {:?}", ask(address, "divide", (1, 0)).await);
    println!("power: {:?}", ask(address, "power", (2, 3)).await);
    serving.abort();
    Ok(())
}
