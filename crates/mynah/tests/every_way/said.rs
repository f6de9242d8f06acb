//! The methods of the desk as they are called: by the contract, by name in order, by name each; awaited, or waited for.

use super::service::{
    DeskClient, DeskError, DeskEvents, ElsewhereClient, LONG, MistakenClient, Order, StreamedClient,
};
use futures::StreamExt as _;
use futures::future::{BoxFuture, FutureExt as _, ready};
use futures::stream::{self, LocalBoxStream};
use mynah::prelude::*;
use mynah::{Attached, Caller, EndReason, Lag, Reconnecting, Subscription, blocking};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) type Answer<T> = Result<T, CallError<RpcError>>;
pub(crate) type Items<T> = LocalBoxStream<'static, Answer<T>>;
pub(crate) type Seen<T> = Arc<Mutex<Vec<T>>>;

/// Messages of a topic, whichever way they are heard.
pub(crate) trait Hears {
    fn next(&mut self) -> BoxFuture<'_, Option<Result<u64, EndReason>>>;
    fn next_within(&mut self, patience: Duration) -> BoxFuture<'_, Result<u64, String>>;
    fn dropped(&self) -> u64;
}

impl<C: Caller + Clone> Hears for Subscription<u64, C> {
    fn next(&mut self) -> BoxFuture<'_, Option<Result<u64, EndReason>>> {
        self.next().boxed()
    }

    fn next_within(&mut self, patience: Duration) -> BoxFuture<'_, Result<u64, String>> {
        let next = self.next_within(patience);
        next.map(|next| next.map_err(|error| format!("{error:?}")))
            .boxed()
    }

    fn dropped(&self) -> u64 {
        self.dropped()
    }
}

impl<C: Caller + Clone> Hears for blocking::Iter<Subscription<u64, C>> {
    fn next(&mut self) -> BoxFuture<'_, Option<Result<u64, EndReason>>> {
        ready(Iterator::next(self)).boxed()
    }

    fn next_within(&mut self, patience: Duration) -> BoxFuture<'_, Result<u64, String>> {
        let next = self.next_within(patience);
        ready(next.map_err(|error| format!("{error:?}"))).boxed()
    }

    fn dropped(&self) -> u64 {
        self.stream().dropped()
    }
}

pub(crate) type Heard = Box<dyn Hears>;

/// Whether something that another program does has happened.
pub(crate) type Until<'a> = &'a dyn Fn() -> bool;

/// Waits until it has, within a bounded time, whether or not there is a runtime here.
pub(crate) async fn until(what: &str, there: Until<'_>) {
    let began = std::time::Instant::now();
    while !there() {
        assert!(began.elapsed() < LONG, "{what}: too late");
        std::thread::yield_now();
        tokio::task::yield_now().await;
    }
}

