//! Who is admitted, who waits, who is refused, and who hears of it.

use crate::support::*;
use mynah::memory::MemoryEnd;
use mynah::prelude::*;
use mynah::protocol::{Accepted, Listener, TransportError};
use mynah::{AttachError, CloseReason, Evidence, Limits, Session, SessionLimit, SessionPermit};
use mynah::{SessionPolicy, Verdict};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{self, Poll};
use std::time::Duration;
use tokio::sync::Semaphore;

const BUSY: ErrorCode = ErrorCode::BUSY;

#[tokio::test]
async fn beyond_n_sessions_one_more_is_refused_and_told_why() {
    let limit = SessionLimit::new(2);
    let server = server().admit(limit.clone()).listen("tcp://127.0.0.1:0");
    let server = server.start().await.unwrap();
    let (one, other) = (connect(&server, "").await, connect(&server, "").await);
    for peer in [&one, &other] {
        assert_eq!(desk(peer).echo("a".into()).await.unwrap(), "a");
    }
    assert_eq!((limit.in_use(), limit.waiting()), (2, 0));
    let third = connect(&server, "").await;
    let (code, text) = refusal(&third).await;
    assert_eq!(
        (code, &*text),
        (BUSY, "as many sessions are open as may be")
    );
    let error = desk(&third).echo("b".into()).await.unwrap_err();
    assert!(
        matches!(error, CallError::Disconnected(CloseReason::Refused(..))),
        "{error:?}"
    );
    assert_eq!(server.peers().len(), 2);
    // A place comes back with the end of a session.
    drop(one);
    until("its place is free", || limit.in_use() == 1).await;
    let fourth = connect(&server, "").await;
    assert_eq!(desk(&fourth).echo("d".into()).await.unwrap(), "d");
}

/// A wire that cannot say why it ends answers what was asked.
#[tokio::test]
async fn on_a_wire_without_ends_the_first_call_says_why() {
    let server = server().admit(SessionLimit::new(0));
    let server = server.listen("tcp://127.0.0.1:0?dialect=cbor-rpc");
    let server = server.start().await.unwrap();
    let peer = connect(&server, "?dialect=cbor-rpc").await;
    let error = within("answer", async { desk(&peer).echo("a".into()).await }).await;
    let error = error.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("as many sessions are open as may be"),
        "{error}"
    );
    within("closed", peer.closed()).await;
    // One that says nothing is not kept for long.
    let silent = connect(&server, "?dialect=cbor-rpc").await;
    within("closed", silent.closed()).await;
    assert_eq!(server.peers().len(), 0);
}

/// Accepts ends of pairs in memory.
struct Carriers(tokio::sync::mpsc::Receiver<MemoryEnd>);

impl Listener for Carriers {
    type Connection = MemoryEnd;

