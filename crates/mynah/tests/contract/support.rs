//! Services and servers of the tests.

use mynah::prelude::*;
use mynah::{ServerError, ServerHandle};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema, PartialEq)]
pub(crate) struct Doc {
    /// What it is called.
    pub title: String,
    #[serde(default)]
    pub pages: u32,
    pub part_of: Option<Box<Doc>>,
}

#[derive(Clone, Debug, PartialEq, mynah::DomainError)]
pub(crate) enum ShelfError {
    #[error(code = 2, message = "{title} is lent")]
    Lent { title: String },
    #[error(code = 1)]
    Closed,
}

/// Keeps documents.
///
/// For a while.
#[mynah::service(schema)]
pub(crate) trait Shelf {
    /// Puts a document there.
    #[idempotent]
    #[role("clerk", "admin")]
    async fn put(
        &self,
        cx: &Context,
        doc: Doc,
        #[default = 3] days: u8,
        note: Option<String>,
    ) -> Result<u64, ShelfError>;
    fn all(&self) -> impl Stream<Item = Result<Doc, ShelfError>> + Send;
    async fn fill(&self, docs: Incoming<Doc>) -> u64;
    fn sorted(&self, docs: Incoming<Doc>) -> impl Stream<Item = Doc> + Send;
    async fn watch(&self, seen: Callback<u64>, ask: Callback<Doc, bool>);
    #[notification]
    async fn touch(&self, title: String);
    #[method(name = "replaceAll")]
    async fn replace(&self, #[params] doc: Doc) -> bool;
    /// A document was changed.
    #[event(lag = "latest")]
    fn changed(doc: Doc);
}

pub(crate) struct MyShelf;

impl Shelf for MyShelf {
    async fn put(
        &self,
        _cx: &Context,
        _doc: Doc,
        days: u8,
        _note: Option<String>,
    ) -> Result<u64, ShelfError> {
        Ok(days.into())
    }

    fn all(&self) -> impl Stream<Item = Result<Doc, ShelfError>> + Send {
        futures::stream::empty()
    }

    async fn fill(&self, _docs: Incoming<Doc>) -> u64 {
        0
    }

    fn sorted(&self, _docs: Incoming<Doc>) -> impl Stream<Item = Doc> + Send {
        futures::stream::empty()
    }

    async fn watch(&self, _seen: Callback<u64>, _ask: Callback<Doc, bool>) {}

    async fn touch(&self, _title: String) {}

    async fn replace(&self, _doc: Doc) -> bool {
        true
    }
}

/// The same without schemas.
#[mynah::service]
pub(crate) trait Plain {
    async fn add(&self, a: i64, b: i64) -> i64;
}

pub(crate) struct MyPlain;

impl Plain for MyPlain {
    async fn add(&self, a: i64, b: i64) -> i64 {
        a + b
    }
}

/// A wire that clients and servers speak to each other.
pub(crate) const WIRES: [&str; 6] = [
    "format=cbor",
    "format=json",
    "format=messagepack",
    "dialect=cbor-rpc",
    "dialect=cbor-rpc&names=qualified&format=json",
    "dialect=kollabor",
];

pub(crate) async fn start(server: Server, wire: &str) -> Result<ServerHandle, ServerError> {
    server
        .listen(&format!("tcp://127.0.0.1:0?{wire}"))
        .start()
        .await
}

pub(crate) async fn connect(server: &ServerHandle, wire: &str) -> Peer {
    let address = server.address().split('?').next().expect("an address");
    mynah::connect(&format!("{address}?{wire}"))
        .await
        .expect("the server listens")
}
