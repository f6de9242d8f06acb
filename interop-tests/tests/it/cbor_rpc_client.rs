//! P: a Rust client, the Python server of the real package.

mod ends;

use crate::harness::{Codec, PythonServer, Recorder, RustClient, Venv, eventually, within};
use crate::service::text_of;
use crate::transcript::Transcript;
use mynah::dialect::CborRpc;
use mynah::{CallError, Value};
use mynah_codec::dialect::cbor_rpc::Padding;
use mynah_protocol::Envelope;
use std::sync::{Arc, Mutex};
use std::time::Duration;

async fn both() -> (PythonServer, RustClient) {
    let server = PythonServer::start(Venv::Current, Codec::Cbor).await;
    let client = RustClient::connect(server.port, CborRpc::cbor()).await;
    (server, client)
}

/// Awaits a call, bounded.
async fn done<T, E>(
    call: impl IntoFuture<Output = Result<T, CallError<E>>>,
) -> Result<T, CallError<E>> {
    within("a call ends", call.into_future()).await
}

fn map(entries: &[(&str, Value)]) -> Value {
    Value::Map(
        entries
            .iter()
            .map(|(key, value)| (Value::from(*key), value.clone()))
            .collect(),
    )
}

/// Lines and steps in the order in which they came.
type Seen = Arc<Mutex<Vec<Value>>>;

fn pair(one: impl Into<Value>, other: impl Into<Value>) -> Value {
    Value::Array(vec![one.into(), other.into()])
}

#[tokio::test]
async fn check_01_p_golden_bytes_of_this_side_are_understood_and_answered() {
    let server = PythonServer::start(Venv::Current, Codec::Cbor).await;
    let recorder = Recorder::start(server.port).await;
    let client = RustClient::connect(recorder.port, CborRpc::cbor()).await;
    let api = &client.client;
    assert_eq!(done(api.add(2, 3)).await.expect("add"), 5);
    let value = map(&[(
        "é",
        Value::Array(vec![Value::Null, Value::from(true), Value::from(1_u64)]),
    )]);
    assert_eq!(done(api.echo(value.clone())).await.expect("echo"), value);
    let error = done(api.fail("boom".to_owned()))
        .await
        .expect_err("it fails");
    assert_eq!(text_of(&error), "boom");
    done(api.note(Value::from(7_u64)))
        .await
        .expect("a fire is written");
    client
        .until_state("the fire", |state| state.notes == [Value::from(7_u64)])
        .await;
    let steps = done(api.long_task(1)).await.expect("long_task");
    assert_eq!(steps, map(&[("steps", Value::from(1_u64))]));
    let slow = api.slow(5000).start();
    client
        .until_state("slow runs", |state| state.started == 1)
        .await;
    drop(slow);
    client
        .until_state("slow is cancelled", |state| state.cancelled == 1)
        .await;
    client
        .peer
        .emit("note", &map(&[("k", Value::from(1_u64))]))
        .expect("this wire has events");
    let pong = done(api.call_back("ping".to_owned()))
        .await
        .expect("call back");
    assert_eq!(pong, Value::from("pong"));

    let said = Transcript::read(&recorder.client_said(), &recorder.server_said());
    let wanted = [
        "8501000063616464820203",
        "85010001646563686f81a162c3a983f6f501",
        "85010002646661696c8164626f6f6d",
        "85010103646e6f74658107",
        "85010004696c6f6e675f7461736b8101",
        "8501000564736c6f7781191388",
        "83010305",
        "840300646e6f7465a1616b01",
        "850100066963616c6c5f6261636b816470696e67",
        "85010200f564706f6e67",
    ];
    assert_eq!(said.caller(), wanted);
    let wanted = [
        "85010200f505",
        "85010201f5a162c3a983f6f501",
        "85010202f464626f6f6d",
        "840300656e6f74656407",
        "85020004016463726974",
        "8502000402647761726e",
        "850200040364696e666f",
        "850200040467766572626f7365",
        "8502000405656465627567",
        "850201041864a1647374657001",
        "85010204f5a165737465707301",
        "85010205f56963616e63656c6c6564",
        "850100006470696e6780",
        "85010206f564706f6e67",
    ];
    assert_eq!(said.callee(), wanted);
}

