//! This side, served and dialled.

use super::within;
use crate::service::{Here, InteropClient, InteropService};
use mynah::ServerHandle;
use mynah::dialect::CborRpc;
use mynah::prelude::*;
use mynah::tcp::TcpListener;

/// A server of this side on the loopback, which ends with this.
#[derive(Debug)]
pub(crate) struct RustServer {
    /// Its port.
    pub(crate) port: u16,
    /// What its methods remember.
    pub(crate) here: Here,
    /// The server itself.
    pub(crate) handle: ServerHandle,
}

impl RustServer {
    /// Serves the interop service in a dialect.
    pub(crate) async fn start(dialect: CborRpc) -> Self {
        let here = Here::default();
        let handle = Server::new()
            .limits(CborRpc::default_limits())
            .register(InteropService::new(here.clone()))
            .listen_with(TcpListener::bind("127.0.0.1:0"), dialect)
            .start();
        let handle = within("the server starts", handle)
            .await
            .expect("the loopback has a port");
        let (_, port) = handle
            .address()
            .rsplit_once(':')
            .expect("an address with a port");
        Self {
            port: port.parse().expect("a port"),
            here,
            handle,
        }
    }
}

/// A client of this side, which serves the interop service too.
#[derive(Debug)]
pub(crate) struct RustClient {
    /// The other side.
    pub(crate) peer: Peer,
    /// The typed client.
    pub(crate) client: InteropClient<Peer>,
}

impl RustClient {
    /// Connects to a port on the loopback.
    pub(crate) async fn connect(port: u16, dialect: CborRpc) -> Self {
        let peer = mynah::connector(&format!("tcp://127.0.0.1:{port}"))
            .expect("a URL")
            .dialect(dialect)
            .limits(CborRpc::default_limits())
            .register(InteropService::new(Here::default()))
            .connect();
        let peer = within("connect", peer).await.expect("something listens");
        Self {
            client: peer.client(),
            peer,
        }
    }

    /// Waits until the server's state shows something.
    pub(crate) async fn until_state(
        &self,
        what: &str,
        seen: impl Fn(&crate::service::State) -> bool,
    ) {
        for _ in 0..500 {
            let state = within("state", self.client.state().into_future()).await;
            if seen(&state.expect("state answers")) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("{what}: not seen");
    }
}
