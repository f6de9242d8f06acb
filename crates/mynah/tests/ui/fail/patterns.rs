//! Parameters that are no plain names.

#[mynah::service]
trait Arith {
    async fn pair(&self, (a, b): (i64, i64)) -> i64;
    async fn nameless(&self, _: i64) -> i64;
    async fn changed(&self, mut a: i64) -> i64;
    async fn lent(&self, ref a: i64) -> i64;
}

fn main() {}
