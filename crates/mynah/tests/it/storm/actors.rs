//! What the tasks of both sides do during a storm.

use super::service::{StormClient, give_way, sleep};
use super::world::{Legal, Outcome, Plan, Planned, World, panic_quietly, text};
use futures::future::{Either, select};
use mynah::prelude::*;
use mynah::{By, EndReason};
use mynah_testkit::Dice;
use std::fmt::Debug;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;

/// One task of one side.
#[derive(Debug)]
pub(crate) struct Actor {
    pub(crate) world: Arc<World>,
    pub(crate) peer: Peer,
    pub(crate) dice: Dice,
    /// Letters of one text at most.
    pub(crate) letters: u64,
    /// Items of one stream at most.
    pub(crate) items: u64,
    /// What it does now.
    pub(crate) op: u64,
    /// Whether something may panic.
    pub(crate) panics: bool,
}

/// When something is given up.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    Endless,
    /// After so many polls, each a turn after the one before, or when something happened.
    Polls(u64, bool),
    Time(Duration),
}

/// The output, unless the future was given up before.
pub(super) async fn unless<F: Future>(patience: Patience, future: F) -> Option<F::Output> {
    match patience {
        Patience::Endless => Some(future.await),
        Patience::Time(time) => tokio::time::timeout(time, future).await.ok(),
        Patience::Polls(most, hurry) => {
            let mut future = pin!(future);
            let mut polls = 0;
            poll_fn(|cx| {
                if polls == most {
                    return Poll::Ready(None);
                }
                polls += 1;
                if hurry || polls == most {
                    cx.waker().wake_by_ref();
                }
                future.as_mut().poll(cx).map(Some)
            })
            .await
        }
    }
}

impl Actor {
    pub(crate) async fn act(mut self, ops: u64) {
        for _ in 0..ops {
            sleep(self.dice.up_to(40)).await;
            let kind = self.dice.below(16);
            self.begin(kind);
            match kind {
                0..=4 => self.call().await,
                5 => self.touch().await,
                6..=8 => self.numbers().await,
                9 | 10 => self.gather().await,
                11 => self.mirror().await,
                12 | 13 => self.tell().await,
                14 => self.ask().await,
                _ => self.say(),
            }
            self.world.doing.lock().unwrap().remove(&self.op);
        }
    }

    /// Notes down what it does.
    pub(super) fn begin(&mut self, what: impl Debug) {
        let mut doing = self.world.doing.lock().unwrap();
        if doing.remove(&self.op).is_none() {
            self.op = self.world.op();
        }
        doing.insert(self.op, format!("{what:?}"));
    }

    pub(super) fn client(&self) -> StormClient {
        self.peer.client()
    }

    pub(super) fn plan(&mut self) -> Plan {
        self.plan_deep(2)
    }

    fn plan_deep(&mut self, depth: u32) -> Plan {
        let panics = self.panics;
        let dice = &mut self.dice;
        let outcome = match dice.below(8) {
            0 => Outcome::Fails,
            1 if panics => Outcome::Panics,
            _ => Outcome::Fine,
        };
        let mut plan = Plan {
            op: self.world.op(),
            yields: u32::try_from(dice.up_to(4)).unwrap(),
            sleep_ms: if dice.once_in(2) { 0 } else { dice.up_to(500) },
            progress: if dice.once_in(3) { dice.up_to(40) } else { 0 },
            logs: if dice.once_in(4) { dice.up_to(10) } else { 0 },
            shield: dice.once_in(6),
            outcome,
            count: dice.up_to(self.items),
            letters: dice.up_to(self.letters),
            take: None,
            back: None,
        };
        if depth > 0 && self.dice.once_in(4) {
            plan.back = Some(Box::new(self.plan_deep(depth - 1)));
        }
        plan
    }

    pub(super) fn patience(&mut self) -> Patience {
        match self.dice.below(8) {
            0 => Patience::Polls(self.dice.up_to(8), true),
            1 => Patience::Polls(self.dice.up_to(4), false),
            2 => Patience::Time(self.dice.millis(600)),
            _ => Patience::Endless,
        }
    }

