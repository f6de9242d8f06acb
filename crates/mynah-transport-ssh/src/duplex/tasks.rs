//! The two tasks between a stream and russh.

use super::state::{Next, State};
use super::{HAND_OVER_BYTES, beside};
use crate::exit::RemoteExit;
use russh::{ChannelId, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

/// The kind of extended data that is stderr.
const STDERR: u32 = 1;

/// Takes what arrives, and awaits nothing else.
pub(super) async fn read(mut channel: ChannelReadHalf, state: Arc<State>) {
    // However this task ends, nobody waits for it.
    let mut state = Closes(state, false);
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } => state.0.arrived(data),
            ChannelMsg::ExtendedData { data, ext: STDERR } => {
                state.0.with_lines(|lines| lines.write(&data));
            }
            ChannelMsg::Eof => state.0.peer_ended(),
            ChannelMsg::ExitStatus { exit_status } => {
                state.0.exited(RemoteExit::Status(exit_status));
            }
            ChannelMsg::ExitSignal {
                signal_name,
                error_message,
                ..
            } => state.0.exited(RemoteExit::Signal {
                name: name(&signal_name),
                message: error_message,
            }),
            ChannelMsg::Close => {
                state.1 = true;
                break;
            }
            _ => {}
        }
    }
}

/// And whether the channel was closed, rather than the connection.
struct Closes(Arc<State>, bool);

impl Drop for Closes {
    fn drop(&mut self) {
        self.0.closed(self.1);
    }
}

fn name(signal: &Sig) -> String {
    match signal {
        Sig::Custom(name) => name.clone(),
        // ABRT, ALRM, … are the names of its variants.
        known => format!("{known:?}"),
    }
}

/// Hands over what was written, then the end.
pub(super) async fn write<S>(channel: Arc<ChannelWriteHalf<S>>, state: Arc<State>)
where
    S: From<(ChannelId, ChannelMsg)> + Send + Sync + 'static,
{
    let said = Said(state);
    let state = &said.0;
    loop {
        let sent = match poll_fn(|cx| state.poll_next(cx)).await {
            Next::Send(bytes) => {
                state.control().carried(beside(bytes.len()));
                let send = async {
                    poll_fn(|cx| state.control().poll_below(cx, HAND_OVER_BYTES)).await;
                    channel.data_bytes(bytes).await
                };
                waiting_openly(state, send).await
            }
            Next::Eof => {
                waiting_openly(state, channel.eof()).await;
                return;
            }
            Next::Nothing => return,
        };
        // The channel is closed, or there is no session any more: the reader task knows it, or will.
        if !matches!(sent, Some(Ok(()))) {
            return;
        }
    }
}

struct Said(Arc<State>);

impl Drop for Said {
    fn drop(&mut self) {
        self.0.all_said();
    }
}

/// Waits for something that depends on the peer, and lets the state know that it waits. `None` when the channel closes.
async fn waiting_openly<T>(state: &State, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut waits = false;
    let done = poll_fn(|cx| {
        if let Poll::Ready(done) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        if !waits {
            waits = true;
            state.set_blocked(true);
        }
        state.poll_closed(cx).map(|()| None)
    })
    .await;
    if waits {
        state.set_blocked(false);
    }
    done
}
