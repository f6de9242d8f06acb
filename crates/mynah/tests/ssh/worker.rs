//! The example as a worker.

use crate::sshd::Sshd;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The example's program, built when it is not there.
pub(crate) fn program() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args(["build", "--quiet", "-p", "mynah", "--features", "ssh"])
            .args(["--example", "ssh-worker"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(status.unwrap().success(), "the example does not build");
        // target/debug/deps/ssh-… is this program.
        let this = std::env::current_exe().unwrap();
        let program = this.ancestors().nth(2).unwrap().join("examples/ssh-worker");
        assert!(program.exists(), "there is no {}", program.display());
        program
    });
    built.clone()
}

/// The URL of a worker behind a server of a test; `options` are added.
pub(crate) fn url(server: &Sshd, options: &str) -> String {
    format!(
        "ssh://{}@127.0.0.1:{}?command={}&arg=worker{}{options}",
        server.user(),
        server.port(),
        program().display(),
        login(server)
    )
}

/// How one logs in there.
pub(crate) fn login(server: &Sshd) -> String {
    format!(
        "&known_hosts={}&identity={}",
        server.known_hosts().display(),
        server.user_key().display()
    )
}
