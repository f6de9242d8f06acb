//! Mynah, variants `cbor` and `json` (native, over a wire), `local` (in process), `local-intercepted` (the same with an
//! interceptor on each side that looks at the call and lets it pass), `by-name`: as `cbor`, and calls say their names
//! instead of a typed client's, and `by-hand`: as `cbor`, and what answers `echo` is a closure under a name, called by a
//! typed client.
//!
//! Limits, deadlines (the default of 30 s) and cancellation are on, as they are for any program.

use futures::{Stream, StreamExt as _, stream};
use mynah::dialect::Native;
use mynah::prelude::*;
use mynah::tcp::TcpListener;
use mynah::unix::UnixListener;
use mynah::{Before, Evidence, InterceptedCall, Interceptor, Limits};
use mynah_bench::{
    Address, Bytes, Contender, Echo, Failure, Item, Listening, Load, MAX_MESSAGE, Seen, Taken,
    Tally, TypedEcho, echo_tasks,
};
use std::process::ExitCode;
use std::sync::Arc;

/// What subscribers of `fanout` hear.
const TOPIC: &str = "bench";

#[mynah::service]
trait Echoing {
    async fn echo(&self, value: Echo) -> Echo;
    async fn blob(&self, payload: mynah::Bytes) -> mynah::Bytes;
    async fn upload(&self, payload: mynah::Bytes) -> u64;
    fn numbers(&self, items: u64) -> impl Stream<Item = Item> + Send;
    async fn ask(&self, times: u64, asked: Callback<u64, u64>) -> Result<(), RpcError>;
    async fn publish(&self, cx: &Context, event: u64) -> Result<(), RpcError>;
}

/// What interception costs by itself.
struct Onlooker;

impl Interceptor for Onlooker {
    fn before(&self, _: &mut InterceptedCall<'_>) -> Before {
        Before::Proceed
    }
}

struct Handler;

impl Echoing for Handler {
    async fn echo(&self, value: Echo) -> Echo {
        value
    }

    async fn blob(&self, payload: mynah::Bytes) -> mynah::Bytes {
        payload
    }

    async fn upload(&self, payload: mynah::Bytes) -> u64 {
        payload.len() as u64
    }

    fn numbers(&self, items: u64) -> impl Stream<Item = Item> + Send {
        stream::iter((0..items).map(Item::at))
    }

    async fn ask(&self, times: u64, asked: Callback<u64, u64>) -> Result<(), RpcError> {
        for number in 0..times {
            let answer = asked.call(number).await.map_err(unexpected)?;
            if answer != number {
                return Err(unexpected(format!("asked for {number}, got {answer}")));
            }
        }
        Ok(())
    }

    async fn publish(&self, cx: &Context, event: u64) -> Result<(), RpcError> {
        let published = cx.events().publish(TOPIC, &event).await;
        published.map(drop).map_err(unexpected)
    }
}

fn unexpected(error: impl ToString) -> RpcError {
    RpcError::new(ErrorCode::application(1), error.to_string())
}

#[derive(Clone)]
struct Mynah {
    peer: Peer,
    client: EchoingClient,
    /// Calls are made by name.
    by_name: bool,
    /// In process the server lives here.
    _server: Option<Arc<mynah::ServerHandle>>,
}

impl Contender for Mynah {
    async fn serve(listener: Listening, variant: &str) -> Result<(), Failure> {
        let server = if variant == "by-hand" {
            // The same name and the same answer: only how it was registered is different.
            Server::new().method("echoing.echo", |(value,): (Echo,)| async move { value })
        } else {
            Server::new().register(EchoingService::new(Handler))
        };
        let server = server.limits(limits());
        // The far ends of its pipes stay open as long as this does.
        let mut held = None;
        let server = match listener {
            Listening::Tcp(listener) => {
                server.listen_on(TcpListener::from_bound(listener)?, Native::new())
            }
            Listening::Unix(listener) => {
                let listener = UnixListener::from_std(listener.into_std()?)?;
                server.listen_on(listener, Native::new())
            }
            Listening::Redis(_) => return Err("redis has a program of its own".into()),
            Listening::Pipes(pipes) => {
                let mut server = server;
                while let Some(pair) = pipes.take() {
                    server = server.attach(pair, Native::new(), Evidence::new());
                }
                held = Some(pipes);
                server
            }
        };
        let _held = held;
        let _server = server.start().await?;
        std::future::pending().await
    }

