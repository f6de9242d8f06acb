//! Calls by a URL, and how they end.

use crate::sshd::Sshd;
use crate::worker;
use mynah::EvidenceKey;
use std::process::Command;

#[mynah::service]
trait Backup {
    async fn host(&self) -> String;
}

#[tokio::test]
async fn a_typed_call_over_ssh() {
    let server = Sshd::start("");
    let peer = mynah::connect(&worker::url(&server, "")).await.unwrap();
    assert_eq!(peer.evidence().text(EvidenceKey::TRANSPORT), Some("ssh"));
    let backup: BackupClient = peer.client();
    backup.host().await.unwrap();
}

/// A worker that is gone is started again.
#[tokio::test]
async fn reconnecting() {
    let server = Sshd::start("");
    let file = server.path("pids");
    let url = format!(
        "ssh://{}@127.0.0.1:{}?shell=echo $$ >> {}; exec {} worker{}",
        server.user(),
        server.port(),
        file.display(),
        worker::program().display(),
        worker::login(&server)
    );
    let client = mynah::connector(&url)
        .unwrap()
        .reconnect(mynah::Backoff::default())
        .unwrap()
        .connect()
        .await
        .unwrap();
    let backup: BackupClient<mynah::Reconnecting> = client.client();
    backup.host().await.unwrap();
    let pids = || std::fs::read_to_string(&file).unwrap();
    let pid: i32 = pids().trim().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    // A call that was on its way may be lost with the worker; the next one waits for another.
    while backup.host().await.is_err() || pids().lines().count() < 2 {
        tokio::task::yield_now().await;
    }
}

/// The end of a worker is the end of its calls, and says how it ended.
#[tokio::test]
async fn how_a_worker_ends_is_in_the_reason() {
    let server = Sshd::start("");
    let url = format!(
        "ssh://{}@127.0.0.1:{}?shell=echo out of cheese >%262; exit 3{}",
        server.user(),
        server.port(),
        worker::login(&server)
    );
    let mut connector = mynah::connector(&url).unwrap();
    let mut logs = connector.logs();
    let peer = connector.connect().await.unwrap();
    let reason = peer.closed().await.to_string();
    assert!(
        reason.ends_with("the remote command exited with status 3"),
        "{reason}"
    );
    let line = futures::StreamExt::next(&mut logs).await.unwrap();
    assert_eq!(line.stderr(), Some("out of cheese"));
}

/// SSH3: what a shell prints before the worker begins is skipped when that is asked for, and is a clear error when not.
#[tokio::test]
async fn ssh3_a_banner_before_the_protocol() {
    // As a shell does that has an `echo` in the file which it reads first.
    let server =
        Sshd::start("ForceCommand echo You have new mail.; eval \"$SSH_ORIGINAL_COMMAND\"");
    let url = worker::url(&server, "");
    let refused = match mynah::connect(&url).await {
        Ok(peer) => {
            let backup: BackupClient = peer.client();
            backup.host().await.unwrap_err().to_string()
        }
        Err(error) => error.to_string(),
    };
    assert!(refused.contains("does not speak native"), "{refused}");

    let peer = mynah::connect(&format!("{url}&banner=1000")).await.unwrap();
    let backup: BackupClient = peer.client();
    backup.host().await.unwrap();

    // A cap is a cap.
    let refused = mynah::connect(&format!("{url}&banner=5"))
        .await
        .unwrap_err();
    let refused = error_chain(&refused);
    assert!(
        refused.contains("more than 5 bytes came before"),
        "{refused}"
    );
    assert!(refused.contains("You have new mail"), "{refused}");
}

/// SSH4: whatever is written to stderr beside a worker, its answers arrive as they were written, and the lines beside them.
#[tokio::test]
async fn ssh4_stderr_never_corrupts_frames() {
    let server = Sshd::start("");
    let url = format!(
        "ssh://{}@127.0.0.1:{}?shell=yes noise | head -c 4000000 >%262 %26 exec {} worker{}",
        server.user(),
        server.port(),
        worker::program().display(),
        worker::login(&server)
    );
    let mut connector = mynah::connector(&url).unwrap();
    let mut logs = connector.logs();
    let peer = connector.connect().await.unwrap();
    let backup: BackupClient = peer.client();
    let host = backup.host().await.unwrap();
    for _ in 0..300 {
        let calls = futures::future::join_all((0..8).map(|_| backup.host().into_future()));
        for answer in calls.await {
            assert_eq!(answer.unwrap(), host);
        }
    }
    loop {
        let line = futures::StreamExt::next(&mut logs).await.unwrap();
        match line.stderr() {
            Some("noise") => break,
            Some("ready") => {}
            other => panic!("{other:?}"),
        }
    }
}

/// A program in the place of `ssh` that writes down what it is started with.
struct Written {
    directory: tempfile::TempDir,
}

impl Written {
    fn new() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let written = Self { directory };
        let script = format!(
            "#!/bin/sh\nprintf '%s\\0' \"$@\" > {}\nexit 255\n",
            written.path("arguments")
        );
        std::fs::write(written.path("ssh"), script).unwrap();
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(written.path("ssh"), mode).unwrap();
        written
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// What the arguments of a URL are.
    async fn arguments(&self, url: &str) -> Vec<String> {
        let url = format!("{url}&program={}", self.path("ssh"));
        let peer = mynah::connect(&url).await.unwrap();
        let reason = peer.closed().await.to_string();
        assert!(reason.ends_with("exited with status 255"), "{reason}");
        let arguments = std::fs::read_to_string(self.path("arguments")).unwrap();
        arguments
            .split_terminator('\0')
            .map(ToOwned::to_owned)
            .collect()
    }
}

/// What the system's `ssh` is started with: nothing of a URL becomes an option, and each word stays one.
#[tokio::test]
async fn what_ssh_is_started_with() {
    let url = "ssh+exec://me@h:2222/-oProxyCommand=id?arg=-v&arg=a b;c&option=ConnectTimeout=5";
    let arguments = Written::new().arguments(url).await;
    let expected = [
        "-T",
        "-x",
        "-e",
        "none",
        "-a",
        "-o",
        "ClearAllForwardings=yes",
        "-o",
        "BatchMode=yes",
        "-p",
        "2222",
        "-l",
        "me",
        "-o",
        "ConnectTimeout=5",
        "--",
        "h",
        "'-oProxyCommand=id' -v 'a b;c'",
    ];
    assert_eq!(arguments, expected);
}

/// The agent is forwarded to whom the URL names, and to nobody because a configuration says so: `ssh` itself is asked what
/// it makes of the arguments.
#[tokio::test]
async fn the_agent_is_forwarded_by_name_alone() {
    let written = Written::new();
    let config = written.path("config");
    std::fs::write(
        &config,
        "Host *\nForwardAgent yes\nForwardX11 yes\nBatchMode no\n",
    )
    .unwrap();
    for (option, expected) in [
        ("", "no"),
        ("&option=ForwardAgent=yes", "yes"),
        ("&option=forwardagent=/run/agent", "/run/agent"),
        ("&option=ForwardAgent=no", "no"),
    ] {
        let url = format!("ssh+exec://me@h/worker?arg=x{option}");
        let arguments = written.arguments(&url).await;
        let output = Command::new("ssh")
            .args(["-G", "-F", &config])
            .args(&arguments)
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let has = |line: String| said.lines().any(|one| one == line);
        assert!(has(format!("forwardagent {expected}")), "{option}: {said}");
        assert!(has("forwardx11 no".to_owned()), "{option}: {said}");
        assert!(has("batchmode yes".to_owned()), "{option}: {said}");
    }
}

fn error_chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
