//! The service that both sides offer in the suite, and clients of it.
//!
//! Written by hand: what the macro makes refers to the facade, on which nothing here depends.

use super::eventually;
use crate::failure::Failure;
use futures_core::Stream;
use mynah_peer::{
    Call, Callback, Context, Incoming, MethodInfo, Notify, Peer, ReadList, Routes, Service,
    Signature, Spelled, StreamCall, StreamSink, Streaming,
};
use mynah_protocol::{ErrorCode, EvidenceKey, RpcError};
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{self, Poll};
use std::time::Duration;
use tokio::sync::watch;

const SERVICE: &str = "testkit";

/// A static of what is known of each method, and under the same name a type of how its params are read.
macro_rules! methods {
    ($($konst:ident = $name:literal($($param:ident: $type:ty),*);)*) => { $(
        static $konst: MethodInfo = MethodInfo::new(SERVICE, $name, &[$(stringify!($param)),*]);

        #[allow(clippy::upper_case_acronyms, reason = "the name of the static")]
        #[allow(dead_code, reason = "one method is called and not served")]
        enum $konst {}

        impl Signature for $konst {
            type Params = ($($type,)*);
            const NAMES: &'static [&'static str] = &[$(stringify!($param)),*];
            const DEFAULTS: <Self::Params as ReadList>::Defaults = ($(None::<fn() -> $type>,)*);
        }
    )* };
}

methods! {
    ECHO = "echo"(text: String);
    FAIL = "fail"(code: i64, text: String);
    NOWHERE = "nowhere"();
    TOUCH = "touch"(number: u64);
    GROW = "grow"(letters: usize);
    COUNT = "count"(to: u64);
    SUM = "sum"(numbers: Incoming<u64>);
    DOUBLE = "double"(numbers: Incoming<u64>);
    TELL = "tell"(to: u64, teller: Callback<u64>);
    ASK = "ask"(number: u64, asker: Callback<u64, u64>);
    STEPS = "steps"(count: u64);
    WAIT = "wait"();
    HOLD = "hold"();
    REMAINING = "remaining"();
    METADATA = "metadata"(name: String);
    WHO = "who"();
    BACK = "back"(text: String);
}

/// What the service has seen.
#[derive(Debug)]
pub(super) struct Seen {
    /// The numbers of notifications, added up, and how many there were.
    pub(super) touched: watch::Sender<(u64, u64)>,
    /// Handlers that wait.
    alive: watch::Sender<usize>,
    most: AtomicUsize,
    pub(super) echoes: AtomicU64,
    /// Opens for all who hold.
    pub(super) gate: watch::Sender<bool>,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            touched: watch::Sender::new((0, 0)),
            alive: watch::Sender::new(0),
            most: AtomicUsize::new(0),
            echoes: AtomicU64::new(0),
            gate: watch::Sender::new(false),
        }
    }
}

/// Lives as long as a handler.
struct Alive(Arc<Seen>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.alive.send_modify(|alive| *alive -= 1);
    }
}

impl Seen {
    fn enter(self: &Arc<Self>) -> Alive {
        self.alive.send_modify(|alive| *alive += 1);
        self.most.fetch_max(self.alive(), Ordering::SeqCst);
        Alive(Arc::clone(self))
    }

    pub(super) fn alive(&self) -> usize {
        *self.alive.borrow()
    }

    /// The most that were alive at once.
    pub(super) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }

    /// Waits until so many handlers wait.
    pub(super) async fn waiting(&self, count: usize) -> Result<(), Failure> {
        eventually(
            || self.alive() == count,
            || format!("{} handlers wait where {count} should", self.alive()),
        )
        .await
    }

    pub(super) async fn all_over(&self) -> Result<(), Failure> {
        self.waiting(0).await
    }
}

/// The service.
pub(super) struct Probe(pub(super) Arc<Seen>);

/// A stream of what an iterator yields.
pub(super) struct Each<I>(pub(super) I);

impl<I: Iterator + Unpin> Stream for Each<I> {
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<Option<I::Item>> {
        Poll::Ready(self.0.next())
    }
}

/// Twice each number of the caller.
struct Doubled(Incoming<u64>);

impl Stream for Doubled {
    type Item = Result<u64, RpcError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        let next = Pin::new(&mut self.0).poll_next(cx);
        next.map(|next| next.map(|number| number.map(|n| n * 2).map_err(RpcError::from)))
    }
}

/// The next item of a stream.
pub(super) async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)).await
}

