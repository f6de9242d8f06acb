//! The servers, and what was done to which of them when.

use super::Plan;
use crate::fleet::now;
use crate::python::within;
use crate::store::Place;
use mynah::redis_streams::RedisOptions;
use mynah_testkit::Dice;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinSet;

/// How long an entry may lie with a server that does not touch it. One that gets no time to run for that long is as one that is
/// frozen, and nobody would have seen it.
const CLAIM_IDLE: Duration = Duration::from_secs(2);

/// A server that is not there after this, Redis or not, does not come.
const STARTS: Duration = Duration::from_secs(60);
/// Between two attempts to start one.
const AGAIN: Duration = Duration::from_millis(100);

/// How many milliseconds a replica may be behind on a machine that is busy.
const BEHIND: u128 = 2_000;

/// Within so many milliseconds after it goes on a server that was frozen begins what it had.
const GOES_ON: u128 = 1_000;

/// How both sides use Redis.
#[must_use]
pub fn options(store: &str) -> RedisOptions {
    Place::read(store)
        .options()
        .with_prefix("app")
        .with_claim_idle(CLAIM_IDLE)
        .with_max_deliveries(100)
}

/// One server process; killed when this is dropped.
#[derive(Debug)]
pub struct NodeProcess {
    /// Its name.
    pub instance: String,
    child: Child,
    _stdin: ChildStdin,
}

impl NodeProcess {
    /// Starts one, and waits until it serves.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start(program: &Path, store: &str, instance: &str) -> Self {
        Self::start_with(program, store, instance, &[]).await
    }

    /// The same with a prefix, and how often an entry is delivered.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start_with(program: &Path, store: &str, instance: &str, more: &[&str]) -> Self {
        let started = Self::try_start_with(program, store, instance, more).await;
        started.expect("redis is there")
    }

    /// The same; `None` where it has ended, as it does while Redis is away.
    ///
    /// # Panics
    /// It does neither.
    pub async fn try_start_with(
        program: &Path,
        store: &str,
        instance: &str,
        more: &[&str],
    ) -> Option<Self> {
        let mut child = Command::new(program)
            .args([store, instance])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("fleet_node starts");
        let stdin = child.stdin.take().expect("stdin is a pipe");
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        let mut line = String::new();
        let read = tokio::time::timeout(STARTS, stdout.read_line(&mut line)).await;
        let Ok(read) = read else {
            panic!("{instance} neither serves nor ends");
        };
        if read.expect("stdout can be read") == 0 {
            let ended = within("a server ends", child.wait()).await;
            assert!(!ended.expect("it can be waited for").success(), "it serves");
            return None;
        }
        assert_eq!(line.trim(), format!("listening {instance}"));
        Some(Self {
            instance: instance.to_owned(),
            child,
            _stdin: stdin,
        })
    }

    /// Its memory, in KiB.
    ///
    /// # Panics
    /// It has ended.
    #[must_use]
    pub fn resident(&self) -> u64 {
        crate::soak::resident(self.child.id().expect("it runs"))
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// It has ended.
    pub fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| id.try_into().ok());
        let pid = id.and_then(Pid::from_raw).expect("it runs");
        kill_process(pid, signal).expect("it can be signalled");
    }

    /// Kills it (`SIGKILL`).
    ///
    /// # Panics
    /// It has ended by itself.
    pub async fn kill(mut self) {
        let ended = self.child.try_wait().expect("it can be asked");
        assert!(
            ended.is_none(),
            "{} has ended by itself: {ended:?}",
            self.instance
        );
        self.child.kill().await.expect("it runs");
    }
}

/// All of them.
pub(super) struct Nodes {
    program: PathBuf,
    store: String,
    /// `None`: one that was killed, and whose successor has not begun to serve.
    running: Vec<Option<NodeProcess>>,
    starting: JoinSet<(usize, NodeProcess)>,
    /// Which are frozen, and until when.
    frozen: HashMap<usize, Instant>,
    started: usize,
    /// What was done to whom.
    pub(super) history: History,
}

/// When which server was of no use. Times are milliseconds since 1970.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) killed: HashMap<String, u128>,
    pub(super) frozen: HashMap<String, Vec<(u128, u128)>>,
    pub(super) redis_away: Vec<(u128, u128)>,
}

impl Nodes {
    pub(super) async fn start(plan: &Plan, store: &str) -> Self {
        let mut nodes = Self {
            program: plan.program.clone(),
            store: store.to_owned(),
            running: Vec::new(),
            starting: JoinSet::new(),
            frozen: HashMap::new(),
            started: 0,
            history: History::default(),
        };
        for index in 0..plan.servers {
            nodes.running.push(None);
            nodes.begin(index);
        }
        nodes.welcome_all().await;
        nodes
    }

