//! Pairs of peers, weather, and cuts.

use crate::ring::ring;
use futures::StreamExt as _;
use mynah::prelude::*;
use mynah::{CallError, PeerStats, Router};
use mynah_testkit::fault::{Cut, FrameCut, Weather, at_every_frame, pipe};
use mynah_testkit::{Dice, Pair, Simulation};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[mynah::service]
trait Counter {
    async fn add(&self, number: u64) -> u64;
    async fn wait(&self) -> u64;
    fn count(&self, to: u64) -> impl Stream<Item = u64> + Send;
}

#[derive(Default)]
struct MyCounter(Arc<AtomicU64>);

impl Counter for MyCounter {
    async fn add(&self, number: u64) -> u64 {
        self.0.fetch_add(number, Ordering::SeqCst) + number
    }

    async fn wait(&self) -> u64 {
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        self.0.load(Ordering::SeqCst)
    }

    fn count(&self, to: u64) -> impl Stream<Item = u64> + Send {
        futures::stream::iter(0..to)
    }
}

fn router() -> Router {
    Router::new().register(CounterService::new(MyCounter::default()))
}

#[tokio::test(start_paused = true)]
async fn an_hour_takes_no_time() {
    let pair = Pair::of(router()).start().unwrap();
    let counter: CounterClient = pair.near.client();
    counter.add(2).await.unwrap();
    let start = tokio::time::Instant::now();
    let late = counter.wait().deadline(Duration::from_secs(60)).await;
    assert!(matches!(late, Err(CallError::Deadline)), "{late:?}");
    assert_eq!(counter.wait().no_deadline().await.unwrap(), 2);
    assert!(start.elapsed() >= Duration::from_secs(3_660));
    pair.idle().await;
}

#[test]
fn rough_weather_changes_nothing_but_the_time() {
    Simulation::new().seeds(12).run(async |seed| {
        let mut dice = Dice::new(seed);
        let (there, back) = (Weather::rough(&mut dice), Weather::rough(&mut dice));
        let pair = Pair::between(router(), router())
            .weathers(there, back)
            .seed(seed)
            .start()
            .unwrap();
        assert_eq!(pair.seed(), seed);
        let near: CounterClient = pair.near.client();
        let far: CounterClient = pair.far.client();
        for number in 1..=5 {
            let (one, other) =
                tokio::join!(near.add(number).into_future(), far.add(1).into_future());
            assert_eq!(one.unwrap(), (1..=number).sum::<u64>());
            assert_eq!(other.unwrap(), number);
        }
        let items: Vec<_> = near.count(100).start().map(Result::unwrap).collect().await;
        assert_eq!(items, (0..100).collect::<Vec<_>>());
        pair.idle().await;
    });
}

#[test]
fn a_seed_says_everything() {
    let weather = |seed| {
        let mut dice = Dice::new(seed);
        (Weather::rough(&mut dice), Weather::rough(&mut dice))
    };
    let read = |seed| {
        Simulation::new().once(seed, async |seed| {
            let (there, back) = weather(seed);
            let (mut near, mut far) = pipe(&mut Dice::new(seed), &there, &back);
            let start = tokio::time::Instant::now();
            let write = async {
                near.write_all(&[7; 5_000]).await.unwrap();
                near.shutdown().await.unwrap();
            };
            let read = async {
                let mut sizes = Vec::new();
                let mut buffer = [0; 600];
                loop {
                    match far.read(&mut buffer).await.unwrap() {
                        0 => return sizes,
                        len => sizes.push(len),
                    }
                }
            };
            let ((), sizes) = tokio::join!(write, read);
            (sizes, start.elapsed())
        })
    };
    for seed in 1..6 {
        let once = read(seed).unwrap();
        assert_eq!(once.0.iter().sum::<usize>(), 5_000);
        assert_eq!(once, read(seed).unwrap(), "seed {seed}");
    }
    assert_ne!(read(1), read(2));
}

#[tokio::test(start_paused = true)]
async fn an_end_is_a_reset_a_close_or_silence() {
    let check = async |cut, ended: bool| {
        let weather = Weather::FINE.with_cut(100, cut);
        let (mut near, mut far) = pipe(&mut Dice::new(1), &weather, &Weather::FINE);
        assert_eq!(near.write(&[1; 300]).await.unwrap(), 100, "{cut:?}");
        let mut heard = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(9), far.read_to_end(&mut heard));
        match (cut, read.await) {
            (Cut::Reset, Ok(Err(_))) | (Cut::Stall, Err(_)) => assert!(heard.is_empty()),
            (Cut::Close, Ok(Ok(100))) => {}
            other => panic!("{other:?}"),
        }
        let more = tokio::time::timeout(Duration::from_secs(9), near.write(&[1])).await;
        assert_eq!(more.is_ok_and(|more| more.is_err()), ended, "{cut:?}");
    };
    check(Cut::Reset, true).await;
    check(Cut::Close, true).await;
    check(Cut::Stall, false).await;
}

#[tokio::test(start_paused = true)]
async fn cut_at_every_frame_a_call_ends_and_nothing_is_left() {
    let done = AtomicU64::new(0);
    let frames = at_every_frame(async |cut: Arc<FrameCut>| {
        let counted = Arc::new(AtomicU64::new(0));
        let counter = MyCounter(Arc::clone(&counted));
        let far = Router::new().register(CounterService::new(counter));
        let pair = Pair::of(far).cut(&cut).start().unwrap();
        let client: CounterClient = pair.near.client();
        for number in 1..=3 {
            match client.add(1).await {
                Ok(sum) => assert_eq!(sum, number),
                Err(CallError::Disconnected(_)) => assert!(counted.load(Ordering::SeqCst) < number),
                Err(CallError::Indeterminate(_) | CallError::Cancelled(_)) => {}
                Err(other) => panic!("{cut:?}: {other:?}"),
            }
        }
        done.fetch_max(counted.load(Ordering::SeqCst), Ordering::SeqCst);
        pair.idle().await;
        assert_eq!(pair.near.stats(), PeerStats::default());
    })
    .await;
    assert!(frames >= 8, "{frames} frames");
    assert_eq!(done.load(Ordering::SeqCst), 3);
}

/// Dialled and accepted by the facade, with whole calls on it.
#[tokio::test]
async fn a_server_listens_on_a_strangers_transport() {
    let (listener, dialer) = ring("facade");
    let native = mynah::dialect::Native::new();
    let server = Server::new().router(router());
    let server = server.listen_on(listener, native).start().await.unwrap();
    let accepted = mynah::protocol::Dialer::dial(&dialer).await.unwrap();
    let peer = Peer::over(accepted.connection, &native).start().unwrap();
    let counter: CounterClient = peer.client();
    assert_eq!(counter.add(5).await.unwrap(), 5);
    drop(server);
    peer.closed().await;
}