#[tokio::test]
async fn check_02_p_values_of_every_kind_are_echoed() {
    let (_server, client) = both().await;
    let text = |text: &str| Value::from(text);
    let values = vec![
        Value::Null,
        Value::from(true),
        Value::from(false),
        Value::from(0_u64),
        Value::from(u64::MAX),
        Value::from(-1_i64),
        Value::from(i64::MIN),
        Value::from(1_u128 << 70),
        Value::from(-(1_i128 << 70)),
        text(""),
        text("zero \0 inside, \u{1f99c}, é, \u{2028}"),
        Value::from(vec![0_u8, 255]),
        Value::from(0.5),
        Value::from(-0.0),
        Value::from(f64::INFINITY),
        Value::from(f64::NEG_INFINITY),
        Value::from(f64::MAX),
        Value::Array(vec![Value::Array(vec![]), map(&[])]),
        map(&[("b", Value::from(1_u64)), ("a", Value::from(2_u64))]),
        Value::Map(vec![
            (Value::from(1_u64), text("a")),
            (Value::from(vec![107_u8]), Value::Null),
            (text("f"), Value::from(1.5)),
        ]),
        Value::Tag(0, Box::new(text("2024-01-02T03:04:05Z"))),
        Value::Tag(
            4,
            Box::new(Value::Array(vec![
                Value::from(-2_i64),
                Value::from(110_u64),
            ])),
        ),
        Value::Tag(37, Box::new(Value::from(vec![7_u8; 16]))),
        Value::Tag(4711, Box::new(text("unknown"))),
    ];
    for value in values {
        let back = done(client.client.echo(value.clone()))
            .await
            .expect("echo answers");
        assert_eq!(back, value);
        let back = done(
            client
                .client
                .call_back_with("echo".to_owned(), vec![value.clone()]),
        )
        .await;
        assert_eq!(back.expect("echo of this side answers"), value);
    }
    let nan = done(client.client.echo(Value::from(f64::NAN)))
        .await
        .expect("echo answers");
    assert!(matches!(nan, Value::Float(nan) if nan.is_nan()));
    let mut deep = Value::from(1_u64);
    for _ in 0..300 {
        deep = Value::Array(vec![deep]);
    }
    assert_eq!(
        done(client.client.echo(deep.clone()))
            .await
            .expect("300 deep"),
        deep
    );
}

#[tokio::test]
async fn check_03_p_errors_are_any_text() {
    let (_server, client) = both().await;
    for text in ["boom", "", "é \u{1f99c} \"quoted\"\n", &"x".repeat(10_000)] {
        let error = done(client.client.fail(text.to_owned()))
            .await
            .expect_err("it fails");
        assert_eq!(text_of(&error), text);
        assert_eq!(
            done(client.client.add(1, 2))
                .await
                .expect("the connection lives"),
            3
        );
    }
    let error = done(client.client.fail_plain())
        .await
        .expect_err("it fails");
    assert_eq!(text_of(&error), "");
    let error = done(client.client.fail_pair()).await.expect_err("it fails");
    assert_eq!(text_of(&error), "('bad', 42)");
    let error = done(client.client.fail_rich())
        .await
        .expect_err("nobody has it");
    assert_eq!(text_of(&error), "Unknown method fail_rich");
}

