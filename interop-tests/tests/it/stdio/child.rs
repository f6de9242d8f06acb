//! Children as peers.

use super::{Child, done};
use crate::harness::{eventually, within};
use mynah::dialect::{CborRpc, Native};
use mynah::prelude::*;
use mynah::stdio::{Program, StopTimes};
use mynah::{Bytes, CloseReason, EvidenceKey, Limits, PeerEnd, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

fn sh(script: &str) -> Program {
    Program::new("/bin/sh").arg("-c").arg(script)
}

fn ended<E: std::fmt::Debug>(error: CallError<E>) -> Arc<PeerEnd> {
    match error {
        CallError::Indeterminate(CloseReason::PeerEnded(end))
        | CallError::Disconnected(CloseReason::PeerEnded(end)) => end,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn st1_what_a_worker_prints_during_calls_lands_on_stderr() {
    let mut child = Child::native();
    assert_eq!(child.line().await.as_deref(), Some("READY"));
    for round in 0..50 {
        let text = format!("stray {round}");
        let print = child.api.print(text.clone()).start();
        let data = Bytes::from(vec![1; 10_000]);
        let echo = child.api.echo(data.clone()).start();
        done(print).await.expect("it prints");
        assert_eq!(done(echo).await.expect("echo"), data);
        // What had no line end stands before it, as it does on a terminal.
        let line = child.line().await.expect("a line");
        assert!(line.ends_with(&text), "{line}");
    }
}

#[tokio::test]
async fn st1_garbage_on_stdout_ends_the_connection_and_the_child() {
    let quick = StopTimes::default().with_after_eof(Duration::from_millis(50));
    let program = sh("printf 'Hello, this is no protocol\\n'; exec sleep 60").stop_times(quick);
    let child = Child::start(&program, &Native::new(), Limits::default());
    let error = done(child.api.take_again())
        .await
        .expect_err("it is garbage");
    let reason = within("the end", child.peer.closed()).await;
    assert!(matches!(reason, CloseReason::Violation(..)), "{reason}");
    assert!(
        matches!(
            error,
            CallError::Disconnected(_) | CallError::Indeterminate(_)
        ),
        "{error:?}"
    );
    // Nobody holds on to it: it is stopped without being asked for.
    let exit = within("the child ends", child.handle.wait()).await;
    assert_eq!(exit.signal(), Some(15), "{exit}");
}

#[tokio::test]
async fn st1_a_child_that_exits_inside_a_frame_ends_the_call_with_its_status() {
    // An answer to call 1 that stops in its middle.
    let program = sh("head -c 5 >/dev/null; printf '\\205\\001\\002\\001'; exit 9");
    let child = Child::start(&program, &CborRpc::cbor(), Limits::default());
    let error = done(child.api.hang()).await.expect_err("no answer");
    let end = ended(error);
    let status = end.facts().fact(EvidenceKey::EXIT_STATUS);
    assert_eq!(status, Some(&Value::from(9_i64)));
    assert!(child.peer.closed().await.to_string().contains("status 9"));
}

#[tokio::test]
async fn st1_a_killed_worker_ends_the_calls_in_flight_and_is_reaped() {
    let child = Child::native();
    let calls: Vec<_> = (0..3).map(|_| child.api.hang().start()).collect();
    done(child.api.take_again()).await.expect("it runs");
    child.handle.kill();
    for call in calls {
        let end = ended(done(call).await.expect_err("it is gone"));
        let signal = end.facts().fact(EvidenceKey::SIGNAL);
        assert_eq!(signal, Some(&Value::from(9_i64)));
    }
    let pid = child.handle.pid();
    assert_eq!(
        child
            .handle
            .exit()
            .and_then(mynah::stdio::ChildExit::signal),
        Some(9)
    );
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[tokio::test]
async fn st1_the_last_words_of_a_child_are_heard_before_its_end() {
    let program = sh("echo cannot find my configuration >&2; exit 1");
    let mut child = Child::start(&program, &Native::new(), Limits::default());
    let end = ended(done(child.api.hang()).await.expect_err("it is gone"));
    assert!(end.to_string().ends_with("exited with status 1"), "{end}");
    let line = child.line().await;
    assert_eq!(line.as_deref(), Some("cannot find my configuration"));
    assert_eq!(child.line().await, None);
}

/// What a child has left running in its process group, which is killed at the end.
struct Group(u32);

impl Drop for Group {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_raw(self.0.cast_signed()).expect("a pid");
        // It may have ended by the end of its pipe.
        let _gone = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

/// A flood of stderr that nobody wants takes no thread and holds up no end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn st1_a_flood_of_stderr_does_not_keep_a_connection_from_its_end() {
    let runs = || async {
        let task = tokio::spawn(tokio::task::yield_now());
        within("a task runs", task).await.expect("no panic");
    };
    // By a process that is left behind, and which then has nobody to write to.
    let child = Child::start(&sh("yes >&2 & exit 3"), &Native::new(), Limits::default());
    let _left = Group(child.handle.pid());
    let end = ended(done(child.api.hang()).await.expect_err("it is gone"));
    let status = end.facts().fact(EvidenceKey::EXIT_STATUS);
    assert_eq!(status, Some(&Value::from(3_i64)));
    runs().await;
    // By the child itself, which is stopped in the midst of it.
    let quick = StopTimes::default().with_after_eof(Duration::from_millis(50));
    let child = Child::start(
        &sh("echo no protocol; exec yes >&2").stop_times(quick),
        &Native::new(),
        Limits::default(),
    );
    let reason = within("the end", child.peer.closed()).await;
    assert!(matches!(reason, CloseReason::Violation(..)), "{reason}");
    runs().await;
    let exit = within("the child is stopped", child.handle.wait()).await;
    assert_eq!(exit.signal(), Some(15), "{exit}");
}

#[tokio::test]
async fn st1_a_worker_ends_well_when_its_peer_is_dropped() {
    let Child {
        peer, api, handle, ..
    } = Child::native();
    done(api.take_again()).await.expect("it runs");
    drop((peer, api));
    let exit = within("it ends by itself", handle.wait()).await;
    assert!(exit.is_success(), "{exit}");
}

#[tokio::test]
async fn st1_a_mebibyte_of_stderr_while_calls_go_on() {
    let child = Child::native();
    // Nobody reads the lines: the oldest are dropped, and the worker never waits.
    let complain = child.api.complain(16 << 10).start();
    for _ in 0..100 {
        let data = Bytes::from(vec![2; 1000]);
        assert_eq!(
            done(child.api.echo(data.clone())).await.expect("echo"),
            data
        );
    }
    done(complain).await.expect("all of it is written");
    let mut stderr = child.stderr;
    let dropped = within("the last line", async {
        let mut dropped = 0;
        loop {
            let line = stderr.next().await.expect("a line");
            dropped += line.dropped;
            let text = line.stderr().expect("it is of stderr");
            if text.trim_start_matches('0') == "16383" {
                return dropped;
            }
        }
    })
    .await;
    assert!(dropped > 0, "more than may wait");
}

#[tokio::test]
async fn d4_full_pipes_both_ways_stop_nobody() {
    let child = Child::native();
    // 64 MiB each way through pipes of 64 KiB, and calls back from handlers beside it.
    let seen = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&seen);
    let back = child.api.call_back(20, move |data: Bytes| {
        let size = u64::try_from(data.len()).expect("a size");
        counted.fetch_add(size, Ordering::Relaxed);
        std::future::ready(Ok(size))
    });
    let back = back.start();
    let data = Bytes::from(vec![3; 1 << 20]);
    let calls: Vec<_> = (0..64)
        .map(|_| child.api.echo(data.clone()).start())
        .collect();
    for call in calls {
        assert_eq!(done(call).await.expect("echo").len(), data.len());
    }
    assert_eq!(done(back).await.expect("calls back"), 2_000_000);
    assert_eq!(seen.load(Ordering::Relaxed), 2_000_000);
}

#[tokio::test]
async fn d4_a_child_that_reads_nothing_is_given_up_after_the_write_time_out() {
    let limits = Limits::default().with_write_timeout(Duration::from_millis(100));
    let quick = StopTimes::default().with_after_eof(Duration::from_millis(50));
    let program = sh("exec yes").stop_times(quick);
    // In a dialect to which `y` is a message without a meaning, read as fast as it comes.
    let limits = limits.with_violation_budget(u32::MAX);
    let child = Child::start(&program, &CborRpc::cbor(), limits);
    let data = Bytes::from(vec![4; 1 << 20]);
    let error = done(child.api.echo(data))
        .await
        .expect_err("nobody reads it");
    let reason = within("the end", child.peer.closed()).await;
    assert!(
        matches!(reason, CloseReason::TimedOut("peer takes no data")),
        "{reason}"
    );
    assert!(
        matches!(
            error,
            CallError::Indeterminate(_) | CallError::Disconnected(_)
        ),
        "{error:?}"
    );
    let exit = within("the child is stopped", child.handle.wait()).await;
    assert_eq!(exit.signal(), Some(15), "{exit}");
}

/// Each connection of a client that connects again is a process of its own.
#[tokio::test]
async fn a_worker_that_is_lost_is_started_again() {
    let url = concat!("stdio:", env!("CARGO_BIN_EXE_stdio_worker"), "?arg=native");
    let client = mynah::connector(url)
        .expect("a URL")
        .reconnect(mynah::Backoff::default())
        .expect("it can be dialled again")
        .connect()
        .await
        .expect("the worker starts");
    let api: crate::worker::WorkerClient<mynah::Reconnecting> = client.client();
    let lost = done(api.exit(3)).await.expect_err("it exits");
    assert!(lost.to_string().contains("exited with status 3"), "{lost}");
    let text = done(api.say("again".to_owned()))
        .await
        .expect("a new one answers");
    assert_eq!(text, "again");
}

/// What stops a child in the background does not keep this side from ending.
#[tokio::test]
async fn a_parent_ends_although_its_child_does_not() {
    let parent = tokio::process::Command::new(env!("CARGO_BIN_EXE_stdio_worker"))
        .arg("parent")
        .kill_on_drop(true)
        .output();
    let output = within("the parent ends", parent).await.expect("it starts");
    assert!(output.status.success(), "{}", output.status);
    let pid = String::from_utf8_lossy(&output.stdout).trim().parse();
    let pid = rustix::process::Pid::from_raw(pid.expect("a pid")).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it still runs");
}

#[tokio::test]
async fn urls_that_cannot_work_say_why() {
    let missing = mynah::connect("stdio:/no/such/program")
        .await
        .expect_err("no");
    assert!(
        missing
            .to_string()
            .contains("cannot start /no/such/program"),
        "{missing}"
    );
    let listening = Server::new().listen("stdio:cat").start().await;
    let error = listening.expect_err("a program cannot be listened on");
    assert!(
        error.to_string().contains("connect to stdio:PROGRAM"),
        "{error}"
    );
    let again = mynah::connector("stdio:")
        .expect("a URL")
        .reconnect(mynah::Backoff::default());
    let error = again.expect_err("once in a life");
    assert!(error.to_string().contains("without reconnect"), "{error}");
}

#[tokio::test]
async fn children_leave_nothing_behind() {
    let open = || std::fs::read_dir("/proc/self/fd").expect("/proc").count();
    let threads = || std::fs::read_dir("/proc/self/task").expect("/proc").count();
    let (fds, tasks) = (open(), threads());
    for _ in 0..5 {
        let child = Child::native();
        done(child.api.take_again()).await.expect("it runs");
        child.handle.stop().await.expect("it ends");
    }
    // Others run beside this one, so the counts come back at some time.
    eventually("descriptors and threads come home", || {
        open() <= fds + 8 && threads() <= tasks + 4
    })
    .await;
}
