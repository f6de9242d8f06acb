//! Calls over Redis Streams.
//!
//! `bare`: what redis-rs makes of it without a library of calls: an `XADD`, an `XREADGROUP` that sees it, an `XADD` of the
//! reply and an `XREAD` that sees that, with no format, no acknowledgement and no bound but `MAXLEN`. What is there at once
//! goes in one pipeline. `acknowledged`: the same with the fields of clamator's entries, and each reading acknowledged and
//! deleted in the transaction of its replies: what the wire costs by itself. `mynah`: the typed echo over the same Redis.

use mynah::prelude::*;
use mynah::redis_streams::{RedisListener, RedisOptions};
use mynah_bench::{
    Address, Contender, Echo, Failure, Listening, Load, Tally, TypedEcho, echo_tasks,
};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Pipeline, Value, cmd};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Mutex;

/// About what the workload takes as JSON-RPC.
const BODY: [u8; 180] = [b'7'; 180];
const CALLS: &str = "bare:calls";
const REPLIES: &str = "bare:replies";
const GROUP: &str = "bare";
/// How long streams get.
const MOST: usize = 4096;

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
enum Redis {
    Bare(Arc<Mutex<Bare>>),
    Mynah(EchoingClient),
}

/// Each has a connection for what blocks, and one for what does not.
struct Bare {
    writes: MultiplexedConnection,
    reads: MultiplexedConnection,
    last: Vec<u8>,
    /// Whether entries have all their fields, and are acknowledged.
    acknowledged: bool,
}

impl Bare {
    async fn open(url: &str, acknowledged: bool) -> Result<Self, Failure> {
        let client = redis::Client::open(url)?;
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let open = || client.get_multiplexed_async_connection_with_config(&config);
        Ok(Self {
            writes: open().await?,
            reads: open().await?,
            last: b"0".to_vec(),
            acknowledged,
        })
    }

    /// So many entries at the end of a stream, in one write.
    async fn add(&mut self, stream: &str, count: usize) -> Result<(), Failure> {
        if count == 0 {
            return Ok(());
        }
        let mut pipeline = Pipeline::with_capacity(count);
        self.entries(stream, count, &mut pipeline);
        pipeline.ignore().exec_async(&mut self.writes).await?;
        Ok(())
    }

    fn entries(&self, stream: &str, count: usize, pipeline: &mut Pipeline) {
        for _ in 0..count {
            let add = pipeline.cmd("XADD").arg(stream);
            add.arg("MAXLEN").arg("~").arg(MOST).arg("*");
            if self.acknowledged {
                add.arg("type").arg("rpc");
            }
            add.arg("envelope").arg(&BODY);
            if self.acknowledged && stream == CALLS {
                add.arg("reply-to")
                    .arg(REPLIES)
                    .arg("timeout-ms")
                    .arg(30_000);
            }
        }
    }

    /// Answers what was read, and acknowledges it.
    async fn answer(&mut self, read: Vec<Value>) -> Result<(), Failure> {
        if !self.acknowledged {
            return self.add(REPLIES, read.len()).await;
        }
        let mut pipeline = Pipeline::with_capacity(read.len() + 2);
        self.entries(REPLIES, read.len(), &mut pipeline);
        let ids: Vec<Vec<u8>> = read.into_iter().filter_map(id).collect();
        pipeline.cmd("XACK").arg(CALLS).arg(GROUP).arg(&ids);
        pipeline.cmd("XDEL").arg(CALLS).arg(&ids);
        pipeline
            .atomic()
            .ignore()
            .exec_async(&mut self.writes)
            .await?;
        Ok(())
    }

    /// Waits for replies; how many came.
    async fn replies(&mut self) -> Result<usize, Failure> {
        let mut read = cmd("XREAD");
        read.arg("BLOCK")
            .arg(0)
            .arg("STREAMS")
            .arg(REPLIES)
            .arg(&self.last);
        let answer: Value = read.query_async(&mut self.reads).await?;
        let entries = entries(answer)?;
        let count = entries.len();
        if let Some(last) = entries.into_iter().next_back().and_then(id) {
            self.last = last;
        }
        Ok(count)
    }
}

