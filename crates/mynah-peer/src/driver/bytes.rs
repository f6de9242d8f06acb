//! The task of a connection over a stream of bytes.

mod half_close;
mod input;
mod reading;

use super::carrier::Rest;
use super::core::Core;
use super::fill::Filling;
use super::side_lines;
use super::writer::Writer;
use super::{ByteStream, TURN_BATCHES};
use crate::link::{Link, Out, State};
use crate::scratch;
use bytes::BytesMut;
use input::Input;
use mynah_connection::CloseReason;
use mynah_protocol::{Moment, SideLines, TransportErrorKind};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use tokio::io::AsyncReadExt as _;

/// Runs a connection over a stream of bytes to its end, on the current runtime, and hears what arrives beside it.
/// `guard` is dropped at the end. `early`: what was read of it before. Returns how many bytes were left over that are no
/// whole message.
///
/// No `async fn`: that would keep its arguments beside what is made of them as long as it lives.
pub(crate) fn drive_bytes<S: ByteStream, G: Send + 'static>(
    stream: S,
    side_lines: Option<SideLines>,
    link: Arc<Link>,
    guard: G,
    early: &[u8],
) -> impl Future<Output = usize> + Send + use<S, G> + 'static {
    let started = link.clock.now();
    let mut input = Input::default();
    input.append(early);
    let mut task = ByteTask {
        core: Core::new(link),
        stream,
        side_lines,
        input,
        filling: None,
        filled: None,
        proven: 0,
        input_over: None,
        unheard: 0,
        writer: Writer::default(),
        beside: runs_beside_callers(),
        waits: 0,
        unaccounted: 0,
        blocked_since: None,
        started,
        last_look: started,
    };
    async move {
        let lingers = {
            let reason = poll_fn(|cx| task.poll_turn(cx)).await;
            let lingers = reason.wire_code().is_some();
            if let Some(lines) = task.side_lines.take() {
                // The last words of a process are heard before its end.
                side_lines::hear_out(lines, &mut task.core);
            }
            task.core.end(reason);
            lingers
        };
        let unread = task.unread();
        task.let_go_of_input();
        // Boxed: the task would have room for it all its life.
        Box::pin(task.write_rest(lingers)).await;
        task.core.link.discard_output();
        drop(guard);
        unread
    }
}

struct ByteTask<S> {
    core: Core,
    stream: S,
    /// Lines that arrive beside the stream.
    side_lines: Option<SideLines>,
    input: Input,
    /// A large message that is being read; the input is empty meanwhile.
    filling: Option<Box<Filling>>,
    /// A large message that was read and is to be handled first.
    filled: Option<Box<BytesMut>>,
    /// Bytes of the largest message that came whole in its own buffer.
    proven: u32,
    /// The peer's direction has ended, and what it asked for is still answered. When it is looked for next: it may be gone.
    input_over: Option<Moment>,
    /// Bytes that were read since the connection was told of some last; of account where it watches the peer's silence.
    unheard: usize,
    writer: Writer,
    /// Whether callers may run beside this task.
    beside: bool,
    /// Turns that the callers have had since something was written last.
    waits: u8,
    /// Bytes of data that were written since the last lock.
    unaccounted: u64,
    /// Since when the peer has taken nothing of what waits for it.
    blocked_since: Option<Moment>,
    started: Moment,
    /// When the clock was looked at last for what arrived.
    last_look: Moment,
}

/// Turns that callers get before a write, at most.
const MOST_WAITS: u8 = 4;

fn runs_beside_callers() -> bool {
    let runtime = tokio::runtime::Handle::current().runtime_flavor();
    !matches!(runtime, tokio::runtime::RuntimeFlavor::CurrentThread)
}

