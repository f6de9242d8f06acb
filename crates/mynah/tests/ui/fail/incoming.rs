//! Streams of a caller in places where there can be none.
#![allow(unused)]

use mynah::prelude::*;

#[mynah::service]
trait Upload {
    async fn two(&self, one: Incoming<u64>, other: Incoming<u64>);
    async fn maybe(&self, data: Option<Incoming<u64>>);
    async fn nested(&self, data: Incoming<Incoming<u64>>);
    async fn of_two(&self, data: Incoming<u64, String>);
    #[notification]
    async fn untold(&self, data: Incoming<u64>);
    #[blocking]
    fn blocking(&self);
    async fn back(&self) -> Incoming<u64>;
    async fn borrowed(&self, data: Incoming<&str>);
}

fn main() {}
