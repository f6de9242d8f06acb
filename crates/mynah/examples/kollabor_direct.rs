//! Methods that are called without a socket: a program that has the lines of PyPI kollabor-rpc from elsewhere hands them to
//! a router and gets the answers, and the same router is called in Rust with no bytes at all.
//!
//! `cargo run --example kollabor_direct` shows both. What is registered here could be listened to as well, with
//! `Server::new().router(router)`; see the example `kollabor_socket`.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use mynah::dialect::Kollabor;
use mynah::prelude::*;
use mynah::protocol::{FormatId, Metadata, MethodName, Payload, Request, Streams, WireId};
use mynah::{Evidence, EvidenceKey, Limits, Router};
use std::sync::Arc;
use std::time::Duration;

/// Methods are called `greeting.greet` and so on; their params are one object.
#[mynah::service(name = "greeting")]
pub trait Greeting {
    /// A greeting.
    async fn greet(&self, cx: &Context, name: String) -> Result<String, RpcError>;
    /// Never ends by itself: the `timeout` of the caller ends it.
    async fn wait(&self) -> u64;
}

struct Here;

impl Greeting for Here {
    async fn greet(&self, cx: &Context, name: String) -> Result<String, RpcError> {
        let who = cx.evidence().text(EvidenceKey::TRANSPORT).unwrap_or("?");
        Ok(format!("hello {name}, by way of {who}"))
    }

    async fn wait(&self) -> u64 {
        std::future::pending().await
    }
}

/// What is known of whoever asks: handlers and interceptors see it as they see a socket's.
fn caller(way: &str) -> Evidence {
    Evidence::new().with(EvidenceKey::TRANSPORT, way)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The limits and deadlines of a connection hold here too.
    let router = Router::new()
        .limits(Limits::DEFAULT.with_max_deadline(Some(Duration::from_secs(60))))
        .register(GreetingService::new(Here));
    let router = Arc::new(router);

    // Lines in, lines out: good ones, junk, and one whose time is short.
    let lines = concat!(
        r#"{"action": "rpc_request", "request_id": "r1", "method": "greeting.greet", "params": {"name": "h\u00e9"}}"#,
        "\n",
        "this is no request\n",
        r#"{"action": "rpc_request", "request_id": "r2", "method": "greeting.nope", "params": {}}"#,
        "\n",
        r#"{"action": "rpc_request", "request_id": "r3", "method": "greeting.wait", "timeout": 0.05}"#,
        "\n",
    );
    let answers = router
        .handle_wire(&Kollabor::new(), lines, caller("a pipe"))
        .await?;
    let answers = answers.ok_or("three requests have answers")?;
    print!("{}", String::from_utf8_lossy(&answers));

    // One request as a value, one response as a value.
    let request = Request {
        id: WireId::Text("r4".into()),
        name: MethodName::new("greeting", "greet").into_owned(),
        timeout: Some(Duration::from_secs(5)),
        metadata: Metadata::new(),
        streams: Streams::NONE,
        params: Payload::lent(FormatId::Json, br#"{"name": "Ada"}"#).into_owned(),
    };
    let response = router.dispatch(
        mynah::protocol::Envelope::Request(request),
        caller("memory"),
    );
    let response = response.await.ok_or("a request has a response")?;
    match response.result {
        Ok(result) => println!(
            "{}: {}",
            response.id,
            String::from_utf8_lossy(result.as_slice())
        ),
        Err(error) => println!("{}: {error}", response.id),
    }
    Ok(())
}
