//! What is measured, where, and with how much of it.

use super::pair::Load;

/// What client and server do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// Small typed calls.
    Calls,
    /// A stream of small items from the server.
    Stream,
    /// A payload there and back.
    Bulk,
    /// Small calls beside payloads on the same connection.
    Mixed,
    /// Small calls beside connections that say a byte now and then.
    Slow,
    /// Connections on which nothing happens.
    Idle,
    /// A function of the caller that the handler calls.
    Callback,
    /// An event to many subscribers.
    Fanout,
    /// What a small call costs in things that can be counted.
    Costs,
}

impl Scenario {
    pub(crate) const ALL: [Self; 9] = [
        Self::Calls,
        Self::Stream,
        Self::Bulk,
        Self::Mixed,
        Self::Slow,
        Self::Idle,
        Self::Callback,
        Self::Fanout,
        Self::Costs,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Stream => "stream",
            Self::Bulk => "bulk",
            Self::Mixed => "mixed",
            Self::Slow => "slow",
            Self::Idle => "idle",
            Self::Callback => "callback",
            Self::Fanout => "fanout",
            Self::Costs => "costs",
        }
    }

    /// Everything that is measured of it; costs are counted in runs of their own.
    pub(crate) fn cases(self) -> Vec<Case> {
        let small_or_large = [Mode::Same, Mode::Split];
        match self {
            Self::Calls => Mode::ALL
                .into_iter()
                .flat_map(|mode| {
                    mode.loads()
                        .iter()
                        .map(move |load| Case::calls(mode, *load))
                })
                .collect(),
            Self::Stream => small_or_large
                .map(|mode| Case::new(self, mode, ONE, STREAM_ITEMS))
                .to_vec(),
            Self::Bulk => small_or_large
                .map(|mode| Case::new(self, mode, ONE, PAYLOAD))
                .to_vec(),
            Self::Mixed => small_or_large
                .into_iter()
                .flat_map(|mode| MIXED_PAYLOADS.map(|size| Case::new(self, mode, ONE, size)))
                .collect(),
            Self::Slow => small_or_large
                .map(|mode| Case::new(self, mode, ONE, SLOW_PEERS))
                .to_vec(),
            Self::Idle => vec![Case::new(self, Mode::Same, IDLE_FIRST, 0)],
            Self::Callback => CALLBACKS
                .map(|(in_flight, times)| {
                    Case::new(self, Mode::Same, Load::new(1, in_flight), times)
                })
                .to_vec(),
            Self::Fanout => FANOUT_CONNECTIONS
                .map(|connections| {
                    Case::new(self, Mode::Same, Load::new(connections, 1), SUBSCRIBERS)
                })
                .to_vec(),
            Self::Costs => Vec::new(),
        }
    }
}

const ONE: Load = Load::new(1, 1);
/// Items of one stream: long enough that its start and end do not count.
const STREAM_ITEMS: usize = 1_000_000;
/// The payload of `bulk`.
pub(crate) const PAYLOAD: usize = 1 << 20;
/// The payloads beside which small calls are made.
pub(crate) const MIXED_PAYLOADS: [usize; 2] = [PAYLOAD, 64 << 20];
/// Connections that say a byte a second.
const SLOW_PEERS: usize = 1_000;
/// Open and used before the idle ones are opened, so that what is allocated once is left out.
const IDLE_FIRST: Load = Load::new(16, 1);
/// Calls in flight, and callbacks of each call.
pub(crate) const CALLBACKS: [(usize, usize); 2] = [(1, 1_000), (64, 100)];
/// Subscribers of all connections together.
pub(crate) const SUBSCRIBERS: usize = 1_000;
pub(crate) const FANOUT_CONNECTIONS: [usize; 3] = [1, 10, 1_000];

/// One thing that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) scenario: Scenario,
    pub(crate) mode: Mode,
    pub(crate) load: Load,
    /// Items of a stream, bytes of a payload, slow connections, callbacks of a call, subscribers.
    pub(crate) size: usize,
}

impl Case {
    pub(crate) const fn new(scenario: Scenario, mode: Mode, load: Load, size: usize) -> Self {
        Self {
            scenario,
            mode,
            load,
            size,
        }
    }

    pub(crate) const fn calls(mode: Mode, load: Load) -> Self {
        Self::new(Scenario::Calls, mode, load, 0)
    }
}

/// Where client and server run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Both on one core, current-thread runtimes: CPU time and nothing else.
    Same,
    /// A core each, current-thread runtimes: wake-ups across cores.
    Split,
    /// Not pinned, multi-thread runtimes with two workers each.
    Multi,
}

impl Mode {
    pub(crate) const ALL: [Self; 3] = [Self::Same, Self::Split, Self::Multi];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Split => "split",
            Self::Multi => "mt",
        }
    }

    /// In words.
    pub(crate) const fn place(self) -> &'static str {
        match self {
            Self::Same => "client and server on one core",
            Self::Split => "a core each",
            Self::Multi => "multi-thread runtimes with two workers each, not pinned",
        }
    }

    /// Connections and calls in flight on each, of `calls`.
    const fn loads(self) -> &'static [Load] {
        const SAME: [Load; 4] = [
            Load::new(1, 1),
            Load::new(1, 64),
            Load::new(1, 1024),
            Load::new(8, 64),
        ];
        const SPLIT: [Load; 2] = [Load::new(1, 1), Load::new(1, 64)];
        const MULTI: [Load; 1] = [Load::new(8, 64)];
        match self {
            Self::Same => &SAME,
            Self::Split => &SPLIT,
            Self::Multi => &MULTI,
        }
    }
}
