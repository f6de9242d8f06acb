//! A client that speaks SSH and minds nobody's manners.

use crate::support::user_key;
use russh::Channel;
use russh::client::{self, Config, Handle, Msg};
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate, load_secret_key};
use std::net::SocketAddr;
use std::sync::Arc;

/// Asks nothing of its server.
pub(crate) struct Trusting;

impl client::Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        _key: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

/// Logs in.
pub(crate) async fn log_in(address: SocketAddr, config: Config) -> Handle<Trusting> {
    let mut session = client::connect(Arc::new(config), address, Trusting)
        .await
        .unwrap();
    let key = load_secret_key(user_key(), None).unwrap();
    let key = PrivateKeyWithHashAlg::new(Arc::new(key), None);
    let login = session.authenticate_publickey("mynah", key).await.unwrap();
    assert!(login.success());
    session
}

/// Logs in, and asks for the subsystem.
pub(crate) async fn subsystem(
    address: SocketAddr,
    config: Config,
) -> (Handle<Trusting>, Channel<Msg>) {
    let session = log_in(address, config).await;
    let channel = session.channel_open_session().await.unwrap();
    channel.request_subsystem(true, "mynah").await.unwrap();
    (session, channel)
}
