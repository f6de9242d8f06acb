//! Which thread does what, and several of them at once.

use crate::support::*;
use mynah::{CallError, ErrorCode};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

#[test]
fn several_threads_share_a_client() {
    let server = serve("tcp://127.0.0.1:0");
    let desk: Client = connect(&server).client();
    thread::scope(|scope| {
        for thread in 0..4 {
            let desk = &desk;
            scope.spawn(move || {
                for value in 0..250 {
                    assert_eq!(desk.add(thread, value).wait().unwrap(), thread + value);
                }
                let counted = desk.count(1000).wait().map(Result::unwrap);
                assert_eq!(counted.sum::<u64>(), 499_500);
                assert_eq!(desk.sum(0..1000).wait().unwrap(), 499_500);
            });
        }
    });
}

/// One thread waits for long, the others for a moment: whoever drives when it has its answer hands over.
#[test]
fn a_thread_that_waits_for_long_holds_up_nobody() {
    let server = serve("tcp://127.0.0.1:0");
    let desk: Client = connect(&server).client();
    let hangs = desk.clone();
    let hung = thread::spawn(move || {
        hangs
            .hang()
            .deadline(std::time::Duration::from_millis(300))
            .wait()
    });
    until("it waits", || desk.hanging().wait().unwrap() == 1);
    for value in 0..50 {
        assert_eq!(desk.add(value, 1).wait().unwrap(), value + 1);
    }
    assert!(hung.join().unwrap().is_err());
    assert_eq!(desk.add(1, 1).wait().unwrap(), 2);
}

#[test]
fn callbacks_and_iterators_run_on_the_thread_that_waits() {
    let server = serve("tcp://127.0.0.1:0");
    let desk: Client = connect(&server).client();
    thread::scope(|scope| {
        for _ in 0..3 {
            let desk = &desk;
            scope.spawn(move || {
                let ran: Arc<Mutex<Vec<ThreadId>>> = Arc::default();
                let (tells, asks, feeds) = (Arc::clone(&ran), Arc::clone(&ran), Arc::clone(&ran));
                let here = move |ran: &Mutex<Vec<ThreadId>>| {
                    ran.lock().unwrap().push(thread::current().id());
                };
                desk.tell(50, move |_| here(&tells)).wait().unwrap();
                let answer = mynah::blocking::answer(move |value| {
                    here(&asks);
                    Ok(value)
                });
                desk.ask(20, answer).wait().unwrap();
                desk.sum((0..200).inspect(move |_| here(&feeds)))
                    .wait()
                    .unwrap();
                let ran = ran.lock().unwrap();
                assert_eq!(ran.len(), 50 + 20 + 200);
                assert!(ran.iter().all(|id| *id == thread::current().id()));
            });
        }
    });
}

/// What runs on the thread of a call may make calls of its own, through the same client.
#[test]
fn callbacks_and_iterators_may_call_through_the_same_client() {
    let server = serve("tcp://127.0.0.1:0");
    let desk: Client = connect(&server).client();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (nested, hears) = (desk.clone(), Arc::clone(&heard));
    let told = desk.tell(10, move |value| {
        let sum = nested
            .add(i64::try_from(value).unwrap(), 100)
            .wait()
            .unwrap();
        hears.lock().unwrap().push(sum);
    });
    assert_eq!(told.wait().unwrap(), 10);
    assert_eq!(*heard.lock().unwrap(), (100..110).collect::<Vec<i64>>());
    let nested = desk.clone();
    let answer = mynah::blocking::answer(move |value| {
        let doubled = nested.sum(vec![value, value]).wait();
        Ok(doubled.unwrap())
    });
    assert_eq!(desk.ask(10, answer).wait().unwrap(), 90);
    // Results of one call are the input of another.
    let counted = desk.count(1000).wait().map(Result::unwrap);
    assert_eq!(desk.sum(counted).wait().unwrap(), 499_500);
}

/// A callback that panics is a panic of the other side's call, not of the thread; an iterator's is the thread's own.
#[test]
fn panics_stay_where_they_belong() {
    let server = serve("tcp://127.0.0.1:0");
    let desk: Client = connect(&server).client();
    let answer = mynah::blocking::answer(|_: u64| -> Result<u64, _> { panic!("on purpose") });
    let error = desk.ask(1, answer).wait().unwrap_err();
    assert!(error.to_string().contains("internal error"), "{error}");
    let calls = desk.clone();
    let panicked = thread::spawn(move || {
        calls
            .sum((0..10).inspect(|value| assert!(*value < 5, "on purpose")))
            .wait()
    });
    assert!(panicked.join().is_err());
    assert_eq!(desk.add(1, 1).wait().unwrap(), 2);
}

/// A thread that is too slow for its callbacks, while another one drives, holds up nobody and bounds what waits for it.
#[test]
fn a_thread_that_is_too_slow_for_its_callbacks_loses_its_call() {
    const MANY: u64 = 100_000;
    let server = serve("tcp://127.0.0.1:0");
    let desk: Client = connect(&server).client();
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let heard = Arc::new(Mutex::new(0_u64));
    let (slow, hears) = (desk.clone(), Arc::clone(&heard));
    let told = thread::spawn(move || {
        slow.tell(MANY, move |_| {
            *hears.lock().unwrap() += 1;
            // Until the gate is gone.
            let _open = gate.recv();
        })
        .no_deadline()
        .wait()
    });
    until("all were told", || desk.told().wait().unwrap() >= MANY);
    // What was told is here before this answer.
    assert_eq!(desk.add(1, 1).wait().unwrap(), 2);
    drop(open);
    let error = told.join().unwrap().unwrap_err();
    let CallError::Remote(error) = error else {
        panic!("{error:?}")
    };
    assert_eq!(error.code(), ErrorCode::LAGGED);
    // The one that it is in the midst of, and those that waited.
    assert!(*heard.lock().unwrap() <= 1 + 65_536);
    assert_eq!(desk.add(1, 1).wait().unwrap(), 2);
}
