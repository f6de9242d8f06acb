//! What both sides serve during a storm.

use super::world::{Item, Legal, Outcome, Plan, Planned, World, panic_quietly, text};
use futures::stream::{self, StreamExt as _};
use mynah::prelude::*;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Everything a call can carry.
#[mynah::service]
pub(crate) trait Storm {
    /// The text again.
    async fn work(&self, cx: &Context, plan: Plan, text: String) -> Result<String, Planned>;
    /// The same in a task of its own.
    #[spawn]
    async fn work_apart(&self, cx: &Context, plan: Plan, text: String) -> Result<String, Planned>;
    /// Nothing to hear.
    #[notification]
    async fn touch(&self, plan: Plan);
    /// So many items.
    fn numbers(&self, cx: &Context, plan: Plan)
    -> impl Stream<Item = Result<Item, Planned>> + Send;
    /// How many items came.
    async fn gather(&self, cx: &Context, plan: Plan, data: Incoming<Item>) -> Result<u64, Planned>;
    /// Each item again.
    fn mirror(
        &self,
        cx: &Context,
        plan: Plan,
        data: Incoming<Item>,
    ) -> impl Stream<Item = Result<Item, Planned>> + Send;
    /// Tells so many numbers.
    async fn tell(&self, cx: &Context, plan: Plan, told: Callback<u64>) -> Result<u64, Planned>;
    /// Asks so many times.
    async fn ask(
        &self,
        cx: &Context,
        plan: Plan,
        fails_at: Option<u64>,
        asked: Callback<u64, u64>,
    ) -> Result<u64, Planned>;
}

/// The implementation of both sides.
#[derive(Clone, Debug)]
pub(crate) struct MyStorm(pub(crate) Arc<World>);

