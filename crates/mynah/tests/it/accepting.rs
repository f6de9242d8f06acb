//! Accepting connections when the machine or the network does not play along.

use crate::probe::{MyProbe, ProbeClient};
use mynah::dialect::Native;
use mynah::prelude::*;
use mynah::protocol::{Accepted, Listener, TransportError, TransportErrorKind};
use mynah::tcp::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

/// Fails so many times before it accepts anything, as a process does that has no file descriptors left.
struct Exhausted {
    listener: TcpListener,
    failures: Arc<AtomicUsize>,
}

impl Listener for Exhausted {
    type Connection = TcpStream;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Accepted<TcpStream>, TransportError>>> {
        let fail = |left: usize| left.checked_sub(1);
        if self
            .failures
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, fail)
            .is_ok()
        {
            let error = TransportError::new(TransportErrorKind::Exhausted, "accept failed");
            return Poll::Ready(Some(Err(error)));
        }
        self.listener.poll_accept(cx)
    }

    fn address(&self) -> String {
        self.listener.address()
    }
}

#[tokio::test]
async fn a_listener_outlives_attempts_that_fail() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let failures = Arc::new(AtomicUsize::new(5));
    let listener = Exhausted {
        listener,
        failures: Arc::clone(&failures),
    };
    let server = Server::new()
        .register(MyProbe::new().service())
        .listen_on(listener, Native::new())
        .start()
        .await
        .unwrap();
    let client: ProbeClient = mynah::connect(server.address()).await.unwrap().client();
    assert_eq!(client.echo("after all".into()).await.unwrap(), "after all");
    assert_eq!(failures.load(Ordering::SeqCst), 0);
}
