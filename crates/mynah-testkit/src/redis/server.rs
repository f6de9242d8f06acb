//! One redis-server.

use super::{Reply, is_passing, reply, unexpected, until};
use rustix::process::{Pid, Signal, kill_process};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::BufReader;
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, Command};

const PROGRAM: &str = "redis-server";
const INSTALL: &str =
    "`sudo apt-get update && sudo apt-get install -y redis-server` or what your system has for it";

/// How often a port that somebody else was quicker to take is looked for again.
const PORTS: usize = 10;

/// Whether what is written survives the server's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AppendOnly {
    /// Nothing is kept: a restarted server is empty.
    #[default]
    No,
    /// Kept, but for the last second.
    EverySecond,
    /// Kept before it is answered.
    Always,
}

/// How a [`RedisServer`] is started.
#[derive(Clone, Debug, Default)]
pub struct RedisOptions {
    append_only: AppendOnly,
    directives: Vec<(String, String)>,
    sentinel: bool,
}

/// A running redis-server, until this is dropped.
#[derive(Debug)]
pub struct RedisServer {
    options: RedisOptions,
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

impl RedisOptions {
    /// Nothing kept, everything else as Redis has it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What survives a restart.
    #[must_use]
    pub const fn with_append_only(mut self, append_only: AppendOnly) -> Self {
        self.append_only = append_only;
        self
    }

