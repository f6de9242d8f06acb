//! The task behind an accepted connection: signs of life, and the end.

use super::door::Place;
use super::handler::ServerHandler;
use super::options::SshServerOptions;
use crate::duplex::{LAST_WORDS, State, sent};
use russh::server::{Msg, RunningSession};
use russh::{ChannelWriteHalf, Disconnect};
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long the goodbye may take, once nothing is left to be said.
const GOODBYE: Duration = Duration::from_secs(2);

pub(super) struct Supervisor {
    pub(super) session: RunningSession<ServerHandler>,
    pub(super) channel: Arc<ChannelWriteHalf<Msg>>,
    pub(super) state: Arc<State>,
    pub(super) options: Arc<SshServerOptions>,
    /// Counts the connection until it is closed.
    pub(super) _place: Option<Place>,
}

impl Supervisor {
    /// Runs until the connection is closed.
    pub(super) async fn run(self) {
        let closed = tokio::select! {
            closed = poll_fn(|cx| self.state.poll_over(cx)) => closed,
            () = self.keep_alive() => true,
        };
        if !closed {
            // Whoever does not take it by now is left all the same.
            let _late = tokio::select! {
                said = timeout(LAST_WORDS, self.last_words()) => said,
                () = self.keep_alive() => Ok(()),
            };
        }
        let Self {
            mut session, state, ..
        } = self;
        let handle = session.handle();
        let goodbye = async {
            let _over = handle
                .disconnect(Disconnect::ByApplication, String::new(), String::new())
                .await;
            (&mut session).await
        };
        let _late = timeout(GOODBYE, goodbye).await;
        // The session waits for the peer to close the socket; the peer need not.
        state
            .control()
            .end(io::ErrorKind::ConnectionAborted, "the connection is over");
    }

    /// Says what was written, and that it is over, and waits until the peer closes its side: it does that when it has
    /// heard all.
    async fn last_words(&self) {
        if sent(&self.state).await {
            return;
        }
        // Nobody to tell is as good.
        let _gone = self.channel.exit_status(0).await;
        let _gone = self.channel.close().await;
        poll_fn(|cx| self.state.poll_over_and_closed(cx)).await;
    }

    /// Ends when the peer gives no sign of life any more, and never otherwise.
    ///
    /// The questions are asked by russh, as far as it hears nothing. But it would take a peer for gone whose words are
    /// not read because a handler is slow: so it is here that they are counted.
    async fn keep_alive(&self) {
        let interval = self.options.keep_alive_interval;
        if interval.is_zero() {
            return std::future::pending().await;
        }
        let patience = interval.saturating_mul(self.options.keep_alive_retries.max(1) + 1);
        let control = self.state.control();
        let mut last = Instant::now();
        loop {
            tokio::time::sleep_until(last + patience).await;
            match control.silent_since() {
                // Nobody reads: there is nothing to hear.
                None => last = Instant::now(),
                Some(heard) if heard > last => last = heard,
                Some(_) => {
                    let silence = last.elapsed();
                    let what = format!("the peer gave no sign of life for {silence:.1?}");
                    self.state.failed(io::ErrorKind::TimedOut, what.clone());
                    control.end(io::ErrorKind::TimedOut, what);
                    return;
                }
            }
        }
    }
}
