//! Methods that the client has already.

#[mynah::service]
trait Store {
    async fn new(&self) -> u64;
    async fn caller(&self) -> String;
    async fn clone(&self) -> u64;
    async fn from_caller(&self);
    #[method(name = "new")]
    async fn create(&self);
}

fn main() {}
