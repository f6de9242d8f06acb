//! A trait that inherits from another.

trait Named {
    fn name(&self) -> String;
}

#[mynah::service]
trait Arith: Named + Send {
    async fn add(&self, a: i64, b: i64) -> i64;
}

fn main() {}
