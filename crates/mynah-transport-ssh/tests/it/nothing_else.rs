//! What is asked for besides the subsystem is refused: by OpenSSH; what asyncssh asks for is among the interop tests.

use crate::support::{Site, accept, within};
use std::process::Stdio;

/// Runs `ssh`, and gives its status and what it says; nothing is accepted meanwhile.
async fn ssh(site: &Site, flags: &[&str], command: &[&str]) -> (Option<i32>, String) {
    let mut listener = site.listen().await;
    let port = listener.local_address().port();
    let mut ssh = site.ssh("mynah", port, flags);
    let output = async {
        let output = ssh.args(command).stdin(Stdio::null()).output().await;
        output.expect("install openssh-client: apt-get install openssh-client")
    };
    let accepting = async {
        loop {
            if let Ok(accepted) = accept(&mut listener).await {
                panic!("let in: {:?}", accepted.evidence);
            }
        }
    };
    let output = tokio::select! {
        output = within(output) => output,
        () = accepting => unreachable!("it accepts for ever"),
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

#[tokio::test]
async fn openssh_gets_no_shell_no_command_and_no_other_subsystem() {
    let site = Site::new();
    for (flags, command) in [
        (&["-T"][..], &[][..]),
        (&["-T"], &["id"]),
        (&["-s"], &["sftp"]),
        (&["-s"], &["mynah "]),
        (&["-A", "-T"], &["id"]),
    ] {
        let (status, said) = ssh(&site, flags, command).await;
        assert_eq!(status, Some(255), "{flags:?} {command:?}: {said}");
        assert!(said.contains("request failed"), "{command:?}: {said}");
    }
}

#[tokio::test]
async fn openssh_gets_no_forwarding() {
    let site = Site::new();
    // To a port over there, and back from a port and from a socket over there.
    let (status, said) = ssh(&site, &["-W", "127.0.0.1:22"], &[]).await;
    assert_eq!(status, Some(255), "{said}");
    assert!(said.contains("open failed"), "{said}");
    let back = [
        "-N",
        "-o",
        "ExitOnForwardFailure=yes",
        "-R",
        "0:127.0.0.1:22",
    ];
    let (status, said) = ssh(&site, &back, &[]).await;
    assert_eq!(status, Some(255), "{said}");
    assert!(said.contains("forwarding failed"), "{said}");
    let back = [
        "-N",
        "-o",
        "ExitOnForwardFailure=yes",
        "-R",
        "/tmp/mynah-none:127.0.0.1:22",
    ];
    let (status, said) = ssh(&site, &back, &[]).await;
    assert_eq!(status, Some(255), "{said}");
    assert!(!std::path::Path::new("/tmp/mynah-none").exists());
}
