//! Blocking where it must not be, and where it may.

use crate::support::*;
use mynah::blocking;
use mynah::prelude::*;
use mynah::{ConnectError, EndReason};

/// Everything that waits, within async code.
fn refuses(server: &blocking::ServerHandle, peer: &blocking::Peer) {
    let desk: Client = peer.client();
    let misused = |error: CallError<RpcError>| {
        let text = error.to_string();
        assert!(matches!(error, CallError::Misuse(_)), "{text}");
        assert!(text.contains("within async code"), "{text}");
    };
    misused(desk.add(1, 2).wait().unwrap_err());
    misused(desk.add(1, 2).start().wait().unwrap_err());
    misused(desk.note("a".into()).wait().unwrap_err().into_remote());
    misused(desk.sum(vec![1]).wait().unwrap_err().into_remote());
    misused(desk.count(3).wait().next().unwrap().unwrap_err());
    assert!(desk.count(3).wait().nth(1).is_none());
    misused(peer.subscribe::<u32>("a").wait().unwrap_err());
    misused(server.drain(None).unwrap_err().into_remote());
    let mut heard = peer.listen::<u32>("a").unwrap();
    assert!(matches!(heard.next(), Some(Err(EndReason::Error(_)))));
    let refused = blocking::connect(server.address()).unwrap_err();
    assert!(matches!(refused, ConnectError::Transport(_)), "{refused}");
    assert!(
        refused.to_string().contains("within async code"),
        "{refused}"
    );
    let refused = blocking::Server::new().start().unwrap_err();
    assert!(
        refused.to_string().contains("within async code"),
        "{refused}"
    );
}

trait IntoRemote {
    fn into_remote(self) -> CallError<RpcError>;
}

impl IntoRemote for CallError {
    fn into_remote(self) -> CallError<RpcError> {
        match self {
            Self::Misuse(how) => CallError::Misuse(how),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn within_async_code_it_is_an_error_and_nothing_else_happens() {
    let server = serve("tcp://127.0.0.1:0");
    let peer = connect(&server);
    let desk: Client = peer.client();
    let single = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let several = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    for runtime in [single, several] {
        runtime.block_on(async { refuses(&server, &peer) });
        let (spawned, its) = (connect(&server), serve("tcp://127.0.0.1:0"));
        // Whatever was dropped there is closed all the same.
        let task = runtime.spawn(async move {
            refuses(&its, &spawned);
            drop((its, spawned));
        });
        runtime.block_on(task).unwrap();
        // A call through it may be awaited: its own thread drives it then.
        let sum = runtime.block_on(async { desk.add(2, 3).await });
        assert_eq!(sum.unwrap(), 5);
        // A thread of the runtime that may block.
        let blocks = desk.clone();
        let sum = runtime.spawn_blocking(move || blocks.add(3, 4).wait());
        assert_eq!(runtime.block_on(sum).unwrap().unwrap(), 7);
        // One that only knows of the runtime.
        let entered = runtime.enter();
        assert_eq!(desk.add(4, 5).wait().unwrap(), 9);
        drop(entered);
        // A task that was taken out of the budget cannot be told from it, until tokio does.
        let outside = runtime.block_on(tokio::task::unconstrained(async { desk.add(1, 2).wait() }));
        assert!(matches!(outside, Err(CallError::Misuse(_))), "{outside:?}");
    }
    until("the others are gone", || server.peers().len() == 1);
    assert_eq!(desk.add(1, 2).wait().unwrap(), 3);
    assert_eq!(desk.noted().wait().unwrap(), Vec::<String>::new());
}

/// What listens to progress runs where the connection is driven: it is async code, and is told so.
#[test]
fn a_listener_of_a_call_must_not_wait() {
    let server = serve("tcp://127.0.0.1:0");
    let desk: Client = connect(&server).client();
    let handler = connect(&server);
    // A handler of this side is polled there too.
    let nested = desk.clone();
    let waited = desk
        .add(1, 1)
        .within_blocking(&handler, move || nested.add(1, 1).wait());
    assert!(matches!(waited, Err(CallError::Misuse(_))), "{waited:?}");
}

trait Within {
    /// Runs a function where the connection of a peer is driven.
    fn within_blocking<R>(self, peer: &blocking::Peer, function: impl FnOnce() -> R) -> R;
}

impl<T> Within for T {
    fn within_blocking<R>(self, peer: &blocking::Peer, function: impl FnOnce() -> R) -> R {
        peer.wait(async { function() }).unwrap()
    }
}
