//! What cannot be exported.

#[mynah::export]
struct NotAFunction;

#[mynah::export(space = "math")]
fn option(a: i64) -> i64 {
    a
}

#[mynah::export(namespace = "a.b")]
fn dotted(a: i64) -> i64 {
    a
}

#[mynah::export]
fn generic<T>(a: T) -> T {
    a
}

#[mynah::export]
fn borrowed(a: &str) -> usize {
    a.len()
}

fn plain() {}

fn main() {
    let _ = mynah::Router::new().add(plain);
}
