//! Notifications that promise an answer.
#![allow(unused)]

use mynah::RpcError;

#[mynah::service]
trait Store {
    #[notification]
    async fn touch(&self, key: String) -> u64;
    #[notification]
    async fn remove(&self, key: String) -> Result<(), RpcError>;
}

fn main() {}
