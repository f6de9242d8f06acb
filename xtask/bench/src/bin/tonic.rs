//! tonic (gRPC) over tcp. The messages and the service are written by hand, as its generator would
//! write them, so that no machine needs protoc. Windows and queues are its defaults.

use futures::stream;
use mynah_bench::{
    Address, Bytes, Contender, Echo, Failure, Item, Listening, Load, MAX_MESSAGE, Taken, Tally,
    TypedEcho, echo_tasks,
};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::ops::Range;
use std::process::ExitCode;
use tonic::body::Body;
use tonic::codegen::http::{self, uri::PathAndQuery};
use tonic::codegen::{Body as HttpBody, BoxFuture, Context, Poll, Service, StdError};
use tonic::server::{NamedService, ServerStreamingService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

const ECHO: &str = "/bench.Bench/Echo";
const BLOB: &str = "/bench.Bench/Blob";
const UPLOAD: &str = "/bench.Bench/Upload";
const NUMBERS: &str = "/bench.Bench/Numbers";

#[derive(Clone, PartialEq, prost::Message)]
struct EchoMessage {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(double, repeated, tag = "3")]
    values: Vec<f64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct BlobMessage {
    #[prost(bytes = "bytes", tag = "1")]
    payload: Bytes,
}

/// Of items, or of bytes.
#[derive(Clone, Copy, PartialEq, prost::Message)]
struct NumberMessage {
    #[prost(uint64, tag = "1")]
    number: u64,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct ItemMessage {
    #[prost(uint64, tag = "1")]
    seq: u64,
    #[prost(double, tag = "2")]
    value: f64,
}

/// The service: its handlers are ready at once.
#[derive(Clone, Copy)]
struct Server;

impl NamedService for Server {
    const NAME: &'static str = "bench.Bench";
}

impl<B> Service<http::Request<B>> for Server
where
    B: HttpBody + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        match request.uri().path() {
            ECHO => Box::pin(async move {
                let codec = ProstCodec::<EchoMessage, EchoMessage>::default();
                let mut grpc = tonic::server::Grpc::new(codec);
                Ok(grpc.unary(Handler, request).await)
            }),
            BLOB => Box::pin(async move {
                let codec = ProstCodec::<BlobMessage, BlobMessage>::default();
                let mut grpc =
                    tonic::server::Grpc::new(codec).max_decoding_message_size(MAX_MESSAGE);
                Ok(grpc.unary(Handler, request).await)
            }),
            UPLOAD => Box::pin(async move {
                let codec = ProstCodec::<NumberMessage, BlobMessage>::default();
                let mut grpc =
                    tonic::server::Grpc::new(codec).max_decoding_message_size(MAX_MESSAGE);
                Ok(grpc.unary(Uploads, request).await)
            }),
            NUMBERS => Box::pin(async move {
                let codec = ProstCodec::<ItemMessage, NumberMessage>::default();
                let mut grpc = tonic::server::Grpc::new(codec);
                Ok(grpc.server_streaming(Handler, request).await)
            }),
            _ => Box::pin(ready(Ok(
                Status::unimplemented("no such method").into_http()
            ))),
        }
    }
}

struct Handler;

impl UnaryService<EchoMessage> for Handler {
    type Response = EchoMessage;
    type Future = Ready<Result<Response<EchoMessage>, Status>>;

    fn call(&mut self, request: Request<EchoMessage>) -> Self::Future {
        ready(Ok(Response::new(request.into_inner())))
    }
}

impl UnaryService<BlobMessage> for Handler {
    type Response = BlobMessage;
    type Future = Ready<Result<Response<BlobMessage>, Status>>;

    fn call(&mut self, request: Request<BlobMessage>) -> Self::Future {
        ready(Ok(Response::new(request.into_inner())))
    }
}

struct Uploads;

impl UnaryService<BlobMessage> for Uploads {
    type Response = NumberMessage;
    type Future = Ready<Result<Response<NumberMessage>, Status>>;

    fn call(&mut self, request: Request<BlobMessage>) -> Self::Future {
        let number = request.into_inner().payload.len() as u64;
        ready(Ok(Response::new(NumberMessage { number })))
    }
}

