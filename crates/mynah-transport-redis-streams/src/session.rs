//! Calls that are more than a question and an answer: what both sides know of one.
//!
//! A call with streams or callbacks is a *session* between one client and one server. What they say to each other are frames
//! of the native wire, one in each entry of the other's stream: the client's stream of answers, the server's inbox. Each side
//! numbers its frames from 1, so that one that is written twice is heard once, and one that was lost is missed.

use crate::presence::{BEAT, TTL};
use mynah_protocol::{Envelope, WireId};
use std::fmt::Write as _;
use std::time::Duration;
use tokio::time::Instant;

/// What an entry of an inbox is: the value of its field `mynah`.
pub(crate) mod kind {
    /// A frame of a session, or, without a number, one that is said beside a plain call. In JSON; for others see
    /// [`Coding`](crate::coding::Coding).
    pub(crate) const FRAME: &str = "frame";
    /// The sessions that the writer knows, each with the number of the last frame that it has written.
    pub(crate) const BEAT: &str = "beat";
    /// Sessions that the writer does not know, or knows no more.
    pub(crate) const GONE: &str = "gone";
    /// A call was not taken on, for want of room: nothing has begun.
    pub(crate) const BUSY: &str = "busy";
    /// The same, because the server goes away or does not serve this.
    pub(crate) const REFUSED: &str = "refused";
    /// The same, because the server does not know the format of its frames.
    pub(crate) const UNSPOKEN: &str = "unspoken";
    /// In the stream of calls: the client reads what is said beside its calls.
    pub(crate) const CLIENT: &str = "1";
}

/// The most sessions of one beat. There may be several.
pub(crate) const MOST_IN_BEAT: usize = 1000;

/// What an entry of an inbox says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) kind: Vec<u8>,
    /// The stream of answers of a client, or the instance of a server.
    pub(crate) from: Vec<u8>,
    /// The number of the call, as the client wrote it.
    pub(crate) call: u64,
    /// Which frame of the session.
    pub(crate) number: u64,
    pub(crate) body: Vec<u8>,
}

/// What is written as an entry of an inbox.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) kind: &'static str,
    pub(crate) call: u64,
    /// Zero: not one of those that are numbered.
    pub(crate) number: u64,
    pub(crate) body: Vec<u8>,
}

/// How far the two directions of a session are.
#[derive(Debug)]
pub(crate) struct Thread {
    /// The last frame that was heard.
    received: u64,
    /// The last frame that was said.
    sent: u64,
    /// When the other side was last known to know of it.
    heard: Instant,
}

/// What a frame is to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The next one.
    Next,
    /// One that was heard before.
    Again,
    /// One or more before it were lost.
    Gap,
}

impl Thread {
    pub(crate) fn new() -> Self {
        Self {
            received: 0,
            sent: 0,
            heard: Instant::now(),
        }
    }

    /// The number of the next frame that is said.
    pub(crate) const fn next(&mut self) -> u64 {
        self.sent += 1;
        self.sent
    }

    pub(crate) const fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether the other side has said anything.
    pub(crate) const fn is_answered(&self) -> bool {
        self.received > 0
    }

    /// A frame of this number is heard.
    pub(crate) fn arrive(&mut self, number: u64) -> Arrival {
        if number <= self.received {
            return Arrival::Again;
        }
        if number != self.received + 1 {
            return Arrival::Gap;
        }
        self.received = number;
        self.heard = Instant::now();
        Arrival::Next
    }

    /// The other side says that it knows of the session, and how many frames it has said. `false`: some of them were lost.
    pub(crate) fn beat(&mut self, said: u64) -> bool {
        self.heard = Instant::now();
        said <= self.received
    }

    /// Whether the other side has not been heard for too long, by somebody who has heard everything since then.
    pub(crate) fn is_silent(&self, pulse: &Pulse) -> bool {
        let now = Instant::now();
        pulse.hears(now) && now.saturating_duration_since(self.heard.max(pulse.since)) > TTL
    }
}

/// Whether a reading of Redis works, and since when: silence means something only while it does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pulse {
    since: Instant,
    last: Instant,
    patience: Duration,
}

impl Pulse {
    /// `block`: how long one reading waits.
    pub(crate) fn new(block: Duration) -> Self {
        Self {
            since: Instant::now(),
            last: Instant::now(),
            patience: block + BEAT,
        }
    }

    /// A reading was answered.
    pub(crate) fn beat(&mut self) {
        let now = Instant::now();
        if !self.hears(now) {
            // The others may have been cut off as well.
            self.since = now;
        }
        self.last = now;
    }

