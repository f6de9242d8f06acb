//! A Redis of its own for each test, servers of both kinds on it, and what is left in it.

use crate::service::{ArithClient, ArithService, Here};
use interop_tests::chaos::NodeProcess;
use interop_tests::fleet::{FleetService, Node, dial};
use interop_tests::python::{Listening, Venv, run_scenario, within};
use mynah::prelude::*;
use mynah::redis_streams::{RedisListener, RedisOptions};
use mynah::{Peer, ServerHandle};
use mynah_testkit::redis::{self, RedisServer, Reply};
use std::path::Path;
use std::time::Duration;

/// Colons are allowed in it.
pub(crate) const PREFIX: &str = "app:x";
pub(crate) const CMDS: &str = "app:x:cmds:arith";
pub(crate) const WORK: &str = "app:x:cmds:fleet-work";

/// A redis-server, and what the tests know of the layout on it.
pub(crate) struct Redis(pub(crate) RedisServer);

impl Redis {
    pub(crate) async fn start() -> Self {
        Self::start_with(redis::RedisOptions::new()).await
    }

    pub(crate) async fn start_with(options: redis::RedisOptions) -> Self {
        Self(options.start().await.expect("redis-server starts"))
    }

    /// Where servers and clients of this side meet.
    pub(crate) fn options(&self) -> RedisOptions {
        RedisOptions::new(self.0.url()).with_prefix(PREFIX)
    }

    pub(crate) async fn ask(&self, command: &[&str]) -> Reply {
        let answer = within("redis answers", self.0.command(command)).await;
        answer.unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    pub(crate) async fn number(&self, command: &[&str]) -> i64 {
        let answer = self.ask(command).await;
        let number = answer.as_integer();
        number.unwrap_or_else(|| panic!("{command:?}: {answer:?}"))
    }

    /// A server of this side with both services.
    pub(crate) async fn serve(&self, instance: &str) -> ServerHandle {
        self.serve_with(self.options().with_instance(instance))
            .await
    }

    pub(crate) async fn serve_with(&self, options: RedisOptions) -> ServerHandle {
        let instance = options.instance.clone().expect("a server has a name");
        let node = Node::connect(options.clone(), &instance).await;
        Server::new()
            .register(ArithService::new(Here::default()))
            .register(FleetService::new(node.expect("a connection")))
            .listen_transport_within(RedisListener::bind(options), std::convert::identity)
            .start()
            .await
            .expect("it serves")
    }

    /// A server of this side in a process of its own, which entries are taken over from after a second.
    pub(crate) async fn serve_apart(&self, instance: &str, deliveries: &str) -> NodeProcess {
        let program = Path::new(env!("CARGO_BIN_EXE_fleet_node"));
        let more = [PREFIX, deliveries];
        NodeProcess::start_with(program, &self.0.url(), instance, &more).await
    }

    /// A server of the package with both services.
    pub(crate) async fn serve_python(&self, instance: &str, claim_idle: Duration) -> Listening {
        let idle = claim_idle.as_millis().to_string();
        let arguments = [&*self.0.url(), PREFIX, instance, &*idle];
        Listening::start(Venv::Clamator, "clamator_redis_server.py", &arguments).await
    }

    pub(crate) async fn connect(&self) -> (Peer, ArithClient) {
        self.connect_with(self.options()).await
    }

    pub(crate) async fn connect_with(&self, options: RedisOptions) -> (Peer, ArithClient) {
        let peer = within("connect", dial(options)).await;
        let peer = peer.expect("redis is there");
        let client = peer.client();
        (peer, client)
    }

    /// A scenario of the client of the package, to its end.
    pub(crate) async fn scenario(&self, name: &str) {
        let arguments = [&*self.0.url(), PREFIX, name];
        run_scenario(Venv::Clamator, "clamator_redis_client.py", &arguments).await;
    }

    /// An entry as somebody writes it by hand.
    pub(crate) async fn entry(&self, stream: &str, fields: &[(&str, &str)]) -> String {
        let mut command = vec!["XADD", stream, "*"];
        command.extend(fields.iter().flat_map(|(name, value)| [*name, *value]));
        let id = self.ask(&command).await;
        id.as_text().expect("the id of an entry").to_owned()
    }

    /// The envelopes in a stream of replies, in order.
    pub(crate) async fn replies(&self, stream: &str) -> Vec<serde_json::Value> {
        let entries = self.ask(&["XRANGE", stream, "-", "+"]).await;
        let envelope = |entry: &Reply| {
            let fields = entry.items().get(1)?;
            let text = fields.field("envelope")?.as_text()?;
            serde_json::from_str(text).ok()
        };
        let entries = entries.items().iter();
        entries
            .map(|entry| envelope(entry).unwrap_or_else(|| panic!("{entry:?}")))
            .collect()
    }

    /// Until a stream of replies holds so many.
    pub(crate) async fn replied(&self, stream: &str, count: usize) -> Vec<serde_json::Value> {
        let what = format!("{count} replies in {stream}");
        self.until(&what, async || self.replies(stream).await.len() >= count)
            .await;
        self.replies(stream).await
    }

    /// What is pending in the group of a command stream.
    pub(crate) async fn pending(&self, stream: &str) -> i64 {
        let group = stream.rsplit(':').next().expect("a service");
        let summary = self.0.command(&["XPENDING", stream, group]).await;
        match summary {
            Ok(summary) => summary.items()[0].as_integer().expect("a count"),
            Err(error) if error.to_string().starts_with("NOGROUP") => 0,
            Err(error) => panic!("{error}"),
        }
    }

    /// Until everything written to this stream is done: nothing pending, nothing left in it.
    pub(crate) async fn settled(&self, stream: &str) {
        let what = format!("{stream} is settled");
        self.until(&what, async || {
            self.pending(stream).await == 0 && self.number(&["XLEN", stream]).await == 0
        })
        .await;
    }

    /// Who began to run a call of `mark`, in order.
    pub(crate) async fn marks(&self, id: &str) -> Vec<String> {
        let marks = self
            .ask(&["LRANGE", &format!("marks:{id}"), "0", "-1"])
            .await;
        marks.texts().into_iter().map(str::to_owned).collect()
    }

    pub(crate) async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        within(what, async {
            while !holds().await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }

    /// Makes the group of a service as the package does, where nobody serves it.
    pub(crate) async fn group(&self, service: &str) -> String {
        let stream = format!("{PREFIX}:cmds:{service}");
        let made = ["XGROUP", "CREATE", &stream, service, "$", "MKSTREAM"];
        match self.0.command(&made).await {
            Ok(_made) => {}
            Err(error) => assert!(error.to_string().starts_with("BUSYGROUP"), "{error}"),
        }
        stream
    }
}

/// A drain that has to leave nothing.
pub(crate) async fn drained(server: ServerHandle) {
    let report = server.drain(Duration::from_secs(5)).await;
    assert!(report.is_complete(), "{report}");
}
