//! The table of the guide's page on errors: each cell is what a caller gets when it is made to happen.

use crate::support::{connect, start};
use mynah::ServerHandle;
use mynah::prelude::*;
use std::time::Duration;
use tokio::sync::mpsc;

/// The columns: a name and what it is in a URL.
const WIRES: &[(&str, &str)] = &[
    ("native", "dialect=native"),
    ("cbor-rpc", "dialect=cbor-rpc"),
    ("cbor-rpc, `errors=rich`", "dialect=cbor-rpc&errors=rich"),
    ("kollabor", "dialect=kollabor"),
];

#[derive(Clone, Debug, PartialEq, mynah::DomainError)]
enum OwnError {
    #[error(code = 7, message = "no")]
    No,
}

#[mynah::service]
trait Trouble {
    async fn add(&self, a: i64, b: i64) -> i64;
    async fn refuse(&self) -> Result<i64, OwnError>;
    async fn panic(&self) -> i64;
    async fn hang(&self) -> i64;
    async fn unwritable(&self) -> mynah::Value;
    async fn echo(&self, text: String) -> String;
    fn count(&self) -> impl Stream<Item = u64> + Send;
}

/// The same service as somebody else has it in mind.
#[mynah::service(name = "trouble")]
trait Other {
    async fn add(&self, a: String, b: String) -> i64;
    async fn echo(&self, text: String) -> i64;
}

const LIMIT: &str = "&max_message_bytes=64KiB";

struct MyTrouble {
    hanging: mpsc::Sender<()>,
}

impl Trouble for MyTrouble {
    async fn add(&self, a: i64, b: i64) -> i64 {
        a + b
    }

    async fn refuse(&self) -> Result<i64, OwnError> {
        Err(OwnError::No)
    }

    async fn panic(&self) -> i64 {
        panic!("on purpose")
    }

    async fn hang(&self) -> i64 {
        self.hanging.send(()).await.expect("the test waits");
        std::future::pending().await
    }

    async fn unwritable(&self) -> mynah::Value {
        // No format has an extension type and a tag.
        mynah::Value::Array(vec![
            mynah::Value::Ext(5, vec![1]),
            mynah::Value::Tag(5, Box::new(mynah::Value::Null)),
        ])
    }

    async fn echo(&self, text: String) -> String {
        text
    }

    fn count(&self) -> impl Stream<Item = u64> + Send {
        futures::stream::iter([1])
    }
}

struct Scene {
    server: ServerHandle,
    wire: &'static str,
    peer: Peer,
    client: TroubleClient,
    hanging: mpsc::Receiver<()>,
}

impl Scene {
    async fn new(wire: &'static str, more: &str) -> Self {
        let (told, hanging) = mpsc::channel(8);
        let server = Server::new().register(TroubleService::new(MyTrouble { hanging: told }));
        let server = start(server, &format!("{wire}{more}")).await.unwrap();
        let peer = connect(&server, wire).await;
        let client = peer.client();
        Self {
            server,
            wire,
            peer,
            client,
            hanging,
        }
    }
}

/// What a caller gets, as the page says it.
fn shown<T: std::fmt::Debug, E: std::fmt::Debug>(outcome: Result<T, CallError<E>>) -> String {
    match outcome {
        Ok(value) => panic!("{value:?}"),
        Err(CallError::Remote(error)) => format!("`Remote` {}", error.code().value()),
        Err(error) => {
            let text = format!("{error:?}");
            let name = text.split(['(', ' ', '{']).next().unwrap_or_default();
            format!("`{name}`")
        }
    }
}

