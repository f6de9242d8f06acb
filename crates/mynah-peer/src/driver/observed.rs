//! Calls of the peer that somebody looks at: through their interceptors, in their span, and on to the handler.

use super::core::{Core, share};
use super::running::{Handler, Owner, Work};
use crate::context::Context;
use crate::encoded::EncodedBuffer;
use crate::handler::{Called, Invocation, Method, Produce, Progress, Running, panics};
use crate::intercept::{CallKind, CallOutcome, CallSide, Entering, Gate, Name, Observed, Passage};
use crate::link::{Arrived, Body, CalledKind, HandlerRef, Link};
use crate::observe::{self, Start};
use crate::trace::TraceContext;
use bytes::Bytes;
use mynah_codec::Format;
use mynah_connection::InboundKey;
use mynah_protocol::{CALLBACK_SERVICE, EVENTS_SERVICE, ErrorCode, RpcError, Streams};
use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{self, Poll, Waker};

/// A call that waits for an interceptor, with all that its handler will be started with.
pub(super) struct Gated {
    gate: Gate,
    start: Starting,
    params: Bytes,
    /// It was told through a callback, and wants no answer.
    told: bool,
}

/// What a handler is started with, its params left out.
struct Starting {
    index: Option<usize>,
    other: Option<Arc<dyn Method>>,
    called: CalledKind,
    /// The name of what is no method of the router.
    unknown: Option<Box<str>>,
    streams: Streams,
    answered: bool,
    context: Context,
}

impl Core {
    /// What is kept for a call, if somebody looks at it. A callback that is over is not looked at.
    #[cold]
    pub(super) fn observe(&self, call: &Arrived) -> Option<Arc<Observed>> {
        let router = &self.link.config.router;
        let name = match call.route {
            Some(index) => Name::Route(Arc::clone(router), index),
            None => unregistered(call)?,
        };
        let kind = match (call.called, call.unknown.as_deref()) {
            (CalledKind::BuiltIn, Some(name)) if name.starts_with(CALLBACK_SERVICE) => {
                CallKind::Callback
            }
            (CalledKind::BuiltIn | CalledKind::Hearer, _) => CallKind::Subscription,
            _ if !call.answered => CallKind::Notification,
            _ if call.streams.window.is_some() => CallKind::Stream,
            _ => CallKind::Unary,
        };
        observe::start(Start {
            side: CallSide::Server,
            kind,
            name: || name,
            peer: &self.link.config.evidence,
            chain: router.chain(),
            above: TraceContext::from_metadata(&call.metadata),
            slow: router.slow(),
        })
    }

    #[cold]
    pub(super) fn start_observed(&mut self, observed: Arc<Observed>, call: Arrived, buffer: &[u8]) {
        let link = Arc::clone(&self.link);
        let key = call.key;
        let told = call.called == CalledKind::BuiltIn && !call.answered;
        let context = Context::linked(Arc::clone(&link), key, call.deadline, call.metadata);
        // From here on its end is told, however it comes.
        if let Some(slot) = link.lock().connection.handler_mut(key) {
            slot.observed = Some(Arc::clone(&observed));
        }
        let mut gated = Gated {
            gate: Gate::new(observed),
            start: Starting {
                index: call.route,
                other: call.other,
                called: call.called,
                unknown: call.unknown,
                streams: call.streams,
                answered: call.answered,
                context,
            },
            params: Bytes::new(),
            told,
        };
        let params = call.body.as_slice(buffer);
        if told && self.tells_wait() {
            gated.params = call.body.into_bytes(buffer);
            return self.queue_told(key, gated);
        }
        let (place, waker) = self.turn.get().running.next_place();
        match gated.pass(&waker) {
            Passage::Open => {
                let _shared = match &call.body {
                    Body::Owned(bytes) => share(bytes),
                    Body::Range(..) => None,
                };
                self.start_handler(&link, key, gated, params);
            }
            Passage::Refused(error) => self.turn.get().refuse(key, error),
            Passage::Waits if told => {
                gated.params = call.body.into_bytes(buffer);
                self.wait_told(key, place, Box::new(gated), VecDeque::new());
            }
            Passage::Waits => {
                gated.params = call.body.into_bytes(buffer);
                let handler = Handler {
                    owner: Owner::Theirs(key),
                    route: usize::MAX,
                    work: Work::Gate(Box::new(gated)),
                };
                self.turn.get().running.occupy(place, handler);
                self.park(key, HandlerRef::Running(place));
            }
        }
    }

