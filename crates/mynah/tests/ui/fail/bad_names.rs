//! Names that cannot stand on a wire.

#[mynah::service(rename_all = "camel")]
trait One {}

#[mynah::service(name = "a.b")]
trait Two {}

#[mynah::service]
trait Three {
    #[method(name = "")]
    async fn a(&self);
    #[method(name = "math.add")]
    async fn b(&self);
    #[method(name = "line\n")]
    async fn c(&self);
}

fn main() {}
