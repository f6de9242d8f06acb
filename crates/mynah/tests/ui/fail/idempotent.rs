//! Calls that cannot be made again.
#![allow(unused)]

use mynah::prelude::*;

#[mynah::service]
trait Store {
    #[idempotent]
    #[notification]
    async fn touch(&self, key: String);
    #[idempotent]
    async fn upload(&self, data: Incoming<u64>);
    #[idempotent]
    #[event]
    fn changed(key: String);
    #[idempotent(always)]
    async fn get(&self, key: String) -> u64;
    #[idempotent]
    #[idempotent]
    async fn twice(&self, key: String) -> u64;
}

fn main() {}
