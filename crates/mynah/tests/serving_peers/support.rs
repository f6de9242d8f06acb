//! A service of two sides, and waiting without sleeping.

use mynah::prelude::*;
use mynah::{CloseReason, PeerId, ServerHandle, Session};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[mynah::service]
pub(crate) trait Desk {
    async fn echo(&self, text: String) -> String;
    /// What the server knows the caller by, and the state of its connection.
    async fn who(&self, cx: &Context) -> (String, Option<String>);
    /// Calls the client with this id, through the server.
    async fn relay(&self, cx: &Context, id: String, text: String) -> Result<String, RpcError>;
    /// Tells everybody.
    async fn announce(&self, cx: &Context, topic: String, text: String) -> (usize, usize);
    /// Never comes back by itself.
    async fn hang(&self);
    #[notification]
    async fn note(&self, text: String);
}

/// What a connection has as its state.
#[derive(Debug)]
pub(crate) struct Badge(pub(crate) String);

#[derive(Clone, Default)]
pub(crate) struct MyDesk {
    pub(crate) notes: Arc<Mutex<Vec<String>>>,
}

impl Desk for MyDesk {
    async fn echo(&self, text: String) -> String {
        text
    }

    async fn who(&self, cx: &Context) -> (String, Option<String>) {
        let id = cx.peer().id().map(|id| id.to_string());
        let badge = cx.find_state::<Badge>().map(|badge| badge.0.clone());
        (id.unwrap_or_default(), badge)
    }

    async fn relay(&self, cx: &Context, id: String, text: String) -> Result<String, RpcError> {
        let nobody = || RpcError::new(ErrorCode::application(1), "nobody of that name");
        let peer = cx.peers().find(&id).ok_or_else(nobody)?;
        Ok(peer.client::<DeskClient>().echo(text).await?)
    }

    async fn announce(&self, cx: &Context, topic: String, text: String) -> (usize, usize) {
        let told = cx.peers().broadcast(&topic, &text).await.unwrap();
        (told.subscribers, told.dropped)
    }

    async fn hang(&self) {
        std::future::pending::<()>().await;
    }

    async fn note(&self, text: String) {
        self.notes.lock().unwrap().push(text);
    }
}

/// Which sessions ended and why.
#[derive(Clone, Default)]
pub(crate) struct Ends(Arc<Mutex<Vec<(String, CloseReason)>>>);

impl Ends {
    pub(crate) fn note(&self) -> impl Fn(&Session, &CloseReason) + Send + Sync + 'static {
        let ends = self.clone();
        move |session, reason| {
            let end = (session.id().to_string(), reason.clone());
            ends.0.lock().unwrap().push(end);
        }
    }

    pub(crate) fn all(&self) -> Vec<(String, CloseReason)> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

pub(crate) const LONG: Duration = Duration::from_secs(30);

pub(crate) fn server() -> Server {
    Server::new().register(DeskService::new(MyDesk::default()))
}

/// A client of the n-th listener that has not said anything yet.
pub(crate) async fn connect(server: &ServerHandle, query: &str) -> Peer {
    let url = format!("{}{query}", server.address());
    mynah::connect(&url).await.unwrap()
}

/// A client that serves a desk of its own.
pub(crate) async fn colleague(server: &ServerHandle, desk: &MyDesk) -> Peer {
    let connector = mynah::connector(server.address()).unwrap();
    let connector = connector.register(DeskService::new(desk.clone()));
    connector.connect().await.unwrap()
}

pub(crate) fn desk(peer: &Peer) -> DeskClient {
    peer.client()
}

pub(crate) async fn within<F: Future>(what: &str, future: F) -> F::Output {
    let in_time = tokio::time::timeout(LONG, future);
    in_time.await.unwrap_or_else(|_| panic!("{what}: too late"))
}

/// Waits for something that comes by itself.
pub(crate) async fn until(what: &str, there: impl Fn() -> bool) {
    within(what, async {
        while !there() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// The code and text with which the other side ended the connection.
pub(crate) async fn refusal(peer: &Peer) -> (ErrorCode, String) {
    match within("refused", peer.closed()).await {
        CloseReason::Refused(code, text) => (code, text.to_string()),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn number(peer: &Peer) -> PeerId {
    peer.id().unwrap()
}