type Row = (
    &'static str,
    fn(&'static str) -> std::pin::Pin<Box<dyn Future<Output = String>>>,
);

macro_rules! row {
    ($what:literal, $wire:ident => $body:expr) => {
        ($what, |$wire| Box::pin(async move { $body }))
    };
}

const ROWS: &[Row] = &[
    row!("handler: returns its error", wire => {
        let scene = Scene::new(wire, "").await;
        shown(scene.client.refuse().await)
    }),
    row!("handler: panics", wire => {
        let scene = Scene::new(wire, "").await;
        shown(scene.client.panic().await)
    }),
    row!("handler: its result cannot be written", wire => {
        let scene = Scene::new(wire, "").await;
        shown(scene.client.unwritable().await)
    }),
    row!("protocol: nobody has the method", wire => {
        let scene = Scene::new(wire, "").await;
        typed(scene.peer.call("trouble", "nobody").result::<i64>().await)
    }),
    row!("protocol: params that the method does not take", wire => {
        let scene = Scene::new(wire, "").await;
        let other: OtherClient = scene.peer.client();
        shown(other.add("one".into(), "two".into()).await)
    }),
    row!("protocol: no permit at the other side", wire => {
        // Another connection fills it: a client counts its own.
        let mut scene = Scene::new(wire, "&calls_in_flight=1").await;
        let hang = scene.client.hang().start();
        scene.hanging.recv().await;
        let outcome = shown(scene.client.add(1, 2).await);
        drop(hang);
        outcome
    }),
    row!("protocol: the answer is of another shape", wire => {
        let scene = Scene::new(wire, "").await;
        let other: OtherClient = scene.peer.client();
        shown(other.echo("text".into()).await)
    }),
    row!("transport: not connected any more", wire => {
        let scene = Scene::new(wire, "").await;
        scene.peer.close();
        scene.peer.closed().await;
        shown(scene.client.add(1, 2).await)
    }),
    row!("transport: the connection ends while the call runs", wire => {
        let mut scene = Scene::new(wire, "").await;
        let hang = scene.client.hang().start();
        scene.hanging.recv().await;
        scene.peer.close();
        shown(hang.await)
    }),
    row!("local: the time is over", wire => {
        let scene = Scene::new(wire, "").await;
        shown(scene.client.hang().deadline(Duration::from_millis(20)).await)
    }),
    row!("local: params larger than the limit", wire => {
        let scene = Scene::new(wire, LIMIT).await;
        let peer = connect(&scene.server, &format!("{}{LIMIT}", scene.wire)).await;
        let client: TroubleClient = peer.client();
        shown(client.echo("x".repeat(100 << 10)).await)
    }),
    row!("local: a stream, on a wire without", wire => {
        let scene = Scene::new(wire, "").await;
        let mut count = scene.client.count().start();
        match futures::StreamExt::next(&mut count).await {
            Some(Ok(_)) => "-".into(),
            Some(Err(error)) => shown::<(), _>(Err(error)),
            None => panic!("nothing came"),
        }
    }),
];

/// By name, what comes as an error of the peer is one: no contract says that it is the method's.
fn typed<T: std::fmt::Debug>(outcome: Result<T, CallError<RpcError>>) -> String {
    shown(outcome.map_err(|error| match error {
        CallError::Application(error) => CallError::Remote(error),
        other => other,
    }))
}

#[tokio::test]
async fn the_table_of_the_guide_is_what_happens() {
    let mut table = String::from("| what happened |");
    for (name, _) in WIRES {
        table.push_str(&format!(" {name} |"));
    }
    table.push_str(&format!("\n|---|{}\n", "---|".repeat(WIRES.len())));
    for (what, run) in ROWS {
        table.push_str(&format!("| {what} |"));
        for (_, wire) in WIRES {
            let outcome = tokio::time::timeout(Duration::from_secs(30), run(wire)).await;
            let outcome = outcome.unwrap_or_else(|_| panic!("{what} over {wire}: no end"));
            table.push_str(&format!(" {outcome} |"));
        }
        table.push('\n');
    }
    let page = include_str!("../../../../docs/guide/src/errors.md");
    assert!(
        page.contains(&table),
        "the page says something else than this:\n{table}"
    );
}
