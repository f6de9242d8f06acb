//! Callbacks in places where there can be none.
#![allow(unused)]

use mynah::prelude::*;

#[mynah::service]
trait Job {
    async fn maybe(&self, told: Option<Callback<u64>>);
    async fn many(&self, told: Vec<mynah::Callback<u64, u64>>);
    async fn of_three(&self, told: Callback<u64, u64, u64>);
    async fn nested(&self, told: Callback<u64, Callback<u64>>);
    #[notification]
    async fn untold(&self, told: Callback<u64>);
    #[blocking]
    fn blocking(&self);
    async fn back(&self) -> Result<Callback<u64>, RpcError>;
    fn items(&self) -> impl Stream<Item = Callback<u64>> + Send;
}

fn main() {}
