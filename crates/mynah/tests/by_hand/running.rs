//! Methods that come and go while a server runs.

use crate::support::until;
use mynah::prelude::*;
use mynah::{CallError, MethodKind, RegisterError, Router, ServerError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::Notify;

#[mynah::service]
trait Fixed {
    async fn here(&self) -> String;
}

struct MyFixed;

impl Fixed for MyFixed {
    async fn here(&self) -> String {
        "typed".to_owned()
    }
}

async fn echo(peer: &Peer, text: &str) -> Result<String, CallError> {
    peer.call("tools", "echo")
        .args((text.to_owned(),))
        .result()
        .await
        .map_err(plain)
}

async fn ask(
    peer: &Peer,
    service: &'static str,
    method: &'static str,
) -> Result<String, CallError> {
    peer.call(service, method).result().await.map_err(plain)
}

/// What a call by name fails with, its own errors among the others.
fn plain(error: CallError<RpcError>) -> CallError {
    match error {
        CallError::Application(error) => CallError::Remote(error),
        other => other.map_application(|_| unreachable!()),
    }
}

fn absent<T: std::fmt::Debug>(result: Result<T, CallError>) {
    let code = result.unwrap_err().code();
    assert_eq!(code, Some(ErrorCode::METHOD_NOT_FOUND));
}

async fn server() -> mynah::ServerHandle {
    Server::new()
        .register(FixedService::new(MyFixed))
        .method("tools.first", || "first".to_owned())
        .listen("tcp://127.0.0.1:0")
        .start()
        .await
        .unwrap()
}

#[tokio::test]
async fn methods_are_added_and_removed_while_it_runs() {
    let server = server().await;
    let methods = server.methods();
    for peer in [
        mynah::connect(server.address()).await.unwrap(),
        server.local(),
    ] {
        absent(echo(&peer, "a").await);
        methods
            .method("tools.echo", |(text,): (String,)| async move { text })
            .unwrap();
        assert_eq!(echo(&peer, "a").await.unwrap(), "a");
        assert_eq!(echo(&peer, "b").await.unwrap(), "b");
        methods.method("bare", || "bare".to_owned()).unwrap();
        assert_eq!(ask(&peer, "", "bare").await.unwrap(), "bare");

        let names: Vec<_> = methods
            .list()
            .iter()
            .map(|entry| entry.name.to_string())
            .collect();
        assert_eq!(names, ["fixed.here", "tools.first", "bare", "tools.echo"]);
        assert_eq!(methods.list()[3].kind, MethodKind::Unary);

        assert!(methods.remove("tools.echo"));
        assert!(!methods.remove("tools.echo"));
        assert!(methods.remove("bare"));
        absent(echo(&peer, "c").await);
    }
}

#[tokio::test]
async fn what_was_registered_by_hand_can_be_replaced() {
    let server = server().await;
    let methods = server.methods();
    let peer = mynah::connect(server.address()).await.unwrap();
    let local = server.local();
    for peer in [&peer, &local] {
        assert_eq!(ask(peer, "tools", "first").await.unwrap(), "first");
    }
    assert!(methods.remove("tools.first"));
    for peer in [&peer, &local] {
        absent(ask(peer, "tools", "first").await);
    }
    methods
        .method("tools.first", || "second".to_owned())
        .unwrap();
    for peer in [&peer, &local] {
        assert_eq!(ask(peer, "tools", "first").await.unwrap(), "second");
    }
    // A service stays, and keeps its names.
    assert!(!methods.remove("fixed.here"));
    let duplicate = methods.method("fixed.here", || "mine".to_owned());
    assert_eq!(
        duplicate,
        Err(RegisterError::Duplicate("fixed.here".to_owned()))
    );
    let duplicate = methods.method("tools.first", || "third".to_owned());
    assert_eq!(
        duplicate,
        Err(RegisterError::Duplicate("tools.first".to_owned()))
    );
    let fixed: FixedClient = peer.client();
    assert_eq!(fixed.here().await.unwrap(), "typed");
}

#[tokio::test]
async fn calls_in_flight_finish_when_their_method_is_removed() {
    let server = server().await;
    let methods = server.methods();
    let release = Arc::new(Notify::new());
    let started = Arc::new(AtomicUsize::new(0));
    let handler = {
        let (release, started) = (Arc::clone(&release), Arc::clone(&started));
        move |(text,): (String,)| {
            let (release, started) = (Arc::clone(&release), Arc::clone(&started));
            async move {
                let released = release.notified();
                started.fetch_add(1, Ordering::SeqCst);
                released.await;
                text
            }
        }
    };
    methods.method("tools.echo", handler).unwrap();
    let peers = [
        mynah::connect(server.address()).await.unwrap(),
        server.local(),
    ];
    let calls: Vec<_> = peers
        .iter()
        .map(|peer| {
            let peer = peer.clone();
            tokio::spawn(async move { echo(&peer, "late").await })
        })
        .collect();
    until("both have started", || started.load(Ordering::SeqCst) == 2).await;
    assert!(methods.remove("tools.echo"));
    for peer in &peers {
        absent(echo(peer, "new").await);
    }
    release.notify_waiters();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), "late");
    }
}

