//! A `Result` whose error type is not to be seen.

type Result<T> = std::result::Result<T, mynah::RpcError>;

#[mynah::service]
trait Store {
    async fn get(&self, key: String) -> Result<Option<String>>;
    async fn io(&self) -> std::io::Result<u64>;
    async fn text(&self) -> std::fmt::Result;
}

fn main() {}
