//! Contracts as values: what a service offers, told to those who ask, compared before something breaks.
//!
//! `cargo run --example contract --features schema`
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use mynah::contract::{Comparison, Contract, Manifest, Method, MethodKind, Param, Schema, openrpc};
use mynah::prelude::*;
use mynah::{CheckError, Shown, contract_of};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A book on the shelf.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Book {
    /// What is written on it.
    pub title: String,
    /// How many pages it has; 0 when nobody has counted.
    #[serde(default)]
    pub pages: u32,
}

/// Why there is no book.
#[derive(Clone, Debug, PartialEq, mynah::DomainError)]
pub enum ShelfError {
    /// Nobody has brought it.
    #[error(code = 1, message = "there is no {title} here")]
    NotThere {
        /// The title that was asked for.
        title: String,
    },
}

/// Keeps books.
#[mynah::service(schema)]
pub trait Shelf {
    /// Takes a book from the shelf, for some days.
    async fn borrow(&self, title: String, #[default = 14] days: u8) -> Result<Book, ShelfError>;
    /// Counts what is there. It may be asked again.
    #[idempotent]
    async fn count(&self) -> u64;
    /// Throws a book away.
    #[role("librarian")]
    async fn discard(&self, title: String) -> Result<bool, ShelfError>;
}

struct MyShelf;

impl Shelf for MyShelf {
    async fn borrow(&self, title: String, days: u8) -> Result<Book, ShelfError> {
        match (&*title, days) {
            ("Emma", 1..) => Ok(Book { title, pages: 474 }),
            _ => Err(ShelfError::NotThere { title }),
        }
    }

    async fn count(&self) -> u64 {
        1
    }

    async fn discard(&self, _title: String) -> Result<bool, ShelfError> {
        Ok(false)
    }
}

/// What the server has become, while somebody runs a client of the old contract.
mod newer {
    use mynah::prelude::*;

    #[derive(Clone, Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
    pub(crate) struct Book {
        pub(crate) title: String,
        pub(crate) pages: Option<u32>,
    }

    #[mynah::service(name = "shelf", schema)]
    pub(crate) trait Shelf {
        async fn borrow(&self, title: String) -> Result<Book, RpcError>;
    }

    pub(super) struct MyShelf;

    impl Shelf for MyShelf {
        async fn borrow(&self, title: String) -> Result<Book, RpcError> {
            Ok(Book { title, pages: None })
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A contract is a value, made from the trait when somebody asks.
    let contract = contract_of::<ShelfClient>();
    for method in contract.methods() {
        println!("{}: {}", method.name(), method.docs().unwrap_or("-"));
        println!("    {}", contract.hash(method)?);
    }

    // As a document for the tools of others.
    let info = openrpc::Info::new("Shelf", "1.0.0");
    let document = openrpc::document(&contract.manifest(), &info);
    println!("\nOpenRPC: {} lines", document.lines().count());

    // A server tells who asks; here, librarians' methods are shown to nobody.
    let visible = |_: &mynah::Evidence, shown: Shown<'_>| match shown {
        Shown::Method { method, .. } => method.roles().is_empty(),
        _ => true,
    };
    let server = Server::new()
        .register(ShelfService::new(MyShelf))
        .show(visible)
        .listen("tcp://127.0.0.1:0")
        .start()
        .await?;
    let peer = mynah::connect(server.address()).await?;
    let described: Manifest = peer.describe().await?;
    let shown = described
        .contract("shelf")
        .map_or(0, |shelf| shelf.methods().len());
    println!("{shown} of {} methods are shown", contract.methods().len());

    // A client asks before it relies on what it was compiled with.
    let server = Server::new()
        .register(newer::ShelfService::new(newer::MyShelf))
        .listen("tcp://127.0.0.1:0")
        .start()
        .await?;
    let peer = mynah::connect(server.address()).await?;
    match peer.check::<ShelfClient>().await {
        Err(CheckError::Drift(comparison)) => println!("\n{comparison}"),
        other => return Err(format!("the drift was not seen: {other:?}").into()),
    }

    // By hand, for what is known only when the program runs.
    let integer: Schema = r#"{"type":"integer","format":"int64"}"#.parse()?;
    let by_hand = Contract::new("math").with_method(
        Method::new("half", MethodKind::Unary)
            .with_docs("A half.")
            .with_param(Param::new("number").with_schema(integer.clone()))
            .with_result(integer),
    )?;
    let router = mynah::Router::new()
        .describe(by_hand.clone())
        .method("math.half", |number: i64| async move { number / 2 });
    let server = Server::new()
        .router(router)
        .listen("tcp://127.0.0.1:0")
        .start()
        .await?;
    let peer = mynah::connect(server.address()).await?;
    let half: i64 = peer.call("math", "half").args((84,)).result().await?;
    let told = peer.describe().await?;
    let same = Comparison::of(&by_hand.manifest(), &told).is_empty();
    println!("\nhalf of 84 is {half}; it is told as it was written: {same}");
    Ok(())
}
