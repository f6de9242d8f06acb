//! Clients of programs without a runtime: ends, events, reconnecting, calls back.

use crate::support::*;
use mynah::blocking;
use mynah::prelude::*;
use mynah::{Backoff, CloseReason, EndReason, Reconnecting};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[test]
fn a_call_that_is_dropped_is_cancelled_though_nobody_waits() {
    let server = serve("tcp://127.0.0.1:0");
    let (desk, other): (Client, Client) = (connect(&server).client(), connect(&server).client());
    let call = desk.hang().start();
    until("it runs", || other.hanging().wait().unwrap() == 1);
    drop(call);
    until("it is cancelled", || other.hanging().wait().unwrap() == 0);
    // A stream that nobody has taken to its end is one too.
    let mut counted = desk.count(u64::MAX).wait();
    assert_eq!(counted.next().unwrap().unwrap(), 0);
    drop(counted);
    assert_eq!(desk.add(1, 1).wait().unwrap(), 2);
}

/// Nobody waits: what the other side asks is answered all the same.
#[test]
fn the_other_side_can_call_while_nobody_waits() {
    let server = serve("tcp://127.0.0.1:0");
    let connector = mynah::connector(server.address()).unwrap();
    let connector = connector.register(DeskService::new(MyDesk::default()));
    let peer = connector.connect_blocking().unwrap();
    let desk: Client = peer.client();
    // While a call waits, which is what it calls back for.
    assert_eq!(desk.back(2, 3).wait().unwrap(), 5);
    let here = server.peers().pop().unwrap();
    let there: Client = here.client();
    for value in 0..3 {
        assert_eq!(
            there.add(value, 1).deadline(LONG).wait().unwrap(),
            value + 1
        );
    }
    // And whoever waits then has the connection again.
    assert_eq!(desk.add(1, 1).wait().unwrap(), 2);
    assert_eq!(there.add(2, 2).wait().unwrap(), 4);
}

#[test]
fn the_end_of_the_other_side_ends_what_waits() {
    let server = serve("tcp://127.0.0.1:0");
    let peer = connect(&server);
    let desk: Client = peer.client();
    assert_eq!(desk.add(1, 2).wait().unwrap(), 3);
    let call = desk.hang().no_deadline().start();
    let other: Client = connect(&server).client();
    until("it runs", || other.hanging().wait().unwrap() == 1);
    let waits = std::thread::spawn(move || call.wait());
    server.stop();
    let ended = waits.join().unwrap();
    assert!(
        matches!(
            ended,
            Err(CallError::Indeterminate(_) | CallError::Cancelled(_))
        ),
        "{ended:?}"
    );
    let reason = peer.closed().unwrap();
    assert!(
        matches!(reason, CloseReason::PeerGone | CloseReason::Drained),
        "{reason:?}"
    );
    let late = desk.add(1, 2).wait();
    assert!(matches!(late, Err(CallError::Disconnected(_))), "{late:?}");
}

#[test]
fn the_last_handle_that_goes_closes_the_connection_behind_what_was_said() {
    let server = serve("tcp://127.0.0.1:0");
    let peer = connect(&server);
    let desk: Client = peer.client();
    for number in 0..100 {
        desk.note(number.to_string()).wait().unwrap();
    }
    drop((peer, desk));
    until("it is gone", || server.peers().is_empty());
    let other: Client = connect(&server).client();
    assert_eq!(other.noted().wait().unwrap().len(), 100);
}

#[test]
fn events_are_iterators() {
    let server = serve("tcp://127.0.0.1:0");
    let peer = connect(&server);
    let desk: Client = peer.client();
    let mut news = desk.news().wait().unwrap();
    let mut weather = peer.subscribe::<u32>("weather").wait().unwrap();
    assert_eq!(server.broadcast("desk.news", "a").unwrap().subscribers, 1);
    assert_eq!(server.broadcast("weather", &7).unwrap().subscribers, 1);
    assert_eq!(news.next().unwrap().unwrap(), "a");
    assert_eq!(weather.next_within(LONG).unwrap(), 7);
    // Nothing comes in time; what comes later is not lost by that.
    let late = weather.next_within(Duration::from_millis(5));
    assert!(matches!(late, Err(CallError::Deadline)), "{late:?}");
    server.broadcast("weather", &8).unwrap();
    assert_eq!(weather.next_within(LONG).unwrap(), 8);
    // Without being asked.
    let mut bells = peer.listen::<u32>("bell").unwrap();
    let here = server.peers().pop().unwrap();
    here.emit("bell", &1).unwrap();
    assert_eq!(bells.next(), Some(Ok(1)));
    let missed = peer.wait_for::<u32>("bell", Duration::from_millis(5));
    assert!(matches!(missed, Err(CallError::Deadline)), "{missed:?}");
    server.drain(None).unwrap();
    assert_eq!(news.next(), Some(Err(EndReason::Draining)));
    assert_eq!(
        (news.next(), bells.next().is_some_and(|it| it.is_err())),
        (None, true)
    );
}

