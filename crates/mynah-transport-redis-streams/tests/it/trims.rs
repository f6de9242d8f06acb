//! Streams that somebody else cuts while they are used.

use crate::fleet::{self, pending, redis, until, url, within};
use crate::sessions::{NumbersClient, serve};
use futures::{StreamExt as _, stream};
use mynah::{CallError, EndReason};
use mynah_testkit::redis::RedisServer;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Cuts everything there is, again and again, until it is told to stop.
async fn cut(redis: Arc<RedisServer>, stop: Arc<AtomicBool>) -> u64 {
    let all = r"
local cut = 0
for _, pattern in ipairs({'app:cmds:*', 'app:replies:*', 'app:inbox:*', 'app:control'}) do
  for _, key in ipairs(redis.call('KEYS', pattern)) do cut = cut + redis.call('XTRIM', key, 'MAXLEN', ARGV[1]) end
end
return cut";
    let mut cut = 0;
    let mut turn = 0;
    while !stop.load(Ordering::SeqCst) {
        turn += 1;
        // Sometimes all of it, sometimes all but the newest.
        let most = if turn % 2 == 0 { "0" } else { "1" };
        let entries = redis.command(&["EVAL", all, "0", most]).await.unwrap();
        cut += u64::try_from(entries.as_integer().unwrap()).unwrap();
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    cut
}

#[tokio::test]
async fn slow_r4_trimming_races_with_calls() {
    let redis = Arc::new(redis().await);
    let (_arith, _) = fleet::serve(&redis, "claim_idle=1s").await;
    let (_numbers, _) = serve(&redis, "").await;
    let peer = mynah::connect(&url(&redis, "")).await.unwrap();
    let (arith, numbers): (fleet::ArithClient, NumbersClient) = (peer.client(), peer.client());
    let stop = Arc::new(AtomicBool::new(false));
    let cutting = tokio::spawn(cut(Arc::clone(&redis), Arc::clone(&stop)));
    let (mut answered, mut lost) = (0, 0);
    for turn in 0..20i64 {
        let calls = (0..50).map(|number| {
            let call = arith.add(turn, number).deadline(Duration::from_millis(800));
            async move { (turn + number, call.await) }
        });
        for (sum, ended) in futures::future::join_all(calls).await {
            match ended {
                Ok(result) => {
                    assert_eq!(result, sum, "an answer of another call");
                    answered += 1;
                }
                // It was cut before it was read.
                Err(CallError::Deadline | CallError::Indeterminate(_)) => lost += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
        // A stream is whole, or it says that it is not.
        let mut items = numbers.count(300).start();
        let mut next = 0;
        let broken = loop {
            match tokio::time::timeout(Duration::from_secs(20), items.next())
                .await
                .unwrap()
            {
                Some(Ok(item)) => {
                    assert_eq!(item, next, "an item is missing");
                    next += 1;
                }
                Some(Err(error)) => break Some(error),
                None => break None,
            }
        };
        match broken {
            None => assert_eq!(
                (next, items.end_reason()),
                (300, Some(&EndReason::Finished))
            ),
            Some(CallError::Indeterminate(_)) => lost += 1,
            Some(other) => panic!("{other:?}"),
        }
        if stop.load(Ordering::SeqCst) || answered > 0 && lost > 20 {
            break;
        }
    }
    stop.store(true, Ordering::SeqCst);
    let cut = cutting.await.unwrap();
    assert!(
        cut > 0 && answered > 0,
        "{cut} entries cut, {answered} calls answered, {lost} lost"
    );
    // From then on all is well, and nothing is left that is claimed for ever.
    until(async || {
        arith
            .add(1, 2)
            .deadline(Duration::from_secs(2))
            .await
            .is_ok()
    })
    .await;
    let sum = numbers
        .sum(stream::iter([1u64, 2]))
        .deadline(Duration::from_secs(20));
    assert_eq!(within(sum).await.unwrap(), 3);
    until(async || pending(&redis).await == 0).await;
}
