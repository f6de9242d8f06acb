//! Words before `fn` and before `trait` that mean nothing in a call.

#[mynah::service]
unsafe trait Arith {
    async unsafe fn add(&self, a: i64, b: i64) -> i64;
    async extern "C" fn sub(&self, a: i64, b: i64) -> i64;
    #[blocking]
    const fn mul(&self, a: i64, b: i64) -> i64;
}

fn main() {}