    /// A deadline, and when it passes.
    pub(super) fn deadline(&mut self, default: u64) -> (Option<Duration>, Option<Instant>) {
        let own = self.dice.once_in(4).then(|| self.dice.millis(2000));
        let at = own.unwrap_or_else(|| Duration::from_secs(default));
        (own, Some(Instant::now() + at))
    }

    async fn call(&mut self) {
        let plan = self.plan();
        let (own, deadline) = self.deadline(30);
        self.begin(&plan);
        let sent = text(plan.op, plan.letters);
        let client = self.client();
        let mut call = if self.dice.once_in(3) {
            client.work_apart(plan.clone(), sent.clone())
        } else {
            client.work(plan.clone(), sent.clone())
        };
        if let Some(own) = own {
            call = call.deadline(own);
        }
        let heard = Arc::new(Mutex::new(Vec::new()));
        if self.dice.once_in(2) {
            let (world, heard, op) = (Arc::clone(&self.world), Arc::clone(&heard), plan.op);
            call = call.on_progress(move |(of, step): (u64, u64)| {
                world.check(of == op, || format!("progress of {of} at {op}"));
                heard.lock().unwrap().push(step);
            });
        }
        if self.dice.once_in(3) {
            let (world, op) = (Arc::clone(&self.world), plan.op);
            call = call.on_log(move |level, (of, _step): (u64, u64)| {
                world.check(of == op && level == 3, || format!("log of {of} at {op}"));
            });
        }
        let patience = self.patience();
        let outcome = if self.dice.once_in(2) {
            let started = call.start();
            give_way(u32::try_from(self.dice.up_to(3)).unwrap()).await;
            unless(patience, started).await
        } else {
            unless(patience, call.into_future()).await
        };
        let heard = heard.lock().unwrap().clone();
        self.world.check(heard.is_sorted_by(|a, b| a < b), || {
            format!("{plan:?}: progress {heard:?}")
        });
        let outcome = outcome.map(|outcome| {
            outcome.map(|back| {
                self.world
                    .check(back == sent, || format!("{plan:?}: another text came back"));
            })
        });
        self.settle(&plan, outcome, legal(&plan, deadline));
    }

    /// Holds the outcome of a call against its plan.
    pub(super) fn settle(
        &self,
        plan: &Plan,
        outcome: Option<Result<(), CallError<Planned>>>,
        legal: Legal,
    ) {
        match outcome {
            None => self.world.note("given up"),
            Some(Ok(())) => {
                let fine = legal.outcome == Outcome::Fine && self.world.has_run(plan.op);
                self.world
                    .check(fine, || format!("{plan:?} cannot have a result"));
                self.world.note("result");
            }
            Some(Err(error)) => self.world.judge(plan, &error, legal),
        }
    }

    async fn touch(&mut self) {
        let plan = self.plan();
        let patience = self.patience();
        if let Some(Err(error)) = unless(patience, self.client().touch(plan.clone())).await {
            self.world.judge(&plan, &error, legal(&plan, None));
        }
    }