    /// Polls what a call waits for. Returns whether it still waits; its place is free otherwise.
    pub(super) fn poll_gate(
        &mut self,
        key: InboundKey,
        place: usize,
        gated: &mut Box<Gated>,
        waker: &Waker,
    ) -> bool {
        let passage = gated.pass(waker);
        if let Passage::Waits = passage {
            return true;
        }
        self.turn.get().running.free(place);
        let link = Arc::clone(&self.link);
        match passage {
            Passage::Refused(error) => self.turn.get().refuse(key, error),
            Passage::Open | Passage::Waits if gated.told && !self.is_open(gated) => {
                self.fail_told(key);
            }
            Passage::Open | Passage::Waits => self.start_gated(&link, key, gated),
        }
        if gated.told {
            self.advance_told();
        }
        false
    }

    /// Starts the handler of a call that has waited.
    pub(super) fn start_gated(&mut self, link: &Arc<Link>, key: InboundKey, gated: &mut Gated) {
        let params = std::mem::take(&mut gated.params);
        let gate = Gate::new(Arc::clone(gated.gate.observed()));
        let passed = Gated {
            gate: std::mem::replace(&mut gated.gate, gate),
            start: gated.start.take(),
            params: Bytes::new(),
            told: gated.told,
        };
        let _shared = share(&params);
        self.start_handler(link, key, passed, &params);
    }

    fn start_handler(&mut self, link: &Arc<Link>, key: InboundKey, gated: Gated, params: &[u8]) {
        let observed = Arc::clone(gated.gate.observed());
        let Starting {
            index,
            other,
            called: kind,
            unknown,
            streams,
            answered,
            context,
        } = gated.start;
        let route = index.and_then(|index| link.config.router.route(index));
        let method = route.map(|route| &*route.handler).or(other.as_deref());
        let (Some(method), Some(facts)) = (method, link.facts()) else {
            return self.refuse_unknown(key, unknown.as_deref(), answered);
        };
        let invocation = Invocation {
            context: context.watched(Arc::clone(&observed)),
            params,
            streams,
            format: facts.format,
            limits: &facts.decode,
        };
        let (place, waker) = self.turn.get().running.next_place();
        let start = self.turn.get().replies.mark();
        let replies = &mut self.turn.get().replies;
        let called = catch_unwind(AssertUnwindSafe(|| {
            let mut cx = task::Context::from_waker(&waker);
            let called = observed.run(|| method.call(invocation, &mut cx, replies));
            called.observed(&observed, &mut cx)
        }));
        if !answered && let Ok(Called::Done(Err(error))) = &called {
            self.note_dropped(index, unknown.as_deref(), kind, error);
        }
        let index = index.unwrap_or(usize::MAX);
        self.take_up((key, index, gated.told), (place, &waker), start, called);
    }
}

/// What is called that nobody registered. `None`: a callback that is over, or what hears something unasked.
fn unregistered(call: &Arrived) -> Option<Name> {
    let name = call.unknown.as_deref()?;
    let (service, method) = name.rsplit_once('.').unwrap_or(("", name));
    match call.called {
        CalledKind::Route | CalledKind::Fallback => {
            Some(Name::Unknown(service.into(), method.into()))
        }
        CalledKind::Added => Some(Name::Named(service.into(), method.into())),
        CalledKind::BuiltIn | CalledKind::Hearer => {
            let known = [CALLBACK_SERVICE, EVENTS_SERVICE].contains(&service);
            known.then(|| Name::Named(service.into(), method.into()))
        }
    }
}

impl Gated {
    pub(super) const fn is_told(&self) -> bool {
        self.told
    }

