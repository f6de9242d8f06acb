//! G2: a server outlives the want of file descriptors. In a program of its own, because the limit is one of the process.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use mynah::dialect::Native;
use mynah::prelude::*;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fmt::Write as _;
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tracing::span;

#[mynah::service]
trait Hello {
    async fn hello(&self, name: String) -> String;
}

struct MyHello;

impl Hello for MyHello {
    async fn hello(&self, name: String) -> String {
        format!("hello {name}")
    }
}

/// How often a listener has said that it cannot accept.
static FAILURES: AtomicUsize = AtomicUsize::new(0);

/// Hears the warnings of the server.
struct Warnings;

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn event(&self, event: &tracing::Event<'_>) {
        struct Text(String);
        impl tracing::field::Visit for Text {
            fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                write!(self.0, "{value:?} ").unwrap();
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        if text.0.contains("cannot accept a connection") && text.0.contains("os error 24") {
            FAILURES.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// Opens files until no more can be opened.
fn open_all() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let waiting = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting)
        .await
        .expect(what);
}

#[tokio::test]
async fn g2_a_server_without_file_descriptors_goes_on_when_there_are_some() {
    tracing::subscriber::set_global_default(Warnings).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let server = Server::new()
        .register(HelloService::new(MyHello))
        .listen("tcp://127.0.0.1:0")
        .listen(&format!("unix:{}", path.display()))
        .start()
        .await
        .unwrap();
    let address = server.address().strip_prefix("tcp://").unwrap().to_owned();

    // A few more than are open now.
    let open = File::open("/dev/null").unwrap().as_raw_fd();
    let limit = Rlimit {
        current: Some(u64::try_from(open).unwrap() + 16),
        ..getrlimit(Resource::Nofile)
    };
    setrlimit(Resource::Nofile, limit).unwrap();
    for round in 0..3 {
        let mut files = open_all();
        assert!(files.len() >= 4, "{} files", files.len());
        // Room for the clients, none for the other ends.
        drop(files.split_off(files.len() - 2));
        let tcp = std::net::TcpStream::connect(&address).unwrap();
        let unix = std::os::unix::net::UnixStream::connect(&path).unwrap();
        assert!(File::open("/dev/null").is_err(), "there is room");
        // Both listeners have tried, and try again.
        let before = FAILURES.load(Ordering::SeqCst);
        until("accepting fails", || {
            FAILURES.load(Ordering::SeqCst) >= before + 6
        })
        .await;
        assert_eq!(server.peers().len(), 0, "round {round}");

        drop(files);
        tcp.set_nonblocking(true).unwrap();
        unix.set_nonblocking(true).unwrap();
        let tcp = Peer::over(
            tokio::net::TcpStream::from_std(tcp).unwrap(),
            &Native::new(),
        );
        let unix = Peer::over(
            tokio::net::UnixStream::from_std(unix).unwrap(),
            &Native::new(),
        );
        for waiting in [tcp, unix] {
            let client: HelloClient = waiting.start().unwrap().client();
            assert_eq!(client.hello("you".into()).await.unwrap(), "hello you");
        }
        for url in server.addresses() {
            let client: HelloClient = mynah::connect(url).await.unwrap().client();
            assert_eq!(client.hello("you".into()).await.unwrap(), "hello you");
        }
        until("the connections are over", || server.peers().is_empty()).await;
    }
}
