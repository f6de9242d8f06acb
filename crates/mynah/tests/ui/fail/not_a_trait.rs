//! The attribute on something that is no trait.

struct MyArith;

#[mynah::service]
struct Arith;

#[mynah::service]
impl MyArith {}

fn main() {}
