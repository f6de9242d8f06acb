//! A worker on its own stdin and stdout, for the tests of stdio.
//!
//! usage: `stdio_worker interop {cbor|json}`: the interop service, in cbor-rpc
//!        `stdio_worker native`: the service `worker`
//!        `stdio_worker json`: the service `worker`, in cbor-rpc over plain lines of JSON
//!        `stdio_worker parent`: starts a child, prints its pid and ends
//!        `stdio_worker listen URL`: the service `worker`, where and how the URL says
//!        `stdio_worker flooded`: starts a child that says one endless line of JSON, and prints by how many KiB its own
//!        memory has grown in the end and how the connection ended
//!        `stdio_worker refused`: fails to take stdin and stdout, says why, and ends when nobody reads stdin
//!        `stdio_worker take`: takes stdin and stdout, says READY and ends while it still reads
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    reason = "what a worker does to its stdout and to its process is what is tested"
)]

mod here;
#[allow(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../../../tests/it/service.rs"]
mod service;
#[path = "../../../tests/it/worker.rs"]
mod worker;

use mynah::dialect::{CborRpc, Dialect, Native};
use mynah::prelude::*;
use mynah::stdio::{OwnStdio, OwnStdioListener, Program};
use mynah::{Limits, Peer, Router, Server};
use mynah_codec::dialect::cbor_rpc::Padding;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["interop", "cbor"] => serve(service::Here::default().router(), CborRpc::cbor()).await,
        ["interop", "json"] => {
            let dialect = CborRpc::json(Padding::Python);
            serve(service::Here::default().router(), dialect).await;
        }
        ["native"] => serve(here::router(), Native::new()).await,
        ["json"] => serve(here::router(), CborRpc::json(Padding::Newline)).await,
        ["take"] => {
            let taken = OwnStdio::take().expect("stdin and stdout can be taken");
            eprintln!("READY");
            // Taken, and being read, until the process is over.
            tokio::spawn(async move {
                let mut stdio = taken.connection;
                tokio::io::AsyncReadExt::read_u8(&mut stdio).await
            });
            tokio::task::yield_now().await;
        }
        ["listen", url] => {
            let server = Server::new().router(here::router()).listen(url).start();
            let server = server.await.expect("the server starts");
            eprintln!("READY");
            server.finished().await;
        }
        ["flooded"] => {
            let script = "printf '[1,0,1,\"'; exec tr '\\0' x </dev/zero";
            let child = Program::new("sh").args(["-c", script]).spawn();
            let child = child.expect("it starts");
            let handle = child.connection.handle();
            let before = most_memory_kib();
            let limits = Limits::default().with_max_message_bytes(1 << 20);
            let peer = Peer::over(child.connection, &CborRpc::json(Padding::Newline))
                .limits(limits)
                .start()
                .expect("nothing is registered");
            let reason = peer.closed().await;
            handle.wait().await;
            println!("{} {reason}", most_memory_kib() - before);
        }
        ["refused"] => {
            let error = OwnStdio::take().expect_err("one of them cannot be taken");
            let source = std::error::Error::source(&error).map(ToString::to_string);
            while is_thread("mynah-stdin") {
                tokio::task::yield_now().await;
            }
            eprintln!("{error}: {}", source.unwrap_or_default());
        }
        ["parent"] => {
            // It outlives its stdin, and this process does not wait for it.
            let sleeps = Program::new("sleep").arg("60").spawn();
            println!("{}", sleeps.expect("it starts").connection.handle().pid());
        }
        _ => {
            eprintln!("stdio_worker: unknown arguments");
            std::process::exit(64);
        }
    }
}

/// The most memory that this process has had.
fn most_memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.expect("VmHWM").parse().expect("a number")
}

/// Whether this process has such a thread.
fn is_thread(name: &str) -> bool {
    let threads = std::fs::read_dir("/proc/self/task").expect("/proc");
    threads.flatten().any(|thread| {
        let its = std::fs::read_to_string(thread.path().join("comm"));
        its.is_ok_and(|its| its.trim_end() == name)
    })
}

/// Serves until the other side has gone.
async fn serve(router: Router, dialect: impl Dialect) {
    let listener = OwnStdioListener::bind().expect("stdin and stdout can be taken");
    let server = Server::new()
        .router(router)
        .listen_on(listener, dialect)
        .start()
        .await
        .expect("the server starts");
    eprintln!("READY");
    server.finished().await;
}
