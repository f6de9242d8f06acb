//! cbor-rpc over stdin and stdout: a worker of this side under a Python parent, a Python worker under this side.

use crate::harness::{Codec, RustClient, Venv, eventually, run_parent, within, worker};
use crate::service::{Here, InteropClient, text_of};
use mynah::dialect::CborRpc;
use mynah::stdio::{ChildHandle, Program};
use mynah::{CallError, CloseReason, EvidenceKey, Logs, Peer, Value};
use mynah_codec::dialect::cbor_rpc::Padding;

const CODECS: [Codec; 2] = [Codec::Cbor, Codec::Json];

fn dialect(codec: Codec) -> CborRpc {
    match codec {
        Codec::Cbor => CborRpc::cbor(),
        Codec::Json => CborRpc::json(Padding::Python),
    }
}

/// A worker, talked to.
struct Worker {
    client: RustClient,
    handle: ChildHandle,
    stderr: Logs,
}

impl Worker {
    fn start(program: &Program, dialect: &CborRpc) -> Self {
        let mut child = program.spawn().expect("the worker starts");
        let handle = child.connection.handle();
        let lines = child.connection.take_stderr().expect("stderr is read");
        let here = Here::default();
        let mut builder = Peer::over(child.connection, dialect)
            .router(here.router())
            .side_lines(lines)
            .evidence(child.evidence);
        let stderr = builder.logs();
        let peer = builder.start().expect("the services can be registered");
        let client: InteropClient<Peer> = peer.client();
        Self {
            client: RustClient { peer, client, here },
            handle,
            stderr,
        }
    }

    async fn line(&mut self) -> Option<String> {
        let line = within("a line of stderr", self.stderr.next()).await?;
        Some(line.stderr().expect("it is of stderr").to_owned())
    }
}

async fn done<T, E>(
    call: impl IntoFuture<Output = Result<T, CallError<E>>>,
) -> Result<T, CallError<E>> {
    within("a call ends", call.into_future()).await
}

// R: a worker of this side under a parent of the real package.

#[tokio::test]
async fn check_20_r_a_worker_says_ready_and_ends_with_its_stdin() {
    for codec in CODECS {
        run_parent(Venv::Current, codec, &["worker_ends_with_stdin"]).await;
    }
}

#[tokio::test]
async fn check_20_r_a_worker_ends_by_sigterm_and_calls_in_flight_end_at_once() {
    for codec in CODECS {
        run_parent(Venv::Current, codec, &["worker_is_terminated"]).await;
        run_parent(Venv::Current, codec, &["worker_is_killed"]).await;
    }
}

#[tokio::test]
async fn check_10_r_events_and_waiters_both_ways_over_stdio() {
    for codec in CODECS {
        run_parent(Venv::Current, codec, &["events"]).await;
        run_parent(Venv::Current, codec, &["events_up"]).await;
    }
}

#[tokio::test]
async fn check_18_and_19_r_json_over_stdio() {
    for scenario in ["json_one_at_a_time", "json_many", "errors", "golden"] {
        run_parent(Venv::Current, Codec::Json, &[scenario]).await;
    }
}

#[tokio::test]
async fn check_20_r_calls_of_every_kind_over_stdio() {
    for scenario in [
        "golden",
        "echo",
        "side_messages",
        "cancel",
        "call_back",
        "many",
    ] {
        run_parent(Venv::Current, Codec::Cbor, &[scenario]).await;
    }
}

#[tokio::test]
async fn check_20_r_large_messages_over_stdio() {
    run_parent(Venv::Current, Codec::Cbor, &["large"]).await;
}

// P: a worker of the real package under this side.

