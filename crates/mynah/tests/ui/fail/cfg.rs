//! `cfg` where the two sides could come to differ.

#[mynah::service]
trait Arith {
    #[cfg(unix)]
    async fn fork(&self) -> u64;
    #[cfg_attr(unix, method(name = "add2"))]
    async fn add(&self, a: i64, #[cfg(unix)] b: i64) -> i64;
}

fn main() {}