impl Service for Probe {
    fn name(&self) -> &'static str {
        SERVICE
    }

    fn register(self, routes: &mut Routes) {
        let Self(seen) = self;
        plain(routes, &seen);
        waiting(routes, &seen);
        streaming(routes);
    }
}

fn plain(routes: &mut Routes, seen: &Arc<Seen>) {
    let echoed = Arc::clone(seen);
    routes.unary(
        &ECHO,
        Spelled::<ECHO>::new(),
        move |_cx, (text,): (String,)| {
            echoed.echoes.fetch_add(1, Ordering::SeqCst);
            async move { Ok::<_, RpcError>(text) }
        },
    );
    routes.unary(
        &FAIL,
        Spelled::<FAIL>::new(),
        |_cx, (code, text): (i64, String)| async move {
            let code = ErrorCode::application(code);
            Err::<(), _>(RpcError::new(code, text).with_data(7_u64))
        },
    );
    let touched = Arc::clone(seen);
    routes.notification(
        &TOUCH,
        Spelled::<TOUCH>::new(),
        move |_cx, (number,): (u64,)| {
            touched
                .touched
                .send_modify(|(sum, count)| (*sum, *count) = (*sum + number, *count + 1));
            async {}
        },
    );
    routes.unary(&GROW, Spelled::<GROW>::new(), |_cx, (letters,): (usize,)| async move {
        Ok::<_, RpcError>("x".repeat(letters.min(1 << 24)))
    });
    routes.unary(
        &STEPS,
        Spelled::<STEPS>::new(),
        |cx: Context, (count,): (u64,)| async move {
            for step in 0..count {
                cx.progress(&step);
                cx.log(3, &format!("step {step}"));
            }
            Ok::<_, RpcError>(count)
        },
    );
    routes.unary(
        &REMAINING,
        Spelled::<REMAINING>::new(),
        |cx: Context, (): ()| async move {
            let millis = |left: Duration| u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            Ok::<_, RpcError>(cx.remaining().map(millis))
        },
    );
    routes.unary(
        &METADATA,
        Spelled::<METADATA>::new(),
        |cx: Context, (name,): (String,)| async move {
            Ok::<_, RpcError>(cx.metadata().value(&name).map(str::to_owned))
        },
    );
    routes.unary(
        &WHO,
        Spelled::<WHO>::new(),
        |cx: Context, (): ()| async move {
            let kind = cx.evidence().text(EvidenceKey::TRANSPORT);
            Ok::<_, RpcError>(kind.map(str::to_owned))
        },
    );
    routes.unary(
        &BACK,
        Spelled::<BACK>::new(),
        |cx: Context, (text,): (String,)| async move {
            let call = echo(&cx.peer(), text).within(&cx);
            call.await.map_err(|error| {
                RpcError::new(ErrorCode::application(1), format!("call back: {error}"))
            })
        },
    );
}

fn waiting(routes: &mut Routes, seen: &Arc<Seen>) {
    let waits = Arc::clone(seen);
    routes.unary(&WAIT, Spelled::<WAIT>::new(), move |_cx, (): ()| {
        let alive = waits.enter();
        async move {
            let _alive = alive;
            std::future::pending::<()>().await;
            Ok::<(), RpcError>(())
        }
    });
    let holds = Arc::clone(seen);
    routes.unary(&HOLD, Spelled::<HOLD>::new(), move |_cx, (): ()| {
        let alive = holds.enter();
        let mut gate = holds.gate.subscribe();
        async move {
            let _alive = alive;
            let opened = gate.wait_for(|open| *open).await;
            Ok::<_, RpcError>(opened.is_ok())
        }
    });
}