fn id(entry: Value) -> Option<Vec<u8>> {
    let Value::Array(parts) = entry else {
        return None;
    };
    match parts.into_iter().next() {
        Some(Value::BulkString(id)) => Some(id),
        _ => None,
    }
}

/// The entries of the one stream of an answer.
fn entries(answer: Value) -> Result<Vec<Value>, Failure> {
    if let Value::Array(streams) = answer
        && let Some(Value::Array(stream)) = streams.into_iter().next()
        && let Some(Value::Array(entries)) = stream.into_iter().nth(1)
    {
        return Ok(entries);
    }
    Err("an answer without entries".into())
}

async fn serve_bare(url: &str, acknowledged: bool) -> Result<(), Failure> {
    let mut bare = Bare::open(url, acknowledged).await?;
    let mut create = cmd("XGROUP");
    create
        .arg("CREATE")
        .arg(CALLS)
        .arg(GROUP)
        .arg("$")
        .arg("MKSTREAM");
    create.query_async::<Value>(&mut bare.writes).await?;
    let mut read = cmd("XREADGROUP");
    read.arg("GROUP").arg(GROUP).arg("one").arg("COUNT").arg(64);
    read.arg("BLOCK").arg(0);
    if !acknowledged {
        read.arg("NOACK");
    }
    read.arg("STREAMS").arg(CALLS).arg(">");
    loop {
        let answer: Value = read.query_async(&mut bare.reads).await?;
        bare.answer(entries(answer)?).await?;
    }
}

/// Whether a variant without a library acknowledges.
fn bare(variant: &str) -> Option<bool> {
    match variant {
        "bare" => Some(false),
        "acknowledged" => Some(true),
        _ => None,
    }
}

impl Contender for Redis {
    async fn serve(listener: Listening, variant: &str) -> Result<(), Failure> {
        let url = listener.redis()?;
        if let Some(acknowledged) = bare(variant) {
            return serve_bare(&url, acknowledged).await;
        }
        let server = Server::new()
            .register(EchoingService::new(Handler))
            .listen_transport_within(
                RedisListener::bind(RedisOptions::new(url)),
                std::convert::identity,
            )
            .start()
            .await?;
        let _server = server;
        std::future::pending().await
    }

    async fn connect(address: Option<Address>, variant: &str) -> Result<Self, Failure> {
        let url = address.ok_or("redis needs an address")?.redis()?;
        if let Some(acknowledged) = bare(variant) {
            let bare = Bare::open(&url, acknowledged).await?;
            return Ok(Self::Bare(Arc::new(Mutex::new(bare))));
        }
        let peer = mynah::connect(&url).await?;
        let client = peer.client();
        Ok(Self::Mynah(client))
    }

    async fn load(&self, load: &Load) -> Result<Tally, Failure> {
        let Self::Bare(bare) = self else {
            return echo_tasks(self, load).await;
        };
        let mut bare = bare.lock().await;
        let mut tally = Tally::default();
        let mut flying = load.pace.claim(load.in_flight);
        let mut start = Instant::now();
        bare.add(CALLS, flying).await?;
        while flying > 0 {
            let came = bare.replies().await?;
            tally.calls += came as u64;
            if load.latencies {
                start = tally.time(start);
            }
            let next = load.pace.claim(came);
            bare.add(CALLS, next).await?;
            flying = flying - came + next;
        }
        Ok(tally)
    }
}

impl TypedEcho for Redis {
    async fn echo(&self, value: Echo) -> Result<Echo, Failure> {
        match self {
            Self::Bare(_) => Err("it has no types".into()),
            Self::Mynah(client) => Ok(client.echo(value).await?),
        }
    }
}

fn main() -> ExitCode {
    mynah_bench::run::<Redis>()
}
