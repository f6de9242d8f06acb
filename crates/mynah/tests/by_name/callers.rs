//! Callers that are no peers: a wrapper, a pool, and one that makes its answers up.

use super::service::DeskClient;
use super::ways;
use mynah::caller::{OutgoingCall, ReplyBuffer, SideEffects, Ticket, WireFormat};
use mynah::codec::Format;
use mynah::prelude::*;
use mynah::protocol::{CallId, CancelReason, DecodeLimits, Window};
use mynah::{Caller, Intercepted, Interceptor};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{self, Poll};

async fn every_way<C: Caller + Clone>(caller: C) {
    let typed = DeskClient::new(caller.clone());
    assert_eq!(typed.add(1, 2).await.unwrap(), 3);
    let call = caller.call("desk", "add").args((1, 2)).result::<i64>();
    assert_eq!(call.await.unwrap(), 3);
    let call = caller.call("desk", "add").arg("b", 2).arg("a", 1);
    assert_eq!(call.result::<i64>().await.unwrap(), 3);
}

/// Counts what goes by.
#[derive(Debug)]
struct Counts(Arc<AtomicUsize>);

impl Interceptor for Counts {
    fn after(&self, _call: &mynah::FinishedCall<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_wrapper_calls_by_name() {
    for (way, joined) in &ways::all().await {
        let seen = Arc::new(AtomicUsize::new(0));
        let wrapped = Intercepted::new(joined.client.clone(), Counts(Arc::clone(&seen)));
        every_way(wrapped).await;
        assert_eq!(seen.load(Ordering::SeqCst), 3, "{way}");
    }
}

type Answer = Result<(), CallError<RpcError>>;

/// Calls through one peer after the other.
#[derive(Clone)]
struct Pool(Arc<Peers>);

struct Peers {
    peers: Vec<Peer>,
    next: AtomicU64,
    /// Which peer a call is at, and under which ticket.
    calls: Mutex<HashMap<CallId, (usize, Ticket)>>,
}

impl Pool {
    fn of(peers: Vec<Peer>) -> Self {
        Self(Arc::new(Peers {
            peers,
            next: AtomicU64::new(1),
            calls: Mutex::default(),
        }))
    }

    /// The peer whose turn it is, and an id for what is said through it.
    fn turn(&self) -> (usize, CallId) {
        let number = self.0.next.load(Ordering::SeqCst);
        let index = usize::try_from(number).unwrap() % self.0.peers.len();
        (index, CallId::new(number).unwrap())
    }

    fn place(&self, ticket: Ticket) -> Option<(&Peer, Ticket)> {
        let calls = self.0.calls.lock().unwrap();
        let (index, ticket) = *calls.get(&ticket.id())?;
        Some((&self.0.peers[index], ticket))
    }
}

impl Caller for Pool {
    fn poll_format(&self, cx: &mut task::Context<'_>) -> Poll<Result<WireFormat, CallError>> {
        self.0.peers[self.turn().0].poll_format(cx)
    }

    fn poll_begin(
        &self,
        cx: &mut task::Context<'_>,
        call: &mut OutgoingCall<'_>,
    ) -> Poll<Result<Ticket, CallError>> {
        let (index, id) = self.turn();
        let ticket = task::ready!(self.0.peers[index].poll_begin(cx, call))?;
        self.0.next.fetch_add(1, Ordering::SeqCst);
        self.0.calls.lock().unwrap().insert(id, (index, ticket));
        Poll::Ready(Ok(Ticket::new(id)))
    }

    fn poll_notify(
        &self,
        cx: &mut task::Context<'_>,
        call: &OutgoingCall<'_>,
    ) -> Poll<Result<(), CallError>> {
        self.0.peers[self.turn().0].poll_notify(cx, call)
    }

    fn poll_reply(
        &self,
        cx: &mut task::Context<'_>,
        ticket: Ticket,
        reply: &mut ReplyBuffer,
        sides: Option<&mut SideEffects>,
    ) -> Poll<Answer> {
        let Some((peer, at)) = self.place(ticket) else {
            return Poll::Ready(Err(CallError::Misuse("the call was taken already")));
        };
        let answer = task::ready!(peer.poll_reply(cx, at, reply, sides));
        self.0.calls.lock().unwrap().remove(&ticket.id());
        Poll::Ready(answer)
    }

    fn poll_items(
        &self,
        cx: &mut task::Context<'_>,
        ticket: Ticket,
        batch: &mut Vec<u8>,
        taken: Window,
        sides: Option<&mut SideEffects>,
    ) -> Poll<Result<bool, CallError<RpcError>>> {
        let Some((peer, at)) = self.place(ticket) else {
            return Poll::Ready(Err(CallError::Misuse("the call was taken already")));
        };
        let found = task::ready!(peer.poll_items(cx, at, batch, taken, sides));
        if !matches!(found, Ok(true)) {
            self.0.calls.lock().unwrap().remove(&ticket.id());
        }
        Poll::Ready(found)
    }

    fn cancel(&self, ticket: Ticket, reason: CancelReason) {
        if let Some((peer, at)) = self.place(ticket) {
            peer.cancel(at, reason);
            self.0.calls.lock().unwrap().remove(&ticket.id());
        }
    }
}

#[tokio::test]
async fn a_pool_calls_by_name_and_typed() {
    let desks = [(); 3].map(|()| ways::over(&mynah::dialect::Native::new()));
    let pool = Pool::of(desks.iter().map(|desk| desk.client.clone()).collect());
    every_way(pool.clone()).await;
    let numbers = pool.call("desk", "count").args((3,)).stream::<u64>();
    let numbers: Vec<u64> = futures::TryStreamExt::try_collect(numbers).await.unwrap();
    assert_eq!(numbers, [0, 1, 2]);
    // Each has its turn, and a call that is dropped is cancelled where it is.
    let calls = [(); 3].map(|()| pool.call("desk", "hang").result::<()>().start());
    let hanging = |count: usize| {
        let desks = desks.iter();
        desks
            .map(|desk| desk.clerk.hanging.load(Ordering::SeqCst))
            .eq([count; 3])
    };
    ways::until("one hangs at each", || hanging(1)).await;
    drop(calls);
    ways::until("none hangs", || hanging(0)).await;
    assert!(pool.0.calls.lock().unwrap().is_empty());
}

/// Answers every call with its own name and params, and is connected to nothing.
#[derive(Clone, Default)]
struct Parrot(Arc<Mutex<HashMap<CallId, Vec<u8>>>>);

impl Caller for Parrot {
    fn poll_format(&self, _: &mut task::Context<'_>) -> Poll<Result<WireFormat, CallError>> {
        Poll::Ready(Ok(WireFormat::new(Format::Json, DecodeLimits::DEFAULT)))
    }

    fn poll_begin(
        &self,
        cx: &mut task::Context<'_>,
        call: &mut OutgoingCall<'_>,
    ) -> Poll<Result<Ticket, CallError>> {
        let params = call.params.payload(mynah::FormatId::Json);
        let params = std::str::from_utf8(params.as_slice()).unwrap().to_owned();
        let mut answer = Vec::new();
        Format::Json
            .encode(&(call.name.to_string(), params), &mut answer)
            .unwrap();
        let mut calls = self.0.lock().unwrap();
        let id = CallId::new(calls.len() as u64 + 1).unwrap();
        calls.insert(id, answer);
        // There is an answer to ask for.
        cx.waker().wake_by_ref();
        Poll::Ready(Ok(Ticket::new(id)))
    }

    fn poll_notify(
        &self,
        _: &mut task::Context<'_>,
        _: &OutgoingCall<'_>,
    ) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_reply(
        &self,
        _: &mut task::Context<'_>,
        ticket: Ticket,
        reply: &mut ReplyBuffer,
        _: Option<&mut SideEffects>,
    ) -> Poll<Answer> {
        reply.buffer = self.0.lock().unwrap()[&ticket.id()].clone();
        Poll::Ready(Ok(()))
    }

    fn cancel(&self, _: Ticket, _: CancelReason) {}
}

#[tokio::test]
async fn whatever_calls_may_be_called_by_name() {
    let parrot = Parrot::default();
    let said = |name: &str, params: &str| (name.to_owned(), params.to_owned());
    let call = parrot.call("desk", "add").args((1, "two"));
    let heard: (String, String) = call.result().await.unwrap();
    assert_eq!(heard, said("desk.add", r#"[1,"two"]"#));
    let call = parrot.call("", "add").arg("a", 1).arg("b", None::<u8>);
    let heard: (String, String) = call.result().await.unwrap();
    assert_eq!(heard, said("add", r#"{"a":1}"#));
    let call = parrot.call("desk", "order").params([1, 2]);
    let heard: (String, String) = call.result().await.unwrap();
    assert_eq!(heard, said("desk.order", "[1,2]"));
    parrot
        .call("desk", "note")
        .arg("text", "a")
        .notify()
        .await
        .unwrap();
    // It has no streams, and says so.
    let mut stream = parrot.call("desk", "count").args((1,)).stream::<u8>();
    let first = futures::StreamExt::next(&mut stream).await.unwrap();
    assert!(matches!(first, Err(CallError::Misuse(_))), "{first:?}");
}
