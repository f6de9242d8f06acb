//! Generics, lifetimes and bounds on methods.

#[mynah::service]
trait Store {
    async fn put<T: Send>(&self, value: T);
    async fn read<'a>(&self) -> u64;
    async fn bound(&self) -> u64
    where
        Self: Sized;
}

fn main() {}
