//! What arrives is started: a route is found, the handler is polled once, and has a place among those that run when that
//! is not enough; or the call is refused.

use super::core::{Core, Done, share, stopped};
use super::running::{Handler, Owner, Work};
use crate::context::Context;
use crate::encoded::Mark;
use crate::handler::{Called, Invocation, panicked};
use crate::link::{Arrived, Body, CalledKind, CancelOrder, HandlerRef};
use crate::metrics::{self, Dropped};
use mynah_connection::{CloseReason, InboundKey};
use mynah_protocol::{CancelReason, ErrorCode, MethodName, RpcError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{self, Waker};

impl Core {
    #[inline]
    pub(super) fn start_arrived(&mut self, buffer: &[u8]) {
        let mut arrived = std::mem::take(&mut self.turn.get().collected.arrived);
        for call in arrived.drain(..) {
            self.start(call, buffer);
        }
        self.turn.get().collected.arrived = arrived;
    }

    /// Starts one call of the peer: one poll here, and a place among the running handlers if that
    /// is not enough.
    #[inline]
    fn start(&mut self, call: Arrived, buffer: &[u8]) {
        if let Some(reason) = call.cancelled {
            self.turn.get().refuse(call.key, Box::new(stopped(reason)));
            return;
        }
        if call.forbidden {
            return self.refuse_forbidden(&call);
        }
        if !call.streams.is_none() && self.link.config.direct {
            let text = "a call without a connection has no streams";
            let error = RpcError::new(ErrorCode::UNSUPPORTED, text);
            self.turn.get().refuse(call.key, Box::new(error));
            return;
        }
        let link = Arc::clone(&self.link);
        if link.config.router.observes()
            && let Some(observed) = self.observe(&call)
        {
            return self.start_observed(observed, call, buffer);
        }
        let Arrived {
            key,
            route: index,
            unknown,
            other,
            called: kind,
            streams,
            answered,
            deadline,
            metadata,
            body,
            forbidden: _,
            cancelled: _,
        } = call;
        let route = index.and_then(|index| link.config.router.route(index));
        let method = route.map(|route| &*route.handler).or(other.as_deref());
        let (Some(method), Some(facts)) = (method, link.facts()) else {
            self.refuse_unknown(key, unknown.as_deref(), answered);
            return;
        };
        let params = body.as_slice(buffer);
        let context = Context::linked(Arc::clone(&link), key, deadline, metadata);
        let invocation = Invocation {
            context,
            params,
            streams,
            format: facts.format,
            limits: &facts.decode,
        };
        // Large parts of the params are parts of their message.
        let _shared = match &body {
            Body::Owned(bytes) => share(bytes),
            Body::Range(..) => None,
        };
        let (place, waker) = self.turn.get().running.next_place();
        let start = self.turn.get().replies.mark();
        let replies = &mut self.turn.get().replies;
        let told = kind == CalledKind::BuiltIn && !answered;
        let called = catch_unwind(AssertUnwindSafe(|| {
            method.call(invocation, &mut task::Context::from_waker(&waker), replies)
        }));
        if !answered && let Ok(Called::Done(Err(error))) = &called {
            self.note_dropped(index, unknown.as_deref(), kind, error);
        }
        let index = index.unwrap_or(usize::MAX);
        self.take_up((key, index, told), (place, &waker), start, called);
    }

    /// Goes on with a call as its handler took it. `told`: it is a callback that needs no permit. `start`: where its
    /// result begins.
    #[allow(
        clippy::inline_always,
        reason = "the plain way and the observed one: neither is to be a call"
    )]
    #[inline(always)]
    pub(super) fn take_up(
        &mut self,
        (key, index, told): (InboundKey, usize, bool),
        (place, waker): (usize, &Waker),
        start: Mark,
        called: std::thread::Result<Called>,
    ) {
        match called {
            Ok(Called::Done(Ok(()))) => {
                self.turn.get().answer(key, start);
            }
            Ok(Called::Done(Err(error))) => self.fail(key, start, error),
            Ok(Called::Running(cell)) if told => {
                // What is told needs no permit because it is over at once. This function is one that is asked.
                self.recycle(Handler {
                    owner: Owner::Theirs(key),
                    route: index,
                    work: Work::Future(cell),
                });
                self.fail(key, start, Box::new(stopped(CancelReason::Caller)));
            }
            Ok(Called::Running(cell)) => {
                self.turn.get().running.occupy(
                    place,
                    Handler {
                        owner: Owner::Theirs(key),
                        route: index,
                        work: Work::Future(cell),
                    },
                );
                self.park(key, HandlerRef::Running(place));
            }
            Ok(Called::Streaming { producer, accepted }) => {
                if accepted {
                    self.turn.get().done.push(Done::Accepted(key));
                }
                self.turn.get().running.occupy(
                    place,
                    Handler {
                        owner: Owner::Theirs(key),
                        route: index,
                        work: Work::Stream(producer),
                    },
                );
                self.park(key, HandlerRef::Running(place));
                waker.wake_by_ref();
            }
            Ok(Called::Elsewhere(handler)) => self.park(key, handler),
            Err(payload) => self.fail(key, start, panicked(&*payload)),
        }
    }

    /// Notes where the handler of a call runs, from now on found by the call's id.
    pub(super) fn park(&mut self, key: InboundKey, handler: HandlerRef) {
        // What was answered before must not wait for a lock of its own: it goes with this one.
        let link = Arc::clone(&self.link);
        let mut state = link.lock();
        self.write_done(&mut state);
        let cancelled = state.connection.cancelled(key);
        state.connection.park(key);
        if let Some(slot) = state.connection.handler_mut(key) {
            slot.handler = handler;
            if let Some(reason) = cancelled {
                // The cancel came between its arrival and now.
                let handler = std::mem::take(&mut slot.handler);
                let shielded = slot.shields > 0;
                drop(state);
                self.turn.get().collected.cancels.push(CancelOrder {
                    key,
                    reason,
                    handler,
                    shielded,
                });
                self.stop_cancelled();
            }
        }
    }

    /// `name`: absent for a callback that is over, which what the peer says may cross.
    pub(super) fn refuse_unknown(&mut self, key: InboundKey, name: Option<&str>, answered: bool) {
        if let Some(error) = self.link.config.router.refusal() {
            // Whether its wire can say why the connection ends or not: this it can say. Then it ends.
            let error = Box::new(error.clone());
            let reason = CloseReason::Closed(error.code(), error.message().into());
            self.link.lock().closing.get_or_insert(reason);
            return self.turn.get().refuse(key, error);
        }
        if let (Some(name), false) = (name, answered) {
            metrics::dropped(Dropped::Notification, 1);
            tracing::debug!(method = name, "notification for a method that nobody has");
            self.charge("notification of an unknown method");
        }
        let text = name.map_or_else(
            || "callback is over".to_owned(),
            |name| {
                let router = &self.link.config.router;
                match router.services_of(&MethodName::new("", name)) {
                    None => format!("method not found: {name}"),
                    // One of them is meant, and which one nobody knows.
                    Some(services) => format!("method not found: {name} is that of {services}"),
                }
            },
        );
        let error = RpcError::new(ErrorCode::METHOD_NOT_FOUND, text);
        self.turn.get().refuse(key, Box::new(error));
    }

    /// Answers for what the evidence of the peer does not let it call. No interceptor and no handler sees it.
    #[cold]
    fn refuse_forbidden(&mut self, call: &Arrived) {
        let method = call.unknown.as_deref().unwrap_or_default();
        self.link.log_forbidden("call", method);
        if !call.answered {
            metrics::dropped(Dropped::Notification, 1);
            self.charge("notification that the peer may not send");
        }
        let text = format!("not allowed: {method}");
        let error = RpcError::new(ErrorCode::PERMISSION_DENIED, text);
        self.turn.get().refuse(call.key, Box::new(error));
    }

    /// A notification has come to nothing: nobody is told but the log. Params that are wrong are charged to the peer.
    #[cold]
    pub(super) fn note_dropped(
        &self,
        route: Option<usize>,
        name: Option<&str>,
        kind: CalledKind,
        error: &RpcError,
    ) {
        if matches!(kind, CalledKind::BuiltIn | CalledKind::Hearer) {
            return;
        }
        let link = Arc::clone(&self.link);
        let known = route.and_then(|index| link.config.router.route(index));
        let method = known.map(|route| route.name().to_string());
        let method = method.as_deref().or(name).unwrap_or_default();
        metrics::dropped(Dropped::Notification, 1);
        tracing::warn!(method, %error, "notification dropped");
        if matches!(
            error.code(),
            ErrorCode::INVALID_PARAMS | ErrorCode::TOO_LARGE
        ) {
            self.charge("notification with wrong params");
        }
    }

    /// Charges a breach to the peer's budget; the connection ends when it is used up.
    pub(super) fn charge(&self, what: &'static str) {
        let mut state = self.link.lock();
        let now = self.link.clock.now();
        if let Err(violation) = state.connection.handle_ignored(now, what) {
            state.closing.get_or_insert_with(|| {
                CloseReason::Violation(violation.code, violation.what.into())
            });
        }
    }
}