/// Items of a stream, one after the other.
type Items = stream::Iter<std::iter::Map<Range<u64>, fn(u64) -> Result<ItemMessage, Status>>>;

impl ServerStreamingService<NumberMessage> for Handler {
    type Response = ItemMessage;
    type ResponseStream = Items;
    type Future = Ready<Result<Response<Items>, Status>>;

    fn call(&mut self, request: Request<NumberMessage>) -> Self::Future {
        let items = 0..request.into_inner().number;
        let item: fn(u64) -> Result<ItemMessage, Status> = |seq| {
            let Item { seq, value } = Item::at(seq);
            Ok(ItemMessage { seq, value })
        };
        ready(Ok(Response::new(stream::iter(items.map(item)))))
    }
}

#[derive(Clone)]
struct Tonic(tonic::client::Grpc<Channel>);

impl Tonic {
    /// Like a generated client: a clone for each task, asked whether it is ready before each call.
    async fn ready(&self) -> Result<tonic::client::Grpc<Channel>, Failure> {
        let mut grpc = self.0.clone();
        grpc.ready().await?;
        Ok(grpc)
    }
}

impl Contender for Tonic {
    async fn serve(listener: Listening, _: &str) -> Result<(), Failure> {
        let listener = listener.tcp()?;
        // `Server::tcp_nodelay` does not reach an incoming that it is given.
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let mut server = tonic::transport::Server::builder();
        let router = server.add_service(Server);
        Ok(router.serve_with_incoming(incoming).await?)
    }

    async fn connect(address: Option<Address>, _: &str) -> Result<Self, Failure> {
        let address = address.ok_or("tonic needs an address")?.tcp()?;
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
        let channel = endpoint.connect().await?;
        let grpc = tonic::client::Grpc::new(channel).max_decoding_message_size(MAX_MESSAGE);
        Ok(Self(grpc))
    }

    async fn load(&self, load: &Load) -> Result<Tally, Failure> {
        echo_tasks(self, load).await
    }

    async fn numbers(&self, items: u64) -> Result<Taken, Failure> {
        let mut grpc = self.ready().await?;
        let codec = ProstCodec::<NumberMessage, ItemMessage>::default();
        let request = Request::new(NumberMessage { number: items });
        let path = PathAndQuery::from_static(NUMBERS);
        let response = grpc.server_streaming(request, path, codec).await?;
        let mut items = response.into_inner();
        let mut taken = Taken::default();
        while let Some(ItemMessage { seq, value }) = items.message().await? {
            taken.take(Item { seq, value });
        }
        Ok(taken)
    }

    async fn blob(&self, payload: Bytes) -> Result<Bytes, Failure> {
        let mut grpc = self.ready().await?;
        let codec = ProstCodec::<BlobMessage, BlobMessage>::default();
        let request = Request::new(BlobMessage { payload });
        let path = PathAndQuery::from_static(BLOB);
        Ok(grpc.unary(request, path, codec).await?.into_inner().payload)
    }

    async fn upload(&self, payload: Bytes) -> Result<u64, Failure> {
        let mut grpc = self.ready().await?;
        let codec = ProstCodec::<BlobMessage, NumberMessage>::default();
        let request = Request::new(BlobMessage { payload });
        let path = PathAndQuery::from_static(UPLOAD);
        Ok(grpc.unary(request, path, codec).await?.into_inner().number)
    }
}

impl TypedEcho for Tonic {
    async fn echo(&self, value: Echo) -> Result<Echo, Failure> {
        let mut grpc = self.ready().await?;
        let codec = ProstCodec::<EchoMessage, EchoMessage>::default();
        let request = Request::new(EchoMessage {
            id: value.id,
            name: value.name,
            values: value.values.to_vec(),
        });
        let path = PathAndQuery::from_static(ECHO);
        let EchoMessage { id, name, values } = grpc.unary(request, path, codec).await?.into_inner();
        let values = <[f64; 4]>::try_from(values).map_err(|_| "not four values")?;
        Ok(Echo { id, name, values })
    }
}

fn main() -> ExitCode {
    mynah_bench::run::<Tonic>()
}
