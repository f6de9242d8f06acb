//! Words for who may call a method.
#![allow(unused)]

use mynah::prelude::*;

#[mynah::service]
trait Store {
    #[role]
    async fn nobody(&self);
    #[role()]
    async fn nobody_either(&self);
    #[role("admin", "admin")]
    async fn twice(&self);
    #[role("admin")]
    #[role("auditor", "admin")]
    async fn again(&self);
    #[role("")]
    async fn nameless(&self);
    #[role("admin")]
    #[event]
    fn changed(key: String);
}

fn main() {}
