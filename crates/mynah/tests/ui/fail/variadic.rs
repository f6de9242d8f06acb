//! A method with any number of parameters.

#[mynah::service]
trait Arith {
    async unsafe extern "C" fn sum(&self, values: ...) -> i64;
}

fn main() {}
