//! What a service does not hold.
#![allow(unused)]

macro_rules! methods {
    () => {};
}

#[mynah::service]
trait Arith {
    const LIMIT: u64;
    type Item;
    methods!();
    pub async fn public(&self);
    async fn with_body(&self) -> u64 {
        4
    }
}

fn main() {}
