//! How a connection is made and kept.

use crate::duplex::LAST_WORDS;
use std::time::Duration;

/// How long the session may take to send a signal, or to say goodbye.
pub(super) const GOODBYE: Duration = Duration::from_secs(2);

/// How a remote command is stopped, step by step. Each step is taken when it has not ended by then.
///
/// 1. What was written is sent, and then the end of its stdin. A worker takes that as the end, and exits. When the server
///    has both the times below begin, or after 30 s, whatever it takes.
/// 2. After [`after_eof`](Self::after_eof) it gets TERM.
/// 3. After [`after_term`](Self::after_term) it gets KILL.
/// 4. After [`after_kill`](Self::after_kill) the SSH connection is closed, whatever it does.
///
/// Servers need not send signals on: OpenSSH does not for root. Then closing the connection is what is left, which ends
/// the stdin and stdout of the command. A subsystem and a socket get the first step and the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopTimes {
    /// Time after the end of its stdin was sent. Default 2 s.
    pub after_eof: Duration,
    /// Time after TERM. Default 2 s.
    pub after_term: Duration,
    /// Time after KILL. Default 2 s.
    pub after_kill: Duration,
}

impl Default for StopTimes {
    fn default() -> Self {
        Self {
            after_eof: Duration::from_secs(2),
            after_term: Duration::from_secs(2),
            after_kill: Duration::from_secs(2),
        }
    }
}

impl StopTimes {
    /// Sets the time after the end of its stdin.
    #[must_use]
    pub const fn with_after_eof(mut self, time: Duration) -> Self {
        self.after_eof = time;
        self
    }

    /// Sets the time after TERM.
    #[must_use]
    pub const fn with_after_term(mut self, time: Duration) -> Self {
        self.after_term = time;
        self
    }

    /// Sets the time after KILL.
    #[must_use]
    pub const fn with_after_kill(mut self, time: Duration) -> Self {
        self.after_kill = time;
        self
    }

    /// The longest that all of it takes: the last words, the steps with their two signals, and the goodbye.
    pub(crate) const fn total(&self) -> Duration {
        let two = self.after_eof.saturating_add(self.after_term);
        let steps = two.saturating_add(self.after_kill);
        let said = LAST_WORDS.saturating_add(GOODBYE.saturating_mul(3));
        steps.saturating_add(said)
    }
}

/// Which key exchange is good enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum KeyExchange {
    /// The strict one, which both sides have to know (OpenSSH since 9.6, and what distributions have patched): nobody on
    /// the way can cut messages off the beginning (CVE-2023-48795, "Terrapin").
    #[default]
    Strict,
    /// The other one will do when the server knows no strict one. Evidence `strict_kex` says which it was.
    Any,
}

/// How a connection is made and kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SshOptions {
    /// Time for all of it: connecting, the key exchange, the login, and what is used on the other side. Default 20 s.
    pub connect_timeout: Duration,
    /// Silence after which the server is asked for a sign of life, and time between two questions; `None` switches it
    /// off. Default 15 s.
    pub keep_alive: Option<Duration>,
    /// Questions without an answer after which the connection is broken: a server that is gone is noticed `keep_alive`
    /// times this after the first one. Default 4, at least 1.
    pub keep_alive_count: u32,
    /// Which key exchange is good enough. Default [`KeyExchange::Strict`].
    pub key_exchange: KeyExchange,
    /// Bytes that a shell on the other side may print before the command begins: they are skipped, and arrive as lines
    /// beside the connection. 0, the default, skips nothing: the command is sent as it is. Anything else has a
    /// line printed before the command by `printf`, which both must reach the user's shell (a forced command of sshd
    /// does not know of it).
    pub skip_banner_bytes: usize,
    /// The most bytes of a line of stderr; what is longer is cut. Default 8 KiB, at least 1.
    pub line_bytes: usize,
    /// How many lines of stderr may wait to be read; the oldest is dropped, and counted. Default 256, at least 1.
    pub lines: usize,
    /// How a remote command is stopped.
    pub stop: StopTimes,
}

impl Default for SshOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(20),
            keep_alive: Some(Duration::from_secs(15)),
            keep_alive_count: 4,
            key_exchange: KeyExchange::default(),
            skip_banner_bytes: 0,
            line_bytes: 8 << 10,
            lines: 256,
            stop: StopTimes::default(),
        }
    }
}

impl SshOptions {
    /// Sets the time for opening a connection.
    #[must_use]
    pub const fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets after how much silence the server is asked for a sign of life, and after how many questions it is gone.
    #[must_use]
    pub const fn with_keep_alive(mut self, silence: Option<Duration>, count: u32) -> Self {
        self.keep_alive = silence;
        self.keep_alive_count = count;
        self
    }

    /// Sets which key exchange is good enough.
    #[must_use]
    pub const fn with_key_exchange(mut self, key_exchange: KeyExchange) -> Self {
        self.key_exchange = key_exchange;
        self
    }

    /// Sets how many bytes are skipped before the command begins.
    #[must_use]
    pub const fn with_skip_banner_bytes(mut self, bytes: usize) -> Self {
        self.skip_banner_bytes = bytes;
        self
    }

    /// Sets the most bytes of a line of stderr, and how many of them may wait.
    #[must_use]
    pub const fn with_lines(mut self, line_bytes: usize, lines: usize) -> Self {
        self.line_bytes = line_bytes;
        self.lines = lines;
        self
    }

    /// Sets how a remote command is stopped.
    #[must_use]
    pub const fn with_stop(mut self, stop: StopTimes) -> Self {
        self.stop = stop;
        self
    }
}