#[test]
fn a_client_that_reconnects_goes_on() {
    let server = serve("tcp://127.0.0.1:0");
    let address = server.address().to_owned();
    let connector = mynah::connector(&address).unwrap();
    let peer = connector.reconnect_blocking(Backoff::default()).unwrap();
    let desk: DeskClient<blocking::Peer<Reconnecting>> = peer.client();
    assert_eq!(desk.add(1, 2).wait().unwrap(), 3);
    drop(server);
    let server = serve(&address);
    // A call that was on its way when the connection broke may have run: it is not made again.
    until("it is connected again", || {
        matches!(desk.add(2, 2).deadline(LONG).wait(), Ok(4))
    });
    assert_eq!(server.peers().len(), 1);
}

/// One wait that began on one connection goes on with the next one, whose task is another, and drives both.
#[test]
fn a_wait_spans_a_reconnect() {
    let server = serve("tcp://127.0.0.1:0");
    let address = server.address().to_owned();
    let connector = mynah::connector(&address).unwrap();
    let peer = connector.reconnect_blocking(Backoff::default()).unwrap();
    let desk: DeskClient<blocking::Peer<Reconnecting>> = peer.client();
    assert_eq!(desk.add(1, 2).wait().unwrap(), 3);
    let begun = Arc::new(AtomicBool::new(false));
    let (go, gate) = tokio::sync::oneshot::channel();
    let (begins, waiter) = (Arc::clone(&begun), peer);
    let waits = std::thread::spawn(move || {
        waiter.wait(async move {
            begins.store(true, Ordering::SeqCst);
            gate.await.unwrap()
        })
    });
    until("it waits", || begun.load(Ordering::SeqCst));
    drop(server);
    let server = serve(&address);
    until("it is connected again", || server.peers().len() == 1);
    go.send(5).unwrap();
    assert_eq!(waits.join().unwrap().unwrap(), 5);
    assert_eq!(desk.add(2, 2).deadline(LONG).wait().unwrap(), 4);
}

#[test]
fn a_server_of_the_same_process_is_waited_for_in_the_same_way() {
    let server = serve("memory:blocking-same");
    assert_eq!(server.address(), "");
    let desk: Client = blocking::connect("memory:blocking-same").unwrap().client();
    assert_eq!(desk.add(2, 3).wait().unwrap(), 5);
    assert_eq!(desk.sum(vec![1, 2, 3]).wait().unwrap(), 6);
    let counted: Result<Vec<u64>, _> = desk.count(3).wait().collect();
    assert_eq!(counted.unwrap(), [0, 1, 2]);
    let late = desk.hang().deadline(Duration::from_millis(20)).wait();
    assert!(matches!(late, Err(CallError::Deadline)), "{late:?}");
    assert_eq!(desk.tell(3, |_| ()).wait().unwrap(), 3);
}

#[test]
fn what_cannot_be_reached_is_an_error() {
    for url in ["tcp://127.0.0.1:1", "memory:nobody", "nonsense:"] {
        assert!(blocking::connect(url).is_err(), "{url}");
    }
    let twice = blocking::Server::new()
        .register(DeskService::new(MyDesk::default()))
        .register(DeskService::new(MyDesk::default()));
    assert!(twice.start().is_err());
}

/// By name all is the same.
#[test]
fn calls_by_name_are_waited_for() {
    let server = serve("tcp://127.0.0.1:0");
    let peer = connect(&server);
    let sum = peer.call("desk", "add").args((2, 3)).result::<i64>();
    assert_eq!(sum.wait().unwrap(), 5);
    let sum = peer.call("desk", "add").arg("a", 2).arg("b", 4);
    assert_eq!(sum.result::<i64>().wait().unwrap(), 6);
    let counted = peer.call("desk", "count").args((3,)).stream::<u64>();
    let counted: Result<Vec<u64>, _> = counted.into_iter().collect();
    assert_eq!(counted.unwrap(), [0, 1, 2]);
    let noted = peer.call("desk", "note").args(("by name",)).notify();
    noted.wait().unwrap();
    let noted = peer.call("desk", "noted").result::<Vec<String>>();
    assert_eq!(noted.wait().unwrap(), ["by name"]);
    let nobody = peer.call("desk", "nothing").result::<()>().wait();
    assert!(nobody.is_err());
}
