//! Synchronous programs: `raw`, sockets of the standard library with a thread for each connection, and `mynah`, its client
//! without a runtime. `behind` is what that is not: a runtime on a thread behind the program. One thread for each call in flight; raw, which has no ids, has one that writes and reads all of them.

use mynah::blocking;
use mynah::dialect::Native;
use mynah::prelude::*;
use mynah::tcp::TcpListener;
use mynah_bench::{Address, Contender, Echo, Failure, Listening, Load, Tally};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

/// As `raw` has it: about what the workload takes in a binary format, with a length in front.
const FRAME: usize = 4 + 96;
const BUFFER: usize = 64 * 1024;

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
enum Client {
    Raw(Arc<Mutex<TcpStream>>),
    Mynah(EchoingClient<blocking::Peer>),
}

impl Contender for Client {
    async fn serve(listener: Listening, variant: &str) -> Result<(), Failure> {
        let listener = listener.tcp()?;
        if variant != "raw" {
            let _server = Server::new()
                .register(EchoingService::new(Handler))
                .listen_on(TcpListener::from_bound(listener)?, Native::new())
                .start()
                .await?;
            return std::future::pending().await;
        }
        let listener = listener.into_std()?;
        listener.set_nonblocking(false)?;
        on_thread(move || {
            for stream in listener.incoming() {
                let stream = stream?;
                stream.set_nodelay(true)?;
                thread::spawn(move || echo(stream));
            }
            Ok(())
        })
        .await
    }

    async fn connect(address: Option<Address>, variant: &str) -> Result<Self, Failure> {
        let address = address.ok_or("a wire needs an address")?.tcp()?;
        let variant = variant.to_owned();
        on_thread(move || open(address, &variant)).await
    }

    async fn load(&self, load: &Load) -> Result<Tally, Failure> {
        let (client, load) = (self.clone(), load.clone());
        on_thread(move || client.run(&load)).await
    }
}

/// Runs it on a thread that knows of no runtime, as all of a synchronous program does.
async fn on_thread<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, Failure> + Send + 'static,
) -> Result<R, Failure> {
    let (done, result) = tokio::sync::oneshot::channel();
    thread::spawn(move || done.send(work()));
    result.await?
}

fn open(address: SocketAddr, variant: &str) -> Result<Client, Failure> {
    Ok(match variant {
        "mynah" => {
            let peer = blocking::connect(&format!("tcp://{address}"))?;
            Client::Mynah(peer.client())
        }
        "behind" => {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()?;
            let peer = runtime.block_on(mynah::connect(&format!("tcp://{address}")))?;
            let peer = blocking::Peer::of(peer, runtime.handle().clone());
            // It lives as long as the program.
            std::mem::forget(runtime);
            Client::Mynah(peer.client())
        }
        _ => {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            Client::Raw(Arc::new(Mutex::new(stream)))
        }
    })
}

impl Client {
    fn run(&self, load: &Load) -> Result<Tally, Failure> {
        match self {
            Self::Raw(stream) => {
                let mut stream = stream.lock().unwrap_or_else(PoisonError::into_inner);
                frames(&mut stream, load)
            }
            Self::Mynah(client) if load.in_flight == 1 => calls(client, load, 0),
            Self::Mynah(client) => thread::scope(|scope| {
                let threads: Vec<_> = (0..load.in_flight as u64)
                    .map(|number| scope.spawn(move || calls(client, load, number)))
                    .collect();
                let mut sum = Tally::default();
                for thread in threads {
                    let tally = thread.join().map_err(|_panic| "a thread panicked")??;
                    sum.calls += tally.calls;
                    sum.latencies.extend(tally.latencies);
                }
                Ok(sum)
            }),
        }
    }
}

/// One call after the other.
fn calls(
    client: &EchoingClient<blocking::Peer>,
    load: &Load,
    first: u64,
) -> Result<Tally, Failure> {
    let sent = Echo::new(first);
    let mut value = sent.clone();
    let mut tally = Tally::default();
    let mut start = Instant::now();
    while load.pace.claim(1) == 1 {
        let id = first + (tally.calls << 16);
        value.id = id;
        value = client.echo(value).wait()?;
        if value.id != id {
            return Err(format!("sent {id}, got {}", value.id).into());
        }
        tally.calls += 1;
        if load.latencies {
            start = tally.time(start);
        }
    }
    if value.name != sent.name || value.values != sent.values {
        return Err("the answer is not what was sent".into());
    }
    Ok(tally)
}

/// As many frames as have come are written again, in one write.
fn frames(stream: &mut TcpStream, load: &Load) -> Result<Tally, Failure> {
    let frames = vec![7; FRAME * load.in_flight];
    let mut input = vec![0; BUFFER.max(frames.len())];
    let mut tally = Tally::default();
    let mut flying = load.pace.claim(load.in_flight);
    let mut filled = 0;
    let mut start = Instant::now();
    stream.write_all(&frames[..flying * FRAME])?;
    while flying > 0 {
        match stream.read(&mut input[filled..])? {
            0 => return Err("closed".into()),
            read => filled += read,
        }
        let whole = filled / FRAME;
        filled %= FRAME;
        tally.calls += whole as u64;
        if load.latencies && whole > 0 {
            start = tally.time(start);
        }
        let next = if whole == 0 {
            0
        } else {
            load.pace.claim(whole)
        };
        if next > 0 {
            stream.write_all(&frames[..next * FRAME])?;
        }
        flying = flying - whole + next;
    }
    Ok(tally)
}

/// Until the connection ends.
fn echo(mut stream: TcpStream) -> Result<(), Failure> {
    let mut buffer = vec![0; BUFFER];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            read => stream.write_all(&buffer[..read])?,
        }
    }
}

fn main() -> ExitCode {
    mynah_bench::run::<Client>()
}
