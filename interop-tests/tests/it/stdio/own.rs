//! One's own stdin and stdout, of every kind.

use super::{Child, done, program};
use crate::harness::{eventually, within};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

fn worker(argument: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stdio_worker"));
    command.arg(argument).kill_on_drop(true);
    command
}

/// Until the worker has taken its stdin and stdout.
async fn ready(child: &mut tokio::process::Child) {
    let mut line = String::new();
    let mut stderr = BufReader::new(child.stderr.as_mut().expect("a pipe"));
    within("READY", stderr.read_line(&mut line))
        .await
        .expect("stderr can be read");
    assert_eq!(line, "READY\n");
}

async fn ends_well(mut child: tokio::process::Child) {
    let status = within("the worker ends", child.wait())
        .await
        .expect("a status");
    assert!(status.success(), "{status}");
}

fn does_not_wait(fd: impl AsFd) -> bool {
    let flags = fcntl_getfl(fd).expect("flags");
    flags.contains(OFlags::NONBLOCK)
}

#[tokio::test]
async fn pipes_are_known_as_such_and_can_be_taken_once() {
    let child = Child::native();
    let kinds = done(child.api.kinds()).await.expect("kinds");
    assert_eq!(kinds, ("pipe".to_owned(), "pipe".to_owned()));
    let again = done(child.api.take_again()).await.expect("an answer");
    assert!(again.contains("in use already"), "{again}");
}

#[tokio::test]
async fn sockets_are_served_and_their_flags_stay() {
    // One socket for both, as a super-server gives it, which this process holds too.
    let (near, far) = UnixStream::pair().expect("a pair");
    let held = far.try_clone().expect("a clone");
    let mut child = worker("json")
        .stdin(Stdio::from(OwnedFd::from(
            far.try_clone().expect("a clone"),
        )))
        .stdout(Stdio::from(OwnedFd::from(far)))
        .stderr(Stdio::piped())
        .spawn()
        .expect("the worker starts");
    ready(&mut child).await;
    near.set_nonblocking(true).expect("a flag");
    let mut near = BufReader::new(tokio::net::UnixStream::from_std(near).expect("a stream"));
    near.write_all(b"[1, 0, 1, \"kinds\", []]\n")
        .await
        .expect("it is read");
    let mut line = String::new();
    within("the answer", near.read_line(&mut line))
        .await
        .expect("a line");
    assert!(line.contains("socket"), "{line}");
    assert!(
        !does_not_wait(&held),
        "the flags are shared, and not the worker's to change"
    );
    // This process still holds the other end: the worker has to say that it is done.
    near.shutdown().await.expect("stdin ends");
    line.clear();
    let end = within("the end of its output", near.read_line(&mut line)).await;
    assert_eq!(end.expect("an end"), 0, "{line}");
    ends_well(child).await;
    drop(held);
}

/// As a super-server starts its programs, and as `2>&1` does.
#[tokio::test]
async fn one_socket_as_all_three_holds_nothing_but_the_protocol() {
    let (near, far) = UnixStream::pair().expect("a pair");
    let clone = || Stdio::from(OwnedFd::from(far.try_clone().expect("a clone")));
    let child = worker("json")
        .stdin(clone())
        .stdout(clone())
        .stderr(clone())
        .spawn()
        .expect("the worker starts");
    near.set_nonblocking(true).expect("a flag");
    let near = tokio::net::UnixStream::from_std(near).expect("a stream");
    let mut near = BufReader::new(near);
    for id in 1..=3 {
        for (method, answer) in [("print", "null"), ("say", "\"text\"")] {
            let call = format!("[1, 0, {id}, \"{method}\", [\"text\"]]\n");
            near.write_all(call.as_bytes()).await.expect("it is read");
            let mut line = String::new();
            within("the answer", near.read_line(&mut line))
                .await
                .expect("a line");
            assert_eq!(line, format!("[1,2,{id},true,{answer}]\n"));
        }
    }
    near.shutdown().await.expect("stdin ends");
    ends_well(child).await;
}

#[tokio::test]
async fn pipes_that_others_hold_keep_their_flags() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let (answers, out) = std::io::pipe().expect("a pipe");
    let (held_in, held_out) = (
        reader.try_clone().expect("one"),
        out.try_clone().expect("one"),
    );
    let mut child = worker("json")
        .stdin(Stdio::from(OwnedFd::from(reader)))
        .stdout(Stdio::from(OwnedFd::from(out)))
        .stderr(Stdio::piped())
        .spawn()
        .expect("the worker starts");
    ready(&mut child).await;
    assert!(!does_not_wait(&held_in) && !does_not_wait(&held_out));
    let mut writer = writer;
    writer
        .write_all(b"[1, 0, 1, \"say\", [\"through\"]]\n")
        .expect("it is read");
    let mut answers = std::io::BufReader::new(answers);
    let line = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut answers, &mut line).expect("a line");
        line
    });
    let line = within("the answer", line).await.expect("no panic");
    assert_eq!(line, "[1,2,1,true,\"through\"]\n");
    drop(writer);
    ends_well(child).await;
}

