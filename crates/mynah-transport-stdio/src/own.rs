//! The stdin and stdout of this process.

use crate::descriptor::{Input, Kind, Output};
use mynah_protocol::{
    Accepted, Evidence, EvidenceKey, Listener, TransportError, TransportErrorKind,
};
use rustix::fs::{Mode, OFlags, fstat};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout, stderr, stdin, stdout};
use std::io::{self, IoSlice};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// There is one stdin and one stdout.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The first number that is not that of stdin, stdout or stderr.
const FIRST_FREE: i32 = 3;

/// The stdin and stdout of this process as a stream of bytes.
///
/// Dropped, both are closed: whoever is at the other end reads the end.
#[derive(Debug)]
pub struct OwnStdio {
    input: Input,
    /// `None` once it is shut down.
    output: Option<Output>,
}

impl OwnStdio {
    /// Takes stdin and stdout, once in the life of the process.
    ///
    /// From then on file descriptor 0 is `/dev/null` and 1 is stderr: what the program prints to stdout, and what it has
    /// printed without a line end, lands on stderr; children that it starts inherit neither end. That stays so when the
    /// connection is over. Take them first: what was printed or read before stays printed and read.
    ///
    /// Where stderr is the same pipe, socket or file as stdout (`2>&1`, or a super-server that gives one socket as all
    /// three), it would say what it says into the protocol: 1 and 2 are `/dev/null` then, and evidence has `stderr` as
    /// `lost`.
    ///
    /// Evidence: `transport` is `stdio`, `stdin` and `stdout` are `pipe`, `socket`, `device` or `file`, `parent_pid` is
    /// the process that started this one (which need not be the peer).
    ///
    /// # Errors
    /// [`TransportError`], and nothing has changed, when
    /// - they were taken before ([`TransportErrorKind::Address`]),
    /// - one of them is closed, or is a socket that carries no stream,
    /// - threads that are needed for files cannot be started.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O.
    pub fn take() -> Result<Accepted<Self>, TransportError> {
        if TAKEN.swap(true, Ordering::AcqRel) {
            return Err(TransportError::new(
                TransportErrorKind::Address,
                "stdin and stdout of this process are in use already",
            ));
        }
        Self::move_away().map_err(|error| {
            TAKEN.store(false, Ordering::Release);
            let kind = TransportError::from(io::Error::from(error.kind())).kind();
            TransportError::new(kind, "cannot use stdin and stdout").with_source(error)
        })
    }

    fn move_away() -> io::Result<Accepted<Self>> {
        let (read, written) = (Kind::of(stdin())?, Kind::of(stdout())?);
        // Two names of one terminal are two places on it, and as it should be.
        let stderr_is_stdout = written != Kind::Device && is_same(stdout(), stderr())?;
        let nothing = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        let output = Output::open(fcntl_dupfd_cloexec(stdout(), FIRST_FREE)?, written)?;
        // Last of what can fail: a file is read ahead from here on.
        let input = Input::open(fcntl_dupfd_cloexec(stdin(), FIRST_FREE)?, read)?;
        dup2_stdin(&nothing)?;
        if stderr_is_stdout {
            dup2_stderr(&nothing)?;
        }
        dup2_stdout(stderr())?;
        let evidence = Evidence::new()
            .with(EvidenceKey::TRANSPORT, "stdio")
            .with(EvidenceKey::new("stdin"), read.name())
            .with(EvidenceKey::new("stdout"), written.name());
        let evidence = if stderr_is_stdout {
            evidence.with(EvidenceKey::new("stderr"), "lost")
        } else {
            evidence
        };
        let evidence = match rustix::process::getppid() {
            Some(parent) => evidence.with(
                EvidenceKey::new("parent_pid"),
                i64::from(parent.as_raw_nonzero().get()),
            ),
            None => evidence,
        };
        Ok(Accepted {
            connection: Self {
                input,
                output: Some(output),
            },
            evidence,
        })
    }
}

/// Whether two descriptors are of one pipe, socket or file.
fn is_same(one: impl AsFd, other: impl AsFd) -> io::Result<bool> {
    let (one, other) = (fstat(one)?, fstat(other)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

impl AsyncRead for OwnStdio {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.input.poll_read(cx, buffer)
    }
}

impl AsyncWrite for OwnStdio {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.output {
            Some(output) => output.poll_write(cx, parts),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.output {
            Some(output) => output.poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(output) = &self.output {
            let flushed = ready!(output.poll_flush(cx));
            output.shut_down();
            self.output = None;
            flushed?;
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for OwnStdio {
    fn drop(&mut self) {
        if let Some(output) = &self.output {
            output.shut_down();
        }
    }
}

/// Accepts one connection, that over stdin and stdout of this process, and comes to its end then.
#[derive(Debug)]
pub struct OwnStdioListener {
    only: Option<Accepted<OwnStdio>>,
}

impl OwnStdioListener {
    /// Takes stdin and stdout: [`OwnStdio::take`].
    ///
    /// # Errors
    /// As [`OwnStdio::take`].
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O.
    pub fn bind() -> Result<Self, TransportError> {
        let only = Some(OwnStdio::take()?);
        Ok(Self { only })
    }
}

impl Listener for OwnStdioListener {
    type Connection = OwnStdio;

    fn poll_accept(
        &mut self,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Accepted<OwnStdio>, TransportError>>> {
        Poll::Ready(self.only.take().map(Ok))
    }

    fn address(&self) -> String {
        "stdio:".to_owned()
    }
}
