//! The link is cut at every frame of a conversation.

use super::*;
use futures::{Stream, StreamExt as _};
use mynah::Events;
use mynah_testkit::fault::{FrameCut, at_every_frame};
use std::sync::atomic::AtomicUsize;

/// Calls that were made on the server, by number.
#[derive(Debug, Default)]
struct Runs([AtomicUsize; 8]);

impl Runs {
    fn add(&self, number: u64) {
        self.0[usize::try_from(number).unwrap()].fetch_add(1, Ordering::SeqCst);
    }

    fn of(&self, number: usize) -> usize {
        self.0[number].load(Ordering::SeqCst)
    }
}

#[mynah::service]
trait Talk {
    async fn once(&self, number: u64) -> u64;
    #[idempotent]
    async fn again(&self, number: u64) -> u64;
    fn count(&self, number: u64) -> impl Stream<Item = u64> + Send;
}

struct MyTalk(Arc<Runs>);

impl Talk for MyTalk {
    async fn once(&self, number: u64) -> u64 {
        self.0.add(number);
        number
    }

    async fn again(&self, number: u64) -> u64 {
        self.0.add(number);
        // Not where it was read.
        tokio::task::yield_now().await;
        number
    }

    fn count(&self, number: u64) -> impl Stream<Item = u64> + Send {
        self.0.add(number);
        futures::stream::iter(0..3)
    }
}

struct World {
    client: Reconnecting,
    runs: Arc<Runs>,
    events: Events,
}

/// A server behind a link whose first connection is cut at some frame.
fn world(first: Arc<FrameCut>) -> World {
    let (runs, events) = (Arc::<Runs>::default(), Events::new());
    let opened = AtomicUsize::new(0);
    let client = Reconnecting::open_with({
        let (runs, events) = (Arc::clone(&runs), events.clone());
        move || {
            let link = match opened.fetch_add(1, Ordering::SeqCst) {
                0 => Arc::clone(&first),
                _ => FrameCut::never(),
            };
            let (near, far) = link.connect(&Native::new(), 1 << 12);
            let router = Router::new()
                .register(TalkService::new(MyTalk(Arc::clone(&runs))))
                .with_events(events.clone());
            let server = over(far, &Native::new(), Side::Accept, router, Limits::new());
            tokio::spawn(async move { server.closed().await });
            async move { Ok(Peer::over(near, &Native::new())) }
        }
    });
    let client = client.backoff(Backoff::new().with_seed(3)).start().unwrap();
    World {
        client,
        runs,
        events,
    }
}

/// What a call came to, without what differs from run to run.
fn came_to<T, E>(outcome: &Result<T, CallError<E>>) -> &'static str {
    match outcome {
        Ok(_) => "done",
        Err(CallError::Indeterminate(_)) => "unknown",
        // The last words of a server whose connection ends.
        Err(CallError::Cancelled(_)) => "stopped",
        Err(_) => "failed",
    }
}

/// Talks, and holds what came of it against what ran.
async fn talk(first: Arc<FrameCut>) {
    let frames = format!("{first:?}");
    let World {
        client,
        runs,
        events,
    } = world(first);
    let service: TalkClient<Reconnecting> = client.client();
    let again = |number: u64| service.again(number).into_future();
    let mut heard = within("made", client.subscribe::<u64>("ticks").into_future())
        .await
        .unwrap();
    let made_on = client.stats().connections;
    let one = tokio::spawn(service.once(0).into_future());
    let two = tokio::spawn(again(1));
    let mut stream = service.count(2).start();
    let three = tokio::spawn(again(3));
    let mut items = Vec::new();
    let streamed = loop {
        match within("item", stream.next()).await {
            Some(Ok(item)) => items.push(item),
            Some(Err(error)) => break Err(error),
            None => break Ok(()),
        }
    };
    assert_eq!(items, (0..items.len() as u64).collect::<Vec<_>>());
    let four = within("four", service.once(4).into_future()).await;
    let one = within("one", one).await.unwrap();
    let two = within("two", two).await.unwrap();
    let three = within("three", three).await.unwrap();

    // Whatever was published before is gone, or is not; what is published once it is there again is heard.
    let told = tokio::spawn(async move {
        loop {
            let message = within("message", heard.next()).await.unwrap().unwrap();
            if message == 9 {
                return heard.reconnects();
            }
        }
    });
    let five = within("five", again(5)).await;
    let publish = async {
        while !told.is_finished() {
            events.try_publish("ticks", &9_u64).unwrap();
            // The clock stands still: it moves on when nobody has anything to do.
            tokio::time::sleep(MS).await;
        }
    };
    within("heard", publish).await;
    let gaps = told.await.unwrap();

    let cut = client.stats().connections - 1;
    assert!(cut <= 1, "{frames}: {cut}");
    // No gap that is not told of, and none that was not.
    let lost = client.stats().connections - made_on;
    assert_eq!(gaps, lost, "{frames}");
    for (number, outcome) in [
        (0, came_to(&one)),
        (2, came_to(&streamed)),
        (4, came_to(&four)),
    ] {
        let ran = runs.of(number);
        match outcome {
            "done" => assert_eq!(ran, 1, "{frames}: {number}"),
            "unknown" | "stopped" => assert!(ran <= 1 && cut == 1, "{frames}: {number} {ran}"),
            other => panic!("{frames}: {number} {other}"),
        }
    }
    for (number, outcome) in [(1, &two), (3, &three), (5, &five)] {
        let ran = runs.of(number);
        match came_to(outcome) {
            "done" => assert!(
                ran >= 1 && ran as u64 <= 1 + cut,
                "{frames}: {number} {ran}"
            ),
            "stopped" => assert!(cut == 1, "{frames}: {number}"),
            other => panic!("{frames}: {number} {other}: {outcome:?}"),
        }
    }
    idle_but_for_nothing(&client).await;
}

/// Nothing is left but the subscription, which went with its task.
async fn idle_but_for_nothing(client: &Reconnecting) {
    drop(client.subscribe::<u64>("ticks"));
    idle(client).await;
}

#[tokio::test(start_paused = true)]
async fn the_link_is_cut_at_every_frame() {
    let frames = at_every_frame(talk).await;
    assert!(frames > 20, "{frames} frames are no conversation");
}
