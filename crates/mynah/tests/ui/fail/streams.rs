//! Streams of results that are written in another way than it works.
#![allow(unused)]

use mynah::prelude::*;
use mynah::Streaming;

#[mynah::service]
trait Feed {
    async fn opened(&self) -> impl Stream<Item = u64> + Send;
    async fn tried(&self) -> Result<impl Stream<Item = u64> + Send, RpcError>;
    fn boxed(&self) -> Box<dyn Stream<Item = u64> + Send>;
    fn untyped(&self) -> impl Stream + Send;
    fn lent(&self) -> impl Stream<Item = &str> + Send;
    fn aliased(&self) -> impl Stream<Item = std::io::Result<u64>> + Send;
    #[spawn]
    fn spawned(&self) -> impl Stream<Item = u64> + Send;
    #[blocking]
    fn blocking(&self) -> impl Stream<Item = u64> + Send;
    #[notification]
    fn unheard(&self) -> impl Stream<Item = u64> + Send;
    async fn listed(&self) -> Vec<impl Stream<Item = u64>>;
    fn other(&self) -> impl Iterator<Item = u64>;
}

fn main() {}
