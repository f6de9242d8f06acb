//! When it tries again: by the stopped clock.

use super::*;

fn expected(delays: usize) -> Vec<Duration> {
    let mut backoff = Backoff::new().with_seed(7);
    (0..delays).map(|_| backoff.next_delay()).collect()
}

fn pauses(at: &[Duration]) -> Vec<Duration> {
    at.windows(2).map(|pair| round(pair[1] - pair[0])).collect()
}

/// The clock of tokio moves by whole milliseconds, and never too early.
fn round(span: Duration) -> Duration {
    Duration::from_millis(u64::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap())
}

#[tokio::test(start_paused = true)]
async fn attempts_come_as_the_rule_says() {
    let (place, client) = place(1 << 16);
    place.dialled.refuse(true);
    let start = Instant::now();
    let client = client.start().unwrap();
    until("tried", || place.dialled.count() == 1).await;
    while place.dialled.count() < 12 {
        tokio::time::sleep(SECOND).await;
    }
    let at = place.dialled.since(start);
    assert_eq!(at[0], Duration::ZERO, "the first one waits for nothing");
    for (pause, expected) in pauses(&at).into_iter().zip(expected(11)) {
        let more = pause.checked_sub(expected);
        assert!(
            more.is_some_and(|more| more <= 2 * MS),
            "{pause:?}, not {expected:?}"
        );
    }
    assert_eq!(client.stats().failures, at.len() as u64);
}

/// Lives for so long, and is lost.
async fn live(place: &mut Place, client: &Reconnecting, life: Duration) {
    let raw = place.raw().await;
    client.connected().await.unwrap();
    tokio::time::sleep(life).await;
    drop(raw);
}

#[tokio::test(start_paused = true)]
async fn a_stable_connection_begins_anew_and_another_does_not() {
    let (mut place, client) = place(1 << 16);
    let client = client.backoff(Backoff::new().with_jitter_percent(0));
    let start = Instant::now();
    let client = client.start().unwrap();
    for _ in 0..4 {
        live(&mut place, &client, SECOND).await;
    }
    live(&mut place, &client, 10 * SECOND).await;
    let _last = place.raw().await;
    let pauses = pauses(&place.dialled.since(start));
    let expected = [1100, 1200, 1400, 1800, 10100].map(|ms| ms * MS);
    for (pause, expected) in pauses.iter().zip(expected) {
        assert!(
            *pause >= expected && *pause <= expected + 5 * MS,
            "{pauses:?}"
        );
    }
}

async fn leave(raw: &mut Raw) {
    let code = ErrorCode::DRAINING.value();
    raw.say(serde_json::json!([GOING_AWAY, code, "bye"]), "")
        .await;
}

/// A server that drains is left at once; one that always drains is not hammered.
#[tokio::test(start_paused = true)]
async fn a_drain_is_followed_at_once_and_the_next_one_is_not() {
    let (mut place, client) = place(1 << 16);
    let client = client.backoff(Backoff::new().with_jitter_percent(0));
    let start = Instant::now();
    let _client = client.start().unwrap();
    for _ in 0..4 {
        leave(&mut place.raw().await).await;
    }
    let mut raw = place.raw().await;
    let pauses = pauses(&place.dialled.since(start));
    assert_eq!(pauses[0], Duration::ZERO);
    for (pause, expected) in pauses[1..].iter().zip([100 * MS, 200 * MS, 400 * MS]) {
        assert!(
            *pause >= expected && *pause <= expected + 5 * MS,
            "{pauses:?}"
        );
    }
    // After a stable one, at once again.
    tokio::time::sleep(10 * SECOND).await;
    let since = Instant::now();
    leave(&mut raw).await;
    let _raw = place.raw().await;
    assert!(since.elapsed() <= 5 * MS);
}