#[tokio::test]
async fn check_20_p_a_worker_says_ready_and_ends_with_its_stdin() {
    for codec in CODECS {
        let mut worker = Worker::start(&worker(Venv::Current, codec), &dialect(codec));
        assert_eq!(worker.line().await.as_deref(), Some("READY"));
        let api = &worker.client.client;
        assert_eq!(done(api.add(2, 3)).await.expect("add"), 5);
        // Stderr is a stream of its own, in order with itself.
        for text in ["one", "two", "ünï\u{1f99c}"] {
            done(worker.client.client.print(text.to_owned()))
                .await
                .expect("it prints");
            assert_eq!(worker.line().await.as_deref(), Some(text));
        }
        worker.client.peer.close();
        let exit = within("the worker ends by itself", worker.handle.wait()).await;
        assert_eq!(exit.status(), Some(0), "{exit}");
    }
}

#[tokio::test]
async fn check_20_p_a_worker_is_stopped_by_sigterm() {
    let mut worker = Worker::start(&worker(Venv::Current, Codec::Cbor), &CborRpc::cbor());
    assert_eq!(worker.line().await.as_deref(), Some("READY"));
    let pid = i32::try_from(worker.handle.pid()).expect("a pid");
    let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
    let call = worker.client.client.slow(20_000).start();
    worker
        .client
        .until_state("slow runs", |state| state.started == 1)
        .await;
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    let error = done(call).await.expect_err("it ends at once");
    assert!(matches!(error, CallError::Indeterminate(_)), "{error:?}");
    let exit = within("the worker ends", worker.handle.wait()).await;
    assert_eq!(exit.signal(), Some(15), "{exit}");
}

#[tokio::test]
async fn check_20_p_a_killed_worker_ends_the_calls_in_flight_and_says_how() {
    for codec in CODECS {
        let worker = Worker::start(&worker(Venv::Current, codec), &dialect(codec));
        let api = &worker.client.client;
        let calls: Vec<_> = (0..3).map(|_| api.slow(20_000).start()).collect();
        worker
            .client
            .until_state("all run", |state| state.started == 3)
            .await;
        worker.handle.kill();
        for call in calls {
            let error = done(call).await.expect_err("it ends at once");
            let CallError::Indeterminate(CloseReason::PeerEnded(end)) = error else {
                panic!("{error:?}");
            };
            let signal = end.facts().fact(EvidenceKey::SIGNAL);
            assert_eq!(signal, Some(&Value::from(9_i64)));
        }
    }
}

#[tokio::test]
async fn check_20_p_the_status_of_a_worker_that_exits_is_in_the_reason() {
    let worker = Worker::start(&worker(Venv::Current, Codec::Cbor), &CborRpc::cbor());
    let error = done(worker.client.client.exit(7))
        .await
        .expect_err("it exits");
    assert!(
        error.to_string().contains("exited with status 7"),
        "{error}"
    );
}

#[tokio::test]
async fn check_10_p_events_and_waiters_both_ways_over_stdio() {
    for codec in CODECS {
        let worker = Worker::start(&worker(Venv::Current, codec), &dialect(codec));
        let (peer, api) = (&worker.client.peer, &worker.client.client);
        let message = Value::Array(vec![Value::Null, Value::from("ü")]);
        // To the worker's waiter and its handler.
        let waiter = api.wait_event("to the worker".to_owned(), 10_000).start();
        done(api.ping()).await.expect("ping answers");
        peer.emit("to the worker", &message)
            .expect("this wire has events");
        assert_eq!(done(waiter).await.expect("the waiter is woken"), message);
        worker
            .client
            .until_state("the handler got it too", |state| state.events.len() == 1)
            .await;
        // From the worker.
        let here = peer
            .wait_for::<Value>("from the worker")
            .expect("it has events");
        done(api.emit("from the worker".to_owned(), message.clone()))
            .await
            .expect("emit answers");
        assert_eq!(done(here).await.expect("the waiter is woken"), message);
        eventually("the handler has run", || {
            worker.client.here.remembered().events
                == [("from the worker".to_owned(), message.clone())]
        })
        .await;
    }
}

