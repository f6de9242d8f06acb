use super::{BlockingPool, Job};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
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
    let inner = Arc::clone(&pool.handle.inner);
    drop(pool);
    until(|| inner.lock().idle == 1);
    drop(again);
    until(|| inner.lock().threads == 0);
}

fn never(_work: Job) -> io::Result<()> {
    Err(io::ErrorKind::OutOfMemory.into())
}

#[test]
fn without_any_thread_a_job_is_given_back_and_nothing_is_kept() {
    let pool = BlockingPool::with_spawn(4, 4, never);
    let held = Arc::new(());
    for _ in 0..2 {
        let job = Arc::clone(&held);
        assert!(pool.run(move || drop(job)).is_err());
        let job = Arc::clone(&held);
        assert!(pool.run_always(move || drop(job)).is_err());
    }
    assert_eq!(Arc::strong_count(&held), 1);
    let state = pool.handle.inner.lock();
    assert_eq!((state.threads, state.idle, state.jobs.len()), (0, 0, 0));
}

/// The same, and other threads have their turn meanwhile.
fn never_soon(_work: Job) -> io::Result<()> {
    for _ in 0..20 {
        std::thread::yield_now();
    }
    Err(io::ErrorKind::OutOfMemory.into())
}

/// One of 64.
fn seldom(work: Job) -> io::Result<()> {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    match CALLS.fetch_add(1, Ordering::SeqCst) % 64 {
        63 => super::spawn(work),
        _ => never_soon(work),
    }
}

/// Whoever is told that a job was taken is told the truth about that very job, whatever others put meanwhile.
#[test]
fn jobs_are_not_mixed_up_when_threads_cannot_be_started() {
    const PUTTERS: usize = 8;
    const EACH: usize = 20;
    for (round, spawn) in [never_soon as super::Spawn, seldom]
        .repeat(20)
        .iter()
        .enumerate()
    {
        let pool = BlockingPool::with_spawn(3, 1000, *spawn);
        let ran: Arc<Vec<AtomicUsize>> =
            Arc::new((0..PUTTERS * EACH).map(|_| AtomicUsize::new(0)).collect());
        let begin = Barrier::new(PUTTERS);
        let taken: Vec<bool> = std::thread::scope(|scope| {
            let putters: Vec<_> = (0..PUTTERS)
                .map(|putter| {
                    let (pool, ran, begin) = (&pool, &ran, &begin);
                    scope.spawn(move || {
                        let jobs = putter * EACH..(putter + 1) * EACH;
                        let put = |job: usize| {
                            let ran = Arc::clone(ran);
                            let run = move || {
                                let _before = ran[job].fetch_add(1, Ordering::SeqCst);
                            };
                            pool.run(run).is_ok()
                        };
                        begin.wait();
                        jobs.map(put).collect::<Vec<bool>>()
                    })
                })
                .collect();
            let all = putters.into_iter().flat_map(|one| one.join().unwrap());
            all.collect()
        });
        if threads(&pool) == 0 {
            // Nobody would ever come to what was taken.
            assert!(!taken.contains(&true), "round {round}");
            assert_eq!(pool.handle.inner.lock().jobs.len(), 0);
        }
        let times = |job: usize| ran[job].load(Ordering::SeqCst);
        until(|| (0..taken.len()).all(|job| times(job) == 1 || !taken[job]));
        for (job, taken) in taken.iter().enumerate() {
            assert_eq!(times(job), usize::from(*taken), "round {round}, job {job}");
        }
    }
}
