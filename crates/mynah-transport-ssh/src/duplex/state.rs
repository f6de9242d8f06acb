//! What the stream, its tasks and whoever supervises them share.

use super::{READ_HARD_BYTES, READ_SOFT_BYTES, WRITE_BYTES};
use crate::elastic::ElasticControl;
use crate::exit::RemoteExit;
use crate::lines::LineSink;
use bytes::{Buf as _, Bytes, BytesMut};
use mynah_protocol::PeerEnd;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::io::ReadBuf;

/// What it means when the peer ends its side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Eof {
    /// It has said everything, and may go on listening: a socket, or a client.
    HalfClose,
    /// A process has closed its stdout: how it exits is the end of the connection.
    Process,
}

/// How many wakers there are.
const WAKERS: usize = 4;

/// Who waits: each has one waker.
#[derive(Clone, Copy)]
enum Who {
    /// For something to read, or the end.
    Reader = 0,
    /// For room to write.
    Writer = 1,
    /// The writer task: for something to hand over.
    Task = 2,
    /// The supervisor: for the channel to close, or the stream to be dropped.
    Supervisor = 3,
}

pub(crate) struct State {
    control: ElasticControl,
    eof: Eof,
    why: Box<dyn Fn() -> Option<String> + Send + Sync>,
    inner: Mutex<Inner>,
}

/// What a chunk that waits costs beside its bytes: its place in the queue, and what keeps its memory alive.
pub(super) const CHUNK_BYTES: usize = 128;

/// What arrived at once.
struct Chunk {
    data: Bytes,
    /// What is charged for it, given back when it is read.
    charge: usize,
}

#[derive(Default)]
struct Inner {
    inbound: VecDeque<Chunk>,
    /// What is charged for them.
    inbound_bytes: usize,
    outbound: BytesMut,
    /// The writer task waits for the peer.
    blocked: bool,
    /// The stream was shut down.
    shut: bool,
    /// The stream is gone: what arrives goes nowhere.
    dropped: bool,
    /// Somebody wants the connection to end.
    stopping: bool,
    /// The writer task has handed over everything, the end too, or nobody takes it.
    said: bool,
    /// The peer has ended its side.
    ended: bool,
    /// The channel is closed, or there is no connection any more.
    closed: bool,
    /// It was closed from this side, because the other one did not.
    cut: bool,
    exit: Option<RemoteExit>,
    /// Why there is no connection any more.
    failure: Option<(io::ErrorKind, String)>,
    lines: Option<LineSink>,
    wakers: [Option<Waker>; WAKERS],
}

/// What the writer task does next.
pub(super) enum Next {
    Send(Bytes),
    Eof,
    Nothing,
}

impl Inner {
    fn wait(&mut self, who: Who, cx: &Context<'_>) {
        if let Some(slot) = self.wakers.get_mut(who as usize) {
            *slot = Some(cx.waker().clone());
        }
    }

    fn take(&mut self, who: Who) -> Option<Waker> {
        self.wakers.get_mut(who as usize)?.take()
    }

    fn must_pause(&self) -> bool {
        self.inbound_bytes > READ_SOFT_BYTES && !self.blocked
    }

    fn forget_inbound(&mut self) {
        self.inbound.clear();
        self.inbound_bytes = 0;
    }
}

/// Wakes once the lock is gone.
fn wake(wakers: impl IntoIterator<Item = Option<Waker>>) {
    wakers.into_iter().flatten().for_each(Waker::wake);
}

