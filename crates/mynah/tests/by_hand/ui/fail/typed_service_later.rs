//! A typed service is registered before the start; a server that runs takes methods by name.

#[mynah::service]
pub trait Arith {
    async fn add(&self, a: i64, b: i64) -> i64;
}

struct MyArith;

impl Arith for MyArith {
    async fn add(&self, a: i64, b: i64) -> i64 {
        a + b
    }
}

fn later(server: &mynah::ServerHandle) {
    server.methods().register(ArithService::new(MyArith));
    let _ = server.methods().add(ArithService::new(MyArith));
}

fn main() {}
