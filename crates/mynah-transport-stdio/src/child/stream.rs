//! The stdin and stdout of a child as a stream of bytes.

use super::exit::ChildExit;
use super::process::{Process, StopTimes};
use super::stderr::StderrLines;
use crate::descriptor::room;
use mynah_protocol::{PeerEnd, TransportError, TransportErrorKind};
use rustix::io::Errno;
use rustix::process::Signal;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::unix::pipe;
use tokio::time::Sleep;

/// How long a child that has closed one of its ends may take to exit before its connection ends without a status. What
/// it has said by then still arrives.
const EXIT_PATIENCE: Duration = Duration::from_millis(500);

/// A child process as a stream of bytes: what is written goes to its stdin, what is read is its stdout.
///
/// The stream ends, with a [`PeerEnd`] that says how the child ended, when the child has: what it wrote before is read
/// first, and what it left open in the hands of others is not waited for. It also ends when the child lives but has
/// closed its stdout, or its stdin when that is needed.
///
/// Dropped, it closes the child's stdin and has it stopped in the background, as [`StopTimes`] say; nobody waits for
/// that. When this process ends before the child does, the child is left with a stdin that has ended, and nobody sends
/// it a signal: [`ChildHandle::stop`] waits.
#[derive(Debug)]
pub struct ChildProcess {
    process: Arc<Process>,
    stop: StopTimes,
    input: Option<pipe::Sender>,
    output: Option<pipe::Receiver>,
    stderr: Option<StderrLines>,
    /// One end is closed; how long its exit is waited for.
    ending: Option<(&'static str, Pin<Box<Sleep>>)>,
}

impl ChildProcess {
    pub(super) const fn new(process: Arc<Process>, stop: StopTimes) -> Self {
        Self {
            process,
            stop,
            input: None,
            output: None,
            stderr: None,
            ending: None,
        }
    }

    pub(super) fn set_pipes(&mut self, input: pipe::Sender, output: pipe::Receiver) {
        self.input = Some(input);
        self.output = Some(output);
    }

    pub(super) fn set_stderr(&mut self, lines: StderrLines) {
        self.stderr = Some(lines);
    }

    /// A handle that outlives the stream.
    #[must_use]
    pub fn handle(&self) -> ChildHandle {
        ChildHandle {
            process: Arc::clone(&self.process),
            stop: self.stop,
        }
    }

    /// What it writes to stderr. `None` when that is not read, and the second time. Left here, the lines go nowhere.
    pub const fn take_stderr(&mut self) -> Option<StderrLines> {
        self.stderr.take()
    }

    /// Looks for the end of a child that has closed one of its ends: how it ended, and all of its stderr, as far as
    /// they come in time.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let Some((what, patience)) = &mut self.ending else {
            return Poll::Pending;
        };
        // First, so that no event passes between the look and the sleep.
        self.process.wake_at_event(cx.waker());
        let exit = self.process.exit();
        let told = exit.is_some() && self.output.is_none() && self.process.is_stderr_read();
        if !told && patience.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        let pid = self.process.pid();
        let end = match exit {
            Some(exit) => exit.of_peer(pid),
            None => PeerEnd::new(format!(
                "process {pid} closed its {what} and goes on running"
            )),
        };
        Poll::Ready(end.into())
    }

    fn begin_end(&mut self, what: &'static str) {
        self.ending
            .get_or_insert_with(|| (what, Box::pin(tokio::time::sleep(EXIT_PATIENCE))));
    }

    /// Writes to its stdin by whichever call.
    fn poll_input(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut pipe::Sender>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Some(input) = &mut self.input {
            match write(Pin::new(input), cx) {
                // It reads no more. What it has said meanwhile, and how it ended, is worth a moment.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                    self.input = None;
                    self.begin_end("stdin");
                }
                written => return written,
            }
        } else if self.ending.is_none() {
            if !self.process.is_closing() {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            // It is being stopped, which takes its own time: how it ends is worth the wait.
            self.process.wake_at_event(cx.waker());
            if self.process.exit().is_none() {
                return Poll::Pending;
            }
            self.begin_end("stdin");
        }
        // What it has said is read meanwhile.
        self.poll_end(cx).map(Err)
    }
}

impl AsyncRead for ChildProcess {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if let Some(output) = &mut this.output {
            let before = buffer.filled().len();
            match Pin::new(&mut *output).poll_read(cx, buffer) {
                Poll::Ready(Ok(())) if buffer.filled().len() > before => {
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Ok(())) => this.output = None,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    this.process.wake_at_event(cx.waker());
                    if this.process.is_closing() {
                        this.input = None;
                    }
                    if this.process.exit().is_none() {
                        return this.poll_end(cx).map(Err);
                    }
                    // It has ended; the runtime need not have seen yet what it wrote before.
                    match rustix::io::read(&*output, room(buffer)) {
                        Ok(0) | Err(Errno::AGAIN) => this.output = None,
                        Ok(read) => {
                            buffer.advance(read);
                            return Poll::Ready(Ok(()));
                        }
                        Err(error) => return Poll::Ready(Err(error.into())),
                    }
                }
            }
        }
        this.begin_end("stdout");
        this.poll_end(cx).map(Err)
    }
}

impl AsyncWrite for ChildProcess {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_input(cx, |input, cx| input.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_input(cx, |input, cx| input.poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Closes its stdin.
    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.input = None;
        Poll::Ready(Ok(()))
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.input = None;
        if self.process.exit().is_some() {
            return;
        }
        self.process.stop(self.stop);
        // What it still says is read while it stops, so that it neither waits for that nor fails over it.
        if let Some(output) = self.output.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(discard(output, Arc::clone(&self.process)));
        }
    }
}

/// Reads what nobody wants until the child has ended.
async fn discard(mut output: pipe::Receiver, process: Arc<Process>) {
    let mut buffer = vec![0; 8 << 10];
    loop {
        tokio::select! {
            read = output.read(&mut buffer) => {
                if !matches!(read, Ok(1..)) {
                    return;
                }
            }
            _exit = process.wait() => return,
        }
    }
}

/// A child, seen from outside its connection.
///
/// Holding one keeps neither the child nor the connection alive.
#[derive(Clone, Debug)]
pub struct ChildHandle {
    process: Arc<Process>,
    stop: StopTimes,
}

impl ChildHandle {
    /// Its process id. It may be that of another process once the child has ended.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// How it ended; `None` while it runs.
    #[must_use]
    pub fn exit(&self) -> Option<ChildExit> {
        self.process.exit()
    }

    /// Waits until it has ended and been reaped.
    ///
    /// Cancel safety: may be dropped and called again at any time.
    pub async fn wait(&self) -> ChildExit {
        self.process.wait().await
    }

    /// Stops it step by step, as [`StopTimes`] say, and waits for its end. The connection ends with it.
    ///
    /// Cancel safety: dropped before its end, the child is stopped all the same.
    ///
    /// # Errors
    /// [`TransportErrorKind::TimedOut`] when it does not even end by SIGKILL in its time. It is reaped when it does.
    pub async fn stop(&self) -> Result<ChildExit, TransportError> {
        self.process.close_stdin();
        self.process.stop(self.stop);
        let waiting = tokio::time::timeout(self.stop.total(), self.process.wait());
        waiting.await.map_err(|_elapsed| {
            let what = format!("process {} does not end", self.process.pid());
            TransportError::new(TransportErrorKind::TimedOut, what)
        })
    }

    /// Kills it with SIGKILL, now. It is reaped in the background.
    pub fn kill(&self) {
        self.process.signal(Signal::KILL);
    }
}