    /// The number of the callback.
    pub(super) fn callback_number(&self) -> Option<&str> {
        let name = self.start.unknown.as_deref()?;
        name.strip_prefix(CALLBACK_SERVICE)?.strip_prefix('.')
    }

    pub(super) fn pass(&mut self, waker: &Waker) -> Passage {
        let context = &mut self.start.context;
        let link = context.link().map(|(link, _)| Arc::clone(link));
        let entering = Entering {
            deadline: context.deadline(),
            evidence: link.as_ref().map(|link| &link.config.evidence),
            metadata: context.metadata_mut(),
        };
        self.gate
            .pass(entering, Some(&mut task::Context::from_waker(waker)))
    }
}

impl Starting {
    /// Everything, for a call that has come through.
    fn take(&mut self) -> Self {
        Self {
            index: self.index,
            other: self.other.take(),
            called: self.called,
            unknown: self.unknown.take(),
            answered: self.answered,
            streams: self.streams,
            context: self.context.clone(),
        }
    }
}

impl Called {
    /// The same with what is to be polled later under observation.
    fn observed(self, observed: &Arc<Observed>, cx: &mut task::Context<'_>) -> Self {
        let observed = Arc::clone(observed);
        match self {
            Self::Running(inner) => {
                let mut running = ObservedRunning { inner, observed };
                // What would stop it must have been polled once, to wake its task.
                match running.poll_stop(cx) {
                    Poll::Ready(error) => {
                        running.inner.stop();
                        Self::Done(Err(error))
                    }
                    Poll::Pending => Self::Running(Box::new(running)),
                }
            }
            Self::Streaming { producer, accepted } => Self::Streaming {
                producer: Box::new(ObservedProducer {
                    inner: producer,
                    observed,
                }),
                accepted,
            },
            done @ (Self::Done(_) | Self::Elsewhere(_)) => done,
        }
    }
}

/// A handler that was not ready at its first poll, and that somebody looks at.
struct ObservedRunning {
    inner: Box<dyn Running>,
    observed: Arc<Observed>,
}

impl ObservedRunning {
    fn poll_stop(&self, cx: &mut task::Context<'_>) -> Poll<Box<RpcError>> {
        self.observed.poll_stop(cx)
    }
}

impl Running for ObservedRunning {
    fn poll(
        &mut self,
        task: &mut task::Context<'_>,
        reply: &mut EncodedBuffer,
    ) -> Poll<Result<(), Box<RpcError>>> {
        let inner = &mut self.inner;
        let polled = self.observed.run(|| inner.poll(task, reply));
        match polled {
            Poll::Pending => self.observed.poll_stop(task).map(Err),
            ready @ Poll::Ready(_) => ready,
        }
    }

    fn stop(&mut self) {
        let inner = &mut self.inner;
        self.observed.span().in_scope(|| inner.stop());
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self.inner.into_any()
    }
}

/// A stream of results that somebody looks at.
struct ObservedProducer {
    inner: Box<dyn Produce>,
    observed: Arc<Observed>,
}

impl Produce for ObservedProducer {
    fn produce(
        &mut self,
        task: &mut task::Context<'_>,
        items: u64,
        bytes: usize,
        format: Format,
        out: &mut Vec<u8>,
    ) -> (u64, Progress) {
        let inner = &mut self.inner;
        let panics_before = panics();
        let (count, progress) = self
            .observed
            .run(|| inner.produce(task, items, bytes, format, out));
        self.observed.add_items(count);
        if let Progress::Ended(result) = &progress {
            let internal = |error: &RpcError| error.code() == ErrorCode::INTERNAL;
            // What panics is caught further in, so that the items before it are kept.
            if result.as_ref().is_err_and(|error| internal(error)) && panics() != panics_before {
                self.observed.ended(CallOutcome::Panicked);
            }
            return (count, progress);
        }
        match self.observed.poll_stop(task) {
            Poll::Ready(error) => (count, Progress::Ended(Err(error))),
            Poll::Pending => (count, progress),
        }
    }

    fn drain(&mut self) -> bool {
        self.inner.drain()
    }
}