    /// A line of `redis.conf`, its name and the rest.
    #[must_use]
    pub fn with_directive(mut self, name: &str, value: &str) -> Self {
        self.directives.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs as a Sentinel.
    pub(super) const fn with_sentinel(mut self) -> Self {
        self.sentinel = true;
        self
    }

    /// Starts it, and waits until it answers.
    ///
    /// # Errors
    /// `redis-server` is missing, refuses its options, or does not come up.
    ///
    /// # Cancel safety
    /// Dropped, a server that was begun is ended.
    pub async fn start(self) -> io::Result<RedisServer> {
        let mut tries = 1..=PORTS;
        loop {
            let folder = tempfile::Builder::new().prefix("redis-").tempdir()?;
            let mut server = RedisServer {
                options: self.clone(),
                folder,
                port: free_port()?,
                child: None,
            };
            match server.launch().await {
                Ok(()) => return Ok(server),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    if tries.next().is_none() {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn configuration(&self, folder: &Path, port: u16) -> String {
        let mut lines = vec![
            format!("port {port}"),
            "bind 127.0.0.1".to_owned(),
            format!("dir {}", folder.display()),
            format!("unixsocket {}", socket_in(folder).display()),
        ];
        if !self.sentinel {
            lines.push("save \"\"".to_owned());
            lines.push("enable-debug-command local".to_owned());
            lines.push("repl-diskless-sync-delay 0".to_owned());
            lines.push(match self.append_only {
                AppendOnly::No => "appendonly no".to_owned(),
                AppendOnly::EverySecond => "appendonly yes\nappendfsync everysec".to_owned(),
                AppendOnly::Always => "appendonly yes\nappendfsync always".to_owned(),
            });
        }
        let own = self.directives.iter();
        lines.extend(own.map(|(name, value)| format!("{name} {value}")));
        lines.join("\n") + "\n"
    }
}

impl RedisServer {
    /// Starts one that keeps nothing.
    ///
    /// # Errors
    /// As [`RedisOptions::start`].
    ///
    /// # Cancel safety
    /// As [`RedisOptions::start`].
    pub async fn start() -> io::Result<Self> {
        RedisOptions::new().start().await
    }

    /// The port on 127.0.0.1; the same after a restart.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `redis://127.0.0.1:PORT/0`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}/0", self.address())
    }

    /// [`RedisServer::url`] for a user of its access lists; neither may need an escape.
    #[must_use]
    pub fn url_as(&self, user: &str, password: &str) -> String {
        format!("redis://{user}:{password}@{}/0", self.address())
    }

    /// Its Unix socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        socket_in(self.folder.path())
    }

    /// What it has logged.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn log(&self) -> io::Result<String> {
        std::fs::read_to_string(self.log_file())
    }

    /// One command over a connection of its own, which no option of the tested client touches.
    ///
    /// # Errors
    /// It cannot be reached, or answers with an error.
    ///
    /// # Cancel safety
    /// Dropped, the command may or may not have run.
    pub async fn command(&self, command: &[&str]) -> io::Result<Reply> {
        let command: Vec<&[u8]> = command.iter().map(|part| part.as_bytes()).collect();
        self.command_bytes(&command).await
    }

    /// [`RedisServer::command`] for arguments that are no text.
    ///
    /// # Errors
    /// As [`RedisServer::command`].
    ///
    /// # Cancel safety
    /// As [`RedisServer::command`].
    pub async fn command_bytes(&self, command: &[&[u8]]) -> io::Result<Reply> {
        let stream = UnixStream::connect(self.socket()).await?;
        reply::ask(&mut BufReader::new(stream), command).await
    }

    /// One command as a user of its access lists.
    ///
    /// # Errors
    /// As [`RedisServer::command`]; the user and its password are wrong.
    ///
    /// # Cancel safety
    /// As [`RedisServer::command`].
    pub async fn command_as(
        &self,
        (user, password): (&str, &str),
        command: &[&str],
    ) -> io::Result<Reply> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
        let mut stream = BufReader::new(stream);
        let login: [&[u8]; 3] = [b"AUTH", user.as_bytes(), password.as_bytes()];
        reply::ask(&mut stream, &login).await?;
        let command: Vec<&[u8]> = command.iter().map(|part| part.as_bytes()).collect();
        reply::ask(&mut stream, &command).await
    }

    /// Freezes it (`SIGSTOP`): connections stay open, nothing is answered.
    ///
    /// # Errors
    /// It is not running.
    pub fn freeze(&self) -> io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on (`SIGCONT`).
    ///
    /// # Errors
    /// It is not running.
    pub fn thaw(&self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Kills it (`SIGKILL`): what is not on the disk is gone.
    ///
    /// # Errors
    /// It is not running.
    ///
    /// # Cancel safety
    /// Dropped, it is killed all the same.
    pub async fn kill(&mut self) -> io::Result<()> {
        let mut child = self.child.take().ok_or_else(not_running)?;
        child.kill().await
    }

    /// Starts it again on the same port and data, killing it first where it runs; waits until it answers.
    ///
    /// # Errors
    /// As [`RedisOptions::start`]; the port was taken meanwhile.
    ///
    /// # Cancel safety
    /// Dropped, a server that was begun is ended.
    pub async fn restart(&mut self) -> io::Result<()> {
        if self.child.is_some() {
            self.kill().await?;
        }
        self.launch().await
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let id = self.child.as_ref().and_then(Child::id);
        let id = id.and_then(|id| i32::try_from(id).ok());
        let pid = id.and_then(Pid::from_raw).ok_or_else(not_running)?;
        Ok(kill_process(pid, signal)?)
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    async fn launch(&mut self) -> io::Result<()> {
        let folder = self.folder.path();
        let file = folder.join("redis.conf");
        // A Sentinel keeps what it learns in its file, and has others write there whom they follow.
        if !file.exists() {
            std::fs::write(&file, self.options.configuration(folder, self.port))?;
        }
        let log = std::fs::File::create(self.log_file())?;
        let mut command = Command::new(PROGRAM);
        command.arg(&file);
        if self.options.sentinel {
            command.arg("--sentinel");
        }
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        let child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                io::Error::new(error.kind(), format!("{PROGRAM} is missing: run {INSTALL}"))
            }
            _ => error,
        })?;
        let mut child = child;
        let answers = until("redis-server answers", || {
            let ended = child.try_wait();
            let server = &*self;
            async move {
                if let Some(status) = ended? {
                    return Err(server.refused(&status.to_string()));
                }
                match server.command(&["PING"]).await {
                    Ok(_pong) => Ok(true),
                    Err(error) if is_passing(&error) => Ok(false),
                    // It reads what it kept.
                    Err(error) if error.to_string().starts_with("LOADING") => Ok(false),
                    Err(error) => Err(error),
                }
            }
        });
        answers.await?;
        self.child = Some(child);
        Ok(())
    }

    /// It ended before it answered: why, as it logged.
    fn refused(&self, status: &str) -> io::Error {
        let log = self.log().unwrap_or_default();
        if log.contains("Address already in use") || log.contains("bind: ") {
            return io::Error::new(io::ErrorKind::AddrInUse, log);
        }
        unexpected(format!("{PROGRAM} ended with {status}:\n{log}"))
    }
}

fn socket_in(folder: &Path) -> PathBuf {
    folder.join("socket")
}

fn not_running() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the redis-server is not running")
}

/// A port that nobody has at this moment.
pub(super) fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}
