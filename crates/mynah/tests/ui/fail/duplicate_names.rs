//! Two methods with one name on the wire.

#[mynah::service]
trait Process {
    #[method(name = "processId")]
    async fn id(&self) -> u64;
    #[method(name = "processId")]
    async fn process_id(&self) -> u64;
    async fn start(&self);
    #[method(name = "start")]
    async fn begin(&self);
}

fn main() {}
