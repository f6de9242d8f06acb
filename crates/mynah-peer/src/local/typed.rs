//! A call within the process, as its caller drives it.

use super::call::{LocalCall, Over};
use super::observed;
use crate::call::{Listeners, SideEffects};
use crate::error::{CallError, DomainError};
use crate::handler::{TypedError, TypedRunning, panicked};
use mynah_protocol::By;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{self, Poll, Waker};
use tokio::task::JoinHandle;
use tokio::time::Sleep;

/// A call within the process.
pub(crate) struct TypedCall<T, E> {
    pub(super) stage: TypedStage<T, E>,
}

/// How far it is.
pub(super) enum TypedStage<T, E> {
    Typed {
        cell: Option<Box<dyn TypedRunning<T, E>>>,
        /// Until an interceptor has let it pass.
        gate: Option<observed::Waiting<T, E>>,
        /// The index of its method, which takes the cell back; none of a method that was added since the start.
        route: usize,
        call: Arc<LocalCall>,
        sleep: Option<Pin<Box<Sleep>>>,
    },
    /// It was started and not awaited at once: it runs in a task, and stops with this.
    Spawned {
        task: JoinHandle<Result<T, CallError<E>>>,
        call: Arc<LocalCall>,
    },
    /// It was started, and ended at its first poll.
    Ended {
        outcome: Option<Result<T, CallError<E>>>,
        call: Arc<LocalCall>,
    },
    Encoded {
        future: Pin<Box<dyn Future<Output = Result<T, CallError<E>>> + Send>>,
        /// What came beside it, when the caller listens.
        heard: Option<Heard>,
    },
}

/// What was heard beside a call that goes over a wire in memory, on its way to its listeners.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard(Arc<Mutex<SideEffects>>);

impl Heard {
    fn lock(&self) -> MutexGuard<'_, SideEffects> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens for it.
    pub(super) fn listeners(&self) -> Box<Listeners> {
        let (progress, log) = (self.clone(), self.clone());
        Box::new(Listeners::of(
            Box::new(move |value, note, _format, _limits| {
                let note = note.map(<[u8]>::to_vec);
                progress.lock().push_progress(value.to_vec(), note);
            }),
            Box::new(move |level, dropped, content, _format, _limits| {
                let mut sides = log.lock();
                sides.dropped += dropped;
                sides.push_log(level, content.to_vec());
            }),
        ))
    }

    pub(super) fn hand_over(&self, sides: &mut SideEffects) {
        let mut heard = self.lock();
        sides.queue.append(&mut heard.queue);
        sides.dropped += std::mem::take(&mut heard.dropped);
    }
}

impl<T: Send + 'static, E: DomainError> TypedCall<T, E> {
    /// Polls the handler once, and lets it run by itself if that is not enough.
    pub(crate) fn start(self) -> Self {
        let mut this = self;
        let mut cx = task::Context::from_waker(Waker::noop());
        let call = match &this.stage {
            TypedStage::Typed { call, .. } => Some(Arc::clone(call)),
            TypedStage::Encoded { .. } => None,
            TypedStage::Spawned { .. } | TypedStage::Ended { .. } => return this,
        };
        let mut sides = SideEffects::default();
        let stage = match (this.poll(&mut cx, Some(&mut sides)), call) {
            (Poll::Ready(outcome), Some(call)) => {
                call.push_back(sides);
                TypedStage::Ended {
                    outcome: Some(outcome),
                    call,
                }
            }
            (Poll::Ready(outcome), None) => {
                let heard = Heard::default();
                *heard.lock() = sides;
                TypedStage::Encoded {
                    future: Box::pin(std::future::ready(outcome)),
                    heard: Some(heard),
                }
            }
            (Poll::Pending, None) => {
                if let TypedStage::Encoded {
                    heard: Some(heard), ..
                } = &this.stage
                {
                    *heard.lock() = sides;
                }
                return this;
            }
            (Poll::Pending, Some(call)) => {
                call.push_back(sides);
                let task =
                    tokio::spawn(
                        async move { std::future::poll_fn(|cx| this.poll(cx, None)).await },
                    );
                TypedStage::Spawned { task, call }
            }
        };
        Self { stage }
    }
}

