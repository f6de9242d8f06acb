//! ST1 and D4 with programs that every system has.

use super::*;
use mynah_protocol::{Dialer as _, EvidenceKey, PeerEnd, SideLine, TransportErrorKind};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};

/// Waits for something that has to happen; generous, because it is a bound and no measure.
async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(20), future).await {
        Ok(value) => value,
        Err(_elapsed) => panic!("{what}: nothing for 20 s"),
    }
}

fn sh(script: &str) -> Program {
    Program::new("/bin/sh").arg("-c").arg(script)
}

fn run(program: &Program) -> ChildProcess {
    program.spawn().unwrap().connection
}

/// Waits until the child has said that it is ready.
async fn ready(child: &mut ChildProcess) {
    let mut byte = [0];
    within("the child is ready", child.read_exact(&mut byte))
        .await
        .unwrap();
    assert_eq!(&byte, b"R");
}

/// Reads to the end, and says what came and how it ended.
async fn read_to_end(child: &mut ChildProcess) -> (Vec<u8>, PeerEnd) {
    let mut said = Vec::new();
    let ended = within("the child ends", child.read_to_end(&mut said))
        .await
        .unwrap_err();
    (said, end_of(&ended).clone())
}

fn end_of(error: &io::Error) -> &PeerEnd {
    PeerEnd::of(error).unwrap_or_else(|| panic!("{error} is no end of a child"))
}

async fn next_line(lines: &mut StderrLines) -> Option<SideLine> {
    use futures_core::Stream as _;
    let next = poll_fn(|cx| Pin::new(&mut *lines).poll_next(cx));
    within("a line of stderr, or its end", next).await
}

/// There is no such process, not even a zombie.
fn is_reaped(pid: u32) -> bool {
    !std::path::Path::new(&format!("/proc/{pid}")).exists()
}

#[tokio::test]
async fn bytes_go_both_ways_and_the_end_has_a_status() {
    let program = Program::new("cat");
    let accepted = program.dial().await.unwrap();
    let evidence = accepted.evidence;
    assert_eq!(evidence.text(EvidenceKey::TRANSPORT), Some("stdio"));
    assert_eq!(evidence.text(EvidenceKey::new("program")), Some("cat"));
    let mut child = accepted.connection;
    child.write_all(b"hello").await.unwrap();
    let mut echo = [0; 5];
    within("the echo", child.read_exact(&mut echo))
        .await
        .unwrap();
    assert_eq!(&echo, b"hello");
    child.shutdown().await.unwrap();
    let (rest, end) = read_to_end(&mut child).await;
    assert!(rest.is_empty());
    assert_eq!(
        end.facts().fact(EvidenceKey::EXIT_STATUS),
        Some(&0_i64.into())
    );
    assert!(child.handle().exit().unwrap().is_success());
    assert!(is_reaped(child.handle().pid()));
}

