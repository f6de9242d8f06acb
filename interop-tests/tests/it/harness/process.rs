//! A server of this side in a process of its own, whose memory and time can be looked at.

use super::within;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

/// `src/bin/serve.rs`, which ends with this.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    /// Where it listens, in the order of the URLs.
    pub(crate) addresses: Vec<String>,
    stdin: Option<ChildStdin>,
    child: Child,
}

impl ServerProcess {
    /// Starts one and waits until it listens on these URLs.
    pub(crate) async fn start(urls: &[&str]) -> Self {
        let mut command = Command::new(Self::program());
        command.args(urls);
        Self::start_as(command).await
    }

    /// The program.
    pub(crate) const fn program() -> &'static str {
        env!("CARGO_BIN_EXE_serve")
    }

    /// Starts it in a way of its own, and waits until it listens.
    pub(crate) async fn start_as(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the server starts");
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let mut line = String::new();
        let mut stdout = BufReader::new(stdout);
        within("the server listens", stdout.read_line(&mut line))
            .await
            .expect("stdout can be read");
        let addresses = line.trim().strip_prefix("listening ");
        let addresses = addresses.unwrap_or_else(|| panic!("the server did not start: {line:?}"));
        Self {
            addresses: addresses.split(' ').map(str::to_owned).collect(),
            stdin,
            child,
        }
    }

    /// The text of a URL that is wrong here: the program must not start.
    pub(crate) async fn refuses(urls: &[&str]) -> String {
        let output = Command::new(Self::program())
            .args(urls)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = within("the server refuses", output).await;
        let output = output.expect("the program can be run");
        assert!(!output.status.success(), "{urls:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// The memory that it has in KiB: now, and at most so far.
    pub(crate) fn memory_kib(&self) -> [u64; 2] {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()));
        let status = status.expect("it runs");
        ["VmRSS:", "VmHWM:"].map(|name| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            number.and_then(|number| number.parse().ok()).expect(name)
        })
    }

    /// The time that it has had on a processor, in hundredths of a second.
    pub(crate) fn cpu_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id()));
        let stat = stat.expect("it runs");
        // Behind the name, which may hold anything: state, then user and system time as fields 14 and 15 of the line.
        let (_, fields) = stat.rsplit_once(") ").expect("a name");
        let times = fields.split(' ').skip(11).take(2);
        times
            .map(|time| time.parse::<u64>().expect("a number"))
            .sum()
    }

    /// Tells it to end, and waits until it has.
    pub(crate) async fn end(mut self) {
        drop(self.stdin.take());
        let status = within("the server ends", self.child.wait()).await;
        assert!(status.expect("it can be waited for").success());
    }

    /// Kills it as it stands.
    pub(crate) async fn kill(mut self) {
        within("the server is killed", self.child.kill())
            .await
            .expect("it runs");
    }
}

/// Reads what a peer of bytes gets until it is closed; a reset closes as well.
pub(crate) async fn read_to_end(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Vec<u8> {
    let mut rest = Vec::new();
    drop(within("the peer closes", stream.read_to_end(&mut rest)).await);
    rest
}
