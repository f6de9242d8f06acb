//! Schemas are asked for, and the feature that makes them is off.
#![allow(unused)]

use mynah::prelude::*;

#[mynah::service(schema)]
trait Store {
    async fn find(&self, key: String) -> Option<u64>;
}

fn main() {}
