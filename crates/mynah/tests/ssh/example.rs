//! The example runs, over either kind of SSH.

use crate::sshd::Sshd;
use crate::worker;
use std::process::Command;

fn run(url: &str) -> String {
    let output = Command::new(worker::program()).arg(url).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}\n{stderr}");
    stdout
}

fn check(stdout: &str) {
    for line in [
        "  worker, stderr: ready",
        "  worker, stderr: looking at /etc/passwd",
        "  3 of 3",
        "2 files are there",
    ] {
        assert!(stdout.contains(line), "no {line:?} in\n{stdout}");
    }
    assert!(stdout.contains("level 2: /no/such/file"), "{stdout}");
}

#[test]
fn over_our_own_client() {
    let server = Sshd::start("");
    let stdout = run(&worker::url(&server, ""));
    check(&stdout);
    assert!(stdout.contains("transport: ssh"), "{stdout}");
    assert!(stdout.contains("host_key: SHA256:"), "{stdout}");
}

#[test]
fn over_the_systems_ssh() {
    let server = Sshd::start("");
    let options = [
        ("UserKnownHostsFile", server.known_hosts()),
        ("IdentityFile", server.user_key()),
    ];
    let options: String = options
        .iter()
        .map(|(name, path)| format!("&option={name}={}", path.display()))
        .collect();
    let stdout = run(&format!(
        "ssh+exec://{}@127.0.0.1:{}{}?arg=worker&option=IdentitiesOnly=yes{options}",
        server.user(),
        server.port(),
        format_args!("/{}", worker::program().display()),
    ));
    check(&stdout);
}
