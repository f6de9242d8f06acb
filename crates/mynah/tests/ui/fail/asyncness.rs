//! `async` missing, or there beside `#[blocking]`.
#![allow(unused)]

use mynah::{Context, RpcError};

#[mynah::service]
trait Arith {
    fn add(&self, cx: &Context, a: i64, b: i64) -> Result<i64, RpcError>;
    #[blocking]
    async fn digest(&self, data: Vec<u8>) -> u64;
    #[spawn]
    #[blocking]
    fn hash(&self, data: Vec<u8>) -> u64;
}

fn main() {}
