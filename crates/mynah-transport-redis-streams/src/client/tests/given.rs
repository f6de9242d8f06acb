//! How calls are given to servers, and taken back.

use super::*;
use crate::entry::EntryId;
use mynah_protocol::Limits;

/// The call of which the entry is to be taken out of an inbox, of each that is to be written.
fn taken_out(batch: &Batch) -> Vec<u64> {
    let number = |queued: &Queued| match &queued.said {
        Said::TakeBack(_, number, _) => Some(*number),
        _ => None,
    };
    batch.calls.iter().filter_map(number).collect()
}

#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_reads_is_taken_back_and_given_to_another() {
    let core = core(8);
    assert!(core.say_in_session(stream_call(7)).is_none());
    let mut patience = Duration::from_secs(1);
    for round in 1..=3 {
        let mut first = given(&core, "dead");
        let Said::Note(_, Written { call: number, .. }) = first.calls[0].said else {
            panic!("{first:?}")
        };
        let entry = Value::BulkString(format!("{round}-0").into_bytes());
        answered(&core, &mut first, vec![entry]);
        assert_eq!(heard(&core), Some(delivery(7, DeliveryStatus::Written)));
        tokio::time::advance(patience - Duration::from_millis(1)).await;
        core.take_back_unread();
        assert_eq!(
            taken_out(&core.take_batch(Vec::new())),
            [0; 0],
            "it has time"
        );
        tokio::time::advance(Duration::from_millis(1)).await;
        core.take_back_unread();
        let mut batch = core.take_batch(Vec::new());
        assert_eq!(taken_out(&batch), [number]);
        assert!(
            core.has_session(number),
            "until Redis says that it was there"
        );
        answered(&core, &mut batch, vec![Value::Int(1)]);
        assert!(!core.has_session(number));
        assert_eq!(heard(&core), Some(delivery(7, DeliveryStatus::Waits)));
        let servers = [living("dead", 12_000), living("alive", 9_000)];
        for _ in 0..20 {
            let other = core.least_loaded(servers.iter()).unwrap();
            assert_eq!(&*other.instance, "alive");
        }
        // Once it says that it is alive it is asked as before; and where there is nobody else.
        let servers = [living("dead", 15_000), living("alive", 9_000)];
        assert!((0..200).any(|_| {
            let other = core.least_loaded(servers.iter()).unwrap();
            &*other.instance == "dead"
        }));
        assert!(core.least_loaded([living("dead", 12_000)].iter()).is_some());
        // One that has much to do is given more time each time.
        patience *= 2;
    }
    let mut last = given(&core, "alive");
    let Said::Note(_, Written { call: number, .. }) = last.calls[0].said else {
        panic!("{last:?}")
    };
    answered(&core, &mut last, vec![Value::BulkString(b"4-0".to_vec())]);
    // It names the call among those that it has: then it is not taken back, however long it says nothing else.
    let beat = Note {
        kind: kind::BEAT.as_bytes().to_vec(),
        from: b"alive".to_vec(),
        body: format!("{number}:0 ").into_bytes(),
        ..Note::default()
    };
    core.hear_note(&beat, &mut Vec::new());
    tokio::time::advance(Duration::from_secs(60)).await;
    core.take_back_unread();
    assert_eq!(taken_out(&core.take_batch(Vec::new())), [0; 0]);
}

/// What Redis has forgotten of entries that were taken out servers remember: they are given time to say so.
#[tokio::test(start_paused = true)]
async fn nothing_is_taken_back_until_servers_have_had_time_to_come_back() {
    let core = core(8);
    assert!(core.say_in_session(stream_call(7)).is_none());
    let mut first = given(&core, "one");
    let Said::Note(_, Written { call: number, .. }) = first.calls[0].said else {
        panic!("{first:?}")
    };
    answered(&core, &mut first, vec![Value::BulkString(b"1-0".to_vec())]);
    core.wait_for_servers(Instant::now() + Duration::from_secs(5));
    let asked = |core: &Core| {
        core.take_back_unread();
        taken_out(&core.take_batch(Vec::new()))
    };
    tokio::time::advance(Duration::from_millis(5_999)).await;
    assert_eq!(asked(&core), [0; 0]);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(asked(&core), [number]);
    // It is asked again where nobody knows what became of it, and in its own time.
    core.was_not_asked(number, EntryId { ms: 1, number: 0 });
    assert_eq!(asked(&core), [0; 0]);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(asked(&core), [number]);
    // One that has ended is not.
    core.fail_session(7, Undelivered::PeerGone);
    core.was_not_asked(number, EntryId { ms: 1, number: 0 });
    tokio::time::advance(Duration::from_secs(9)).await;
    assert_eq!(asked(&core), [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_taken_or_may_have_been_is_not_taken_back() {
    let core = core(8);
    let put = |server: Candidate, call| {
        assert!(core.say_in_session(stream_call(call)).is_none());
        let mut batch = core.take_batch(Vec::new());
        let (inbox, written) = core.begin_session(call, server).unwrap();
        let number = written.call;
        batch.calls[0].said = Said::Note(inbox, written);
        answered(&core, &mut batch, vec![Value::BulkString(b"1-0".to_vec())]);
        assert_eq!(heard(&core), Some(delivery(call, DeliveryStatus::Written)));
        number
    };
    // An earlier version begins calls whether or not their entries are there.
    let early = Candidate {
        claims: false,
        ..candidate("early")
    };
    let early = put(early, 7);
    let taken = put(candidate("one"), 8);
    tokio::time::advance(Duration::from_secs(2)).await;
    core.take_back_unread();
    let mut batch = core.take_batch(Vec::new());
    assert_eq!(taken_out(&batch), [taken]);
    // It was not there any more: whoever took it has it.
    answered(&core, &mut batch, vec![Value::Int(0)]);
    assert!(core.has_session(early) && core.has_session(taken));
    tokio::time::advance(Duration::from_secs(2)).await;
    core.take_back_unread();
    assert!(
        core.take_batch(Vec::new()).calls.is_empty(),
        "it is asked once"
    );
    assert_eq!(heard(&core), None);
}

#[tokio::test]
async fn servers_share_the_callbacks_of_a_client() {
    let all = usize::try_from(Limits::default().calls_in_flight).unwrap();
    let core = core(100_000);
    let mut calls = 0;
    // Calls of a server, until it may have no more callbacks: how many it has then.
    let mut use_up = |server: &str| {
        let mut runs = 0;
        for _ in 0..all / 16 {
            calls += 1;
            assert!(core.say_in_session(stream_call(calls)).is_none());
            core.begin_session(calls, candidate(server)).unwrap();
            let mut table = core.sessions.lock();
            for number in 0..256 {
                if table.may_call_back(calls) {
                    table.begin_callback(calls, WireId::Uint(number)).unwrap();
                    runs += 1;
                }
            }
        }
        (calls, runs)
    };
    let (_, first) = use_up("one");
    assert_eq!(first, all / 2, "one by itself has half of them");
    let (last, second) = use_up("two");
    assert_eq!(second, all / 4);
    for number in 3..30 {
        let (_, share) = use_up(&format!("server-{number}"));
        assert!(share > 0 || number > 11, "{number}: {share}");
    }
    // What ends, or goes with its call, is there for others again.
    let mut table = core.sessions.lock();
    assert!(!table.may_call_back(last));
    let before = table.held();
    for call in 1..=last {
        drop(table.remove(call, &mut Vec::new()));
    }
    assert!(table.held() < before);
    drop(table);
    let (_, share) = use_up("late");
    assert!(share > all / 4, "{share}");
}
