//! What the tasks of both sides do with streams.

use super::actors::{Actor, Patience, legal, unless};
use super::service::{check_item, sleep};
use super::world::{Item, Legal, Plan, Planned, panic_quietly, text};
use crate::flow::Watched;
use futures::stream::{self, BoxStream, StreamExt as _};
use mynah::EndReason;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

impl Actor {
    /// Takes a stream of results; says how many items came.
    async fn take(
        &mut self,
        plan: &Plan,
        stream: &mut mynah::Streaming<Item, Planned>,
        legal: Legal,
    ) -> u64 {
        let world = Arc::clone(&self.world);
        let most = if self.dice.once_in(4) {
            self.dice.up_to(plan.count)
        } else {
            u64::MAX
        };
        let lazy = self.dice.once_in(4);
        let mut next = 0;
        loop {
            if next == most {
                if self.dice.once_in(2) {
                    stream.cancel();
                    let again = stream.next().await.is_some();
                    world.check(!again, || format!("{plan:?}: an item after cancel"));
                }
                world.note("stopped");
                return next;
            }
            if lazy && self.dice.once_in(5) {
                sleep(self.dice.up_to(300)).await;
            }
            let patience = if self.dice.once_in(40) {
                self.patience()
            } else {
                Patience::Endless
            };
            let Some(item) = unless(patience, stream.next()).await else {
                // It goes on where it was.
                continue;
            };
            match item {
                Some(Ok(item)) => {
                    check_item(&world, plan, &item, next);
                    next += 1;
                }
                None => {
                    self.settle(plan, Some(Ok(())), legal);
                    let reason = stream.end_reason().cloned();
                    world.check(matches!(reason, Some(EndReason::Finished)), || {
                        format!("{plan:?} finished with {reason:?}")
                    });
                    break;
                }
                Some(Err(error)) => {
                    self.settle(plan, Some(Err(error)), legal);
                    break;
                }
            }
        }
        let again = stream.next().await.is_some();
        world.check(!again, || format!("{plan:?}: a second end"));
        world.note(&next.to_string());
        next
    }

    pub(super) async fn numbers(&mut self) {
        let plan = self.plan();
        let (own, deadline) = self.deadline(30);
        self.begin(&plan);
        let mut call = self.client().numbers(plan.clone());
        if let Some(own) = own {
            call = call.deadline(own);
        } else if self.dice.once_in(4) {
            call = call.no_deadline();
        }
        let mut stream = call.start();
        let came = self.take(&plan, &mut stream, legal(&plan, deadline)).await;
        let whole = matches!(
            stream.end_reason(),
            Some(EndReason::Finished | EndReason::Error(_))
        );
        if whole && self.world.has_run(plan.op) && !self.world.is_over() && !self.world.crowded {
            self.world.check(came == plan.count, || {
                format!("{plan:?}: {came} items, {:?}", stream.end_reason())
            });
        }
    }

    /// A stream to be sent. Returns it with whether it may break, and how many items it has when it ends.
    fn items(&mut self, plan: &Plan) -> (BoxStream<'static, Item>, bool, Arc<AtomicU64>) {
        let made = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&made);
        let breaks_at = (self.panics && self.dice.once_in(8)).then(|| self.dice.up_to(plan.count));
        let alive = self.world.alive();
        let mut dice = self.dice.fork();
        let lazy = dice.once_in(3);
        let letters = plan.letters;
        let items = stream::iter(0..plan.count).then(move |number| {
            let pause = if lazy && dice.once_in(6) {
                dice.up_to(200)
            } else {
                0
            };
            let (counted, _alive) = (Arc::clone(&counted), Arc::clone(&alive));
            async move {
                sleep(pause).await;
                if breaks_at == Some(number) {
                    panic_quietly();
                }
                counted.fetch_add(1, Ordering::SeqCst);
                let text = text(number, letters);
                Item { number, text }
            }
        });
        let breaks = breaks_at.is_some_and(|at| at < plan.count);
        let endless = plan.take.is_some() && self.dice.once_in(2);
        let items = if endless {
            items.chain(stream::pending()).boxed()
        } else {
            items.boxed()
        };
        (items, breaks, made)
    }

    pub(super) async fn gather(&mut self) {
        let mut plan = self.plan();
        if self.dice.once_in(3) {
            plan.take = Some(self.dice.up_to(plan.count));
        }
        let (own, deadline) = self.deadline(30);
        self.begin(&plan);
        let (items, breaks, made) = self.items(&plan);
        let (items, watch) = Watched::new(items);
        let mut call = self.client().gather(plan.clone(), items);
        if let Some(own) = own {
            call = call.deadline(own);
        }
        let patience = self.patience();
        let outcome = unless(patience, call.into_future()).await;
        let outcome = outcome.map(|outcome| {
            outcome.map(|came| {
                let expected = plan.take.unwrap_or(u64::MAX).min(plan.count);
                let made = made.load(Ordering::SeqCst);
                self.world.check(came == expected && made >= came, || {
                    format!("{plan:?}: {came} of {made} items came, not {expected}")
                });
            })
        });
        let legal = Legal {
            input_breaks: breaks,
            ..legal(&plan, deadline)
        };
        self.settle(&plan, outcome, legal);
        // The stream goes with its call, in a while.
        for _ in 0..10_000 {
            if watch.is_dropped() {
                return;
            }
            sleep(10).await;
        }
        self.world
            .wrong(format!("{plan:?}: its stream is still there"));
    }

    pub(super) async fn mirror(&mut self) {
        let mut plan = self.plan();
        plan.take = self.dice.once_in(3).then(|| self.dice.up_to(5));
        let (own, deadline) = self.deadline(30);
        self.begin(&plan);
        let endless = plan.take.take();
        let (items, breaks, made) = self.items(&plan);
        plan.take = endless;
        let mut call = self.client().mirror(plan.clone(), items);
        if let Some(own) = own {
            call = call.deadline(own);
        }
        let mut stream = call.start();
        let legal = Legal {
            input_breaks: breaks,
            ..legal(&plan, deadline)
        };
        let came = self.take(&plan, &mut stream, legal).await;
        let made = made.load(Ordering::SeqCst);
        let finished = matches!(stream.end_reason(), Some(EndReason::Finished));
        self.world
            .check(came <= made && (!finished || came == plan.count), || {
                format!("{plan:?}: {came} of {made} items came back")
            });
    }
}