#[tokio::test]
async fn check_04_p_logs_and_progress_come_in_order_to_the_right_call() {
    let (_server, client) = both().await;
    let task = |tag: &'static str| {
        let seen = Seen::default();
        let (logs, steps) = (Arc::clone(&seen), Arc::clone(&seen));
        let call = client
            .client
            .tagged_task(tag.to_owned(), 5)
            .on_log(move |level, content: Value| {
                logs.lock()
                    .expect("no panic inside")
                    .push(pair(level, content));
            })
            .on_progress_with(move |value: u64, note: Option<Value>| {
                steps
                    .lock()
                    .expect("no panic inside")
                    .push(pair(value, note.unwrap_or_default()));
            })
            .start();
        async move {
            let result = done(call).await;
            let seen = seen.lock().expect("no panic inside").clone();
            (result, seen)
        }
    };
    let (a, b, c) = tokio::join!(task("a"), task("b"), task("c"));
    for (tag, (result, seen)) in [("a", a), ("b", b), ("c", c)] {
        assert_eq!(result.expect("the task ends"), tag);
        let wanted: Vec<_> = (0..5_u64)
            .flat_map(|step| [pair(3_u64, pair(tag, step)), pair(step, tag)])
            .collect();
        assert_eq!(seen, wanted);
    }
    let seen = Seen::default();
    let (logs, steps) = (Arc::clone(&seen), Arc::clone(&seen));
    let call = client
        .client
        .long_task(2)
        .on_log(move |level, content: String| {
            logs.lock()
                .expect("no panic inside")
                .push(pair(level, content));
        })
        .on_progress_with(move |value: u64, note: Option<Value>| {
            steps
                .lock()
                .expect("no panic inside")
                .push(pair(value, note.unwrap_or_default()));
        });
    done(call).await.expect("the task ends");
    let step = |step: u64| map(&[("step", Value::from(step))]);
    let wanted = [
        pair(1_u64, "crit"),
        pair(2_u64, "warn"),
        pair(3_u64, "info"),
        pair(4_u64, "verbose"),
        pair(5_u64, "debug"),
        pair(50_u64, step(1)),
        pair(100_u64, step(2)),
    ];
    assert_eq!(*seen.lock().expect("no panic inside"), wanted);
}

#[tokio::test]
async fn check_05_p_side_messages_behind_the_reply_are_dropped_without_harm() {
    late_side(Venv::Current).await;
}

#[tokio::test]
async fn check_05_p_side_messages_behind_the_reply_of_the_version_before() {
    late_side(Venv::Old).await;
}

async fn late_side(venv: Venv) {
    let server = PythonServer::start(venv, Codec::Cbor).await;
    let client = RustClient::connect(server.port, CborRpc::cbor()).await;
    for _ in 0..20 {
        let call = client
            .client
            .late_side()
            .on_log(|_, _: Value| panic!("the reply came first"));
        assert_eq!(done(call).await.expect("late_side answers"), "ok");
    }
    assert_eq!(
        done(client.client.add(1, 2))
            .await
            .expect("the connection lives"),
        3
    );
    assert!(!client.peer.is_closed());
}

#[tokio::test]
async fn check_06_p_dropping_a_call_cancels_it_and_its_late_reply_is_dropped() {
    let (_server, client) = both().await;
    let call = client.client.slow(20_000).start();
    client
        .until_state("slow runs", |state| state.started == 1)
        .await;
    drop(call);
    client
        .until_state("slow is cancelled", |state| state.cancelled == 1)
        .await;
    assert_eq!(
        done(client.client.add(1, 2))
            .await
            .expect("the connection lives"),
        3
    );
    assert_eq!(
        (
            client.peer.stats().calls_waiting,
            client.peer.stats().calls_held
        ),
        (0, 0)
    );
}

async fn deadline(venv: Venv) {
    let server = PythonServer::start(venv, Codec::Cbor).await;
    let recorder = Recorder::start(server.port).await;
    let client = RustClient::connect(recorder.port, CborRpc::cbor()).await;
    let call = client
        .client
        .slow(20_000)
        .deadline(Duration::from_millis(200));
    let error = done(call).await.expect_err("it takes longer");
    assert!(matches!(error, CallError::Deadline), "{error:?}");
    client
        .until_state("slow is cancelled", |state| state.cancelled == 1)
        .await;
    assert_eq!(
        done(client.client.add(1, 2))
            .await
            .expect("the connection lives"),
        3
    );
    let said = Transcript::read(&recorder.client_said(), &recorder.server_said());
    assert_eq!(
        said.caller()[..2],
        ["8501000064736c6f7781194e20", "83010300"]
    );
}

#[tokio::test]
async fn check_08_p_a_deadline_is_local_and_sends_a_cancel() {
    deadline(Venv::Current).await;
}

#[tokio::test]
async fn check_08_p_a_deadline_with_the_version_before() {
    deadline(Venv::Old).await;
}

