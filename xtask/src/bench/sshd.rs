//! The sshd that contenders of the transport `ssh` use, and the keys of both sides.

use crate::{Outcome, process};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Distinguishes the folders of one run.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Runs a program until the end of stdin, which comes with the end of this process, however it ends. The shell keeps no
/// stderr, so that a server that does not begin is noticed at once.
const UNTIL_THE_END: &str = r#"
"$@" </dev/null &
child=$!
exec 2>/dev/null
read -r _
kill -KILL $child
wait
"#;

/// How many ports are tried: one that is free now need not be free in a moment.
const TRIES: usize = 20;

/// An sshd with throwaway keys, for the user who runs this; ended when it is dropped.
pub(crate) struct Sshd {
    child: Option<Child>,
    folder: PathBuf,
}

impl Sshd {
    /// Starts one, on this core where one is given, and waits until it listens.
    ///
    /// # Errors
    /// OpenSSH is missing, or does not start.
    pub(crate) fn start(core: Option<&str>) -> Outcome<Self> {
        crate::ssh::set_up()?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("mynah-bench-ssh-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder)?;
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700))?;
        // From here on it is removed, whatever happens.
        let mut sshd = Self {
            child: None,
            folder,
        };
        let user = process::read(Command::new("id").arg("-un"))?;
        let user = user.trim();
        for name in ["host_key", "user_key"] {
            let mut make = Command::new("ssh-keygen");
            make.args(["-q", "-t", "ed25519", "-N", "", "-f"]);
            process::read(make.arg(sshd.folder.join(name)))?;
        }
        let public = |name: &str| std::fs::read_to_string(sshd.folder.join(name));
        let authorized = public("user_key.pub")?;
        let known = format!("* {}", public("host_key.pub")?);
        let authorized_keys = sshd.folder.join("authorized_keys");
        std::fs::write(&authorized_keys, authorized)?;
        std::fs::set_permissions(&authorized_keys, std::fs::Permissions::from_mode(0o600))?;
        std::fs::write(sshd.folder.join("known_hosts"), known)?;
        if user == "root" {
            // sshd shuts unauthenticated children in there.
            std::fs::create_dir_all("/run/sshd")?;
        }
        for _ in 0..TRIES {
            let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            if let Some(child) = run(&sshd.folder, port, core)? {
                sshd.child = Some(child);
                std::fs::write(sshd.folder.join("sshd"), format!("{user}@127.0.0.1:{port}"))?;
                return Ok(sshd);
            }
        }
        Err("sshd does not start, on any port".into())
    }

    /// Where its keys are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Starts it on a port; `None` when it ended before it listened.
fn run(folder: &Path, port: u16, core: Option<&str>) -> Outcome<Option<Child>> {
    let at = folder.display();
    let config = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host_key\nPidFile none\nStrictModes no\nUsePAM no\n\
         AuthorizedKeysFile {at}/authorized_keys\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         PermitRootLogin yes\nMaxStartups 200\nMaxSessions 64\nPrintMotd no\n"
    );
    let file = folder.join("sshd_config");
    std::fs::write(&file, config)?;
    let program = crate::ssh::server().ok_or("there is no sshd")?;
    let mut command = Command::new("sh");
    command.args(["-c", UNTIL_THE_END, "sh"]);
    if let Some(core) = core {
        command.args(["taskset", "-c", core]);
    }
    let mut child = command
        .arg(program)
        .args(["-D", "-e", "-f"])
        .arg(&file)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start sshd: {error}"))?;
    let stderr = child.stderr.take().ok_or("no standard error")?;
    let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
    let listens = lines.any(|line| line.contains("Server listening on"));
    if !listens {
        end(&mut child);
        return Ok(None);
    }
    // Read to the end, so that it is never held up by what it logs.
    std::thread::spawn(move || lines.for_each(drop));
    Ok(Some(child))
}

/// Has the shell around it end it, and waits until it has.
fn end(child: &mut Child) {
    drop(child.stdin.take());
    drop(child.wait());
}

impl Drop for Sshd {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Those of its children that serve somebody end with their connections.
            end(child);
        }
        drop(std::fs::remove_dir_all(&self.folder));
    }
}