#[tokio::test]
async fn environment_arguments_and_directory_are_those_that_were_given() {
    let program = sh(r#"printf '%s|%s|%s|%s' "$1" "$GIVEN" "$HOME" "$PWD""#)
        .args(["sh", "two  words; $(exit)"])
        .env_clear()
        .env("GIVEN", "yes")
        .current_dir("/");
    let (said, _) = read_to_end(&mut run(&program)).await;
    assert_eq!(
        String::from_utf8(said).unwrap(),
        "two  words; $(exit)|yes||/"
    );
}

#[tokio::test]
async fn what_cannot_be_started_says_what_it_is() {
    let missing = Program::new("/no/such/program").spawn().unwrap_err();
    assert_eq!(missing.kind(), TransportErrorKind::Refused);
    assert!(
        missing.chain().contains("/no/such/program"),
        "{}",
        missing.chain()
    );
    let denied = Program::new("/").spawn().unwrap_err();
    assert_eq!(denied.kind(), TransportErrorKind::Denied);
    let nothing = Program::new("").dial().await.unwrap_err();
    assert_eq!(nothing.kind(), TransportErrorKind::Address);
}

#[tokio::test]
async fn st1_the_end_says_status_and_signal() {
    let (said, end) = read_to_end(&mut run(&sh("printf half; exit 3"))).await;
    assert_eq!(said, b"half");
    assert_eq!(
        end.facts().fact(EvidenceKey::EXIT_STATUS),
        Some(&3_i64.into())
    );
    assert!(end.to_string().ends_with("exited with status 3"), "{end}");

    let (_, end) = read_to_end(&mut run(&sh("kill -KILL $$"))).await;
    assert_eq!(end.facts().fact(EvidenceKey::SIGNAL), Some(&9_i64.into()));
    assert!(
        end.to_string().ends_with("was ended by signal 9 (SIGKILL)"),
        "{end}"
    );
}

#[tokio::test]
async fn st1_a_child_that_closes_only_its_stdout_ends_the_stream_and_is_stopped() {
    let mut child = run(&sh(
        "printf R; exec >&-; trap '' TERM; while :; do sleep 1; done",
    ));
    let handle = child.handle();
    ready(&mut child).await;
    let (_, end) = read_to_end(&mut child).await;
    assert!(end.to_string().contains("closed its stdout"), "{end}");
    assert_eq!(end.facts().iter().count(), 0);
    handle.kill();
    assert_eq!(
        within("it is killed", handle.wait()).await.signal(),
        Some(9)
    );
}

#[tokio::test]
async fn st1_a_child_that_closes_only_its_stdin_is_heard_until_something_is_to_be_written() {
    let mut child = run(&sh("exec <&-; printf Rmore; exec sleep 60"));
    let handle = child.handle();
    ready(&mut child).await;
    // A closed pipe is an error and no signal: this process is still there.
    let (written, heard) = {
        let (mut read, mut write) = tokio::io::split(&mut child);
        let mut more = [0; 4];
        let both = async { tokio::join!(write.write_all(b"x"), read.read_exact(&mut more)) };
        let (written, read) = within("both ends", both).await;
        read.unwrap();
        (written.unwrap_err(), more)
    };
    assert_eq!(&heard, b"more");
    assert!(
        end_of(&written).to_string().contains("closed its stdin"),
        "{written}"
    );
    handle.kill();
    within("it is killed", handle.wait()).await;
}

#[tokio::test]
async fn st1_what_a_child_has_said_is_read_before_its_end_although_it_takes_nothing() {
    // More than a pipe holds, so that something is left when it is gone.
    let mut child = run(&sh("exec <&-; head -c 60000 /dev/zero; exit 5"));
    within("it ends", child.handle().wait()).await;
    let written = {
        let (mut read, mut write) = tokio::io::split(&mut child);
        let mut said = Vec::new();
        let write = async move { write.write_all(b"x").await };
        let (written, read) = within("both ends", async {
            tokio::join!(write, read.read_to_end(&mut said))
        })
        .await;
        assert_eq!(said.len(), 60_000);
        assert!(end_of(&read.unwrap_err()).to_string().ends_with("status 5"));
        written.unwrap_err()
    };
    assert!(end_of(&written).to_string().ends_with("status 5"));
}

#[tokio::test]
async fn st1_children_of_a_child_do_not_keep_its_connection_open() {
    // It leaves a process behind that holds its stdout and its stderr.
    let mut child = run(&sh("sleep 60 & printf 'R%s\\n' $!; exit 7"));
    ready(&mut child).await;
    let (said, end) = read_to_end(&mut child).await;
    assert!(end.to_string().ends_with("status 7"), "{end}");
    let left: i32 = String::from_utf8(said).unwrap().trim().parse().unwrap();
    let left = rustix::process::Pid::from_raw(left).unwrap();
    rustix::process::kill_process(left, rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn st1_a_dropped_child_is_stopped_gently_and_reaped() {
    // A worker that ends when its stdin ends, and has something to say then, on both.
    let script = "printf R; read x; head -c 200000 /dev/zero; echo bye >&2; exit 4";
    let mut child = run(&sh(script));
    let (handle, mut lines) = (child.handle(), child.take_stderr().unwrap());
    ready(&mut child).await;
    drop(child);
    let exit = within("it ends by itself", handle.wait()).await;
    assert_eq!(exit.status(), Some(4), "{exit}");
    assert_eq!(next_line(&mut lines).await.unwrap().text, "bye");
    assert!(next_line(&mut lines).await.is_none());
    assert!(is_reaped(handle.pid()));
}

fn quick() -> StopTimes {
    StopTimes::default()
        .with_after_eof(Duration::from_millis(50))
        .with_after_term(Duration::from_millis(50))
        .with_after_kill(Duration::from_secs(20))
}

#[tokio::test]
async fn st1_a_child_that_ignores_the_end_of_its_stdin_gets_term_and_then_kill() {
    let obeys = sh("printf R; while :; do sleep 0.02; done").stop_times(quick());
    let mut child = run(&obeys);
    ready(&mut child).await;
    assert_eq!(child.handle().stop().await.unwrap().signal(), Some(15));

    let ignores = sh("trap '' TERM; printf R; while :; do sleep 0.02; done").stop_times(quick());
    let mut child = run(&ignores);
    let handle = child.handle();
    ready(&mut child).await;
    drop(child);
    assert_eq!(
        within("it is killed", handle.wait()).await.signal(),
        Some(9)
    );
    assert!(is_reaped(handle.pid()));
}

#[tokio::test]
async fn st1_signals_reach_what_the_child_has_started() {
    let script = "trap '' TERM; sleep 60 & printf 'R%s\\n' $!; wait; while :; do sleep 0.02; done";
    let mut child = run(&sh(script).stop_times(quick()));
    ready(&mut child).await;
    let mut digits = Vec::new();
    while digits.last() != Some(&b'\n') {
        digits.push(within("a digit", child.read_u8()).await.unwrap());
    }
    let theirs: u32 = String::from_utf8(digits).unwrap().trim().parse().unwrap();
    child.handle().stop().await.unwrap();
    // Its new parent reaps it.
    let gone = async {
        while !is_gone(theirs) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within("the child of the child ends", gone).await;
}

/// It does not run: it is no more, or nobody has reaped it yet.
fn is_gone(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.is_empty() || stat.rsplit(')').next().unwrap().trim().starts_with('Z')
}

#[test]
fn st1_a_child_is_stopped_and_reaped_although_its_runtime_is_gone() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let program = sh("trap '' TERM; printf R; while :; do sleep 0.02; done").stop_times(quick());
    let handle = runtime.block_on(async {
        let mut child = run(&program);
        ready(&mut child).await;
        let handle = child.handle();
        // Held by a task that never ends: it goes with the runtime.
        tokio::spawn(async move {
            std::future::pending::<()>().await;
            drop(child);
        });
        tokio::task::yield_now().await;
        handle
    });
    drop(runtime);
    let other = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let exit = other.block_on(within("it is killed", handle.wait()));
    assert_eq!(exit.signal(), Some(9));
    assert!(is_reaped(handle.pid()));
}

#[tokio::test]
async fn st1_stderr_arrives_in_lines_and_never_stops_the_child() {
    // 1 MiB in lines that nobody reads, then a line that is too long, while stdin and stdout go on.
    let script = "i=0; while [ $i -lt 16384 ]; do printf '%063d\\n' $i; i=$((i+1)); done >&2; \
                  head -c 20000 /dev/zero | tr '\\0' x >&2; echo >&2; echo last >&2; exec cat";
    let mut child = run(&sh(script).lines(16));
    let mut lines = child.take_stderr().unwrap();
    child.write_all(b"through").await.unwrap();
    let mut echo = [0; 7];
    within("the echo", child.read_exact(&mut echo))
        .await
        .unwrap();
    assert_eq!(&echo, b"through");
    child.shutdown().await.unwrap();
    read_to_end(&mut child).await;
    let mut seen = Vec::new();
    while let Some(line) = next_line(&mut lines).await {
        seen.push(line);
    }
    assert_eq!(seen.len(), 16);
    assert_eq!(seen[15].text, "last");
    assert_eq!(seen[14].text.len(), 8 << 10);
    assert_eq!(seen[14].cut_bytes, 20_000 - (8 << 10));
    assert_eq!(seen[13].text.trim_start_matches('0'), "16383");
    let dropped: u64 = seen.iter().map(|line| line.dropped).sum();
    assert_eq!(dropped, 16_384 + 2 - 16);
}

#[tokio::test]
async fn stderr_can_be_thrown_away() {
    let mut child = run(&sh("echo gone >&2; printf R").stderr(StderrMode::Null));
    assert!(child.take_stderr().is_none());
    ready(&mut child).await;
    read_to_end(&mut child).await;
}

#[tokio::test]
async fn d4_a_child_that_reads_nothing_and_says_much_is_stopped_with_both_pipes_full() {
    let mut child = run(&sh("printf R; exec yes >/dev/stdout").stop_times(quick()));
    let handle = child.handle();
    ready(&mut child).await;
    // Until its stdin is full.
    let full = async {
        while tokio::time::timeout(Duration::from_millis(200), child.write_all(&[0; 4096]))
            .await
            .is_ok()
        {}
    };
    within("the pipe is full", full).await;
    drop(child);
    let exit = within("it is stopped", handle.wait()).await;
    assert_eq!(exit.signal(), Some(15), "{exit}");
}

/// A pending write is told how a child ended that was stopped meanwhile.
#[tokio::test]
async fn a_write_that_waits_hears_how_a_stopped_child_ended() {
    let quick = StopTimes::default().with_after_eof(Duration::from_millis(50));
    let mut child = run(&sh("printf R; exec sleep 60").stop_times(quick));
    ready(&mut child).await;
    let handle = child.handle();
    let (mut reader, mut writer) = tokio::io::split(child);
    let (mut said, data) = (Vec::new(), vec![0; 1 << 20]);
    let both = async {
        tokio::join!(
            reader.read_to_end(&mut said),
            writer.write_all(&data),
            handle.stop()
        )
    };
    let (read, written, stopped) = within("the end", both).await;
    assert_eq!(stopped.unwrap().signal(), Some(15));
    for error in [read.unwrap_err(), written.unwrap_err()] {
        let signal = end_of(&error).facts().fact(EvidenceKey::SIGNAL);
        assert_eq!(signal, Some(&15_i64.into()), "{error}");
    }
}

/// A process of its own that goes on writing to stderr is not read for ever.
#[tokio::test]
async fn stderr_ends_although_another_process_never_stops_writing_to_it() {
    let mut child = run(&sh("yes >&2 & exit 3"));
    let _flood = Flood(child.handle().pid());
    let mut lines = child.take_stderr().unwrap();
    let (_, end) = read_to_end(&mut child).await;
    assert_eq!(
        end.facts().fact(EvidenceKey::EXIT_STATUS),
        Some(&3_i64.into())
    );
    let end = async { while next_line(&mut lines).await.is_some() {} };
    within("the end of stderr", end).await;
}

/// What a child has left running in its process group, which is killed at the end.
struct Flood(u32);

impl Drop for Flood {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_raw(self.0.cast_signed()).unwrap();
        // It may have ended by the end of its pipe.
        let _gone = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

/// Of a large buffer, nothing is touched before there is something to read, and little then.
#[tokio::test]
async fn a_large_buffer_is_filled_as_it_is_needed() {
    let (reader, writer) = io::pipe().unwrap();
    let mut input = descriptor::Input::open(reader.into(), descriptor::Kind::Pipe).unwrap();
    assert!(matches!(input, descriptor::Input::Watched(_)));
    let mut memory = Box::<[u8]>::new_uninit_slice(1 << 20);
    let mut buffer = ReadBuf::uninit(&mut memory);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(input.poll_read(&mut cx, &mut buffer).is_pending());
    assert_eq!(buffer.initialized().len(), 0);
    rustix::io::write(&writer, b"some").unwrap();
    let read = poll_fn(|cx| input.poll_read(cx, &mut buffer));
    within("what was written", read).await.unwrap();
    assert_eq!(buffer.filled(), b"some");
    assert!(buffer.initialized().len() <= 64 << 10);
}
