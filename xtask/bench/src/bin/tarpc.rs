//! tarpc over tcp, variants `bincode` and `json`; channel settings and deadline are its
//! defaults, and frames may be as long as the longest payload.

use futures::StreamExt as _;
use mynah_bench::{
    Address, Bytes, Contender, Echo, Failure, Listening, Load, MAX_MESSAGE, Tally, TypedEcho,
    echo_tasks,
};
use serde_bytes::ByteBuf;
use std::process::ExitCode;
use tarpc::server::{BaseChannel, Channel as _};
use tarpc::{ClientMessage, Response, client, context, serde_transport};
use tokio::net::TcpStream;
use tokio_serde::formats::{Bincode, Json};
use tokio_util::codec::{Framed, LengthDelimitedCodec};

#[tarpc::service]
trait EchoService {
    async fn echo(value: Echo) -> Echo;
    async fn blob(payload: ByteBuf) -> ByteBuf;
    async fn upload(payload: ByteBuf) -> u64;
}

#[derive(Clone)]
struct Server;

impl EchoService for Server {
    async fn echo(self, _: context::Context, value: Echo) -> Echo {
        value
    }

    async fn blob(self, _: context::Context, payload: ByteBuf) -> ByteBuf {
        payload
    }

    async fn upload(self, _: context::Context, payload: ByteBuf) -> u64 {
        payload.len() as u64
    }
}

#[derive(Clone)]
struct Tarpc(EchoServiceClient);

impl Contender for Tarpc {
    async fn serve(listener: Listening, variant: &str) -> Result<(), Failure> {
        let listener = listener.tcp()?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let framed = framed(stream);
            match variant {
                "bincode" => answer(serde_transport::new(framed, Bincode::default())),
                "json" => answer(serde_transport::new(framed, Json::default())),
                other => return Err(format!("unknown variant {other}").into()),
            }
        }
    }

    async fn connect(address: Option<Address>, variant: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address.ok_or("tarpc needs an address")?.tcp()?).await?;
        stream.set_nodelay(true)?;
        let framed = framed(stream);
        let config = client::Config::default();
        Ok(Self(match variant {
            "bincode" => {
                let transport = serde_transport::new(framed, Bincode::default());
                EchoServiceClient::new(config, transport).spawn()
            }
            "json" => {
                let transport = serde_transport::new(framed, Json::default());
                EchoServiceClient::new(config, transport).spawn()
            }
            other => return Err(format!("unknown variant {other}").into()),
        }))
    }

    async fn load(&self, load: &Load) -> Result<Tally, Failure> {
        echo_tasks(self, load).await
    }

    async fn blob(&self, payload: Bytes) -> Result<Bytes, Failure> {
        // Its messages own what they hold.
        let payload = ByteBuf::from(payload.to_vec());
        let came = self.0.blob(context::current(), payload).await?;
        Ok(Bytes::from(came.into_vec()))
    }

    async fn upload(&self, payload: Bytes) -> Result<u64, Failure> {
        let payload = ByteBuf::from(payload.to_vec());
        Ok(self.0.upload(context::current(), payload).await?)
    }
}

impl TypedEcho for Tarpc {
    async fn echo(&self, value: Echo) -> Result<Echo, Failure> {
        Ok(self.0.echo(context::current(), value).await?)
    }
}

fn framed(stream: TcpStream) -> Framed<TcpStream, LengthDelimitedCodec> {
    let codec = LengthDelimitedCodec::builder()
        .max_frame_length(MAX_MESSAGE)
        .new_codec();
    Framed::new(stream, codec)
}

/// As in tarpc's own examples: a task for each request.
fn answer<T>(transport: T)
where
    T: tarpc::Transport<Response<EchoServiceResponse>, ClientMessage<EchoServiceRequest>>
        + Send
        + 'static,
{
    let channel = BaseChannel::with_defaults(transport);
    tokio::spawn(channel.execute(Server.serve()).for_each(|response| async {
        tokio::spawn(response);
    }));
}

fn main() -> ExitCode {
    mynah_bench::run::<Tarpc>()
}