    /// A reading failed.
    pub(crate) fn stop(&mut self) {
        let long_ago = Instant::now().checked_sub(self.patience * 2);
        self.last = long_ago.unwrap_or(self.last);
    }

    fn hears(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) <= self.patience
    }
}

/// The body of a beat.
pub(crate) fn beat_body(sessions: impl IntoIterator<Item = (u64, u64)>) -> Vec<u8> {
    let mut text = String::new();
    for (call, sent) in sessions {
        // A string takes everything.
        let _infallible = write!(text, "{call}:{sent} ");
    }
    text.into_bytes()
}

/// The sessions of a beat, and how many frames of each were said.
pub(crate) fn read_beat(body: &[u8]) -> impl Iterator<Item = (u64, u64)> {
    let text = str::from_utf8(body).unwrap_or_default();
    let one = |item: &str| {
        let (call, sent) = item.split_once(':')?;
        Some((call.parse().ok()?, sent.parse().ok()?))
    };
    text.split_ascii_whitespace()
        .take(MOST_IN_BEAT)
        .filter_map(one)
}

/// The body that lists sessions.
pub(crate) fn gone_body(calls: &[u64]) -> Vec<u8> {
    let texts: Vec<String> = calls.iter().map(u64::to_string).collect();
    texts.join(" ").into_bytes()
}

/// The sessions of such a body.
pub(crate) fn read_gone(body: &[u8]) -> impl Iterator<Item = u64> {
    let text = str::from_utf8(body).unwrap_or_default();
    text.split_ascii_whitespace()
        .take(MOST_IN_BEAT)
        .filter_map(|call| call.parse().ok())
}

/// The id of the call that an envelope belongs to.
pub(crate) const fn id_of<'e>(envelope: &'e mut Envelope<'_>) -> Option<&'e mut WireId> {
    match envelope {
        Envelope::Request(request) => Some(&mut request.id),
        Envelope::Response(response) => Some(&mut response.id),
        Envelope::Cancel(cancel) => Some(&mut cancel.id),
        Envelope::Progress(progress) => Some(&mut progress.id),
        Envelope::Log(log) => log.id.as_mut(),
        Envelope::Accepted(id) => Some(id),
        Envelope::Items(items) => Some(&mut items.id),
        Envelope::InputEnd(end) => Some(&mut end.id),
        Envelope::Credit(credit) => Some(&mut credit.id),
        Envelope::Stop(stop) => Some(&mut stop.id),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_heard_once_and_in_order_or_missed() {
        let mut thread = Thread::new();
        assert!(!thread.is_answered());
        let heard = [1, 1, 2, 1, 4, 3].map(|number| thread.arrive(number));
        use Arrival::{Again, Gap, Next};
        assert_eq!(heard, [Next, Again, Next, Again, Gap, Next]);
        assert!(thread.beat(3), "nothing was lost");
        assert!(!thread.beat(4), "the last one was");
        assert_eq!((thread.next(), thread.next(), thread.sent()), (1, 2, 2));
    }

    #[test]
    fn lists_are_read_back_and_nonsense_is_passed_over() {
        let sessions = [(7, 1), (u64::MAX, 0)];
        let body = beat_body(sessions);
        assert_eq!(read_beat(&body).collect::<Vec<_>>(), sessions);
        assert_eq!(
            read_beat(b"1:2 x 3 :: 4:-1 5:6").collect::<Vec<_>>(),
            [(1, 2), (5, 6)]
        );
        assert_eq!(read_beat(b"\xff").count(), 0);
        assert_eq!(read_beat(&b"1:1 ".repeat(5000)).count(), MOST_IN_BEAT);
        assert_eq!(read_gone(&gone_body(&[1, 2])).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(read_gone(b"1 -2 x").collect::<Vec<_>>(), [1]);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_counts_only_while_one_can_hear() {
        let mut pulse = Pulse::new(Duration::from_secs(5));
        let thread = Thread::new();
        tokio::time::advance(TTL * 2).await;
        assert!(!thread.is_silent(&pulse), "Redis has said nothing either");
        pulse.beat();
        assert!(!thread.is_silent(&pulse), "it has only just come back");
        for _ in 0..4 {
            tokio::time::advance(Duration::from_secs(4)).await;
            pulse.beat();
        }
        assert!(thread.is_silent(&pulse));
        pulse.stop();
        assert!(!thread.is_silent(&pulse));
    }
}