#[tokio::test]
async fn files_are_served_to_their_end() {
    let mut requests = tempfile();
    let text: String = (0..100)
        .map(|id| format!("[1, 0, {id}, \"say\", [\"line {id}\"]]\r\n"))
        .collect();
    // The last one has no line end.
    requests
        .write_all(text.trim_end().as_bytes())
        .expect("written");
    requests.rewind().expect("a file");
    let mut answers = tempfile();
    let child = worker("json")
        .stdin(Stdio::from(requests))
        .stdout(Stdio::from(answers.try_clone().expect("a clone")))
        .stderr(Stdio::null())
        .spawn()
        .expect("the worker starts");
    ends_well(child).await;
    answers.rewind().expect("a file");
    let mut said = String::new();
    answers.read_to_string(&mut said).expect("text");
    let wanted: String = (0..100)
        .map(|id| format!("[1,2,{id},true,\"line {id}\"]\n"))
        .collect();
    assert_eq!(said, wanted);
}

/// A file without a name.
fn tempfile() -> File {
    use rustix::fs::{MemfdFlags, memfd_create};
    memfd_create("stdio", MemfdFlags::CLOEXEC)
        .expect("memory")
        .into()
}

/// A worker that speaks lines is sent one that has no end.
#[tokio::test]
async fn l4_a_line_without_an_end_closes_a_worker_at_the_limit() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_stdio_worker"))
        .args([
            "listen",
            "stdio:?dialect=cbor-rpc&format=json&errors=rich&max_message_bytes=1MiB",
        ])
        .kill_on_drop(true)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the worker starts");
    ready(&mut child).await;
    let pid = child.id().expect("it runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    stdin
        .write_all(b"[1, 0, 1, \"say\", [\"before\"]]\n")
        .await
        .expect("it is read");
    let mut line = String::new();
    within("the answer", stdout.read_line(&mut line))
        .await
        .expect("a line");
    assert_eq!(line, "[1,2,1,true,\"before\"]\n");
    let before = most_kib(pid).expect("it runs");
    let mut grown = 0;
    let flooding = async {
        let piece = vec![b'x'; 64 << 10];
        let mut written = stdin.write_all(b"[1, 0, 2, \"say\", [\"").await;
        while written.is_ok() {
            grown = most_kib(pid).map_or(grown, |now| now - before);
            written = stdin.write_all(&piece).await;
        }
    };
    within("it is cut off", flooding).await;
    let mut rest = String::new();
    let reading = tokio::io::AsyncReadExt::read_to_string(&mut stdout, &mut rest);
    within("the end", reading).await.expect("text");
    // cbor-rpc has no word for the end of a connection, and half an answer is none.
    assert_eq!(rest, "");
    assert!(
        (1..8 << 10).contains(&grown),
        "{grown} KiB more than before"
    );
    ends_well(child).await;
}

/// The most memory that a process has had; `None` once it has ended.
fn most_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line?.split_whitespace().next()?.parse().ok()
}

/// A parent hears such a line from its child.
#[tokio::test]
async fn l4_a_line_without_an_end_from_a_child_is_cut_off_at_the_limit() {
    let parent = worker("flooded").output();
    let output = within("the parent ends", parent).await.expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let (grown, reason) = said.trim().split_once(' ').expect("two words");
    let grown: u64 = grown.parse().expect("a number");
    assert!(grown < 8 << 10, "{grown} KiB more than before");
    assert!(reason.contains("1048576"), "{reason}");
}

/// What cannot be taken is left as it was: nothing of stdin is read.
#[tokio::test]
async fn what_is_refused_was_not_read() {
    let mut requests = tempfile();
    requests.write_all(b"for somebody else").expect("written");
    requests.rewind().expect("a file");
    let (_near, far) = std::os::unix::net::UnixDatagram::pair().expect("a pair");
    let child = worker("refused")
        .stdin(Stdio::from(requests.try_clone().expect("a clone")))
        .stdout(Stdio::from(OwnedFd::from(far)))
        .stderr(Stdio::piped())
        .spawn()
        .expect("the worker starts");
    let output = within("the worker ends", child.wait_with_output()).await;
    let output = output.expect("stderr can be read");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("datagrams"), "{said}");
    assert_eq!(requests.stream_position().expect("a file"), 0);
}