    /// Starts one in this place, and again until Redis is there for it, as whoever keeps servers running does.
    fn begin(&mut self, index: usize) {
        self.started += 1;
        let name = format!("node-{}", self.started);
        let (program, store) = (self.program.clone(), self.store.clone());
        self.starting.spawn(async move {
            let start = async {
                loop {
                    match NodeProcess::try_start_with(&program, &store, &name, &[]).await {
                        Some(node) => return (index, node),
                        None => tokio::time::sleep(AGAIN).await,
                    }
                }
            };
            let started = tokio::time::timeout(STARTS * 2, start).await;
            started.expect("a server starts once redis is there")
        });
    }

    /// Those that serve by now.
    pub(super) fn welcome(&mut self) {
        while let Some(started) = self.starting.try_join_next() {
            let (index, node) = started.expect("a server starts");
            *self.running.get_mut(index).expect("its place") = Some(node);
        }
    }

    /// All that were begun.
    pub(super) async fn welcome_all(&mut self) {
        while let Some(started) = self.starting.join_next().await {
            let (index, node) = started.expect("a server starts");
            *self.running.get_mut(index).expect("its place") = Some(node);
        }
    }

    /// One to kill and another one to freeze, of those that run; `None` while there are not two.
    pub(super) fn choose(&self, dice: &mut Dice) -> Option<(usize, usize)> {
        let mut run: Vec<usize> = (0..self.running.len())
            .filter(|index| self.running.get(*index).is_some_and(Option::is_some))
            .collect();
        if run.len() < 2 {
            return None;
        }
        let victim = run.swap_remove(dice.index_below(run.len()));
        let frozen = run.get(dice.index_below(run.len()))?;
        Some((victim, *frozen))
    }

    fn at(&self, index: usize) -> &NodeProcess {
        let node = self.running.get(index).and_then(Option::as_ref);
        node.expect("one that runs")
    }

    /// Kills one, and has another started in its place.
    pub(super) async fn replace(&mut self, index: usize) {
        self.thaw(index);
        let old = self.running.get_mut(index).and_then(Option::take);
        let old = old.expect("one that runs");
        self.history.killed.insert(old.instance.clone(), now());
        old.kill().await;
        self.begin(index);
    }

    /// Freezes one for a time; `false` where it is frozen already.
    pub(super) fn freeze(&mut self, index: usize, time: Duration) -> bool {
        if self.frozen.contains_key(&index) {
            return false;
        }
        let node = self.at(index);
        node.signal(Signal::STOP);
        let (instance, from) = (node.instance.clone(), now());
        let of = self.history.frozen.entry(instance).or_default();
        of.push((from, u128::MAX));
        self.frozen.insert(index, Instant::now() + time);
        true
    }

    pub(super) fn thaw_those_due(&mut self) {
        let now = Instant::now();
        let due = self.frozen.iter().filter(|(_, until)| **until <= now);
        let due: Vec<usize> = due.map(|(index, _)| *index).collect();
        for index in due {
            self.thaw(index);
        }
    }

    pub(super) fn thaw_all(&mut self) {
        let all: Vec<usize> = self.frozen.keys().copied().collect();
        for index in all {
            self.thaw(index);
        }
    }

    fn thaw(&mut self, index: usize) {
        if self.frozen.remove(&index).is_none() {
            return;
        }
        let node = self.at(index);
        node.signal(Signal::CONT);
        let instance = node.instance.clone();
        let of = self.history.frozen.get_mut(&instance);
        if let Some((_, until)) = of.and_then(|of| of.last_mut()) {
            *until = now();
        }
    }

    pub(super) fn redis_was_away(&mut self, from: u128, until: u128) {
        self.history.redis_away.push((from, until));
    }
}

impl History {
    /// Whether what was under way from then until then may be lost: the replica had not got it when the primary was killed. The
    /// handler may have run before that, and its answer may have been written to the new primary.
    pub(super) fn lost_in_a_failover(&self, (asked, answered): (u128, u128)) -> bool {
        let near = |(from, until): &(u128, u128)| asked <= *until && answered + BEHIND >= *from;
        self.redis_away.iter().any(near)
    }

    /// What explains that one run of an operation began at `next`, after another one at `at`; each with its server.
    pub(super) fn explains(
        &self,
        (instance, at): (&str, u128),
        (later, next): (&str, u128),
    ) -> Option<&'static str> {
        if self
            .killed
            .get(instance)
            .is_some_and(|killed| *killed >= at)
        {
            return Some("server killed");
        }
        let overlaps = |spans: &[(u128, u128)], from: u128| {
            let within = |(begun, ended): &(u128, u128)| *begun <= next && *ended >= from;
            spans.iter().any(within)
        };
        let frozen = |instance: &str, from| {
            let spans = self.frozen.get(instance);
            spans.is_some_and(|spans| overlaps(spans, from))
        };
        if frozen(instance, at) {
            return Some("server frozen");
        }
        // It had the call before it was frozen, lost it to the one that ran it first, and went on with it.
        if frozen(later, at.saturating_sub(GOES_ON)) {
            return Some("frozen server goes on");
        }
        overlaps(&self.redis_away, at).then_some("redis away")
    }
}
