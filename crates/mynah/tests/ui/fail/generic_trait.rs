//! Generics on the trait.

#[mynah::service]
trait Store<T>
where
    T: Clone,
{
    async fn get(&self) -> u64;
}

#[mynah::service]
trait Lent<'a> {
    async fn get(&self) -> u64;
}

fn main() {}
