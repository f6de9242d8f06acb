//! RS: entries that no client writes, one bad one among good ones, and what is left of many.

use crate::harness::{CMDS, PREFIX, Redis, drained};
use interop_tests::python::within;
use serde_json::json;
use std::time::Duration;

const REPLIES: &str = "app:x:replies:raw";

fn add(id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"arith.add","params":{{"a":1,"b":2}},"id":"{id}"}}"#)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_29_rs_one_bad_entry_among_sixteen_does_not_stop_its_neighbours() {
    let redis = Redis::start().await;
    // They are there before the server is, so that one read takes all of them.
    drained(redis.serve("srv-0").await).await;
    for number in 0..16 {
        let text = match number {
            3 => "junk".to_owned(),
            7 => r#"{"jsonrpc":"2.0","method":"arith.badResult","id":"u7"}"#.to_owned(),
            9 => r#"{"jsonrpc":"2.0","method":"arith.boom","params":{},"id":"u9"}"#.to_owned(),
            _ => add(&format!("u{number}")),
        };
        // One of them names a key of another type, which is not to be written to.
        let reply_to = if number == 5 {
            "app:x:elsewhere"
        } else {
            REPLIES
        };
        redis
            .entry(
                CMDS,
                &[("type", "rpc"), ("envelope", &text), ("reply-to", reply_to)],
            )
            .await;
    }
    redis.ask(&["SET", "app:x:elsewhere", "1"]).await;
    let server = redis.serve("srv-1").await;
    redis.settled(CMDS).await;
    let replies = redis.replies(REPLIES).await;
    for number in (0..16).filter(|number| ![3, 5, 7, 9].contains(number)) {
        let id = format!("u{number}");
        let answers: Vec<_> = replies.iter().filter(|reply| reply["id"] == *id).collect();
        assert_eq!(
            answers,
            [&json!({"jsonrpc": "2.0", "id": id, "result": {"sum": 3}})]
        );
    }
    let boom: Vec<_> = replies.iter().filter(|reply| reply["id"] == "u9").collect();
    assert_eq!(boom.len(), 1, "{replies:?}");
    assert_eq!(boom[0]["error"]["code"], -32603);
    let untouched = redis.ask(&["GET", "app:x:elsewhere"]).await;
    assert_eq!(untouched.as_text(), Some("1"));
    drained(server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_13_rs_a_reply_to_of_another_form_is_never_written_to() {
    let redis = Redis::start().await;
    let server = redis.serve("srv-1").await;
    let strange = [
        "elsewhere".to_owned(),
        "app:x:cmds:fleet-work".to_owned(),
        "app:y:replies:raw".to_owned(),
        "app:x:replies:".to_owned(),
        "app:x:replies:a\nb".to_owned(),
        format!("app:x:replies:{}", "x".repeat(10_000)),
    ];
    for reply_to in &strange {
        let fields = [("envelope", &*add("u1")), ("reply-to", &**reply_to)];
        redis.entry(CMDS, &fields).await;
    }
    redis.settled(CMDS).await;
    for reply_to in &strange {
        let there = redis.number(&["XLEN", reply_to]).await;
        assert_eq!(there, 0, "{reply_to:.40}");
    }
    drained(server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_21_rs_replies_that_nobody_reads_go_by_themselves() {
    let redis = Redis::start().await;
    let short = Duration::from_millis(300);
    let options = redis.options().with_instance("srv-1").with_reply_ttl(short);
    let server = redis.serve_with(options).await;
    redis
        .entry(CMDS, &[("envelope", &*add("u1")), ("reply-to", REPLIES)])
        .await;
    redis.settled(CMDS).await;
    let left = redis.number(&["PTTL", REPLIES]).await;
    assert!(left == -2 || (1..=300).contains(&left), "{left}");
    redis
        .until("they are gone", async || {
            redis.number(&["EXISTS", REPLIES]).await == 0
        })
        .await;
    drained(server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_29_rs_a_poison_entry_ends_with_the_dead() {
    let redis = Redis::start().await;
    redis.group("fleet-work").await;
    let stream = format!("{PREFIX}:cmds:fleet-work");
    let text = r#"{"jsonrpc":"2.0","method":"fleet-work.mark","params":{"id":"poison","milliseconds":60000},"id":"u1"}"#;
    redis
        .entry(&stream, &[("envelope", text), ("reply-to", REPLIES)])
        .await;
    let healthy = text
        .replace("poison", "healthy")
        .replace("60000", "0")
        .replace("u1", "u2");
    // Each server dies while it runs it.
    for number in 1..=3 {
        let server = redis.serve_apart(&format!("srv-{number}"), "3").await;
        redis
            .until("it runs once more", async || {
                redis.marks("poison").await.len() >= number
            })
            .await;
        if number == 2 {
            let fields = [("envelope", &*healthy), ("reply-to", REPLIES)];
            redis.entry(&stream, &fields).await;
            // It does not wait for the other one, and is done before the server dies.
            redis
                .until("its neighbour is done", async || {
                    redis.pending(&stream).await == 1
                })
                .await;
            assert_eq!(redis.replied(REPLIES, 1).await[0]["id"], "u2");
        }
        server.kill().await;
    }
    let idle = Duration::from_secs(1);
    let options = redis.options().with_instance("srv-4").with_claim_idle(idle);
    let server = redis.serve_with(options.with_max_deliveries(3)).await;
    redis.settled(&stream).await;
    assert_eq!(
        redis.marks("poison").await.len(),
        3,
        "it ran three times and no more"
    );
    assert_eq!(redis.marks("healthy").await.len(), 1);
    let dead = format!("{PREFIX}:dead:fleet-work");
    let entries = redis.ask(&["XRANGE", &dead, "-", "+"]).await;
    assert_eq!(entries.items().len(), 1, "{entries:?}");
    let fields = &entries.items()[0].items()[1];
    let envelope = fields.field("envelope").expect("what it was");
    assert_eq!(envelope.as_text(), Some(text));
    // Whoever waits for it is told.
    let replies = redis.replied(REPLIES, 2).await;
    let told = replies
        .iter()
        .find(|reply| reply["id"] == "u1")
        .expect("an answer");
    assert!(told["error"]["code"].is_i64(), "{told}");
    drained(server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_check_33_rs_ten_thousand_calls_leave_nothing() {
    let redis = Redis::start().await;
    let server = redis.serve("srv-1").await;
    let (peer, client) = redis.connect().await;
    let memory = async || {
        redis
            .number(&["MEMORY", "USAGE", CMDS, "SAMPLES", "0"])
            .await
    };
    let mut sizes = Vec::new();
    for round in 0..10_i64 {
        let calls = (0..1_000).map(|number| client.add(number, round).into_future());
        let results = within("a thousand calls", futures::future::join_all(calls)).await;
        for (number, result) in (0..).zip(results) {
            assert_eq!(result.expect("an answer").sum, number + round);
        }
        redis.settled(CMDS).await;
        sizes.push(memory().await);
    }
    // The node of the stream that is written to is kept; what was in it is gone.
    assert!(sizes.iter().all(|size| *size < 64 * 1024), "{sizes:?}");
    drop((peer, client));
    drained(server).await;
    let keys = redis.ask(&["KEYS", "*"]).await;
    for key in keys.texts() {
        // The stream stays with its group; what is known of who served goes by itself.
        let stays = key.starts_with(&format!("{PREFIX}:cmds:"));
        let left = redis.number(&["PTTL", key]).await;
        assert!(stays || left > 0, "{key} stays for ever");
        assert!(!key.contains(":replies:"), "{key} is left behind");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_29_rs_an_entry_that_is_given_back_each_time_ends_with_the_dead() {
    let redis = Redis::start().await;
    let stream = redis.group("fleet-work").await;
    let text = r#"{"jsonrpc":"2.0","method":"fleet-work.mark","params":{"id":"poison","milliseconds":60000},"id":"u1"}"#;
    redis.entry(&stream, &[("envelope", text)]).await;
    for number in 1..=3 {
        let options = redis.options().with_instance(format!("srv-{number}"));
        let server = redis.serve_with(options.with_max_deliveries(3)).await;
        redis
            .until("it runs once more", async || {
                redis.marks("poison").await.len() >= number
            })
            .await;
        // At once, and in order: others may have it without waiting.
        server.stop();
    }
    let options = redis.options().with_instance("srv-4");
    let server = redis.serve_with(options.with_max_deliveries(3)).await;
    redis.settled(&stream).await;
    assert_eq!(redis.marks("poison").await, ["srv-1", "srv-2", "srv-3"]);
    let dead = format!("{PREFIX}:dead:fleet-work");
    assert_eq!(redis.number(&["XLEN", &dead]).await, 1);
    drained(server).await;
}