/// The methods of the desk, however they are called.
pub(crate) trait AtDesk {
    async fn add(&self, a: i64, b: i64) -> Answer<i64>;
    async fn add_within(&self, patience: Duration) -> Answer<i64>;
    /// Started, and waited for later.
    async fn add_started(&self, a: i64, b: i64) -> Answer<i64>;
    async fn greet(&self, name: &str, title: Option<&str>) -> Answer<String>;
    async fn order(&self, order: &Order) -> Answer<String>;
    async fn open(&self, what: &str) -> Result<(), CallError<DeskError>>;
    async fn panics(&self) -> Answer<()>;
    async fn fails(&self, code: ErrorCode) -> Answer<()>;
    async fn back(&self, a: i64, b: i64) -> Answer<i64>;
    async fn digest(&self, data: Vec<u8>) -> Answer<u64>;
    /// Nobody has the method.
    async fn nope(&self) -> Answer<u8>;
    /// The same, as a stream.
    fn nopes(&self) -> Items<u8>;
    /// One result, asked for as a stream.
    fn adds(&self) -> Items<i64>;
    /// Nobody has the service.
    async fn elsewhere(&self) -> Answer<u8>;
    /// The second param is of another type.
    async fn misread(&self) -> Answer<i64>;
    /// Called as if it had one result.
    async fn count_once(&self) -> Answer<u64>;
    /// The result is of another type.
    async fn misheard(&self) -> Answer<u64>;
    fn count(&self, to: u64) -> Items<u64>;
    fn breaks(&self, at: u64) -> Items<u64>;
    fn stalls(&self, patience: Duration) -> Items<u64>;
    async fn sum(&self, factor: i64, numbers: Vec<i64>) -> Answer<i64>;
    async fn first(&self, numbers: std::ops::RangeFrom<i64>) -> Answer<Option<i64>>;
    fn double(&self, numbers: Vec<i64>) -> Items<i64>;
    /// What is asked about the number `refused` is an error.
    async fn tell(&self, to: u64, refused: u64, told: Seen<u64>) -> Answer<u64>;
    async fn steps(&self, count: u64, seen: Seen<String>) -> Answer<u64>;
    async fn budget(&self) -> Answer<Option<u64>>;
    async fn budget_within(&self, patience: Option<Duration>) -> Answer<Option<u64>>;
    async fn label(&self, name: &str, value: &str) -> Answer<Option<String>>;
    async fn note(&self, text: &str) -> Result<(), CallError>;
    async fn noted(&self) -> Answer<Vec<String>>;
    async fn hang_within(&self, patience: Duration) -> Answer<()>;
    /// Started, then cancelled.
    async fn hang_cancelled(&self, runs: Until<'_>) -> Answer<()>;
    /// Started, then dropped.
    async fn hang_dropped(&self, runs: Until<'_>);
    async fn ring(&self, below: u64) -> Answer<()>;
    async fn rang(&self) -> Answer<Heard>;
    /// The newest only.
    async fn rang_latest(&self) -> Answer<Heard>;
    /// Subscribed to without waiting for the other side.
    fn rings(&self) -> Heard;
}

/// An error of a method that has none of its own is an error by name.
fn widen<T>(result: Result<T, CallError>) -> Answer<T> {
    result.map_err(|error| match error {
        CallError::Remote(error) => CallError::Application(error),
        other => other.map_application(|never| match never {}),
    })
}

/// By the contract, on a peer of some kind.
pub(crate) struct Typed<C>(pub(crate) C);

/// By name, with params in order.
pub(crate) struct InOrder<C>(pub(crate) C);

/// By name, each param with its own.
pub(crate) struct Named<C>(pub(crate) C);

macro_rules! awaited {
    (end $call:expr) => {
        $call.await
    };
    (items $call:expr) => {
        $call.start().boxed_local()
    };
    (named_items $call:expr) => {
        $call.boxed_local()
    };
    (at_once $peer:expr, $events:expr) => {
        Box::new($events)
    };
}

macro_rules! waited {
    (end $call:expr) => {
        $call.wait()
    };
    (items $call:expr) => {
        stream::iter($call.wait()).boxed_local()
    };
    (named_items $call:expr) => {
        stream::iter($call.wait()).boxed_local()
    };
    (at_once $peer:expr, $events:expr) => {
        Box::new($peer.iter($events))
    };
}

fn refuses(refused: u64) -> impl Fn(u64) -> std::future::Ready<Result<u64, RpcError>> {
    move |number| {
        std::future::ready(match number == refused {
            true => Err(RpcError::new(ErrorCode::application(4), "no more")),
            false => Ok(2 * number),
        })
    }
}

macro_rules! typed {
    ($peer:ty, $by:ident) => {
        impl AtDesk for Typed<$peer> {
            async fn add(&self, a: i64, b: i64) -> Answer<i64> {
                $by!(end self.desk().add(a, b))
            }

            async fn add_within(&self, patience: Duration) -> Answer<i64> {
                $by!(end self.desk().add(1, 2).deadline(patience))
            }

            async fn add_started(&self, a: i64, b: i64) -> Answer<i64> {
                let call = self.desk().add(a, b).start();
                $by!(end call)
            }

            async fn greet(&self, name: &str, title: Option<&str>) -> Answer<String> {
                let title = title.map(ToOwned::to_owned);
                widen($by!(end self.desk().greet(name.into(), title, "Hello".into())))
            }

            async fn order(&self, order: &Order) -> Answer<String> {
                widen($by!(end self.desk().order(order.clone())))
            }

            async fn open(&self, what: &str) -> Result<(), CallError<DeskError>> {
                $by!(end self.desk().open(what.into()))
            }

            async fn panics(&self) -> Answer<()> {
                $by!(end self.desk().panics())
            }

            async fn fails(&self, code: ErrorCode) -> Answer<()> {
                $by!(end self.desk().fails(code.value()))
            }

            async fn back(&self, a: i64, b: i64) -> Answer<i64> {
                $by!(end self.desk().back(a, b))
            }

            async fn digest(&self, data: Vec<u8>) -> Answer<u64> {
                widen($by!(end self.desk().digest(data)))
            }

            async fn nope(&self) -> Answer<u8> {
                $by!(end self.0.client::<MistakenClient<$peer>>().nope())
            }

            fn nopes(&self) -> Items<u8> {
                $by!(items self.0.client::<MistakenClient<$peer>>().nopes())
            }

            fn adds(&self) -> Items<i64> {
                $by!(items self.0.client::<StreamedClient<$peer>>().adds(1, 2))
            }

            async fn elsewhere(&self) -> Answer<u8> {
                $by!(end self.0.client::<ElsewhereClient<$peer>>().nope())
            }

            async fn misread(&self) -> Answer<i64> {
                $by!(end self.0.client::<MistakenClient<$peer>>().add_a_text(1, "two".into()))
            }

            async fn count_once(&self) -> Answer<u64> {
                $by!(end self.0.client::<MistakenClient<$peer>>().count())
            }

            async fn misheard(&self) -> Answer<u64> {
                $by!(end self.0.client::<MistakenClient<$peer>>().greet_in_numbers("Ada".into()))
            }

            fn count(&self, to: u64) -> Items<u64> {
                $by!(items self.desk().count(to))
            }

            fn breaks(&self, at: u64) -> Items<u64> {
                $by!(items self.desk().breaks(at))
            }

            fn stalls(&self, patience: Duration) -> Items<u64> {
                $by!(items self.desk().stalls().deadline(patience))
            }

            async fn sum(&self, factor: i64, numbers: Vec<i64>) -> Answer<i64> {
                widen($by!(end self.desk().sum(factor, numbers)))
            }

            async fn first(&self, numbers: std::ops::RangeFrom<i64>) -> Answer<Option<i64>> {
                widen($by!(end self.desk().first(numbers)))
            }

            fn double(&self, numbers: Vec<i64>) -> Items<i64> {
                $by!(items self.desk().double(numbers))
            }

            async fn tell(&self, to: u64, refused: u64, told: Seen<u64>) -> Answer<u64> {
                let hears = move |number| told.lock().unwrap().push(number);
                $by!(end self.desk().tell(to, hears, refuses(refused)))
            }

            async fn steps(&self, count: u64, seen: Seen<String>) -> Answer<u64> {
                let logged = Arc::clone(&seen);
                let call = self.desk().steps(count);
                let call = call
                    .on_progress(move |step: u64| seen.lock().unwrap().push(step.to_string()))
                    .on_log(move |_, line: String| logged.lock().unwrap().push(line));
                widen($by!(end call))
            }

            async fn budget(&self) -> Answer<Option<u64>> {
                widen($by!(end self.desk().budget()))
            }

            async fn budget_within(&self, patience: Option<Duration>) -> Answer<Option<u64>> {
                let call = self.desk().budget();
                widen($by!(end match patience {
                    Some(patience) => call.deadline(patience),
                    None => call.no_deadline(),
                }))
            }

            async fn label(&self, name: &str, value: &str) -> Answer<Option<String>> {
                widen($by!(end self.desk().label(name.into()).metadata(name, value)))
            }

            async fn note(&self, text: &str) -> Result<(), CallError> {
                $by!(end self.desk().note(text.into()))
            }

            async fn noted(&self) -> Answer<Vec<String>> {
                widen($by!(end self.desk().noted()))
            }

            async fn hang_within(&self, patience: Duration) -> Answer<()> {
                widen($by!(end self.desk().hang().deadline(patience)))
            }

            async fn hang_cancelled(&self, runs: Until<'_>) -> Answer<()> {
                let mut call = self.desk().hang().start();
                until("it runs", runs).await;
                call.cancel();
                widen($by!(end call))
            }

            async fn hang_dropped(&self, runs: Until<'_>) {
                let call = self.desk().hang().start();
                until("it runs", runs).await;
                drop(call);
            }

            async fn ring(&self, below: u64) -> Answer<()> {
                widen($by!(end self.desk().ring(below)))
            }

            async fn rang(&self) -> Answer<Heard> {
                Ok(Box::new($by!(end self.desk().rang())?))
            }

            async fn rang_latest(&self) -> Answer<Heard> {
                Ok(Box::new($by!(end self.desk().rang().lag(Lag::Latest))?))
            }

            fn rings(&self) -> Heard {
                $by!(at_once self.0, self.desk().rang().start())
            }
        }

        impl Typed<$peer> {
            fn desk(&self) -> DeskClient<$peer> {
                self.0.client()
            }
        }
    };
}

/// `$args`: in order, or each with its name.
macro_rules! by_name {
    ($form:ident, $peer:ty, $by:ident, $args:ident) => {
        impl AtDesk for $form<$peer> {
            async fn add(&self, a: i64, b: i64) -> Answer<i64> {
                $by!(end $args!(self.0.call("desk", "add"), a: a, b: b).result())
            }

            async fn add_within(&self, patience: Duration) -> Answer<i64> {
                let call = self.0.call("desk", "add").deadline(patience);
                $by!(end $args!(call, a: 1, b: 2).result())
            }

            async fn add_started(&self, a: i64, b: i64) -> Answer<i64> {
                let call = $args!(self.0.call("desk", "add"), a: a, b: b);
                let call = call.result().start();
                $by!(end call)
            }

            async fn greet(&self, name: &str, title: Option<&str>) -> Answer<String> {
                let (name, title) = (name.to_owned(), title.map(ToOwned::to_owned));
                $by!(end $args!(self.0.call("desk", "greet"), name: name, title: title).result())
            }

            async fn order(&self, order: &Order) -> Answer<String> {
                $by!(end self.0.call("desk", "order").params(order).result())
            }

            async fn open(&self, what: &str) -> Result<(), CallError<DeskError>> {
                let what = what.to_owned();
                $by!(end $args!(self.0.call("desk", "open"), what: what).result_or())
            }

            async fn panics(&self) -> Answer<()> {
                $by!(end self.0.call("desk", "panics").result())
            }

            async fn fails(&self, code: ErrorCode) -> Answer<()> {
                $by!(end $args!(self.0.call("desk", "fails"), code: code.value()).result())
            }

            async fn back(&self, a: i64, b: i64) -> Answer<i64> {
                $by!(end $args!(self.0.call("desk", "back"), a: a, b: b).result())
            }

            async fn digest(&self, data: Vec<u8>) -> Answer<u64> {
                $by!(end $args!(self.0.call("desk", "digest"), data: data).result())
            }

            async fn nope(&self) -> Answer<u8> {
                $by!(end self.0.call("desk", "nope").result())
            }

            fn nopes(&self) -> Items<u8> {
                $by!(named_items self.0.call("desk", "nopes").stream())
            }

            fn adds(&self) -> Items<i64> {
                $by!(named_items $args!(self.0.call("desk", "add"), a: 1, b: 2).stream())
            }

            async fn elsewhere(&self) -> Answer<u8> {
                $by!(end self.0.call("elsewhere", "nope").result())
            }

            async fn misread(&self) -> Answer<i64> {
                $by!(end $args!(self.0.call("desk", "add"), a: 1, b: "two").result())
            }

            async fn count_once(&self) -> Answer<u64> {
                $by!(end self.0.call("desk", "count").result())
            }

            async fn misheard(&self) -> Answer<u64> {
                $by!(end $args!(self.0.call("desk", "greet"), name: "Ada").result())
            }

            fn count(&self, to: u64) -> Items<u64> {
                $by!(named_items $args!(self.0.call("desk", "count"), to: to).stream())
            }

            fn breaks(&self, at: u64) -> Items<u64> {
                $by!(named_items $args!(self.0.call("desk", "breaks"), at: at).stream())
            }

            fn stalls(&self, patience: Duration) -> Items<u64> {
                $by!(named_items self.0.call("desk", "stalls").deadline(patience).stream())
            }

            async fn sum(&self, factor: i64, numbers: Vec<i64>) -> Answer<i64> {
                let numbers = Attached::stream(numbers);
                let call = self.0.call("desk", "sum");
                $by!(end $args!(call, factor: factor, numbers: numbers).result())
            }

            async fn first(&self, numbers: std::ops::RangeFrom<i64>) -> Answer<Option<i64>> {
                let numbers = Attached::stream(stream::iter(numbers));
                $by!(end $args!(self.0.call("desk", "first"), numbers: numbers).result())
            }

            fn double(&self, numbers: Vec<i64>) -> Items<i64> {
                let numbers = Attached::stream(numbers);
                let call = self.0.call("desk", "double");
                $by!(named_items $args!(call, numbers: numbers).stream())
            }

            async fn tell(&self, to: u64, refused: u64, told: Seen<u64>) -> Answer<u64> {
                let hears = Attached::callback(move |number| told.lock().unwrap().push(number));
                let asked = Attached::asking(refuses(refused));
                let call = self.0.call("desk", "tell");
                $by!(end $args!(call, to: to, told: hears, asked: asked).result())
            }

            async fn steps(&self, count: u64, seen: Seen<String>) -> Answer<u64> {
                let logged = Arc::clone(&seen);
                let call = self.0.call("desk", "steps");
                let call = call
                    .on_progress(move |step: u64| seen.lock().unwrap().push(step.to_string()))
                    .on_log(move |_, line: String| logged.lock().unwrap().push(line));
                $by!(end $args!(call, count: count).result())
            }

            async fn budget(&self) -> Answer<Option<u64>> {
                $by!(end self.0.call("desk", "budget").result())
            }

            async fn budget_within(&self, patience: Option<Duration>) -> Answer<Option<u64>> {
                let call = self.0.call("desk", "budget");
                $by!(end match patience {
                    Some(patience) => call.deadline(patience),
                    None => call.no_deadline(),
                }.result())
            }

            async fn label(&self, name: &str, value: &str) -> Answer<Option<String>> {
                let call = self.0.call("desk", "label").metadata(name, value);
                let name = name.to_owned();
                $by!(end $args!(call, name: name).result())
            }

            async fn note(&self, text: &str) -> Result<(), CallError> {
                let text = text.to_owned();
                $by!(end $args!(self.0.call("desk", "note"), text: text).notify())
            }

            async fn noted(&self) -> Answer<Vec<String>> {
                $by!(end self.0.call("desk", "noted").result())
            }

            async fn hang_within(&self, patience: Duration) -> Answer<()> {
                $by!(end self.0.call("desk", "hang").result().deadline(patience))
            }

            async fn hang_cancelled(&self, runs: Until<'_>) -> Answer<()> {
                let mut call = self.0.call("desk", "hang").result().start();
                until("it runs", runs).await;
                call.cancel();
                $by!(end call)
            }

            async fn hang_dropped(&self, runs: Until<'_>) {
                let call = self.0.call("desk", "hang").result::<()>().start();
                until("it runs", runs).await;
                drop(call);
            }

            async fn ring(&self, below: u64) -> Answer<()> {
                $by!(end $args!(self.0.call("desk", "ring"), below: below).result())
            }

            async fn rang(&self) -> Answer<Heard> {
                Ok(Box::new($by!(end self.0.subscribe(DeskEvents::RANG))?))
            }

            async fn rang_latest(&self) -> Answer<Heard> {
                let latest = self.0.subscribe(DeskEvents::RANG).lag(Lag::Latest);
                Ok(Box::new($by!(end latest)?))
            }

            fn rings(&self) -> Heard {
                Box::new(self.0.events::<u64>(DeskEvents::RANG))
            }
        }
    };
}

macro_rules! in_order {
    ($call:expr, $($name:ident: $value:expr),+) => {
        $call.args(($($value,)+))
    };
}

macro_rules! each_named {
    ($call:expr, $($name:ident: $value:expr),+) => {
        $call$(.arg(stringify!($name), $value))+
    };
}

/// A kind of peer in all forms.
macro_rules! every_form {
    ($peer:ty, $by:ident) => {
        typed!($peer, $by);
        by_name!(InOrder, $peer, $by, in_order);
        by_name!(Named, $peer, $by, each_named);
    };
}

every_form!(Peer, awaited);
every_form!(Reconnecting, awaited);
every_form!(blocking::Peer, waited);
every_form!(blocking::Peer<Reconnecting>, waited);