impl<T, E: DomainError> TypedCall<T, E> {
    #[inline]
    pub(crate) fn poll(
        &mut self,
        cx: &mut task::Context<'_>,
        sides: Option<&mut SideEffects>,
    ) -> Poll<Result<T, CallError<E>>> {
        let (cell, call, sleep) = match &mut self.stage {
            TypedStage::Encoded { future, heard } => {
                let polled = future.as_mut().poll(cx);
                if let (Some(heard), Some(sides)) = (heard, sides) {
                    heard.hand_over(sides);
                }
                return polled;
            }
            TypedStage::Spawned { task, call } => {
                let polled = Pin::new(task).poll(cx);
                call.hand_over(sides, cx.waker());
                let joined = task::ready!(polled);
                return Poll::Ready(
                    joined.unwrap_or_else(|_stopped| Err(CallError::Cancelled(By::Callee))),
                );
            }
            TypedStage::Ended { outcome, call } => {
                call.hand_over(sides, cx.waker());
                return outcome.take().map_or(Poll::Pending, Poll::Ready);
            }
            TypedStage::Typed {
                cell,
                gate,
                call,
                sleep,
                ..
            } => {
                if let Some(waiting) = gate {
                    match task::ready!(observed::poll_gate(waiting, call, sleep, cx)) {
                        Ok(started) => {
                            *gate = None;
                            *cell = Some(started);
                        }
                        Err(error) => {
                            *gate = None;
                            let outcome = Err(error);
                            self.end(Over::with(&outcome));
                            return Poll::Ready(outcome);
                        }
                    }
                }
                (cell, call, sleep)
            }
        };
        let Some(running) = cell else {
            return Poll::Pending;
        };
        let polled = catch_unwind(AssertUnwindSafe(|| running.poll_typed(cx)));
        call.hand_over(sides, cx.waker());
        let outcome = match polled {
            Ok(Poll::Ready(Ok(value))) => Ok(value),
            Ok(Poll::Ready(Err(TypedError::Own(error)))) => Err(CallError::from_handler(error)),
            Ok(Poll::Ready(Err(TypedError::Refused(error)))) => {
                Err(CallError::from_peer(*error, true))
            }
            Err(payload) => {
                // The future may be in any state: its cell is not used again.
                drop(catch_unwind(AssertUnwindSafe(|| drop(cell.take()))));
                Err(CallError::from_peer(*panicked(&*payload), true))
            }
            Ok(Poll::Pending) => {
                if let Some(error) = call.poll_stop(cx) {
                    Err(error)
                } else {
                    let Some(deadline) = call.deadline() else {
                        return Poll::Pending;
                    };
                    let sleep =
                        sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
                    task::ready!(sleep.as_mut().poll(cx));
                    Err(CallError::Deadline)
                }
            }
        };
        if let Some(observed) = &call.observed {
            observed.ended_locally(outcome.as_ref().err());
        }
        self.end(Over::with(&outcome));
        Poll::Ready(outcome)
    }
}

impl<T, E> TypedCall<T, E> {
    fn end(&mut self, how: Over) {
        match &mut self.stage {
            TypedStage::Typed {
                cell, call, route, ..
            } => {
                call.end(how);
                let Some(cell) = cell.take() else { return };
                let method = call.ends.server.router.route(*route);
                let given_back = catch_unwind(AssertUnwindSafe(|| match method {
                    Some(method) => method.handler.recycle(cell.into_any_typed()),
                    None => drop(cell),
                }));
                if let Err(payload) = given_back {
                    // Dropping the handler panicked: that is the callee's, and not for the caller to die of.
                    panicked(&*payload);
                }
            }
            TypedStage::Spawned { task, .. } => task.abort(),
            TypedStage::Encoded { .. } | TypedStage::Ended { .. } => {}
        }
    }
}

impl<T, E> Drop for TypedCall<T, E> {
    fn drop(&mut self) {
        self.end(Over::Dropped);
    }
}
