//! A service over a transport that is not one of Mynah's: `cargo run -p mynah-testkit --example ring`.
#![allow(
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "lengths are checked where slices are taken; a program says what it did"
)]

#[allow(unreachable_pub, reason = "public where it is a crate of its own")]
mod transport;

use mynah::dialect::Native;
use mynah::prelude::*;
use mynah::protocol::Dialer as _;
use transport::ring;

#[mynah::service]
trait Greeter {
    async fn greet(&self, cx: &Context, name: String) -> String;
}

struct MyGreeter;

impl Greeter for MyGreeter {
    async fn greet(&self, cx: &Context, name: String) -> String {
        format!("good day, {name}; you came by {}", cx.evidence())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (listener, dialer) = ring("greeter");
    let server = Server::new()
        .register(GreeterService::new(MyGreeter))
        .listen_on(listener, Native::new())
        .start()
        .await?;
    let accepted = dialer.dial().await?;
    let peer = Peer::over(accepted.connection, &Native::new())
        .evidence(accepted.evidence)
        .start()?;
    let greeter: GreeterClient = peer.client();
    println!("{}", greeter.greet("world".into()).await?);
    println!("{}", server.drain(std::time::Duration::from_secs(1)).await);
    Ok(())
}
