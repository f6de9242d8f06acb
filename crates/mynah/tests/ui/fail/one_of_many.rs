//! One mistake does not hide the rest of the service.
#![allow(unused)]

use mynah::{Peer, RpcError};

#[mynah::service]
trait Arith {
    async fn add(&self, a: i64, b: i64) -> Result<i64, RpcError>;
    async fn name(&self, of: &str) -> String;
}

struct MyArith;

impl Arith for MyArith {
    async fn add(&self, a: i64, b: i64) -> Result<i64, RpcError> {
        Ok(a + b)
    }
}

async fn use_it(client: ArithClient<Peer>) {
    let _ = ArithService::new(MyArith);
    let _ = client.add(1, 2).await;
}

fn main() {}
