//! A server of this crate in a directory of its own, and whoever connects to it.

use crate::sshd::{make_key, public};
use mynah_protocol::{Accepted, Dialer as _, Evidence, Listener as _, TransportError};
use mynah_transport_ssh::{
    HostKeys, Identity, Remote, SUBSYSTEM, SshAddress, SshDialer, SshListener, SshServerOptions,
    SshServerStream, SshStream,
};
use std::fs;
use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;

/// Far longer than anything takes here: what has not happened by then hangs.
pub(crate) const HANGS: Duration = Duration::from_secs(60);

/// Keys that all tests of this process share: making them costs a process each.
fn shared() -> &'static TempDir {
    static KEYS: OnceLock<TempDir> = OnceLock::new();
    KEYS.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        make_key(&directory.path().join("user_key"), "ed25519", "");
        make_key(&directory.path().join("other_key"), "ed25519", "");
        make_key(&directory.path().join("host_key"), "ed25519", "");
        directory
    })
}

/// A private key that authorized_keys lists, unless a test says otherwise.
pub(crate) fn user_key() -> PathBuf {
    shared().path().join("user_key")
}

/// One that it does not list.
pub(crate) fn other_key() -> PathBuf {
    shared().path().join("other_key")
}

/// Type and base64 of the public half of a key.
pub(crate) fn public_of(key: &Path) -> String {
    public(&key.with_extension("pub"))
}

/// The files of a server.
pub(crate) struct Site {
    directory: TempDir,
}

impl Site {
    /// One that lets the user's key in.
    pub(crate) fn new() -> Self {
        Self::with_keys(&public_of(&user_key()))
    }

    /// The same for all tests that change nothing in it.
    pub(crate) fn shared() -> &'static Self {
        static SITE: OnceLock<Site> = OnceLock::new();
        SITE.get_or_init(Self::new)
    }

    /// One with this text in authorized_keys.
    pub(crate) fn with_keys(authorized: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let host_key = shared().path().join("host_key");
        fs::copy(&host_key, directory.path().join("host_key")).unwrap();
        let site = Self { directory };
        site.authorize(authorized);
        site
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes authorized_keys anew.
    pub(crate) fn authorize(&self, text: &str) {
        fs::write(self.path("authorized_keys"), format!("{text}\n")).unwrap();
    }

    pub(crate) fn options(&self) -> SshServerOptions {
        SshServerOptions::new(self.path("authorized_keys"), self.path("host_key"))
    }

    pub(crate) async fn listen(&self) -> SshListener {
        self.listen_with(self.options()).await
    }

    pub(crate) async fn listen_with(&self, options: SshServerOptions) -> SshListener {
        SshListener::bind("127.0.0.1:0", options).await.unwrap()
    }

    pub(crate) fn dialer(&self, listener: &SshListener) -> SshDialer {
        self.dialer_as("mynah", &user_key(), listener.local_address().port())
    }

    pub(crate) fn dialer_as(&self, user: &str, key: &Path, port: u16) -> SshDialer {
        let address = SshAddress::new(user, "127.0.0.1").unwrap().port(port);
        SshDialer::new(address, Remote::Subsystem(SUBSYSTEM.to_owned()))
            .host_keys(self.host_keys(port))
            .identity(Identity::file(key))
    }

    fn host_keys(&self, port: u16) -> HostKeys {
        HostKeys::known_hosts_in([self.known_hosts(port)])
    }

    /// A file of known hosts with the host key.
    pub(crate) fn known_hosts(&self, port: u16) -> PathBuf {
        let file = self.path(&format!("known_hosts_{port}"));
        let key = public_of(&shared().path().join("host_key"));
        fs::write(&file, format!("[127.0.0.1]:{port} {key}\n")).unwrap();
        file
    }

    /// `ssh` of OpenSSH, with the user's key and nothing of the user's own files.
    pub(crate) fn ssh(&self, user: &str, port: u16, arguments: &[&str]) -> Command {
        let mut command = self.ssh_with(&user_key(), port, arguments);
        let _at = command.arg(format!("{user}@127.0.0.1"));
        command
    }

    /// The same with another key, for the user mynah.
    pub(crate) fn ssh_as(&self, key: &str, port: u16, arguments: &[&str]) -> Command {
        let mut command = self.ssh_with(Path::new(key), port, arguments);
        let _at = command.arg("mynah@127.0.0.1");
        command
    }

    fn ssh_with(&self, key: &Path, port: u16, arguments: &[&str]) -> Command {
        let mut command = Command::new("ssh");
        command
            .args([
                "-F",
                "none",
                "-o",
                "BatchMode=yes",
                "-o",
                "IdentitiesOnly=yes",
            ])
            .args(["-o", "IdentityAgent=none", "-o", "ConnectTimeout=20"])
            .arg("-o")
            .arg(format!(
                "UserKnownHostsFile={}",
                self.known_hosts(port).display()
            ))
            .arg("-i")
            .arg(key)
            .args(["-p", &port.to_string()])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

/// The next connection that is let in, or the next attempt that failed.
pub(crate) async fn accept(
    listener: &mut SshListener,
) -> Result<Accepted<SshServerStream>, TransportError> {
    within(poll_fn(|cx| listener.poll_accept(cx)))
        .await
        .unwrap()
}

/// Dials while the listener accepts: the ends of both sides.
pub(crate) async fn meet(
    dialer: &SshDialer,
    listener: &mut SshListener,
) -> (Accepted<SshStream>, Accepted<SshServerStream>) {
    let (dialled, accepted) = tokio::join!(within(dialer.dial()), accept(listener));
    (dialled.unwrap(), accepted.unwrap())
}

/// Dials in vain: what either side says of it, and the evidence if it was let in all the same.
pub(crate) async fn refused(dialer: &SshDialer, listener: &mut SshListener) -> (String, String) {
    let (dialled, accepted) = tokio::join!(within(dialer.dial()), accept(listener));
    let evidence = |end: Accepted<SshServerStream>| -> Evidence { end.evidence };
    (
        dialled.map(|_| ()).unwrap_err().chain(),
        accepted.map(evidence).unwrap_err().chain(),
    )
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    let future = tokio::time::timeout(HANGS, future);
    future.await.expect("it hangs")
}