    async fn connect(address: Option<Address>, variant: &str) -> Result<Self, Failure> {
        if variant.starts_with("local") {
            let mut server = Server::new().register(EchoingService::new(Handler));
            if variant == "local-intercepted" {
                server = server.intercept(Onlooker);
            }
            let server = server.start().await?;
            let mut peer = server.local();
            if variant == "local-intercepted" {
                peer = peer.with_interceptor(Onlooker);
            }
            return Ok(Self {
                client: peer.client(),
                peer,
                by_name: false,
                _server: Some(Arc::new(server)),
            });
        }
        let by_name = variant == "by-name";
        let address = address.ok_or("mynah over a wire needs an address")?;
        let peer = if let Address::Pipes { .. } = address {
            // The stream of a child is these two and a look at whether it lives.
            Peer::over(address.connect().await?, &Native::new())
                .limits(limits())
                .start()?
        } else {
            let format = match variant {
                "by-name" | "by-hand" => "cbor",
                format => format,
            };
            mynah::connector(&format!("{address}?format={format}"))?
                .limits(limits())
                .connect()
                .await?
        };
        Ok(Self {
            client: peer.client(),
            peer,
            by_name,
            _server: None,
        })
    }

    async fn load(&self, load: &Load) -> Result<Tally, Failure> {
        echo_tasks(self, load).await
    }

    fn first_bytes() -> Option<&'static [u8]> {
        // Preface and hello.
        Some(b"MYNAH\x01J\n\x00\x00\x00\x05[0,1]")
    }

    async fn blob(&self, payload: Bytes) -> Result<Bytes, Failure> {
        Ok(self.client.blob(payload.into()).await?.into())
    }

    async fn upload(&self, payload: Bytes) -> Result<u64, Failure> {
        Ok(self.client.upload(payload.into()).await?)
    }

    async fn numbers(&self, items: u64) -> Result<Taken, Failure> {
        let mut numbers = self.client.numbers(items).start();
        let mut taken = Taken::default();
        while let Some(item) = numbers.next().await {
            taken.take(item?);
        }
        Ok(taken)
    }

    async fn callbacks(&self, times: u64) -> Result<(), Failure> {
        Ok(self.client.ask(times, async |number| Ok(number)).await?)
    }

    async fn subscribe(&self, subscribers: usize, seen: Arc<Seen>) -> Result<(), Failure> {
        for _ in 0..subscribers {
            let mut events = self.peer.subscribe::<u64>(TOPIC).await?;
            let seen = seen.clone();
            tokio::spawn(async move {
                while let Some(Ok(_)) = events.next().await {
                    seen.one();
                }
            });
        }
        Ok(())
    }

    async fn publish(&self, event: u64) -> Result<(), Failure> {
        Ok(self.client.publish(event).await?)
    }
}

impl TypedEcho for Mynah {
    async fn echo(&self, value: Echo) -> Result<Echo, Failure> {
        if self.by_name {
            let call = self.peer.call("echoing", "echo").args((value,));
            return Ok(call.result().await?);
        }
        Ok(self.client.echo(value).await?)
    }
}

/// Its defaults, but for the longest message.
fn limits() -> Limits {
    Limits::default().with_max_message_bytes(MAX_MESSAGE)
}

fn main() -> ExitCode {
    mynah_bench::run::<Mynah>()
}
