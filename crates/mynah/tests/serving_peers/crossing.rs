//! Ends that cross an admission: a stop, a permit that panics, a peer that has ended its direction.

use crate::support::*;
use mynah::prelude::*;
use mynah::{CloseReason, Limits, ServerHandle, Session, SessionLimit, SessionPermit};
use mynah::{SessionPolicy, Verdict};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The server stops when everybody has admitted the connection and nothing of it has been handled.
#[tokio::test]
async fn who_has_admitted_a_session_hears_of_its_end_though_the_server_stops() {
    for waits_first in [false, true] {
        let ends = Ends::default();
        let limit = SessionLimit::new(1);
        let stop: Arc<OnceLock<ServerHandle>> = Arc::default();
        let stopping: Weak<_> = Arc::downgrade(&stop);
        let server = server()
            .admit(limit.clone())
            .on_connect(move |session: Session| {
                let stopping = stopping.clone();
                async move {
                    if waits_first {
                        tokio::task::yield_now().await;
                    }
                    session.set_id("crosses").unwrap();
                    stopping.upgrade().unwrap().get().unwrap().stop();
                    Ok(())
                }
            })
            .on_disconnect(ends.note())
            .listen("tcp://127.0.0.1:0")
            .start()
            .await
            .unwrap();
        let address = server.address().to_owned();
        stop.set(server).unwrap();
        let peer = mynah::connect(&address).await.unwrap();
        within("closed", peer.closed()).await;
        until("it is told", || ends.len() > 0).await;
        until("its place is free", || limit.in_use() == 0).await;
        let told = ends.all();
        assert!(
            matches!(&*told, [(id, CloseReason::Local)] if id == "crosses"),
            "{told:?}"
        );
    }
}

/// Gives permits whose drop panics, and then refuses if it is told to.
struct Explosive;

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("on purpose: a permit");
    }
}

impl SessionPolicy for Explosive {
    fn admit(&self, _session: &Session) -> Verdict {
        Verdict::Admit(SessionPermit::new(Bomb))
    }
}

/// Refuses as long as it is told to.
struct Gate(Arc<AtomicBool>);

impl SessionPolicy for Gate {
    fn admit(&self, _session: &Session) -> Verdict {
        if self.0.load(Ordering::SeqCst) {
            return Verdict::Refuse(RpcError::new(ErrorCode::application(4), "closed"));
        }
        Verdict::admit()
    }
}

/// A permit is the program's, and so is what its drop does: neither the listener nor the books go with it.
#[tokio::test]
async fn a_permit_whose_drop_panics_ends_nothing_but_its_session() {
    let closed = Arc::new(AtomicBool::new(true));
    let ends = Ends::default();
    let server = server()
        .admit(Explosive)
        .admit(Gate(Arc::clone(&closed)))
        .on_disconnect(ends.note())
        .listen("tcp://127.0.0.1:0")
        .start()
        .await
        .unwrap();
    // Given back by one that was refused: it hears why, and the listener goes on.
    for _ in 0..2 {
        let refused = connect(&server, "").await;
        let (code, text) = refusal(&refused).await;
        assert_eq!((code, &*text), (ErrorCode::application(4), "closed"));
    }
    // Given back at the end of a session, in its task.
    closed.store(false, Ordering::SeqCst);
    let first = connect(&server, "").await;
    let called = within("answer", async { desk(&first).echo("a".into()).await });
    assert_eq!(called.await.unwrap(), "a");
    drop(first);
    until("it is told", || ends.len() == 1).await;
    let second = connect(&server, "").await;
    let called = within("answer", async { desk(&second).echo("b".into()).await });
    assert_eq!(called.await.unwrap(), "b");
    // A drain hears that the last one is gone, and does not wait for the end of its grace.
    let grace = Duration::from_secs(3600);
    let report = within("drain", server.drain(grace)).await;
    assert!(report.is_complete(), "{report}");
    assert_eq!(ends.len(), 2);
}

fn address(server: &ServerHandle) -> &str {
    server.address().strip_prefix("tcp://").unwrap()
}

/// One that has asked and ended its direction waits for its answer, and for its turn, on a wire that has it so.
#[tokio::test]
async fn a_peer_that_has_ended_its_direction_keeps_its_place_if_it_has_asked() {
    const ECHO: &[u8] =
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"desk.echo\",\"params\":{\"text\":\"late\"}}\n";
    let limit = SessionLimit::exclusive().queue(8);
    let limits = Limits::new().with_admission_timeout(Duration::from_secs(600));
    let server = server()
        .limits(limits)
        .admit(limit.clone())
        .listen("tcp://127.0.0.1:0?dialect=jsonrpc")
        .start()
        .await
        .unwrap();
    let owner = connect(&server, "?dialect=jsonrpc").await;
    assert_eq!(desk(&owner).echo("a".into()).await.unwrap(), "a");

    let mut asked = TcpStream::connect(address(&server)).await.unwrap();
    asked.write_all(ECHO).await.unwrap();
    asked.shutdown().await.unwrap();
    until("it waits", || limit.waiting() == 1).await;
    // One that has said nothing is gone. It came later, so the end of the first has been seen by then.
    let mut silent = TcpStream::connect(address(&server)).await.unwrap();
    until("both wait", || limit.waiting() == 2).await;
    silent.shutdown().await.unwrap();
    until("one is gone", || limit.waiting() < 2).await;
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert_eq!((limit.in_use(), limit.waiting()), (1, 1));

    drop(owner);
    let mut heard = String::new();
    within("its answer", asked.read_to_string(&mut heard))
        .await
        .unwrap();
    let first = heard.lines().find(|line| !line.is_empty()).unwrap();
    let answer: serde_json::Value = serde_json::from_str(first).unwrap();
    assert_eq!(answer["result"], "late");
    until("its place is free", || limit.in_use() == 0).await;
}

/// On other wires the end of its direction is its end.
#[tokio::test]
async fn a_peer_that_has_ended_its_direction_leaves_the_queue_of_other_wires() {
    let limit = SessionLimit::exclusive().queue(8);
    let server = server()
        .limits(Limits::new().with_admission_timeout(Duration::from_secs(600)))
        .admit(limit.clone())
        .listen("tcp://127.0.0.1:0?dialect=cbor-rpc")
        .start()
        .await
        .unwrap();
    let owner = connect(&server, "?dialect=cbor-rpc").await;
    assert_eq!(desk(&owner).echo("a".into()).await.unwrap(), "a");
    let mut asked = TcpStream::connect(address(&server)).await.unwrap();
    // [1, 0, 7, "echo", ["x"]]
    asked
        .write_all(b"\x85\x01\x00\x07\x64echo\x81\x61x")
        .await
        .unwrap();
    until("it waits", || limit.waiting() == 1).await;
    asked.shutdown().await.unwrap();
    until("it is gone", || limit.waiting() == 0).await;
    let mut heard = Vec::new();
    within("the end", asked.read_to_end(&mut heard))
        .await
        .unwrap();
    assert!(heard.is_empty());
}
