//! The task behind a connection: signs of life, and the end.

use super::handler::{ClientHandler, SharedFound, lock};
use super::options::{GOODBYE, SshOptions};
use crate::duplex::{LAST_WORDS, State, sent};
use russh::client::{Handle, Msg};
use russh::{ChannelMsg, ChannelWriteHalf, Disconnect, Sig};
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// How often it is looked whether anything is read, while an answer is waited for.
const LOOK: Duration = Duration::from_millis(100);

pub(super) struct Supervisor {
    pub(super) session: Handle<ClientHandler>,
    pub(super) channel: Arc<ChannelWriteHalf<Msg>>,
    pub(super) state: Arc<State>,
    pub(super) options: SshOptions,
    /// Whether there is a process to send signals to.
    pub(super) signals: bool,
    pub(super) over: watch::Sender<bool>,
}

impl Supervisor {
    /// Runs until the connection is closed.
    pub(super) async fn run(self) {
        let closed = tokio::select! {
            closed = poll_fn(|cx| self.state.poll_over(cx)) => closed,
            () = self.keep_alive() => false,
        };
        if !closed {
            tokio::select! {
                () = self.stop() => {}
                () = self.keep_alive() => {}
            }
        }
        let Self {
            session,
            state,
            over,
            ..
        } = self;
        let goodbye = async {
            // Refused when the session is over already, which is as good.
            let _over = session
                .disconnect(Disconnect::ByApplication, "", "en")
                .await;
            session.await
        };
        if timeout(GOODBYE, goodbye).await.is_err() {
            state
                .control()
                .end(io::ErrorKind::TimedOut, "the SSH session did not end");
        }
        over.send_replace(true);
    }

    /// Ends when the server gives no sign of life any more, and never otherwise.
    async fn keep_alive(&self) {
        let Some(interval) = self.options.keep_alive.filter(|time| !time.is_zero()) else {
            return std::future::pending().await;
        };
        let most = self.options.keep_alive_count.max(1);
        let control = self.state.control();
        let (mut asked, mut last) = (0, Instant::now());
        let mut next = last + interval;
        loop {
            tokio::time::sleep_until(next).await;
            let Some(heard) = control.silent_since() else {
                // Nobody reads: there is nothing to hear.
                (asked, last) = (0, Instant::now());
                next = last + interval;
                continue;
            };
            if heard > last {
                (asked, last) = (0, heard);
                next = last + interval;
                if next > Instant::now() {
                    continue;
                }
            }
            if asked >= most {
                let silence = last.elapsed();
                let what = format!(
                    "the server gave no sign of life for {silence:.1?}, and did not answer {asked} questions"
                );
                self.state.failed(io::ErrorKind::TimedOut, what.clone());
                control.end(io::ErrorKind::TimedOut, what);
                return;
            }
            // Refused when the session is over, of which the channel tells.
            let asking = self.session.send_keepalive(true);
            let _over = timeout(interval, asking).await;
            asked += 1;
            next = Instant::now() + interval;
        }
    }

    /// Waits until the server has what was written, and the end.
    async fn last_words(&self) {
        if sent(&self.state).await {
            return;
        }
        // What it answers now, it answers after all that; unless nobody reads, and no answer can be heard.
        let asking = async {
            let _over = self.session.send_ping().await;
        };
        let deaf = async {
            let mut looks = tokio::time::interval(LOOK);
            while self.state.control().silent_since().is_some() {
                looks.tick().await;
            }
        };
        tokio::select! {
            () = asking => {}
            () = deaf => {}
            () = poll_fn(|cx| self.state.poll_over_and_closed(cx)) => {}
        }
    }

    /// Waits until everything is sent, the end of its stdin too, and goes through the steps that follow.
    async fn stop(&self) {
        // Whoever does not take it by now is stopped all the same.
        let _late = timeout(LAST_WORDS, self.last_words()).await;
        let times = self.options.stop;
        let mut steps = vec![(times.after_eof, None)];
        if self.signals {
            steps = vec![
                (times.after_eof, Some(Sig::TERM)),
                (times.after_term, Some(Sig::KILL)),
                (times.after_kill, None),
            ];
        }
        let closed = || poll_fn(|cx| self.state.poll_over_and_closed(cx));
        for (time, signal) in steps {
            if timeout(time, closed()).await.is_ok() {
                return;
            }
            if let Some(signal) = signal {
                // A session that is over cannot be told, and need not be.
                let _over = timeout(GOODBYE, self.channel.signal(signal)).await;
            }
        }
        self.state.cut();
    }
}

/// What a session said when it ended, for whoever waits for its channel.
pub(super) fn failure(found: &SharedFound) -> Option<String> {
    lock(found).failure.clone()
}

/// What the server answers to a request on a channel; anything else that arrives first is for later.
pub(super) enum Answer {
    Yes,
    No,
    Closed,
}

impl Answer {
    pub(super) fn of(message: Option<&ChannelMsg>) -> Option<Self> {
        match message {
            Some(ChannelMsg::Success) => Some(Self::Yes),
            Some(ChannelMsg::Failure) => Some(Self::No),
            None | Some(ChannelMsg::Close) => Some(Self::Closed),
            Some(_) => None,
        }
    }
}
