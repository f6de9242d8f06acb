//! A real OpenSSH server for tests: on a free port of this machine, with throwaway keys in a temporary directory, for
//! the user who runs the tests. Taken over by other crates' tests with `#[path]`.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const INSTALL: &str = "install it: apt-get install openssh-server openssh-client";

/// Runs a program until the end of stdin, which comes with the end of this process, however it ends: nobody is left behind
/// by tests that are killed. The shell keeps no stderr, so that a server that does not begin is noticed at once.
const UNTIL_THE_END: &str = r#"
"$@" </dev/null &
child=$!
exec 2>/dev/null
read -r _
kill -KILL $child
wait
"#;

/// How long a server may take to begin.
const BEGIN: Duration = Duration::from_secs(20);

/// A server that runs until it is dropped.
pub(crate) struct Sshd {
    directory: TempDir,
    port: u16,
    user: String,
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Sshd {
    /// Starts one that takes the key `user_key` of this user. `config` is added to its configuration.
    pub(crate) fn start(config: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        make_key(&path("host_key"), "ed25519", "");
        make_key(&path("user_key"), "ed25519", "");
        fs::copy(path("user_key.pub"), path("authorized_keys")).unwrap();
        Self::start_in(directory, config)
    }

    /// The same in a directory with the files `host_key`, `user_key` and `authorized_keys`.
    pub(crate) fn start_in(directory: TempDir, config: &str) -> Self {
        let user = user();
        if user == "root" {
            // sshd shuts unauthenticated children in there, and does not begin without it.
            fs::create_dir_all("/run/sshd").unwrap();
            fs::set_permissions("/run/sshd", fs::Permissions::from_mode(0o755)).unwrap();
        }
        // A port that is free now need not be free in a moment: somebody else starts one too.
        for _ in 0..20 {
            let port = free_port();
            match run(directory.path(), port, config) {
                Ok((child, log)) => {
                    let server = Self {
                        directory,
                        port,
                        user,
                        child,
                        log,
                    };
                    server.write_known_hosts();
                    return server;
                }
                Err(log) if log.contains("Address already in use") => {}
                Err(log) => panic!("sshd does not begin: {log}"),
            }
        }
        panic!("there is no free port for sshd");
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    /// A file of its directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The private key that it takes.
    pub(crate) fn user_key(&self) -> PathBuf {
        self.path("user_key")
    }

    /// A file of known hosts that lists its key.
    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.path("known_hosts")
    }

    /// Its own public key: type and base64.
    pub(crate) fn host_key(&self) -> String {
        public(&self.path("host_key.pub"))
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    fn write_known_hosts(&self) {
        let line = format!("[127.0.0.1]:{} {}\n", self.port, self.host_key());
        fs::write(self.known_hosts(), line).unwrap();
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // Those of its children that serve somebody end with their connections.
        end(&mut self.child);
    }
}

/// Has the shell around a server end it, and waits until it has.
fn end(child: &mut Child) {
    drop(child.stdin.take());
    let _reaped = child.wait();
}

/// Makes a key pair: `path` and `path.pub`.
pub(crate) fn make_key(path: &Path, kind: &str, passphrase: &str) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", kind, "-C", "test", "-N", passphrase, "-f"])
        .arg(path)
        .stdin(Stdio::null())
        .status();
    match made {
        Ok(status) => assert!(status.success(), "ssh-keygen: {status}"),
        Err(error) => panic!("there is no ssh-keygen ({error}): {INSTALL}"),
    }
}

/// Type and base64 of a public key in a file.
pub(crate) fn public(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let fields: Vec<&str> = text.split(' ').take(2).collect();
    fields.join(" ").trim_end().to_owned()
}

/// The user who runs the tests.
pub(crate) fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn find_sshd() -> PathBuf {
    let places = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd"];
    let found = places.iter().map(PathBuf::from).find(|path| path.exists());
    // It starts itself again for each connection, and wants its whole path for that.
    found.unwrap_or_else(|| panic!("there is no sshd in {places:?}: {INSTALL}"))
}

fn run(directory: &Path, port: u16, config: &str) -> Result<(Child, Arc<Mutex<String>>), String> {
    let at = directory.display();
    let text = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host_key\nPidFile none\nStrictModes no\nUsePAM no\n\
         AuthorizedKeysFile {at}/authorized_keys\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         PermitRootLogin yes\nMaxStartups 200\nPrintMotd no\nLogLevel VERBOSE\n{config}\n"
    );
    let file = directory.join("sshd_config");
    fs::write(&file, text).unwrap();
    let mut child = Command::new("sh")
        .args(["-c", UNTIL_THE_END, "sh"])
        .arg(find_sshd())
        .args(["-D", "-e", "-f"])
        .arg(&file)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("sshd does not start ({error}): {INSTALL}"));
    let stderr = child.stderr.take().unwrap();
    let log = Arc::new(Mutex::new(String::new()));
    let (begun, begins) = mpsc::sync_channel(1);
    let lines = Arc::clone(&log);
    // Ends with the last process that writes to it.
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let listens = line.contains("Server listening on");
            let mut log = lines.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
            drop(log);
            if listens {
                let _once = begun.try_send(());
            }
        }
    });
    if begins.recv_timeout(BEGIN).is_ok() {
        return Ok((child, log));
    }
    end(&mut child);
    let log = log.lock().unwrap().clone();
    Err(log)
}