#[tokio::test]
async fn check_09_p_a_fire_is_never_answered() {
    let server = PythonServer::start(Venv::Current, Codec::Cbor).await;
    let recorder = Recorder::start(server.port).await;
    let client = RustClient::connect(recorder.port, CborRpc::cbor()).await;
    for value in 0..3_u64 {
        done(client.client.note(Value::from(value)))
            .await
            .expect("a fire is written");
    }
    done(client.client.fail_note(Value::Null))
        .await
        .expect("a fire is written");
    client
        .until_state("all of them ran", |state| state.notes.len() == 4)
        .await;
    let said = Transcript::read(&recorder.client_said(), &recorder.server_said());
    // Three events and no reply.
    assert!(
        said.heard_by_caller
            .iter()
            .all(|envelope| matches!(envelope, Envelope::Event(_)))
    );
    assert_eq!(said.heard_by_caller.len(), 3);
}

#[tokio::test]
async fn check_10_p_events_reach_the_waiter_and_the_handler() {
    let (_server, client) = both().await;
    for (topic, message) in [
        ("noted", Value::from(7_u64)),
        ("nöted \u{1f99c}", map(&[])),
        ("null", Value::Null),
    ] {
        let waiter = client.client.wait_event(topic.to_owned(), 10_000).start();
        // Answered after the waiter is in place: calls run in the order in which they arrive.
        done(client.client.ping()).await.expect("ping answers");
        client
            .peer
            .emit(topic, &message)
            .expect("this wire has events");
        assert_eq!(done(waiter).await.expect("the waiter is woken"), message);
        client
            .until_state("the handler got it too", |state| {
                state.events.last() == Some(&(topic.to_owned(), message.clone()))
            })
            .await;
    }
    let error = done(client.client.wait_event("never".to_owned(), 100))
        .await
        .expect_err("time-out");
    assert!(
        text_of(&error).contains("Timeout Waiting for Event on: never"),
        "{error:?}"
    );
}

/// What the package emits reaches everybody who hears it: waiters, listeners and the handler.
#[tokio::test]
async fn check_10_p_events_of_the_server_reach_waiters_listeners_and_the_handler() {
    for (venv, codec, dialect) in [
        (Venv::Current, Codec::Cbor, CborRpc::cbor()),
        (Venv::Old, Codec::Cbor, CborRpc::cbor()),
        (Venv::Current, Codec::Json, CborRpc::json(Padding::Python)),
    ] {
        let server = PythonServer::start(venv, codec).await;
        let client = RustClient::connect(server.port, dialect).await;
        let (peer, api) = (&client.peer, &client.client);
        let mut all = Vec::new();
        for (topic, message) in [
            ("noted", Value::from(7_u64)),
            (
                "nöted \u{1f99c}",
                map(&[("k", Value::Array(vec![Value::Null]))]),
            ),
            ("null", Value::Null),
        ] {
            let waiters = [(); 2].map(|()| peer.wait_for::<Value>(topic).expect("it has events"));
            let mut listener = peer.listen::<Value>(topic).expect("it has events");
            if topic == "noted" {
                done(api.note(message.clone()))
                    .await
                    .expect("a fire is written");
            } else {
                done(api.emit(topic.to_owned(), message.clone()))
                    .await
                    .expect("emit answers");
            }
            for waiter in waiters {
                assert_eq!(done(waiter).await.expect("it is woken"), message);
            }
            let heard = within("the listener hears it", listener.next()).await;
            assert_eq!(heard, Some(Ok(message.clone())));
            all.push((topic.to_owned(), message));
            eventually("the handler has run", || {
                client.here.remembered().events == all
            })
            .await;
        }
        let waiter = peer.wait_for::<Value>("never").expect("it has events");
        let error = done(waiter.deadline(Duration::from_millis(100))).await;
        assert!(matches!(error, Err(CallError::Deadline)), "{error:?}");
    }
}

/// The waiters of the package, in JSON and in the version before.
#[tokio::test]
async fn check_10_p_events_of_this_side_in_json_and_to_the_version_before() {
    for (venv, codec, dialect) in [
        (Venv::Old, Codec::Cbor, CborRpc::cbor()),
        (Venv::Current, Codec::Json, CborRpc::json(Padding::Python)),
    ] {
        let server = PythonServer::start(venv, codec).await;
        let client = RustClient::connect(server.port, dialect).await;
        let message = map(&[("k", Value::Null)]);
        let waiter = client.client.wait_event("ü".to_owned(), 10_000).start();
        done(client.client.ping()).await.expect("ping answers");
        client
            .peer
            .emit("ü", &message)
            .expect("this wire has events");
        assert_eq!(done(waiter).await.expect("the waiter is woken"), message);
    }
}