/// Lets others go first.
pub(crate) async fn give_way(turns: u32) {
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn sleep(millis: u64) {
    if millis > 0 {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

impl MyStorm {
    /// What every handler does before its own work.
    async fn prepare(&self, cx: &Context, plan: &Plan) {
        let shield = plan.shield.then(|| cx.shield());
        for step in 0..plan.progress {
            cx.progress(&(plan.op, step));
            if step % 7 == 0 {
                give_way(plan.yields).await;
            }
        }
        for step in 0..plan.logs {
            cx.log(3, &(plan.op, step));
        }
        give_way(plan.yields).await;
        sleep(plan.sleep_ms).await;
        drop(shield);
        if let Some(back) = &plan.back {
            self.call_back(cx, back).await;
        }
    }

    async fn call_back(&self, cx: &Context, plan: &Plan) {
        let world = &self.0;
        let client: StormClient = cx.peer().client();
        let sent = text(plan.op, plan.letters);
        let default = Instant::now() + Duration::from_secs(30);
        let deadline = cx.deadline().map_or(default, |at| at.min(default));
        match client.work(plan.clone(), sent.clone()).await {
            Ok(back) => world.check(sent == back && plan.outcome == Outcome::Fine, || {
                format!("{plan:?} came back wrong")
            }),
            Err(error) => {
                let legal = Legal {
                    outcome: plan.outcome,
                    deadline: Some(deadline),
                    input_breaks: false,
                };
                world.judge(plan, &error, legal);
            }
        }
    }

    fn outcome(plan: &Plan) -> Result<(), Planned> {
        match plan.outcome {
            Outcome::Fine => Ok(()),
            Outcome::Fails => Err(Planned::Failure { op: plan.op }),
            Outcome::Panics => panic_quietly(),
        }
    }

    async fn run(&self, cx: &Context, plan: Plan, text: String) -> Result<String, Planned> {
        let _alive = self.0.runs(&plan);
        self.prepare(cx, &plan).await;
        Self::outcome(&plan).map(|()| text)
    }
}

impl Storm for MyStorm {
    async fn work(&self, cx: &Context, plan: Plan, text: String) -> Result<String, Planned> {
        self.run(cx, plan, text).await
    }

    async fn work_apart(&self, cx: &Context, plan: Plan, text: String) -> Result<String, Planned> {
        self.run(cx, plan, text).await
    }

    async fn touch(&self, plan: Plan) {
        let _alive = self.0.runs(&plan);
        give_way(plan.yields).await;
        sleep(plan.sleep_ms).await;
        if plan.outcome == Outcome::Panics {
            panic_quietly();
        }
    }

    fn numbers(
        &self,
        cx: &Context,
        plan: Plan,
    ) -> impl Stream<Item = Result<Item, Planned>> + Send {
        let alive = self.0.runs(&plan);
        let this = self.clone();
        let cx = cx.clone();
        stream::unfold(0, move |number| {
            let (plan, this, cx) = (plan.clone(), this.clone(), cx.clone());
            let alive = Arc::clone(&alive);
            async move {
                let _alive = alive;
                if number == plan.count / 2 {
                    this.prepare(&cx, &plan).await;
                }
                if number > plan.count {
                    return None;
                }
                if number == plan.count {
                    let ends = Self::outcome(&plan).err()?;
                    return Some((Err(ends), number + 1));
                }
                if number % 5 == 1 {
                    give_way(plan.yields).await;
                }
                let text = text(number, plan.letters);
                Some((Ok(Item { number, text }), number + 1))
            }
        })
    }

    async fn gather(
        &self,
        cx: &Context,
        plan: Plan,
        mut data: Incoming<Item>,
    ) -> Result<u64, Planned> {
        let alive = self.0.runs(&plan);
        self.prepare(cx, &plan).await;
        let mut next = 0;
        while plan.take.is_none_or(|most| next < most) {
            match data.next().await {
                None => break,
                Some(Ok(item)) => {
                    check_item(&self.0, &plan, &item, next);
                    next += 1;
                    if next % 5 == 1 {
                        give_way(plan.yields).await;
                    }
                }
                Some(Err(reason)) => {
                    self.0.judge_end(&plan, &reason, true);
                    let second = data.next().await.is_some();
                    self.0.check(!second, || format!("{plan:?}: a second end"));
                    return Err(Planned::Input);
                }
            }
        }
        drop(data);
        if plan.take.is_some() {
            give_way(plan.yields).await;
        }
        drop(alive);
        Self::outcome(&plan).map(|()| next)
    }

    fn mirror(
        &self,
        cx: &Context,
        plan: Plan,
        data: Incoming<Item>,
    ) -> impl Stream<Item = Result<Item, Planned>> + Send {
        let alive = self.0.runs(&plan);
        let this = self.clone();
        let cx = cx.clone();
        let begin = (data, 0, false);
        stream::unfold(begin, move |(mut data, number, over)| {
            let (plan, this, cx) = (plan.clone(), this.clone(), cx.clone());
            let alive = Arc::clone(&alive);
            async move {
                let _alive = alive;
                if over {
                    return None;
                }
                if number == plan.take.unwrap_or(2) {
                    this.prepare(&cx, &plan).await;
                }
                match data.next().await {
                    None => {
                        let ends = Self::outcome(&plan).err()?;
                        Some((Err(ends), (data, number, true)))
                    }
                    Some(Ok(item)) => {
                        check_item(&this.0, &plan, &item, number);
                        Some((Ok(item), (data, number + 1, false)))
                    }
                    Some(Err(reason)) => {
                        this.0.judge_end(&plan, &reason, true);
                        Some((Err(Planned::Input), (data, number, true)))
                    }
                }
            }
        })
    }

    async fn tell(&self, cx: &Context, plan: Plan, told: Callback<u64>) -> Result<u64, Planned> {
        let alive = self.0.runs(&plan);
        self.prepare(cx, &plan).await;
        for number in 0..plan.count {
            if let Err(error) = told.send(number).await {
                let over = cx.is_cancelled() && matches!(error, CallError::Cancelled(_));
                if !over {
                    self.0.judge(&plan, &error, NEVER);
                }
                return Err(Planned::Input);
            }
        }
        if let Some(kept) = plan.take {
            // Kept beyond its call, where it says nothing.
            let world = Arc::clone(&self.0);
            let cx = cx.clone();
            tokio::spawn(async move {
                let _alive = alive;
                cx.cancelled().await;
                sleep(kept).await;
                let told = told.send(u64::MAX).await;
                world.check(matches!(told, Err(CallError::Cancelled(_))), || {
                    format!("a callback that outlived its call: {told:?}")
                });
            });
        }
        Self::outcome(&plan).map(|()| plan.count)
    }

    async fn ask(
        &self,
        cx: &Context,
        plan: Plan,
        fails_at: Option<u64>,
        asked: Callback<u64, u64>,
    ) -> Result<u64, Planned> {
        let _alive = self.0.runs(&plan);
        self.prepare(cx, &plan).await;
        for number in 0..plan.count {
            let mut answer = Box::pin(asked.call(number));
            if plan.take == Some(number) {
                // Given up on the way.
                give_way(plan.yields).await;
                let _once = futures::poll!(&mut answer);
                give_way(plan.yields).await;
                continue;
            }
            match answer.await {
                Ok(answer) => self.0.check(answer == number * 3, || {
                    format!("{plan:?}: {answer} is the answer to {number}")
                }),
                Err(error) => {
                    let legal = Legal {
                        // An even number fails, an odd one panics.
                        outcome: match fails_at {
                            Some(at) if at == number && at % 2 == 0 => Outcome::Fails,
                            Some(at) if at == number => Outcome::Panics,
                            _ => Outcome::Fine,
                        },
                        deadline: cx.deadline(),
                        input_breaks: false,
                    };
                    if cx.is_cancelled() && matches!(error, CallError::Cancelled(_)) {
                        return Err(Planned::Input);
                    }
                    self.0.judge(&plan, &error, legal);
                    if self.0.is_over() {
                        return Err(Planned::Input);
                    }
                }
            }
        }
        Self::outcome(&plan).map(|()| plan.count)
    }
}

const NEVER: Legal = Legal {
    outcome: Outcome::Fine,
    deadline: None,
    input_breaks: false,
};

pub(crate) fn check_item(world: &World, plan: &Plan, item: &Item, expected: u64) {
    world.check(
        item.number == expected && item.text == text(expected, plan.letters),
        || format!("{plan:?}: item {} in the place of {expected}", item.number),
    );
}