    async fn tell(&mut self) {
        let mut plan = self.plan();
        plan.take = self.dice.once_in(4).then(|| self.dice.up_to(100));
        let (own, deadline) = self.deadline(30);
        self.begin(&plan);
        let told = Arc::new(AtomicU64::new(0));
        let over = Arc::new(AtomicU64::new(0));
        let (world, counted, ended) = (
            Arc::clone(&self.world),
            Arc::clone(&told),
            Arc::clone(&over),
        );
        let alive = self.world.alive();
        let op = plan.op;
        let panics_at = (self.panics && self.dice.once_in(6)).then(|| self.dice.up_to(plan.count));
        let mut call = self.client().tell(plan.clone(), move |number| {
            let _alive = &alive;
            let expected = counted.fetch_add(1, Ordering::SeqCst);
            world.check(number == expected, || {
                format!("{op} was told {number} in the place of {expected}")
            });
            world.check(ended.load(Ordering::SeqCst) == 0, || {
                format!("{op} was told {number} after its result")
            });
            if panics_at == Some(number) {
                panic_quietly();
            }
        });
        if let Some(own) = own {
            call = call.deadline(own);
        }
        let patience = self.patience();
        let mut outcome = unless(patience, call.into_future()).await;
        if outcome.is_some() {
            over.store(1, Ordering::SeqCst);
        }
        let heard = told.load(Ordering::SeqCst);
        if let Some(Ok(count)) = &outcome {
            self.world
                .check(*count == plan.count && heard == plan.count, || {
                    format!("{plan:?}: was told {heard} of {count}")
                });
        }
        if let Some(Err(CallError::Remote(error))) = &outcome
            && panics_at.is_some()
            && error.code() == ErrorCode::INTERNAL
        {
            // In process the one who tells hears the panic.
            outcome = None;
        }
        let legal = Legal {
            input_breaks: self.world.is_over(),
            ..legal(&plan, deadline)
        };
        self.settle(&plan, outcome.map(|outcome| outcome.map(drop)), legal);
    }

    async fn ask(&mut self) {
        let mut plan = self.plan();
        plan.count = plan.count.min(10);
        plan.take = self.dice.once_in(3).then(|| self.dice.up_to(plan.count));
        let fails_at = (self.panics && self.dice.once_in(3)).then(|| self.dice.up_to(plan.count));
        let (own, deadline) = self.deadline(30);
        self.begin(&plan);
        let alive = self.world.alive();
        let pause = self.dice.up_to(50);
        let mut call = self.client().ask(plan.clone(), fails_at, move |number| {
            let alive = Arc::clone(&alive);
            async move {
                let _alive = alive;
                sleep(pause).await;
                if fails_at == Some(number) {
                    if number % 2 == 1 {
                        panic_quietly();
                    }
                    return Err(RpcError::new(ErrorCode::application(9), "planned"));
                }
                Ok(number * 3)
            }
        });
        if let Some(own) = own {
            call = call.deadline(own);
        }
        let patience = self.patience();
        let outcome = unless(patience, call.into_future()).await;
        if let Some(Err(CallError::Remote(error))) = &outcome
            && fails_at.is_some()
            && error.code() == ErrorCode::INTERNAL
        {
            // In process the one who asks hears the panic.
            return;
        }
        let legal = Legal {
            input_breaks: self.world.is_over(),
            ..legal(&plan, deadline)
        };
        self.settle(&plan, outcome.map(|outcome| outcome.map(drop)), legal);
    }

    /// What has no answer.
    fn say(&mut self) {
        let result = if self.dice.once_in(2) {
            self.peer.emit("emitted", &self.world.op())
        } else {
            self.peer.log(4, &"a line")
        };
        let fine = match &result {
            Ok(()) | Err(CallError::Busy { .. } | CallError::Misuse(_)) => true,
            Err(CallError::Disconnected(_)) => self.world.is_over(),
            Err(CallError::Unsupported { dialect, .. }) => *dialect == "memory",
            Err(_) => false,
        };
        self.world
            .check(fine, || format!("said nothing: {result:?}"));
    }
}

pub(super) fn legal(plan: &Plan, deadline: Option<Instant>) -> Legal {
    Legal {
        outcome: plan.outcome,
        deadline,
        input_breaks: false,
    }
}

/// Ends with the other one, when that comes first.
pub(crate) async fn until_over<F: Future, S: Future>(future: F, stop: S) -> Option<F::Output> {
    match select(pin!(future), pin!(stop)).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}

/// Whether the end of a subscription is one that may be.
pub(crate) fn check_end(world: &World, what: &impl Debug, reason: &EndReason, lags: bool) {
    let fine = match reason {
        EndReason::Lagged(_) => lags,
        EndReason::PeerGone | EndReason::Draining | EndReason::Finished => world.is_over(),
        EndReason::Cancelled(By::Callee) => world.is_over(),
        _ => false,
    };
    world.check(fine, || format!("{what:?} ended with {reason:?}"));
}