#[tokio::test]
async fn check_18_and_19_p_json_over_stdio() {
    let worker = Worker::start(
        &worker(Venv::Current, Codec::Json),
        &CborRpc::json(Padding::Python),
    );
    let api = &worker.client.client;
    let big = |digits: &str| digits.parse::<i128>().map(Value::from).expect("an integer");
    for value in [
        Value::from("quotes \" and \\ and \n, \u{2028}, \u{1f99c}, \u{0}"),
        Value::from(u64::MAX),
        big("-170141183460469231731687303715884105727"),
        Value::Map(vec![
            (Value::from("z"), Value::Null),
            (Value::from("a"), Value::from(true)),
        ]),
        Value::Array(vec![Value::Array(vec![]), Value::from("")]),
    ] {
        assert_eq!(done(api.echo(value.clone())).await.expect("echo"), value);
    }
    let error = done(api.fail("line\r\nbreak \"quoted\"".to_owned()))
        .await
        .expect_err("it fails");
    assert_eq!(text_of(&error), "line\r\nbreak \"quoted\"");
    // 64 at once, which the package loses without the padding. Its own answers come as they are.
    let calls: Vec<_> = (0..64).map(|number| api.add(number, 1).start()).collect();
    for (number, call) in (0..64).zip(calls) {
        assert_eq!(done(call).await.expect("all are answered"), number + 1);
    }
}

#[tokio::test]
async fn check_20_p_calls_back_and_side_messages_over_stdio() {
    let worker = Worker::start(&worker(Venv::Current, Codec::Cbor), &CborRpc::cbor());
    let api = &worker.client.client;
    let pong = done(api.call_back("ping".to_owned())).await.expect("pong");
    assert_eq!(pong, Value::from("pong"));
    assert_eq!(done(api.recurse(20)).await.expect("both ways"), 20);
    let data = vec![7; 4 << 20];
    assert_eq!(done(api.length(data.into())).await.expect("large"), 4 << 20);
    assert_eq!(done(api.blob(4 << 20)).await.expect("large").len(), 4 << 20);
}

#[tokio::test]
async fn check_20_p_the_version_before_works_over_stdio_too() {
    let worker = Worker::start(&worker(Venv::Old, Codec::Cbor), &CborRpc::cbor());
    assert_eq!(done(worker.client.client.add(2, 3)).await.expect("add"), 5);
}

/// The URL does the same: the worker starts, its stderr is heard, and it goes with the peer.
#[tokio::test]
async fn check_20_p_by_url() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/cbor_rpc_worker.py");
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/.venv/bin/python");
    for (codec, options) in [("cbor", ""), ("json", "&format=json&padding=python")] {
        let url = format!(
            "stdio:{python}?arg=-u&arg={script}&arg={codec}&env=PYTHONDONTWRITEBYTECODE=1\
             &dialect=cbor-rpc{options}"
        );
        let here = Here::default();
        let mut connector = mynah::connector(&url).expect("a URL");
        let mut logs = connector.logs();
        let peer = connector.router(here.router()).connect().await;
        let peer = peer.expect("the worker starts");
        let api: InteropClient<Peer> = peer.client();
        assert_eq!(done(api.add(2, 3)).await.expect("add"), 5);
        let line = within("READY", logs.next()).await.expect("a line");
        assert_eq!(line.stderr(), Some("READY"));
        eventually("the handler of log lines has it too", || {
            !here.remembered().logs.is_empty()
        })
        .await;
        // Dropped: its stdin ends, it ends by itself, and it is reaped.
        let pid = peer.evidence().fact(EvidenceKey::PROCESS_ID).cloned();
        let pid = pid.and_then(|pid| pid.as_i64()).expect("a pid");
        drop((peer, api));
        eventually("it is gone", || {
            !std::path::Path::new(&format!("/proc/{pid}")).exists()
        })
        .await;
    }
}
