//! This side, served and dialled.

use super::within;
use crate::service::{Here, InteropClient};
use mynah::dialect::CborRpc;
use mynah::prelude::*;
use mynah::tcp::TcpListener;
use mynah::{Connector, ServerHandle};

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
        Self::start_with(|server| server.listen_with(TcpListener::bind("127.0.0.1:0"), dialect))
            .await
    }

    /// Serves it where `listen` says.
    pub(crate) async fn start_with(listen: impl FnOnce(Server) -> Server) -> Self {
        let here = Here::default();
        let handle = listen(Server::new().router(here.router())).start();
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
    /// What its own methods remember.
    pub(crate) here: Here,
}

impl RustClient {
    /// Connects to a port on the loopback.
    pub(crate) async fn connect(port: u16, dialect: CborRpc) -> Self {
        let connector = mynah::connector(&format!("tcp://127.0.0.1:{port}")).expect("a URL");
        Self::connect_with(connector.dialect(dialect)).await
    }

    /// Connects as it is told.
    pub(crate) async fn connect_with(connector: Connector) -> Self {
        let here = Here::default();
        let connecting = connector.router(here.router()).connect();
        let peer = within("connect", connecting)
            .await
            .expect("something listens");
        Self {
            client: peer.client(),
            peer,
            here,
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
