//! Calls by a URL, and how they end.

use crate::sshd::Sshd;
use crate::worker;
use mynah::EvidenceKey;

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
async fn a_banner_before_the_protocol() {
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

/// What the system's `ssh` is started with: nothing of a URL becomes an option, and each word stays one.
#[tokio::test]
async fn what_ssh_is_started_with() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let script = format!(
        "#!/bin/sh\nprintf '%s\\0' \"$@\" > {}\nexit 255\n",
        path("arguments").display()
    );
    std::fs::write(path("ssh"), script).unwrap();
    std::fs::set_permissions(path("ssh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = path("ssh").display().to_string();
    let url = format!(
        "ssh+exec://me@h:2222/-oProxyCommand=id?arg=-v&arg=a b;c&option=ConnectTimeout=5&program={program}"
    );
    let peer = mynah::connect(&url).await.unwrap();
    let reason = peer.closed().await.to_string();
    assert!(reason.ends_with("exited with status 255"), "{reason}");
    let arguments = std::fs::read_to_string(path("arguments")).unwrap();
    let arguments: Vec<&str> = arguments.split_terminator('\0').collect();
    let expected = [
        "-T",
        "-a",
        "-x",
        "-e",
        "none",
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

fn error_chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