impl<S: ByteStream> ByteTask<S> {
    /// One turn: bounded work, then `Pending` with a wake-up under way if there is more.
    fn poll_turn(&mut self, cx: &mut task::Context<'_>) -> Poll<CloseReason> {
        for _ in 0..TURN_BATCHES {
            if self.side_lines.is_some() {
                side_lines::hear(&mut self.side_lines, &mut self.core, cx);
            }
            // Behind what may start handlers without a read: it has the task woken for them.
            let polls_left = self.core.poll_running(cx);
            let read = match self.read_and_decode(cx) {
                Ok(read) => read,
                Err(reason) => return Poll::Ready(reason),
            };
            let rest = if read || polls_left {
                // What callers add meanwhile goes out when there is nothing left to read, or at the end of the turn.
                if !self.core.has_done() {
                    continue;
                }
                self.flush(cx)
            } else {
                self.rest(cx)
            };
            match rest {
                Rest::Sleep => return Poll::Pending,
                Rest::Again => {}
                Rest::Close(reason) => return Poll::Ready(reason),
            }
        }
        if let Rest::Close(reason) = self.flush(cx) {
            return Poll::Ready(reason);
        }
        // A peer that never pauses must not stop the clock, nor an end that was decided.
        if let Some(reason) = self.look_at_clock(cx) {
            return Poll::Ready(reason);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Appends the answers that wait, takes what is there and writes as much as the stream takes.
    fn flush(&mut self, cx: &mut task::Context<'_>) -> Rest {
        self.collect_output();
        if self.writer.is_empty() {
            return Rest::Again;
        }
        self.write_some(cx)
            .map_or_else(Rest::Close, |()| Rest::Again)
    }

    /// Writes as much as the stream takes. What was written is accounted for at the next lock.
    fn write_some(&mut self, cx: &mut task::Context<'_>) -> Result<(), CloseReason> {
        self.waits = 0;
        let mut any = false;
        let polled = self
            .writer
            .poll_write(&mut self.stream, cx, &mut self.unaccounted, &mut any);
        match polled {
            Poll::Ready(Ok(())) => self.blocked_since = None,
            Poll::Ready(Err(error)) => return Err(broken(&error)),
            Poll::Pending if any || self.blocked_since.is_none() => {
                self.blocked_since = Some(self.core.link.clock.now());
            }
            Poll::Pending => {}
        }
        Ok(())
    }

    /// Appends the answers that wait and takes the output.
    fn collect_output(&mut self) {
        let link = Arc::clone(&self.core.link);
        let mut state = link.lock();
        self.account(&mut state);
        self.core.write_done(&mut state);
        self.take_output(&mut state);
    }

    fn take_output(&mut self, state: &mut State) {
        if let Out::Wire {
            output,
            taken,
            withdrawn,
            ..
        } = &mut state.out
        {
            let holes = output.data_held() - output.data_len();
            self.writer
                .take(output, &mut state.answers, &self.core.link.clock);
            if output.data_held() == 0 {
                *withdrawn += holes as u64;
            }
            *taken = self.writer.left();
        }
    }

    /// Accounts for what was written since the last lock: permits come home, callers find room.
    fn account(&mut self, state: &mut State) {
        if let Out::Wire {
            written,
            taken,
            withdrawn,
            ..
        } = &mut state.out
        {
            *written += std::mem::take(&mut self.unaccounted);
            if self.writer.data_is_written() {
                *written += std::mem::take(withdrawn);
            }
            *taken = self.writer.left();
        }
        let answers = self.writer.take_answers();
        state.connection.flushed(answers);
        self.core.wake_room(state);
    }

    /// Lets time pass in a turn that did not come to rest.
    fn look_at_clock(&mut self, cx: &mut task::Context<'_>) -> Option<CloseReason> {
        let link = Arc::clone(&self.core.link);
        let mut state = link.lock();
        self.core.handle_time(&mut state);
        if self.core.overflows() {
            return Some(CloseReason::TimedOut("peer takes no control messages"));
        }
        let cut = state.may_close(self.writer.is_empty() && !self.core.has_done());
        let due = self.due(&state, &link);
        drop(state);
        self.core.carry_out(&[]);
        // Armed here too: it may ring before this task comes to rest.
        let _rang = self.core.poll_timer(due, cx);
        self.look_for_peer(&link);
        cut.or_else(|| self.overdue(&link))
    }

    /// Nothing is ready to be read: writes what is there, lets time pass, and sleeps if nothing came meanwhile.
    fn rest(&mut self, cx: &mut task::Context<'_>) -> Rest {
        let link = Arc::clone(&self.core.link);
        let mut tried = false;
        let mut guard = loop {
            let mut guard = link.lock();
            let state = &mut *guard;
            self.account(state);
            self.core.write_done(state);
            let most_waits = if self.beside { MOST_WAITS } else { 1 };
            if self.waits < most_waits
                && self.writer.is_empty()
                && state.out.is_ready_to_leave()
                && (self.beside || state.out.is_control_only())
            {
                // On one thread all callers that one read woke have written when this task comes to run, unless it has
                // something of its own to say. On several it is woken by the first of them, and runs next. While some that
                // were answered have not run yet, they get a turn, and one write serves them all.
                if state.connection.calls_held() > state.connection.calls_waiting() {
                    self.waits += 1;
                    drop(guard);
                    cx.waker().wake_by_ref();
                    return Rest::Sleep;
                }
            }
            self.take_output(state);
            // A stream that takes nothing is tried once, which has it wake this task.
            if self.writer.is_empty() || tried && self.blocked_since.is_some() {
                break guard;
            }
            drop(guard);
            tried = true;
            if let Err(reason) = self.write_some(cx) {
                return Rest::Close(reason);
            }
            if self.writer.is_bulk() && self.blocked_since.is_none() {
                // Between two parts of large messages there is time for what arrives.
                return Rest::Again;
            }
        };
        let state = &mut *guard;
        self.core.handle_time(state);
        if self.core.overflows() {
            return Rest::Close(CloseReason::TimedOut("peer takes no control messages"));
        }
        let blocked = !self.writer.is_empty();
        if !blocked {
            // Large messages wait until the peer says that it has taken what is on its way.
            self.blocked_since = if state.out.is_empty() {
                None
            } else {
                self.blocked_since.or_else(|| Some(link.clock.now()))
            };
        }
        if let Some(reason) = state.may_close(!blocked) {
            return Rest::Close(reason);
        }
        let due = self.due(state, &link);
        if self.core.has_work() || (state.out.is_ready_to_leave() && !blocked) {
            drop(guard);
            self.core.carry_out(&[]);
            return Rest::Again;
        }
        if state.connection.calls_waiting() == 0 {
            self.input.release();
            self.core.give_back();
            self.writer.give_back();
            state.out.give_back();
        }
        state.sleep_with(cx.waker());
        drop(guard);
        if self.core.poll_timer(due, cx) {
            if let Some(reason) = self.overdue(&link) {
                return Rest::Close(reason);
            }
            self.look_for_peer(&link);
            link.lock().scheduled = true;
            return Rest::Again;
        }
        Rest::Sleep
    }

    /// When something is due next.
    fn due(&self, state: &State, link: &Link) -> Moment {
        let limits = &link.config.limits;
        let mut due = state.connection.poll_timeout();
        if let Some(since) = self.blocked_since {
            due = due.min(since.after(limits.write_timeout));
        }
        if state.handshake_pending() {
            due = due.min(self.started.after(limits.handshake_timeout));
        }
        self.input_over
            .map_or(due, |looked_for| due.min(looked_for))
    }

    /// Whether the peer was too slow with its handshake, or takes nothing.
    fn overdue(&self, link: &Link) -> Option<CloseReason> {
        let now = link.clock.now();
        let limits = &link.config.limits;
        if self
            .blocked_since
            .is_some_and(|since| since.after(limits.write_timeout) <= now)
        {
            return Some(CloseReason::TimedOut("peer takes no data"));
        }
        let late = self.started.after(limits.handshake_timeout) <= now;
        (late && link.lock().handshake_pending())
            .then_some(CloseReason::TimedOut("handshake took too long"))
    }

    /// Bytes that were read and are no whole message.
    fn unread(&self) -> usize {
        let filling = self.filling.as_ref().map_or(0, |filling| filling.len());
        self.input.end - self.input.start + filling
    }

    /// Nothing more is decoded: what is left to do may take a while, and needs no buffer of what was read.
    fn let_go_of_input(&mut self) {
        let input = std::mem::take(&mut self.input);
        scratch::return_read_buffer(input.buffer);
        (self.filling, self.filled) = (None, None);
    }

    /// Writes what was said last, for a peer that still takes it, and closes the stream.
    ///
    /// `lingers`: what still arrives is read and dropped for a moment. A socket that is closed with bytes unread resets
    /// the connection, and the peer may never see why.
    async fn write_rest(&mut self, lingers: bool) {
        const PATIENCE: std::time::Duration = std::time::Duration::from_millis(500);
        let rest = async {
            loop {
                self.collect_output();
                if self.writer.is_empty() {
                    break;
                }
                let mut any = false;
                let written = poll_fn(|cx| {
                    self.writer
                        .poll_write(&mut self.stream, cx, &mut self.unaccounted, &mut any)
                });
                if written.await.is_err() {
                    return;
                }
            }
            // The peer may be gone already; there is nobody to tell.
            drop(poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx)).await);
            if lingers {
                // Not in the future of the task, which is as large as this all the time.
                let mut unread = vec![0; 4096];
                while matches!(self.stream.read(&mut unread).await, Ok(1..)) {}
            }
        };
        drop(tokio::time::timeout(PATIENCE, rest).await);
    }
}

fn broken(error: &io::Error) -> CloseReason {
    if let Some(reason) = super::ended(error) {
        return reason;
    }
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => CloseReason::PeerGone,
        _ => CloseReason::Transport(TransportErrorKind::Broken, error.to_string().into()),
    }
}
