use super::BlockingPool;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(30);

fn threads(pool: &BlockingPool) -> usize {
    pool.handle.inner.lock().threads
}

/// Waits for something that other threads bring about.
fn until(there: impl Fn() -> bool) {
    let began = Instant::now();
    while !there() {
        assert!(began.elapsed() < LONG, "too late");
        std::thread::yield_now();
    }
}

#[test]
fn no_more_run_than_may_and_no_more_wait() {
    let pool = BlockingPool::new(2, 3);
    let (begun, heard) = channel();
    let mut gates = Vec::new();
    for number in 0..5 {
        let (open, gate) = channel::<()>();
        gates.push(open);
        let begun = begun.clone();
        pool.run(move || {
            begun.send(number).unwrap();
            let _open_or_gone = gate.recv();
        })
        .unwrap();
    }
    let mut running = [
        heard.recv_timeout(LONG).unwrap(),
        heard.recv_timeout(LONG).unwrap(),
    ];
    running.sort_unstable();
    assert_eq!(running, [0, 1]);
    assert!(pool.run(|| ()).is_err());
    assert_eq!(threads(&pool), 2);
    // What is bounded elsewhere waits all the same.
    let (ran, always) = channel();
    pool.run_always(move || ran.send(()).unwrap()).unwrap();
    gates.remove(0).send(()).unwrap();
    assert_eq!(heard.recv_timeout(LONG).unwrap(), 2);
    drop(gates);
    let rest: Vec<i32> = (0..2).map(|_| heard.recv_timeout(LONG).unwrap()).collect();
    assert_eq!(rest, [3, 4]);
    always.recv_timeout(LONG).unwrap();
    until(|| pool.handle.inner.lock().idle == 2);
    // Both are there for the next.
    pool.run(|| ()).unwrap();
    assert_eq!(threads(&pool), 2);
}

#[test]
fn a_panic_takes_no_thread_and_the_last_holder_ends_them() {
    let pool = BlockingPool::new(1, 1);
    let (ran, heard) = channel();
    until(|| pool.run(|| panic!("on purpose")).is_ok());
    let again = pool.clone();
    until(|| {
        let ran = ran.clone();
        again.run(move || ran.send(()).unwrap()).is_ok()
    });
    heard.recv_timeout(LONG).unwrap();
    let inner = std::sync::Arc::clone(&pool.handle.inner);
    drop(pool);
    until(|| inner.lock().idle == 1);
    drop(again);
    until(|| inner.lock().threads == 0);
}