#[tokio::test]
async fn nothing_at_all_is_an_end_at_once() {
    let child = worker("native")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the worker starts");
    ends_well(child).await;
}

#[tokio::test]
async fn a_terminal_is_served_and_its_flags_stay() {
    let near =
        openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
    grantpt(&near).expect("a terminal");
    unlockpt(&near).expect("a terminal");
    let name = ptsname(&near, Vec::new()).expect("a name");
    let far = rustix::fs::open(
        name,
        OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    );
    let far = far.expect("a terminal");
    // Neither echo nor anything else that a terminal does to a text.
    let mut modes = rustix::termios::tcgetattr(&far).expect("modes");
    modes.make_raw();
    rustix::termios::tcsetattr(&far, rustix::termios::OptionalActions::Now, &modes).expect("modes");
    let held = far.try_clone().expect("one");
    let mut child = worker("json")
        .stdin(Stdio::from(far.try_clone().expect("one")))
        .stdout(Stdio::from(far))
        .stderr(Stdio::piped())
        .spawn()
        .expect("the worker starts");
    ready(&mut child).await;
    let mut near = File::from(near);
    near.write_all(b"[1, 0, 1, \"kinds\", []]\n")
        .expect("it is read");
    assert!(!does_not_wait(&held), "a shell holds the terminal too");
    let answer = tokio::task::spawn_blocking(move || {
        let mut said = Vec::new();
        while said.last() != Some(&b'\n') {
            let mut byte = [0];
            near.read_exact(&mut byte).expect("an answer");
            said.push(byte[0]);
        }
        (near, String::from_utf8(said).expect("text"))
    });
    let (near, answer) = within("the answer", answer).await.expect("no panic");
    assert!(answer.contains("device"), "{answer}");
    // It hangs up.
    drop((near, held));
    within("the worker ends", child.wait())
        .await
        .expect("a status");
}

#[tokio::test]
async fn a_worker_that_still_reads_can_end() {
    // A pipe that stays open, and something that cannot be watched and never has anything to read.
    let (reader, _writer) = std::io::pipe().expect("a pipe");
    let never = eventfd(0, EventfdFlags::CLOEXEC).expect("an eventfd");
    for stdin in [OwnedFd::from(reader), never] {
        let child = worker("take")
            .stdin(Stdio::from(stdin))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the worker starts");
        ends_well(child).await;
    }
}

#[tokio::test]
async fn st1_a_worker_whose_reader_is_gone_ends_by_an_error_and_no_signal() {
    let (answers, out) = std::io::pipe().expect("a pipe");
    let mut child = worker("json")
        .stdin(Stdio::piped())
        .stdout(Stdio::from(OwnedFd::from(out)))
        .stderr(Stdio::piped())
        .spawn()
        .expect("the worker starts");
    ready(&mut child).await;
    drop(answers);
    let stdin = child.stdin.as_mut().expect("a pipe");
    stdin
        .write_all(b"[1, 0, 1, \"say\", [\"to nobody\"]]\n")
        .await
        .expect("it is read");
    ends_well(child).await;
}

/// Node gives its children sockets.
#[tokio::test]
async fn node_gives_sockets_and_is_served() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/node/stdio_parent.js");
    let node = Command::new("node")
        .arg(script)
        .arg(env!("CARGO_BIN_EXE_stdio_worker"))
        .kill_on_drop(true)
        .output();
    let output = within("node", node).await.unwrap_or_else(|error| {
        panic!("node does not start ({error}): install it, `sudo apt-get install -y nodejs`")
    });
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}:\n{said}{errors}",
        output.status
    );
    assert_eq!(said.lines().last(), Some("done"), "{said}{errors}");
}

/// What it prints before the connection is over and after it goes the same way.
#[tokio::test]
async fn a_worker_can_be_started_by_hand_and_sees_the_end() {
    let mut child = Child::start(
        &program("native").env("RUST_BACKTRACE", "0"),
        &mynah::dialect::Native::new(),
        mynah::Limits::default(),
    );
    assert_eq!(child.line().await.as_deref(), Some("READY"));
    child.peer.close();
    let handle = child.handle.clone();
    eventually("it is gone", || handle.exit().is_some()).await;
    assert!(handle.exit().expect("it is gone").is_success());
    let mut rest = String::new();
    while let Some(line) = child.line().await {
        rest.push_str(&line);
    }
    assert_eq!(rest, "");
}