impl State {
    pub(super) fn new(
        control: ElasticControl,
        eof: Eof,
        why: Box<dyn Fn() -> Option<String> + Send + Sync>,
    ) -> Self {
        Self {
            control,
            eof,
            why,
            inner: Mutex::new(Inner::default()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) const fn control(&self) -> &ElasticControl {
        &self.control
    }

    // The stream.

    pub(super) const fn eof(&self) -> Eof {
        self.eof
    }

    pub(super) fn poll_read(
        &self,
        cx: &Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<ReadOutcome> {
        let mut inner = self.lock();
        if inner.inbound.is_empty() {
            if inner.closed {
                return Poll::Ready(ReadOutcome::Closed);
            }
            inner.wait(Who::Reader, cx);
            return if inner.ended {
                Poll::Ready(ReadOutcome::Ended)
            } else {
                Poll::Pending
            };
        }
        let paused = inner.must_pause();
        while let Some(front) = inner.inbound.front_mut() {
            let taken = front.data.len().min(buffer.remaining());
            if taken == 0 {
                break;
            }
            buffer.put_slice(front.data.get(..taken).unwrap_or_default());
            front.data.advance(taken);
            let given_back = if front.data.is_empty() {
                front.charge
            } else {
                taken
            };
            front.charge = front.charge.saturating_sub(given_back);
            let empty = front.data.is_empty();
            inner.inbound_bytes = inner.inbound_bytes.saturating_sub(given_back);
            if empty {
                inner.inbound.pop_front();
            }
        }
        if paused && !inner.must_pause() {
            self.control.set_paused(false);
        }
        Poll::Ready(ReadOutcome::Data)
    }

    pub(super) fn poll_write(
        &self,
        cx: &Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize, WriteRefused>> {
        let mut inner = self.lock();
        if inner.closed {
            return Poll::Ready(Err(WriteRefused::Closed));
        }
        if inner.shut || inner.stopping {
            return Poll::Ready(Err(WriteRefused::Shut));
        }
        let mut room = WRITE_BYTES.saturating_sub(inner.outbound.len());
        if room == 0 {
            inner.wait(Who::Writer, cx);
            return Poll::Pending;
        }
        let mut written = 0;
        for part in parts {
            let taken = part.get(..room).unwrap_or(part);
            inner.outbound.extend_from_slice(taken);
            written += taken.len();
            room -= taken.len();
        }
        let task = inner.take(Who::Task);
        drop(inner);
        wake([task]);
        Poll::Ready(Ok(written))
    }

    pub(super) fn shut(&self) {
        let mut inner = self.lock();
        inner.shut = true;
        let task = inner.take(Who::Task);
        drop(inner);
        wake([task]);
    }

    /// The stream is gone: what was written is still said, what arrives goes nowhere.
    pub(super) fn drop_stream(&self) {
        let mut inner = self.lock();
        inner.dropped = true;
        inner.forget_inbound();
        inner.lines = None;
        inner.shut = true;
        inner.stopping = true;
        let wakers = [inner.take(Who::Task), inner.take(Who::Supervisor)];
        drop(inner);
        self.control.set_paused(false);
        wake(wakers);
    }

    /// The end of a stream that is closed, when it is more than the end.
    pub(super) fn end(&self) -> Option<io::Error> {
        let inner = self.lock();
        if let Some(exit) = &inner.exit {
            return Some(exit.of_peer().into());
        }
        if let Some((kind, why)) = &inner.failure {
            return Some(io::Error::new(*kind, why.clone()));
        }
        match (self.eof, inner.ended) {
            (Eof::HalfClose, true) => None,
            (Eof::HalfClose, false) => {
                Some(PeerEnd::new("the other side closed the SSH channel").into())
            }
            (Eof::Process, _) => {
                let what = "the remote command is gone, and the server does not say how it ended";
                Some(PeerEnd::new(what).into())
            }
        }
    }

    // The reader task.

    /// Where what arrives beside the bytes goes.
    pub(crate) fn set_lines(&self, lines: LineSink) {
        let mut inner = self.lock();
        if !inner.dropped && !inner.closed {
            inner.lines = Some(lines);
        }
    }

    pub(super) fn arrived(&self, data: Bytes) {
        let mut inner = self.lock();
        if data.is_empty() || inner.dropped {
            return;
        }
        let charge = data.len().saturating_add(CHUNK_BYTES);
        inner.inbound_bytes = inner.inbound_bytes.saturating_add(charge);
        inner.inbound.push_back(Chunk { data, charge });
        let (waiting, pause) = (inner.inbound_bytes, inner.must_pause());
        let reader = inner.take(Who::Reader);
        // Under the lock: whoever reads meanwhile must not find it paused after that.
        if pause {
            self.control.set_paused(true);
        }
        drop(inner);
        wake([reader]);
        if waiting > READ_HARD_BYTES {
            self.control.end(
                io::ErrorKind::Other,
                format!("{waiting} bytes wait to be read, and nobody reads them"),
            );
        }
    }

    /// What is charged for what waits to be read, and whether the socket is left alone.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> (usize, bool) {
        let bytes = self.lock().inbound_bytes;
        (bytes, self.control.silent_since().is_none())
    }

    pub(crate) fn with_lines(&self, write: impl FnOnce(&LineSink)) {
        let inner = self.lock();
        if let Some(lines) = &inner.lines {
            write(lines);
        }
    }

    pub(super) fn peer_ended(&self) {
        let mut inner = self.lock();
        inner.ended = true;
        let reader = inner.take(Who::Reader);
        drop(inner);
        wake([reader]);
    }

    pub(super) fn exited(&self, exit: RemoteExit) {
        self.lock().exit.get_or_insert(exit);
    }

    /// Nothing more arrives, and nothing more is said.
    pub(super) fn closed(&self, in_order: bool) {
        // What this side has done comes first: russh knows it as a socket that failed.
        let failure = self.control.ended().or_else(|| {
            let why = if in_order { None } else { (self.why)() };
            why.map(|why| (io::ErrorKind::ConnectionReset, why))
        });
        let mut inner = self.lock();
        inner.closed = true;
        if inner.failure.is_none() {
            inner.failure = failure;
        }
        // Ends the lines.
        let lines = inner.lines.take();
        let wakers = std::mem::take(&mut inner.wakers);
        drop(inner);
        drop(lines);
        wake(wakers);
    }

    // The writer task.

    pub(super) fn poll_next(&self, cx: &Context<'_>) -> Poll<Next> {
        let mut inner = self.lock();
        if inner.closed {
            return Poll::Ready(Next::Nothing);
        }
        if !inner.outbound.is_empty() {
            let bytes = inner.outbound.split().freeze();
            let writer = inner.take(Who::Writer);
            drop(inner);
            wake([writer]);
            return Poll::Ready(Next::Send(bytes));
        }
        if inner.shut {
            return Poll::Ready(Next::Eof);
        }
        inner.wait(Who::Task, cx);
        Poll::Pending
    }

    /// The writer task has to wait, or has not to wait any more.
    pub(super) fn set_blocked(&self, blocked: bool) {
        let mut inner = self.lock();
        let before = inner.must_pause();
        inner.blocked = blocked;
        let now = inner.must_pause();
        if before != now {
            self.control.set_paused(now);
        }
    }

    pub(super) fn poll_closed(&self, cx: &Context<'_>) -> Poll<()> {
        let mut inner = self.lock();
        if inner.closed {
            return Poll::Ready(());
        }
        inner.wait(Who::Task, cx);
        Poll::Pending
    }

    // The supervisor.

    /// Why there is no connection any more. The first reason stays.
    pub(crate) fn failed(&self, kind: io::ErrorKind, why: impl Into<String>) {
        let mut inner = self.lock();
        inner.failure.get_or_insert_with(|| (kind, why.into()));
    }

    /// Ends the connection gently: what was written is said, then the end; what arrives is still read.
    pub(crate) fn stop(&self) {
        let mut inner = self.lock();
        inner.stopping = true;
        inner.shut = true;
        let wakers = [
            inner.take(Who::Task),
            inner.take(Who::Supervisor),
            inner.take(Who::Writer),
        ];
        drop(inner);
        wake(wakers);
    }

    /// The other side does not end: the connection is closed all the same.
    pub(crate) fn cut(&self) {
        self.lock().cut = true;
    }

    pub(crate) fn was_cut(&self) -> bool {
        self.lock().cut
    }

    pub(crate) fn exit(&self) -> Option<RemoteExit> {
        self.lock().exit.clone()
    }

    /// Waits until the stream is dropped or was told to stop, or the channel is closed: `true` if it is closed.
    pub(crate) fn poll_over(&self, cx: &Context<'_>) -> Poll<bool> {
        let mut inner = self.lock();
        if inner.closed || inner.stopping {
            return Poll::Ready(inner.closed);
        }
        inner.wait(Who::Supervisor, cx);
        Poll::Pending
    }

    /// The writer task is gone.
    pub(super) fn all_said(&self) {
        let mut inner = self.lock();
        inner.said = true;
        let supervisor = inner.take(Who::Supervisor);
        drop(inner);
        wake([supervisor]);
    }

    /// Waits until everything is handed over, the end too, or the channel is closed: `true` if it is closed.
    pub(crate) fn poll_said(&self, cx: &Context<'_>) -> Poll<bool> {
        let mut inner = self.lock();
        if inner.said || inner.closed {
            return Poll::Ready(inner.closed);
        }
        inner.wait(Who::Supervisor, cx);
        Poll::Pending
    }

    /// Waits until the channel is closed.
    pub(crate) fn poll_over_and_closed(&self, cx: &Context<'_>) -> Poll<()> {
        let mut inner = self.lock();
        if inner.closed {
            return Poll::Ready(());
        }
        inner.wait(Who::Supervisor, cx);
        Poll::Pending
    }
}

pub(super) enum ReadOutcome {
    Data,
    /// The peer has ended its side; the channel is open.
    Ended,
    Closed,
}

pub(super) enum WriteRefused {
    /// This side was shut down.
    Shut,
    Closed,
}
