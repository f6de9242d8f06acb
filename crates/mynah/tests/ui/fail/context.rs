//! A context that is not first, there twice, or not lent as `&Context`.
#![allow(unused)]

use mynah::Context;

#[mynah::service]
trait Arith {
    async fn last(&self, a: i64, cx: &Context) -> i64;
    async fn twice(&self, cx: &Context, other: &Context) -> i64;
    async fn exclusive(&self, cx: &mut Context) -> i64;
    async fn by_value(&self, cx: Context) -> i64;
    async fn by_path(&self, cx: mynah::Context) -> i64;
    async fn named(&self, cx: &'static Context) -> i64;
}

fn main() {}
