//! Events that are none.
#![allow(unused)]

use mynah::prelude::*;

#[mynah::service]
trait News {
    #[event]
    fn called(&self, number: u64);
    #[event]
    fn empty();
    #[event]
    fn two(number: u64, text: String);
    #[event]
    async fn waits(number: u64);
    #[event]
    fn answers(number: u64) -> u64;
    #[event]
    fn generic<T>(number: T);
    #[event]
    fn with_body(number: u64) {}
    #[event]
    fn with_context(cx: &Context);
    #[event]
    fn lent(text: &str);
    #[event]
    fn called_back(told: Callback<u64>);
    #[event]
    fn streamed(data: Option<Incoming<u64>>);
    #[event]
    fn pattern((a, b): (u64, u64));
    #[event]
    #[notification]
    fn notified(number: u64);
    #[event]
    #[cfg(unix)]
    fn sometimes(number: u64);
    #[event]
    #[event]
    fn doubled(number: u64);
    #[event(lag = "drop")]
    fn lags(number: u64);
    #[event(lag = "block", lag = "close")]
    fn lags_twice(number: u64);
    #[event(capacity = 0)]
    fn none(number: u64);
    #[event(capacity = "64")]
    fn text(number: u64);
    #[event(size = 64)]
    fn unknown(number: u64);
    #[event("block")]
    fn unnamed(number: u64);
}

/// Names that are taken.
#[mynah::service]
trait Names {
    async fn changed(&self);
    #[event]
    #[method(name = "changed")]
    fn altered(number: u64);
    #[event]
    fn caller(number: u64);
    #[event]
    fn events(number: u64);
    #[event]
    fn from_context(number: u64);
}

fn main() {}
