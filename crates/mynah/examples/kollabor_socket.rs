//! A state service for clients of PyPI kollabor-rpc on a Unix socket, and a Mynah client of it.
//!
//! `cargo run --example kollabor_socket` shows both and ends. `cargo run --example kollabor_socket -- PATH` serves on PATH
//! until it is interrupted; this Python program (`pip install kollabor-rpc`) then calls it:
//!
//! ```python
//! import asyncio, json, sys
//! from kollabor_rpc import RpcClient, open_unix_connection_with_large_buffer
//!
//! async def main(path):
//!     reader, writer = await open_unix_connection_with_large_buffer(path)
//!     client = RpcClient(writer)
//!
//!     async def read():
//!         while line := await reader.readline():
//!             if line.strip():
//!                 client.on_reply(json.loads(line))
//!
//!     reading = asyncio.create_task(read())
//!     print(await client.call("ping"))
//!     print(await client.call("state.set_agent", {"name": "lapis"}))
//!     print(await client.call("state.get_active_agent"))
//!
//! asyncio.run(main(sys.argv[1]))
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use mynah::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// An agent, as it stands in replies.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Agent {
    /// Its name.
    pub name: String,
    /// Whether it is the one that answers now.
    pub is_active: bool,
}

/// Methods are called `state.get_active_agent` and so on; their params are one object.
#[mynah::service(name = "state")]
pub trait State {
    /// Which agent answers now.
    async fn get_active_agent(&self) -> Agent;
    /// Another agent answers from now on.
    async fn set_agent(&self, name: String) -> Result<Agent, RpcError>;
    /// Takes its time; the `timeout` of the caller ends it.
    async fn reload_mcp_servers(&self) -> u64;
}

/// A service without a name: its methods are called as they are.
#[mynah::service(name = "")]
pub trait Health {
    /// Whether anybody is there.
    async fn ping(&self) -> Pong;
}

/// That somebody is.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Pong {
    /// `ok`.
    pub status: String,
}

#[derive(Clone, Default)]
struct Here {
    active: Arc<Mutex<String>>,
}

impl Here {
    fn active(&self) -> Agent {
        let name = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        Agent {
            name: name.clone(),
            is_active: true,
        }
    }
}

impl State for Here {
    async fn get_active_agent(&self) -> Agent {
        self.active()
    }

    async fn set_agent(&self, name: String) -> Result<Agent, RpcError> {
        if name.is_empty() {
            // Reaches Python as RpcHandlerError with this text.
            let code = ErrorCode::application(1);
            return Err(RpcError::new(code, "an agent has a name"));
        }
        *self.active.lock().unwrap_or_else(PoisonError::into_inner) = name;
        Ok(self.active())
    }

    async fn reload_mcp_servers(&self) -> u64 {
        tokio::time::sleep(Duration::from_secs(60)).await;
        0
    }
}

impl Health for Here {
    async fn ping(&self) -> Pong {
        Pong {
            status: "ok".to_owned(),
        }
    }
}

async fn serve(path: &str) -> Result<mynah::ServerHandle, mynah::ServerError> {
    let here = Here::default();
    Server::new()
        .register(StateService::new(here.clone()))
        .register(HealthService::new(here))
        .listen(&format!("unix:{path}?dialect=kollabor"))
        .start()
        .await
}

/// What a Mynah client does; the other side may as well be a hub in Python.
async fn call(path: &str) -> Result<(), Box<dyn std::error::Error>> {
    // A hub takes lines of 64 KiB: a larger request fails here, and the connection is not lost.
    let url = format!("unix:{path}?dialect=kollabor&max_sent_bytes=64KiB");
    let peer = mynah::connect(&url).await?;
    let (health, state): (HealthClient, StateClient) = (peer.client(), peer.client());
    println!("ping: {}", health.ping().await?.status);
    println!("agent: {}", state.set_agent("lapis".to_owned()).await?.name);
    match state.set_agent(String::new()).await {
        Err(CallError::Application(error)) => println!("refused: {}", error.message()),
        other => return Err(format!("it was taken: {other:?}").into()),
    }
    match state.set_agent("x".repeat(100_000)).await {
        Err(CallError::Encode(error)) => println!("not sent: {error}"),
        other => return Err(format!("it was sent: {other:?}").into()),
    }
    // The request says how long the caller waits, and a server on this side holds to it.
    let reload = state.reload_mcp_servers();
    match reload.deadline(Duration::from_millis(50)).await {
        Err(CallError::Deadline) => println!("the deadline has passed"),
        other => return Err(format!("it came: {other:?}").into()),
    }
    println!("agent: {}", state.get_active_agent().await?.name);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let Some(path) = std::env::args().nth(1) {
        let server = serve(&path).await?;
        println!("serving on {path}");
        tokio::signal::ctrl_c().await?;
        println!("{:?}", server.drain(Duration::from_secs(5)).await);
        return Ok(());
    }
    let name = format!("mynah-kollabor-{}.sock", std::process::id());
    let path = std::env::temp_dir().join(name);
    let path = path.to_str().ok_or("a path that is text")?;
    let server = serve(path).await?;
    call(path).await?;
    let report = server.drain(Duration::from_secs(5)).await;
    println!("{report}");
    Ok(())
}
