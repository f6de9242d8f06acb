//! Mynah, variants `cbor` and `json` (native over tcp) and `local` (in process).
//!
//! Limits, deadlines (the default of 30 s) and cancellation are on, as they are for any program.

use mynah::dialect::Native;
use mynah::prelude::*;
use mynah_bench::{Contender, Echo, Failure, Load, Tally, TypedEcho, echo_tasks};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;

#[mynah::service]
trait Echoing {
    async fn echo(&self, value: Echo) -> Echo;
}

struct Handler;

impl Echoing for Handler {
    async fn echo(&self, value: Echo) -> Echo {
        value
    }
}

#[derive(Clone)]
struct Mynah {
    client: EchoingClient,
    /// In process the server lives here.
    _server: Option<Arc<mynah::ServerHandle>>,
}

impl Contender for Mynah {
    async fn serve(listener: TcpListener, _: &str) -> Result<(), Failure> {
        let listener = mynah::tcp::TcpListener::from_bound(listener)?;
        let _server = Server::new()
            .register(EchoingService::new(Handler))
            .listen_on(listener, Native::new())
            .start()
            .await?;
        std::future::pending().await
    }

    async fn connect(address: Option<SocketAddr>, variant: &str) -> Result<Self, Failure> {
        if variant == "local" {
            let server = Server::new()
                .register(EchoingService::new(Handler))
                .start()
                .await?;
            let client = server.local().client();
            return Ok(Self {
                client,
                _server: Some(Arc::new(server)),
            });
        }
        let address = address.ok_or("mynah over tcp needs an address")?;
        let peer = mynah::connect(&format!("tcp://{address}?format={variant}")).await?;
        Ok(Self {
            client: peer.client(),
            _server: None,
        })
    }

    async fn load(&self, load: &Load) -> Result<Tally, Failure> {
        echo_tasks(self, load).await
    }
}

impl TypedEcho for Mynah {
    async fn echo(&self, value: Echo) -> Result<Echo, Failure> {
        Ok(self.client.echo(value).await?)
    }
}

fn main() -> ExitCode {
    mynah_bench::run::<Mynah>()
}