    fn poll_accept(
        &mut self,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Accepted<MemoryEnd>, TransportError>>> {
        self.0.poll_recv(cx).map(|end| {
            let evidence = Evidence::new();
            end.map(|connection| {
                Ok(Accepted {
                    connection,
                    evidence,
                })
            })
        })
    }

    fn address(&self) -> String {
        "pairs".to_owned()
    }
}

#[tokio::test]
async fn a_carrier_waits_and_is_refused_as_bytes_are() {
    let (accept, listener) = tokio::sync::mpsc::channel(8);
    let limit = SessionLimit::exclusive().queue(2);
    let server = server().admit(limit.clone());
    let server = server.listen_on_transport(Carriers(listener));
    let server = server.start().await.unwrap();
    let open = async || {
        let (near, far) = mynah::memory::pair();
        accept.send(far).await.unwrap();
        Peer::over_transport(near).start().unwrap()
    };
    let owner = open().await;
    assert_eq!(desk(&owner).echo("a".into()).await.unwrap(), "a");
    let waits = open().await;
    let call = desk(&waits).echo("b".into()).start();
    until("it waits", || limit.waiting() == 1).await;
    let goes = open().await;
    until("it waits", || limit.waiting() == 2).await;
    let refused = open().await;
    let error = within("answer", async { desk(&refused).echo("c".into()).await }).await;
    let error = error.unwrap_err();
    assert!(matches!(error, CallError::Busy { .. }), "{error:?}");
    drop(goes);
    until("it has left", || limit.waiting() == 1).await;
    assert_eq!(server.peers().len(), 1);
    drop(owner);
    assert_eq!(within("its turn", call).await.unwrap(), "b");
    within("closed", refused.closed()).await;
}

#[tokio::test]
async fn exclusive_access_goes_round_in_the_order_of_arrival() {
    let limit = SessionLimit::exclusive().queue(8);
    let server = server().admit(limit.clone()).listen("tcp://127.0.0.1:0");
    let server = server.start().await.unwrap();
    let mut owner = connect(&server, "").await;
    desk(&owner).echo(String::new()).await.unwrap();
    let mut waiting = Vec::new();
    for number in 0..5 {
        let peer = connect(&server, "").await;
        // What it says meanwhile is not lost.
        let call = desk(&peer).echo(number.to_string()).start();
        until("it waits", || limit.waiting() == number + 1).await;
        waiting.push((number, peer, call));
    }
    assert_eq!((limit.in_use(), server.peers().len()), (1, 1));
    // The third in the queue goes: nobody waits for it.
    let (_, gone, call) = waiting.remove(2);
    drop(call);
    gone.close();
    drop(gone);
    until("it has left", || limit.waiting() == 4).await;
    for (number, peer, call) in waiting {
        drop(owner);
        assert_eq!(within("its turn", call).await.unwrap(), number.to_string());
        assert_eq!((limit.in_use(), server.peers().len()), (1, 1));
        owner = peer;
    }
    drop(owner);
    until("nobody is there", || {
        limit.in_use() == 0 && server.peers().is_empty()
    })
    .await;
    assert_eq!(limit.waiting(), 0);
}

/// An owner whose process dies says nothing.
#[tokio::test]
async fn an_owner_that_vanishes_gives_its_place_to_the_next() {
    let limit = SessionLimit::exclusive().queue(1);
    let server = server().admit(limit.clone()).listen("tcp://127.0.0.1:0");
    let server = server.start().await.unwrap();
    let address = server.address().strip_prefix("tcp://").unwrap().to_owned();
    // Half a message, and then nothing.
    let mut owner = tokio::net::TcpStream::connect(&address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut owner, b"\0\0")
        .await
        .unwrap();
    until("it is in", || limit.in_use() == 1).await;
    let next = connect(&server, "").await;
    let call = desk(&next).echo("a".into()).start();
    until("it waits", || limit.waiting() == 1).await;
    drop(owner);
    assert_eq!(within("its turn", call).await.unwrap(), "a");
}

#[tokio::test]
async fn waiting_is_bounded_in_number_and_in_time() {
    let limit = SessionLimit::exclusive().queue(8);
    let limits = Limits::new()
        .with_waiting_connections(2)
        .with_admission_timeout(Duration::from_millis(300));
    let server = server().limits(limits).admit(limit.clone());
    let server = server.listen("tcp://127.0.0.1:0").start().await.unwrap();
    let owner = connect(&server, "").await;
    desk(&owner).echo(String::new()).await.unwrap();
    let first = connect(&server, "").await;
    let second = connect(&server, "").await;
    let third = connect(&server, "").await;
    let mut told = Vec::new();
    for peer in [&first, &second, &third] {
        told.push(refusal(peer).await);
    }
    told.sort_by(|one, other| one.1.cmp(&other.1));
    let late = (BUSY, "not admitted in time".to_owned());
    let many = (BUSY, "as many connections wait as may".to_owned());
    assert_eq!(told, [many, late.clone(), late]);
    assert_eq!((limit.in_use(), limit.waiting()), (1, 0));
    // The owner has not noticed.
    assert_eq!(desk(&owner).echo("a".into()).await.unwrap(), "a");
}

#[tokio::test]
async fn patience_of_a_limit_is_its_own() {
    let limit = SessionLimit::exclusive()
        .queue(1)
        .patience(Duration::from_millis(50));
    let server = server().admit(limit.clone()).listen("tcp://127.0.0.1:0");
    let server = server.start().await.unwrap();
    let owner = connect(&server, "").await;
    desk(&owner).echo(String::new()).await.unwrap();
    let (code, text) = refusal(&connect(&server, "").await).await;
    assert_eq!((code, &*text), (BUSY, "no session has ended in time"));
    assert_eq!(limit.waiting(), 0);
}

/// What `on_connect` does holds for the session: its id, its state, and whether there is one.
#[tokio::test]
async fn on_connect_names_gives_state_waits_and_refuses() {
    let ends = Ends::default();
    let (turns, asked) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let gate = (Arc::clone(&turns), Arc::clone(&asked));
    let server = server()
        .on_connect(move |session: Session| {
            let (turns, asked) = gate.clone();
            async move {
                assert_eq!(
                    session.evidence().text(mynah::EvidenceKey::TRANSPORT),
                    Some("tcp")
                );
                let number = asked.fetch_add(1, Ordering::SeqCst);
                turns.acquire().await.unwrap().forget();
                match number {
                    0 | 3 => {
                        session.set_id(format!("guest-{}", number / 3)).unwrap();
                        session.set_state(Badge(format!("badge {number}")));
                        Ok(())
                    }
                    1 => {
                        // Its name belongs to the first, which is still there.
                        let taken = session.set_id("guest-0").unwrap_err();
                        Err(RpcError::new(ErrorCode::application(7), taken.to_string()))
                    }
                    _ => panic!("on purpose"),
                }
            }
        })
        .on_disconnect(ends.note())
        .listen("tcp://127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let first = connect(&server, "").await;
    let call = desk(&first).who().start();
    until("it is asked about", || asked.load(Ordering::SeqCst) == 1).await;
    assert_eq!(server.peers().len(), 0);
    assert!(server.peer("guest-0").is_none());
    turns.add_permits(1);
    let who = within("admitted", call).await.unwrap();
    assert_eq!(who, ("guest-0".to_owned(), Some("badge 0".to_owned())));

    turns.add_permits(3);
    let refused = refusal(&connect(&server, "").await).await;
    let text = "another connection has the id \"guest-0\"".to_owned();
    assert_eq!(refused, (ErrorCode::application(7), text));
    // A function that panics refuses, and takes nothing else with it.
    let (code, text) = refusal(&connect(&server, "").await).await;
    assert_eq!(code, ErrorCode::INTERNAL);
    assert!(!text.contains("on purpose"), "{text}");
    let fourth = connect(&server, "").await;
    let who = within("admitted", async { desk(&fourth).who().await }).await;
    assert_eq!(who.unwrap().0, "guest-1");
    drop(first);
    until("it has ended", || ends.len() == 1).await;
    let (id, reason) = ends.all().remove(0);
    assert_eq!(id, "guest-0");
    assert!(matches!(reason, CloseReason::PeerGone), "{reason:?}");
    assert!(server.peer("guest-0").is_none());
}

/// A connection that goes while `on_connect` decides takes the decision with it.
#[tokio::test]
async fn a_peer_that_goes_stops_what_decides_about_it() {
    struct Dropped(Arc<AtomicUsize>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let ends = Ends::default();
    let (begun, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count, gone) = (Arc::clone(&begun), Arc::clone(&dropped));
    let server = server()
        .on_connect(move |_session| {
            let held = Dropped(Arc::clone(&gone));
            count.fetch_add(1, Ordering::SeqCst);
            async move {
                std::future::pending::<()>().await;
                drop(held);
                Ok(())
            }
        })
        .on_disconnect(ends.note())
        .listen("tcp://127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let peer = connect(&server, "").await;
    until("it is asked about", || begun.load(Ordering::SeqCst) == 1).await;
    drop(peer);
    until("it is over", || dropped.load(Ordering::SeqCst) == 1).await;
    // A drain waits for nobody who waits.
    let waits = connect(&server, "").await;
    until("it is asked about", || begun.load(Ordering::SeqCst) == 2).await;
    let report = within("drain", server.drain(None)).await;
    assert!(report.is_complete() && report.connections == 0, "{report}");
    within("closed", waits.closed()).await;
    assert_eq!((dropped.load(Ordering::SeqCst), ends.len()), (2, 0));
}

/// Policies of one's own: several at once, in order, and what they hold comes back.
#[tokio::test]
async fn policies_are_asked_in_order_and_told_in_the_opposite_one() {
    #[derive(Clone)]
    struct Named(&'static str, Arc<std::sync::Mutex<Vec<String>>>);
    impl Named {
        fn say(&self, what: &str) {
            self.1.lock().unwrap().push(format!("{} {what}", self.0));
        }
    }
    struct Held(Named);
    impl Drop for Held {
        fn drop(&mut self) {
            self.0.say("given back");
        }
    }
    impl SessionPolicy for Named {
        fn admit(&self, _session: &Session) -> Verdict {
            self.say("asked");
            Verdict::Admit(SessionPermit::new(Held(self.clone())))
        }
        fn ended(&self, _session: &Session, reason: &CloseReason) {
            self.say(&format!("told: {reason}"));
        }
    }
    let said = Arc::default();
    let (one, other) = (
        Named("one", Arc::clone(&said)),
        Named("other", Arc::clone(&said)),
    );
    let limit = SessionLimit::new(1);
    let server = server()
        .admit(one)
        .admit(limit.clone())
        .admit(other)
        .listen("tcp://127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let take = || std::mem::take(&mut *said.lock().unwrap());
    let peer = connect(&server, "").await;
    desk(&peer).echo(String::new()).await.unwrap();
    assert_eq!(take(), ["one asked", "other asked"]);
    // The second policy refuses: the first has its permit back, and nobody is told of an end.
    refusal(&connect(&server, "").await).await;
    assert_eq!(take(), ["one asked", "one given back"]);
    server.peers()[0].close_with(&RpcError::new(ErrorCode::application(3), "enough"));
    assert_eq!(
        refusal(&peer).await,
        (ErrorCode::application(3), "enough".to_owned())
    );
    until("all is over", || limit.in_use() == 0).await;
    until("both have it back", || said.lock().unwrap().len() == 4).await;
    let reason = CloseReason::Closed(ErrorCode::application(3), "enough".into());
    let told = [
        format!("other told: {reason}"),
        format!("one told: {reason}"),
    ];
    let said = take();
    assert_eq!(said[..2], told);
    assert_eq!(said[2..], ["one given back", "other given back"]);
}

#[tokio::test]
async fn what_is_attached_is_asked_about_too() {
    let limit = SessionLimit::new(1).queue(3);
    let server = server().admit(limit.clone()).start().await.unwrap();
    let native = mynah::dialect::Native::new();
    let attach = || {
        let (near, far) = tokio::io::duplex(1 << 16);
        let attached = server.attach(far, &native, Evidence::new());
        (attached, Peer::over(near, &native).start().unwrap())
    };
    let (attached, one) = attach();
    assert_eq!(attached.unwrap().id(), server.peers()[0].id());
    assert_eq!(desk(&one).echo("a".into()).await.unwrap(), "a");
    // Nobody can wait here: there is nothing to give back but a peer.
    let (attached, other) = attach();
    assert_eq!(attached.unwrap_err(), AttachError::Refused);
    assert_eq!(refusal(&other).await.0, BUSY);
    assert_eq!((limit.in_use(), limit.waiting()), (1, 0));
}

/// However a session ends, `on_disconnect` hears of it once.
#[tokio::test]
async fn every_end_is_told_once_with_its_reason() {
    let ends = Ends::default();
    let server = server()
        .on_disconnect(ends.note())
        .listen("tcp://127.0.0.1:0");
    let server = server.start().await.unwrap();
    let mut told = 0;
    let mut next = async |end: &dyn Fn(&Peer, &Peer)| {
        let peer = connect(&server, "").await;
        desk(&peer).echo(String::new()).await.unwrap();
        let here = server.peers().pop().unwrap();
        let hangs = desk(&peer).hang().start();
        end(&peer, &here);
        within("ended", here.closed()).await;
        told += 1;
        until("it is told", || ends.len() == told).await;
        drop(hangs);
        ends.all().pop().unwrap().1
    };
    let gone = next(&|peer, _| peer.close()).await;
    assert!(matches!(gone, CloseReason::PeerGone), "{gone:?}");
    let local = next(&|_, here| here.close()).await;
    assert!(matches!(local, CloseReason::Local), "{local:?}");
    let reason = RpcError::new(ErrorCode::application(9), "no more");
    let closed = next(&|_, here| here.close_with(&reason)).await;
    let code = ErrorCode::application(9);
    assert!(matches!(&closed, CloseReason::Closed(c, text) if *c == code && &**text == "no more"));
    let refused = next(&|peer, _| peer.close_with(&reason)).await;
    assert!(
        matches!(&refused, CloseReason::Refused(c, text) if *c == code && &**text == "no more")
    );
    let idle = connect(&server, "").await;
    desk(&idle).echo(String::new()).await.unwrap();
    let report = within("drain", server.drain(LONG)).await;
    assert!(report.is_complete() && report.connections == 1, "{report}");
    until("it is told", || ends.len() == 5).await;
    let drained = ends.all().pop().unwrap().1;
    assert!(matches!(drained, CloseReason::Drained), "{drained:?}");
    // Drained twice, it says so again; nobody is told again.
    let again = within("again", server.drain(None)).await;
    assert!(again.is_complete() && again.connections == 0, "{again}");
    drop(server);
    assert_eq!(ends.len(), 5);
}

#[tokio::test]
async fn a_server_that_stops_tells_of_every_session() {
    let ends = Ends::default();
    let server = server()
        .on_disconnect(ends.note())
        .listen("tcp://127.0.0.1:0");
    let server = server.start().await.unwrap();
    let mut peers = Vec::new();
    for _ in 0..3 {
        let peer = connect(&server, "").await;
        desk(&peer).echo(String::new()).await.unwrap();
        peers.push(peer);
    }
    server.stop();
    until("they are told", || ends.len() == 3).await;
    let mut ids: Vec<String> = ends.all().into_iter().map(|(id, _)| id).collect();
    ids.sort();
    assert_eq!(ids, ["#0", "#1", "#2"]);
    assert!(
        ends.all()
            .iter()
            .all(|(_, why)| matches!(why, CloseReason::Local))
    );
}
