//! Redis Streams by hand, and as PyPI clamator-over-redis has it.
//!
//! `bare` is the floor: each call an entry of a stream that a group reads, each answer an entry of a stream that the client
//! reads, with redis-rs and nothing around it. Nothing is acknowledged, decoded or renewed; streams are trimmed now and then,
//! or memory would be measured. What waits is written in one pipeline.

use mynah_bench::{Address, Contender, Failure, Listening, Load, Tally};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Client, Cmd, Pipeline, Value, cmd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tokio::sync::Mutex;

const COMMANDS: &str = "bare:cmds:echoing";
const GROUP: &str = "echoing";
/// Entries of one reading.
const MOST: usize = 512;
/// Entries that are kept.
const KEPT: usize = 4096;
/// As long as what Mynah writes for the workload.
const ENVELOPE: &str = r#"{"jsonrpc":"2.0","method":"echoing.echo","params":{"value":{"id":123456789,"name":"sixteen letters.","values":[1.5,-2.25,3.141592653589793,0.001]}},"id":"123456789012345678"}"#;

#[derive(Clone)]
struct Bare(Arc<Mutex<Caller>>);

struct Caller {
    writes: MultiplexedConnection,
    reads: MultiplexedConnection,
    replies: String,
    /// The id of the entry that was read last.
    last: Vec<u8>,
}

impl Contender for Bare {
    async fn serve(listener: Listening, _: &str) -> Result<(), Failure> {
        let Listening::Redis(redis) = listener else {
            return Err("it needs a Redis".into());
        };
        let client = Client::open(format!("redis://{}/0", redis.address()))?;
        let (mut writes, mut reads) = (open(&client).await?, open(&client).await?);
        create_group(&mut writes).await?;
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP").arg(GROUP).arg("one");
        read.arg("COUNT")
            .arg(MOST)
            .arg("BLOCK")
            .arg(1000)
            .arg("NOACK");
        read.arg("STREAMS").arg(COMMANDS).arg(">");
        loop {
            let mut answers = Pipeline::new();
            for (_, fields) in entries(reads.req_packed_command(&read).await?) {
                let [
                    _,
                    _,
                    _,
                    Value::BulkString(envelope),
                    _,
                    Value::BulkString(reply_to),
                ] = fields.as_slice()
                else {
                    return Err("an entry is not of the form that is sent".into());
                };
                let mut add = add(reply_to);
                add.arg("type").arg("rpc").arg("envelope").arg(envelope);
                answers.add_command(add);
            }
            run(&mut writes, &answers).await?;
        }
    }

    async fn connect(address: Option<Address>, _: &str) -> Result<Self, Failure> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let address = address.ok_or("it needs a Redis")?;
        let client = Client::open(address.to_string())?;
        let mut writes = open(&client).await?;
        create_group(&mut writes).await?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Ok(Self(Arc::new(Mutex::new(Caller {
            writes,
            reads: open(&client).await?,
            replies: format!("bare:replies:{}-{number}", std::process::id()),
            last: b"0".to_vec(),
        }))))
    }

    async fn load(&self, load: &Load) -> Result<Tally, Failure> {
        let caller = &mut *self.0.lock().await;
        let mut tally = Tally::default();
        let mut flying = load.pace.claim(load.in_flight);
        let mut start = Instant::now();
        caller.call(flying).await?;
        while flying > 0 {
            let came = caller.answers().await?;
            tally.calls += came as u64;
            if load.latencies && came > 0 {
                start = tally.time(start);
            }
            let next = if came == 0 { 0 } else { load.pace.claim(came) };
            caller.call(next).await?;
            flying = flying - came + next;
        }
        Ok(tally)
    }
}

impl Caller {
    async fn call(&mut self, calls: usize) -> Result<(), Failure> {
        let mut commands = Pipeline::new();
        for _ in 0..calls {
            let mut add = add(COMMANDS.as_bytes());
            add.arg("type").arg("rpc").arg("envelope").arg(ENVELOPE);
            add.arg("reply-to").arg(&self.replies);
            commands.add_command(add);
        }
        run(&mut self.writes, &commands).await
    }

    async fn answers(&mut self) -> Result<usize, Failure> {
        let mut read = cmd("XREAD");
        read.arg("COUNT").arg(MOST).arg("BLOCK").arg(1000);
        read.arg("STREAMS").arg(&self.replies).arg(&self.last);
        let came = entries(self.reads.req_packed_command(&read).await?);
        if let Some((id, _)) = came.last() {
            self.last.clone_from(id);
        }
        Ok(came.len())
    }
}

fn add(stream: &[u8]) -> Cmd {
    let mut add = cmd("XADD");
    add.arg(stream).arg("MAXLEN").arg("~").arg(KEPT).arg("*");
    add
}

async fn open(client: &Client) -> Result<MultiplexedConnection, Failure> {
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let connection = client.get_multiplexed_async_connection_with_config(&config);
    Ok(connection.await?)
}

/// Whoever comes first makes it.
async fn create_group(connection: &mut MultiplexedConnection) -> Result<(), Failure> {
    let mut create = cmd("XGROUP");
    create
        .arg("CREATE")
        .arg(COMMANDS)
        .arg(GROUP)
        .arg("0")
        .arg("MKSTREAM");
    match connection.req_packed_command(&create).await {
        Err(error) if error.code() != Some("BUSYGROUP") => Err(error.into()),
        _ => Ok(()),
    }
}

async fn run(connection: &mut MultiplexedConnection, commands: &Pipeline) -> Result<(), Failure> {
    if !commands.is_empty() {
        let answers = connection.req_packed_commands(commands, 0, commands.len());
        answers.await?;
    }
    Ok(())
}

/// The entries of the one stream that was read: ids and fields.
fn entries(answer: Value) -> Vec<(Vec<u8>, Vec<Value>)> {
    let array = |value| match value {
        Value::Array(values) => values,
        _ => Vec::new(),
    };
    let stream = array(answer).pop().map(array).and_then(|mut it| it.pop());
    let entry = |value| {
        let mut parts = array(value).into_iter();
        match (parts.next(), parts.next()) {
            (Some(Value::BulkString(id)), Some(fields)) => Some((id, array(fields))),
            _ => None,
        }
    };
    let entries = stream.map(array).unwrap_or_default();
    entries.into_iter().filter_map(entry).collect()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "python") {
        return mynah_bench::run::<Bare>();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let server = arguments.first().is_some_and(|role| role == "server");
    // Whoever the harness asks starts Redis; the rest is a script that speaks the same protocol.
    let role = if server { "server" } else { "client" };
    let error = Command::new(root.join("../../interop-tests/.venv-clamator/bin/python"))
        .arg(root.join("python/clamator.py"))
        .arg(role)
        .args(&arguments[1..])
        .exec();
    eprintln!("cannot run the Python of `cargo xtask interop`: {error}");
    ExitCode::FAILURE
}
