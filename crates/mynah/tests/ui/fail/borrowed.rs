//! Types that cannot be sent because something in them is borrowed or open.
#![allow(unused)]

use mynah::RpcError;
use std::borrow::Cow;

#[mynah::service]
trait Store {
    async fn get(&self, key: &str) -> Option<String>;
    async fn put(&self, data: &[u8]);
    async fn change(&self, count: &mut u64);
    async fn inner(&self, keys: Vec<&'static str>);
    async fn cow(&self, key: Cow<'_, str>);
    async fn any(&self, value: impl Send);
    async fn text(&self) -> &str;
    async fn items(&self) -> Result<impl Iterator<Item = u8>, RpcError>;
    async fn twin(&self, other: Self);
    async fn fine(&self, key: Cow<'static, str>, names: Vec<String>);
}

fn main() {}
