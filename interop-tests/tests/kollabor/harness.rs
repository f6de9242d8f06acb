//! Both sides, each in either language.

use crate::service::{Here, StateClient, StateService};
use interop_tests::python::{Listening, Venv, within};
use mynah::ServerHandle;
use mynah::prelude::*;
use std::path::PathBuf;

/// A directory with one socket in it.
#[derive(Debug)]
pub(crate) struct Socket(tempfile::TempDir);

impl Socket {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("socket")
    }

    pub(crate) fn text(&self) -> String {
        self.path().display().to_string()
    }

    /// Connects to whoever listens; `more` are options of the URL.
    pub(crate) async fn connect(&self, more: &str) -> (Peer, StateClient) {
        let url = format!("unix:{}?dialect=kollabor{more}", self.text());
        let peer = within("connect", mynah::connect(&url)).await;
        let peer = peer.expect("somebody listens");
        let client = peer.client();
        (peer, client)
    }
}

/// A server of this side.
#[derive(Debug)]
pub(crate) struct RustServer {
    pub(crate) socket: Socket,
    pub(crate) handle: ServerHandle,
}

impl RustServer {
    pub(crate) async fn start() -> Self {
        let socket = Socket::new();
        let handle = Server::new()
            .register(StateService::new(Here::default()))
            .listen(&format!("unix:{}?dialect=kollabor", socket.text()))
            .start()
            .await
            .expect("the socket can be made");
        Self { socket, handle }
    }
}

/// A server of the package.
#[derive(Debug)]
pub(crate) struct PythonServer {
    pub(crate) socket: Socket,
    _process: Listening,
}

impl PythonServer {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// One that reads as a hub does.
    pub(crate) async fn hub() -> Self {
        Self::start_with(&["--hub"]).await
    }

    async fn start_with(options: &[&str]) -> Self {
        let socket = Socket::new();
        let path = socket.text();
        let arguments = [&[path.as_str()], options].concat();
        let process = Listening::start(Venv::Kollabor, "kollabor_server.py", &arguments).await;
        Self {
            socket,
            _process: process,
        }
    }
}