/// A server that emits when a client connects: who listens before the connection is made hears it.
#[tokio::test]
async fn check_10_p_an_event_right_after_the_connection_is_heard() {
    let server = PythonServer::start_with(Venv::Current, Codec::Cbor, &["--server-class"]).await;
    for _ in 0..10 {
        let url = format!("tcp://127.0.0.1:{}?dialect=cbor-rpc", server.port);
        let mut connector = mynah::connector(&url).expect("a URL");
        let mut ready = connector.listen::<Option<bool>>("ready");
        let client = RustClient::connect_with(connector).await;
        let heard = within("the first event", ready.next()).await;
        assert_eq!(heard, Some(Ok(None)));
        eventually("the handler has run", || {
            client.here.remembered().events == [("ready".to_owned(), Value::Null)]
        })
        .await;
        assert_eq!(
            done(client.client.add(1, 2)).await.expect("it is attached"),
            3
        );
    }
}

#[tokio::test]
async fn check_11_p_call_backs_errors_through_hops_and_recursion() {
    let (_server, client) = both().await;
    let api = &client.client;
    assert_eq!(
        done(api.call_back("ping".to_owned())).await.expect("pong"),
        Value::from("pong")
    );
    let two = vec![Value::from("two hops")];
    let error = done(api.call_back_with("fail".to_owned(), two.clone()))
        .await
        .expect_err("fails");
    assert_eq!(text_of(&error), "two hops");
    let three = vec![
        Value::from("fail"),
        Value::Array(vec![Value::from("three hops")]),
    ];
    let error = done(api.call_back_with("call_back_with".to_owned(), three)).await;
    assert_eq!(text_of(&error.expect_err("fails")), "three hops");
    assert_eq!(done(api.recurse(64)).await.expect("64 deep"), 64);
    let calls: Vec<_> = (0..16).map(|_| api.recurse(16).start()).collect();
    for call in calls {
        assert_eq!(done(call).await.expect("16 deep"), 16);
    }
    let stats = client.peer.stats();
    assert_eq!(
        (
            stats.calls_waiting,
            stats.handlers_running,
            stats.permits_taken
        ),
        (0, 0, 0)
    );
}

#[tokio::test]
async fn check_12_p_a_system_log_belongs_to_no_call_and_is_heard() {
    for (venv, codec, dialect) in [
        (Venv::Current, Codec::Cbor, CborRpc::cbor()),
        (Venv::Old, Codec::Cbor, CborRpc::cbor()),
        (Venv::Current, Codec::Json, CborRpc::json(Padding::Python)),
    ] {
        let server = PythonServer::start(venv, codec).await;
        let client = RustClient::connect(server.port, dialect).await;
        let mut logs = client.peer.logs().expect("this wire has logs");
        let call = client
            .client
            .system_log("for everybody".to_owned())
            .on_log(|_, line: Value| panic!("{line} is no line of this call"));
        done(call).await.expect("system_log answers");
        let line = within("the line", logs.next()).await.expect("it is open");
        let text = Value::from("for everybody");
        assert_eq!((line.level, &line.content), (2, &text));
        eventually("the handler has run", || {
            client.here.remembered().logs == [(2, text.clone())]
        })
        .await;
        assert_eq!(
            done(client.client.add(1, 2))
                .await
                .expect("the connection lives"),
            3
        );
    }
}

#[tokio::test]
async fn names_by_url() {
    let server = PythonServer::start(Venv::Current, Codec::Cbor).await;
    let url = format!(
        "tcp://127.0.0.1:{}?dialect=cbor-rpc&names=qualified",
        server.port
    );
    let client = RustClient::connect_with(mynah::connector(&url).expect("a URL")).await;
    let error = done(client.client.add(1, 2))
        .await
        .expect_err("nobody has it");
    assert!(
        error.to_string().contains("Unknown method interop.add"),
        "{error}"
    );
}