fn streaming(routes: &mut Routes) {
    routes.stream(
        &COUNT,
        Spelled::<COUNT>::new(),
        |_cx, (to,): (u64,), sink: StreamSink<u64, Infallible>| async move {
            sink.items(Each(0..to)).await;
        },
    );
    routes.unary(
        &SUM,
        Spelled::<SUM>::new(),
        |cx: Context, (numbers,): (Incoming<u64>,)| async move {
            let mut numbers = numbers.bind(&cx);
            let mut sum = 0;
            while let Some(number) = next(&mut numbers).await {
                sum += number.map_err(RpcError::from)?;
            }
            Ok::<u64, RpcError>(sum)
        },
    );
    routes.stream(
        &DOUBLE,
        Spelled::<DOUBLE>::new(),
        |cx: Context, (numbers,): (Incoming<u64>,), sink: StreamSink<u64, RpcError>| async move {
            sink.results(Doubled(numbers.bind(&cx))).await;
        },
    );
    routes.unary(
        &TELL,
        Spelled::<TELL>::new(),
        |cx: Context, (to, teller): (u64, Callback<u64>)| async move {
            let teller = teller.bind(&cx);
            for number in 0..to {
                let told = teller.send(number).await;
                told.map_err(|error| RpcError::new(ErrorCode::application(2), error.to_string()))?;
            }
            Ok::<u64, RpcError>(to)
        },
    );
    routes.unary(
        &ASK,
        Spelled::<ASK>::new(),
        |cx: Context, (number, asker): (u64, Callback<u64, u64>)| async move {
            let answer = asker.bind(&cx).call(number).await;
            answer.map_err(|error| RpcError::new(ErrorCode::application(3), error.to_string()))
        },
    );
}

/// A call of the suite.
pub(super) type Plain<P, T> = Call<P, T, RpcError, Peer>;

pub(super) fn echo(peer: &Peer, text: impl Into<String>) -> Plain<(String,), String> {
    Call::new(peer.clone(), &ECHO, (text.into(),))
}

pub(super) fn fail(peer: &Peer, code: i64, text: &str) -> Plain<(i64, String), ()> {
    Call::new(peer.clone(), &FAIL, (code, text.to_owned()))
}

pub(super) fn nowhere(peer: &Peer) -> Plain<(), ()> {
    Call::new(peer.clone(), &NOWHERE, ())
}

pub(super) fn touch(peer: &Peer, number: u64) -> Notify<(u64,), Peer> {
    Notify::new(peer.clone(), &TOUCH, (number,))
}

pub(super) fn grow(peer: &Peer, letters: usize) -> Plain<(usize,), String> {
    Call::new(peer.clone(), &GROW, (letters,))
}

pub(super) fn steps(peer: &Peer, count: u64) -> Plain<(u64,), u64> {
    Call::new(peer.clone(), &STEPS, (count,))
}

pub(super) fn remaining(peer: &Peer) -> Plain<(), Option<u64>> {
    Call::new(peer.clone(), &REMAINING, ())
}

pub(super) fn metadata(peer: &Peer, name: &str) -> Plain<(String,), Option<String>> {
    Call::new(peer.clone(), &METADATA, (name.to_owned(),))
}

pub(super) fn who(peer: &Peer) -> Plain<(), Option<String>> {
    Call::new(peer.clone(), &WHO, ())
}

pub(super) fn back(peer: &Peer, text: &str) -> Plain<(String,), String> {
    Call::new(peer.clone(), &BACK, (text.to_owned(),))
}

pub(super) fn wait(peer: &Peer) -> Plain<(), ()> {
    Call::new(peer.clone(), &WAIT, ())
}

pub(super) fn hold(peer: &Peer) -> Plain<(), bool> {
    Call::new(peer.clone(), &HOLD, ())
}

pub(super) fn count(peer: &Peer, to: u64) -> Streaming<u64, Infallible, Peer> {
    StreamCall::new(peer.clone(), &COUNT, (to,)).start()
}

pub(super) fn sum(
    peer: &Peer,
    numbers: impl Stream<Item = u64> + Send + 'static,
) -> Plain<(Incoming<u64>,), u64> {
    let (numbers, attached) = Incoming::outgoing(numbers);
    Call::new(peer.clone(), &SUM, (numbers,)).attach(attached)
}

pub(super) fn double(
    peer: &Peer,
    numbers: impl Stream<Item = u64> + Send + 'static,
) -> Streaming<u64, RpcError, Peer> {
    let (numbers, attached) = Incoming::outgoing(numbers);
    let call = StreamCall::new(peer.clone(), &DOUBLE, (numbers,));
    call.attach(attached).start()
}

pub(super) fn tell(
    peer: &Peer,
    to: u64,
    teller: impl FnMut(u64) + Send + 'static,
) -> Plain<(u64, Callback<u64>), u64> {
    let (teller, attached) = Callback::telling(teller);
    Call::new(peer.clone(), &TELL, (to, teller)).attach(attached)
}

pub(super) fn ask(peer: &Peer, number: u64) -> Plain<(u64, Callback<u64, u64>), u64> {
    let asked = |number: u64| std::future::ready(Ok(number + 1));
    let (asker, attached) = Callback::asking(asked);
    Call::new(peer.clone(), &ASK, (number, asker)).attach(attached)
}
