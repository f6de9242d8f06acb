//! Options that are unknown, doubled, or in the wrong place.

#[mynah::service(prefix = "arith")]
trait One {}

#[mynah::service(name = "a", name = "b")]
trait Two {}

#[mynah::service(rename_all = "camelCase", rename_all = "kebab-case")]
trait Twice {}

#[mynah::service(name = 4)]
trait Three {}

#[mynah::service("four")]
trait Four {}

#[mynah::service]
trait Five {
    #[method]
    async fn a(&self);
    #[method(rename = "b")]
    async fn b(&self);
    #[method(name = "c")]
    #[method(name = "d")]
    async fn c(&self);
    #[notification(fast)]
    async fn d(&self);
    #[spawn]
    #[spawn]
    async fn e(&self);
    #[method("f")]
    async fn f(&self);
}

fn main() {}
