//! A server that drains hands over to the next one.

use super::*;
use crate::probe::MyProbe;
use mynah::protocol::Dialer as _;
use mynah::tcp::TcpDialer;
use mynah::{Server, ServerHandle};

async fn serve(probe: &MyProbe) -> ServerHandle {
    let server = Server::new().register(probe.service());
    server.listen("tcp://127.0.0.1:0").start().await.unwrap()
}

/// A client of whichever server the address names.
fn client_of(address: &Arc<Mutex<String>>) -> Reconnect {
    let address = Arc::clone(address);
    Reconnecting::open_with(move || {
        let address = address.lock().unwrap().clone();
        async move {
            let address = address.strip_prefix("tcp://").unwrap();
            let accepted = TcpDialer::new(address).dial().await?;
            Ok(Peer::over(accepted.connection, &Native::new()).evidence(accepted.evidence))
        }
    })
}

#[tokio::test]
async fn old_calls_finish_on_the_old_one_and_new_calls_go_to_the_new_one() {
    let (one, two) = (MyProbe::new(), MyProbe::new());
    let first = serve(&one).await;
    let second = serve(&two).await;
    let address = Arc::new(Mutex::new(first.address().to_owned()));
    let client = client_of(&address).connect().await.unwrap();
    let service = probe(&client);
    let old = service.pass(1).start();
    until("it runs", || one.0.calls.alive() == 1).await;
    *address.lock().unwrap() = second.address().to_owned();
    let drained = tokio::spawn(async move { first.drain(60 * SECOND).await });
    until("handed over", || client.stats().connections == 2).await;
    assert_eq!(client.stats().draining, 1);
    let new = tokio::spawn(service.pass(2).into_future());
    until("it runs there", || two.0.calls.alive() == 1).await;
    one.0.gate.add_permits(1);
    assert_eq!(within("old", old).await.unwrap(), 1);
    let report = within("drain", drained).await.unwrap();
    assert!(report.is_complete(), "{report:?}");
    two.0.gate.add_permits(1);
    assert_eq!(within("new", new).await.unwrap().unwrap(), 2);
    assert_eq!((one.0.calls.started(), two.0.calls.started()), (1, 1));
    idle(&client).await;
}

/// Many calls while servers drain one after the other: each runs once, and none is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_is_lost_while_servers_come_and_go() {
    const CALLERS: u64 = 4;
    let mut probes = vec![MyProbe::new()];
    let mut server = serve(&probes[0]).await;
    let address = Arc::new(Mutex::new(server.address().to_owned()));
    let client = client_of(&address)
        .backoff(Backoff::new().with_first(MS).with_seed(1))
        .connect()
        .await
        .unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let mut callers = Vec::new();
    for caller in 0..CALLERS {
        let service = probe(&client);
        let stop = Arc::clone(&stop);
        callers.push(tokio::spawn(async move {
            let mut made = 0;
            while !stop.load(Ordering::SeqCst) {
                let text = format!("{caller} {made}");
                let answer = service.echo_later(text.clone(), 3).await;
                assert_eq!(answer.unwrap(), text);
                made += 1;
            }
            made
        }));
    }
    // What it has not accepted when it stops listening, no server can refuse.
    until("calls arrive", || probes[0].0.calls.started() > 20).await;
    for round in 1..6 {
        let started = client.stats().connections;
        let next = MyProbe::new();
        let new = serve(&next).await;
        *address.lock().unwrap() = new.address().to_owned();
        let old = std::mem::replace(&mut server, new);
        let report = within("drain", old.drain(60 * SECOND)).await;
        assert!(report.is_complete(), "round {round}: {report:?}");
        probes.push(next);
        until("handed over", || client.stats().connections > started).await;
        let latest = probes.last().unwrap();
        until("calls arrive", || latest.0.calls.started() > 20).await;
    }
    stop.store(true, Ordering::SeqCst);
    let mut made = 0;
    for caller in callers {
        made += within("caller", caller).await.unwrap();
    }
    let run: usize = probes.iter().map(|probe| probe.0.calls.started()).sum();
    assert_eq!(run, made, "each call ran once");
    assert_eq!(client.stats().connections, 6);
    idle(&client).await;
}

/// What the client runs for a server that drains goes on, and callbacks of old calls are heard.
#[tokio::test]
async fn the_old_connection_stays_until_both_sides_are_done() {
    let (mut place, client) = place(1 << 16);
    let own = MyProbe::new();
    let client = client.register(own.service()).start().unwrap();
    client.connected().await.unwrap();
    let mut old = place.raw().await;
    old.say(serde_json::json!([REQUEST, 9, "probe", "pass"]), "[4]")
        .await;
    until("it runs here", || own.0.calls.alive() == 1).await;
    let code = ErrorCode::DRAINING.value();
    old.say(serde_json::json!([GOING_AWAY, code, "bye"]), "")
        .await;
    let mut new = place.raw().await;
    old.hears_nothing().await;
    own.0.gate.add_permits(1);
    let answer = within("answer", old.answer()).await;
    assert_eq!(answer.body, serde_json::json!(4));
    // Nothing is left: it is closed from here.
    assert!(within("end", old.rest()).await.is_empty());
    new.hears_nothing().await;
    idle(&client).await;
}

/// Calls that the grace cuts off may have run.
#[tokio::test]
async fn what_a_drain_cuts_off_ends_indeterminate() {
    let (one, two) = (MyProbe::new(), MyProbe::new());
    let first = serve(&one).await;
    let second = serve(&two).await;
    let address = Arc::new(Mutex::new(first.address().to_owned()));
    let client = client_of(&address).connect().await.unwrap();
    let service = probe(&client);
    let lost = tokio::spawn(service.pass(1).into_future());
    let again = tokio::spawn(pass_again(&client, 2).into_future());
    until("both run", || one.0.calls.alive() == 2).await;
    *address.lock().unwrap() = second.address().to_owned();
    let report = within("drain", first.drain(MS)).await;
    assert_eq!(report.calls_cut, 2);
    let error = within("end", lost).await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Indeterminate(_)), "{error:?}");
    until("it runs again", || two.0.calls.alive() == 1).await;
    two.0.gate.add_permits(1);
    assert_eq!(within("answer", again).await.unwrap().unwrap(), 2);
    assert_eq!(two.0.calls.started(), 1);
    idle(&client).await;
}

/// A large request leaves in chunks beside the rest. The word that all was said goes behind it.
#[tokio::test]
async fn large_requests_that_cross_a_drain_are_not_lost() {
    for round in 0..20 {
        let (one, two) = (MyProbe::new(), MyProbe::new());
        let first = serve(&one).await;
        let second = serve(&two).await;
        let address = Arc::new(Mutex::new(first.address().to_owned()));
        let client = client_of(&address).connect().await.unwrap();
        let service = probe(&client);
        assert_eq!(service.echo("ready".into()).await.unwrap(), "ready");
        *address.lock().unwrap() = second.address().to_owned();
        let text = "x".repeat(3_000_000);
        let calls: Vec<_> = (0..3)
            .map(|_| tokio::spawn(service.echo(text.clone()).into_future()))
            .collect();
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        let report = within("drain", first.drain(60 * SECOND)).await;
        assert!(report.is_complete(), "{report:?}");
        for call in calls {
            let answer = within("answer", call).await.unwrap();
            assert_eq!(answer.unwrap().len(), text.len(), "round {round}");
        }
        assert_eq!(one.0.calls.started() + two.0.calls.started(), 4);
        idle(&client).await;
    }
}