/// What a closure holds goes with it.
#[tokio::test]
async fn a_removed_method_is_dropped() {
    let server = server().await;
    let methods = server.methods();
    let held = Arc::new(());
    let weak = Arc::downgrade(&held);
    methods
        .method("tools.echo", move |(text,): (String,)| {
            let _held = &held;
            text
        })
        .unwrap();
    assert!(weak.upgrade().is_some());
    assert!(methods.remove("tools.echo"));
    assert!(weak.upgrade().is_none());
}

/// Every call finds the method of one of the two generations, or none; nothing hangs, nothing is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adding_and_removing_under_load_is_safe() {
    let server = server().await;
    let methods = server.methods();
    let over = Arc::new(AtomicBool::new(false));
    let (found, missed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut callers = Vec::new();
    for _ in 0..4 {
        let peer = mynah::connect(server.address()).await.unwrap();
        let (over, found, missed) = (Arc::clone(&over), Arc::clone(&found), Arc::clone(&missed));
        callers.push(tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                match echo(&peer, "x").await {
                    Ok(text) => {
                        assert!(["x0", "x1"].contains(&text.as_str()), "{text}");
                        found.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(error) => {
                        assert_eq!(error.code(), Some(ErrorCode::METHOD_NOT_FOUND), "{error:?}");
                        missed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        }));
    }
    let mut generation = 0;
    while found.load(Ordering::Relaxed) < 500 || missed.load(Ordering::Relaxed) < 50 {
        generation = 1 - generation;
        methods
            .method("tools.echo", move |(text,): (String,)| async move {
                tokio::task::yield_now().await;
                format!("{text}{generation}")
            })
            .unwrap();
        tokio::task::yield_now().await;
        let before = found.load(Ordering::Relaxed);
        until("somebody has found it", || {
            found.load(Ordering::Relaxed) > before
        })
        .await;
        assert!(methods.remove("tools.echo"));
        let before = missed.load(Ordering::Relaxed);
        until("somebody has missed it", || {
            missed.load(Ordering::Relaxed) > before
        })
        .await;
    }
    over.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_registered_is_refused_at_the_start() {
    async fn refused(router: Router) -> RegisterError {
        match Server::new().router(router).start().await {
            Err(ServerError::Register(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    let twice = Router::new().method("a.b", || 1).method("a.b", || 2);
    assert_eq!(
        refused(twice).await,
        RegisterError::Duplicate("a.b".to_owned())
    );
    let typed = Router::new()
        .register(FixedService::new(MyFixed))
        .method("fixed.here", || 1);
    assert_eq!(
        refused(typed).await,
        RegisterError::Duplicate("fixed.here".to_owned())
    );
    for name in [
        "",
        ".a",
        "a.",
        "a.b.c",
        "$sys",
        "$sys.ping",
        "a/b",
        "a\nb",
        &"n".repeat(129),
    ] {
        let error = refused(Router::new().method(name, || 1)).await;
        assert!(
            matches!(error, RegisterError::Name(..)),
            "{name:?}: {error}"
        );
    }
    // Mixed with a service under one name.
    let mixed = Router::new()
        .register(FixedService::new(MyFixed))
        .method("fixed.there", || "by hand".to_owned());
    assert!(mixed.check().is_ok());
    let two = Router::new()
        .fallback(|_: Context, call: mynah::RawCall| async move { Err(call.not_found()) })
        .fallback(|_: Context, call: mynah::RawCall| async move { Err(call.not_found()) });
    assert!(matches!(refused(two).await, RegisterError::Handlers(_)));
}
