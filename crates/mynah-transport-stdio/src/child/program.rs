//! What to run, and how.

use super::process::{Process, StopTimes};
use super::stderr::{self, StderrLines};
use super::stream::ChildProcess;
use async_trait::async_trait;
use mynah_protocol::{
    Accepted, Dialer, Evidence, EvidenceKey, SideLines, TransportError, TransportErrorKind,
};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use tokio::net::unix::pipe;

/// What happens to the stderr of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum StderrMode {
    /// It is read, always, and arrives as [`StderrLines`].
    #[default]
    Lines,
    /// It goes where that of this process goes.
    Inherit,
    /// Nobody sees it.
    Null,
}

/// Which process group a child is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ProcessGroup {
    /// Its own. A Ctrl-C in the terminal reaches this process alone, which then stops the child as it likes; and when
    /// the child is stopped, the signals reach what it has started too, as far as that has not left the group.
    #[default]
    Own,
    /// That of this process. A Ctrl-C reaches both; the signals of a stop reach the child alone.
    Shared,
}

/// A program to run as a peer: each dial starts it once more.
///
/// The program and its arguments go to the system as they are: no shell splits or expands them. A name without a slash
/// is looked for in `PATH`.
#[derive(Clone)]
pub struct Program {
    program: OsString,
    arguments: Vec<OsString>,
    clear_environment: bool,
    environment: Vec<(OsString, Option<OsString>)>,
    directory: Option<PathBuf>,
    stderr: StderrMode,
    line_bytes: usize,
    lines: usize,
    group: ProcessGroup,
    stop: StopTimes,
}

impl Program {
    /// A program without arguments, in the environment and the working directory of this process.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            clear_environment: false,
            environment: Vec::new(),
            directory: None,
            stderr: StderrMode::default(),
            line_bytes: 8 << 10,
            lines: 256,
            group: ProcessGroup::default(),
            stop: StopTimes::default(),
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item: Into<OsString>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), Some(value.into())));
        self
    }

    /// Takes a variable out of its environment.
    #[must_use]
    pub fn env_remove(mut self, name: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), None));
        self
    }

    /// Inherits no variables: it has those that [`env`](Self::env) sets, before this or after it.
    #[must_use]
    pub const fn env_clear(mut self) -> Self {
        self.clear_environment = true;
        self
    }

    /// Sets its working directory.
    #[must_use]
    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Sets what happens to its stderr. Lines unless set.
    #[must_use]
    pub const fn stderr(mut self, mode: StderrMode) -> Self {
        self.stderr = mode;
        self
    }

    /// Sets the most bytes of a line of its stderr; what is longer is cut. 8 KiB unless set, at least 1.
    #[must_use]
    pub fn line_bytes(mut self, bytes: usize) -> Self {
        self.line_bytes = bytes.max(1);
        self
    }

    /// Sets how many lines of its stderr may wait to be read; the oldest is dropped, and counted. 256 unless set, at
    /// least 1.
    #[must_use]
    pub fn lines(mut self, lines: usize) -> Self {
        self.lines = lines.max(1);
        self
    }

    /// Sets the process group. Its own unless set.
    #[must_use]
    pub const fn process_group(mut self, group: ProcessGroup) -> Self {
        self.group = group;
        self
    }

    /// Sets how it is stopped.
    #[must_use]
    pub const fn stop_times(mut self, times: StopTimes) -> Self {
        self.stop = times;
        self
    }

    /// Starts it.
    ///
    /// Evidence: `transport` is `stdio`, `program` its name, `pid` its process.
    ///
    /// # Errors
    /// [`TransportError`] that names the program when it cannot be started: [`TransportErrorKind::Refused`] when there
    /// is no such program or directory, [`TransportErrorKind::Denied`] when it may not be run.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time.
    pub fn spawn(&self) -> Result<Accepted<ChildProcess>, TransportError> {
        self.try_spawn().map_err(|error| {
            let kind = TransportError::from(io::Error::from(error.kind())).kind();
            let what = format!("cannot start {}", self.name());
            TransportError::new(kind, what).with_source(error)
        })
    }

    fn name(&self) -> std::borrow::Cow<'_, str> {
        OsStr::to_string_lossy(&self.program)
    }

    fn try_spawn(&self) -> io::Result<Accepted<ChildProcess>> {
        let mut child = self.command().spawn()?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let own_group = self.group == ProcessGroup::Own;
        // From here on it is stopped and reaped whatever fails.
        let process = Process::watch(child, own_group, stderr.is_some())?;
        let (Some(stdin), Some(stdout)) = (stdin, stdout) else {
            process.stop(self.stop);
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let pid = process.pid();
        let mut stream = ChildProcess::new(Arc::clone(&process), self.stop);
        stream.set_pipes(
            pipe::Sender::from_owned_fd(OwnedFd::from(stdin))?,
            pipe::Receiver::from_owned_fd(OwnedFd::from(stdout))?,
        );
        if let Some(stderr) = stderr {
            let pipe = pipe::Receiver::from_owned_fd(OwnedFd::from(stderr))?;
            let (lines, queue) = StderrLines::new(self.line_bytes, self.lines);
            tokio::spawn(stderr::read(pipe, process, queue));
            stream.set_stderr(lines);
        }
        let evidence = Evidence::new()
            .with(EvidenceKey::TRANSPORT, "stdio")
            .with(EvidenceKey::new("program"), self.name())
            .with(EvidenceKey::PROCESS_ID, i64::from(pid));
        Ok(Accepted {
            connection: stream,
            evidence,
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(match self.stderr {
                StderrMode::Lines => Stdio::piped(),
                StderrMode::Inherit => Stdio::inherit(),
                StderrMode::Null => Stdio::null(),
            });
        if self.clear_environment {
            command.env_clear();
        }
        for (name, value) in &self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        if self.group == ProcessGroup::Own {
            command.process_group(0);
        }
        command
    }
}

impl fmt::Debug for Program {
    /// Without arguments and variables: they may hold what no log should.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("program", &self.program)
            .field("arguments", &self.arguments.len())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Dialer for Program {
    type Connection = ChildProcess;

    async fn dial(&self) -> Result<Accepted<ChildProcess>, TransportError> {
        if self.program.is_empty() {
            let what = "there is no program to start";
            return Err(TransportError::new(TransportErrorKind::Address, what));
        }
        self.spawn()
    }

    fn take_side_lines(&self, connection: &mut ChildProcess) -> Option<SideLines> {
        Some(Box::pin(connection.take_stderr()?))
    }
}
