//! Define a service once as a trait; serve and call it over any transport, in the wire format of the peer.
//!
//! Both ends of a connection are equal: a handler calls back through `cx.peer()`, and a client may register services
//! of its own.
//!
//! ```
//! use mynah::prelude::*;
//!
//! #[mynah::service]
//! pub trait Arith {
//!     async fn add(&self, cx: &Context, a: i64, b: i64) -> Result<i64, RpcError>;
//! }
//!
//! struct MyArith;
//!
//! impl Arith for MyArith {
//!     async fn add(&self, _cx: &Context, a: i64, b: i64) -> Result<i64, RpcError> {
//!         a.checked_add(b).ok_or_else(|| RpcError::new(ErrorCode::application(1), "too large"))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::new()
//!     .register(ArithService::new(MyArith))
//!     .listen("tcp://127.0.0.1:0")
//!     .start()
//!     .await?;
//! let arith: ArithClient = mynah::connect(server.address()).await?.client();
//! assert_eq!(arith.add(2, 3).await?, 5);
//! # Ok(())
//! # }
//! ```
//!
//! A method may have a stream of results, take a stream or callbacks of its caller, and a service may publish events:
//!
//! ```
//! use futures::{StreamExt, stream};
//! use mynah::prelude::*;
//!
//! #[mynah::service]
//! pub trait Sensors {
//!     /// A stream of results, which may borrow from the service.
//!     fn readings(&self, count: u64) -> impl Stream<Item = Result<u64, RpcError>> + Send;
//!     /// A stream of the caller.
//!     async fn sum(&self, values: Incoming<u64>) -> u64;
//!     /// A function of the caller.
//!     async fn watch(&self, seen: Callback<u64>);
//!     /// What is published; a subscriber that is too slow hears the newest only.
//!     #[event(lag = "latest")]
//!     fn level(level: u64);
//! }
//!
//! struct MySensors {
//!     base: u64,
//! }
//!
//! impl Sensors for MySensors {
//!     fn readings(&self, count: u64) -> impl Stream<Item = Result<u64, RpcError>> + Send {
//!         stream::iter(0..count).map(|number| Ok(self.base + number))
//!     }
//!
//!     async fn sum(&self, values: Incoming<u64>) -> u64 {
//!         values.fold(0, async |sum, value| sum + value.unwrap_or(0)).await
//!     }
//!
//!     async fn watch(&self, seen: Callback<u64>) {
//!         for value in 0..3 {
//!             if seen.send(value).await.is_err() {
//!                 return;
//!             }
//!         }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::new()
//!     .register(SensorsService::new(MySensors { base: 10 }))
//!     .listen("tcp://127.0.0.1:0")
//!     .start()
//!     .await?;
//! let sensors: SensorsClient = mynah::connect(server.address()).await?.client();
//!
//! let mut readings = sensors.readings(2).start();
//! assert_eq!(readings.next().await.transpose()?, Some(10));
//! assert_eq!(sensors.sum(stream::iter([1, 2, 3])).await?, 6);
//! sensors.watch(|value| println!("{value}")).await?;
//!
//! let mut level = sensors.level().await?;
//! SensorsEvents::new(server.events().clone()).level(&7).await?;
//! assert_eq!(level.next().await.transpose()?, Some(7));
//! # Ok(())
//! # }
//! ```
//!
//! | crate | what it holds |
//! |---|---|
//! | `mynah-protocol` | what is said: envelopes, ids, errors, limits, transport traits |
//! | `mynah-codec` | how it is written: formats, framings, dialects |
//! | `mynah-connection` | the rules of one connection, without I/O |
//! | `mynah-contract` | contracts as values, and what a change of them breaks |
//! | `mynah-peer` | what a program uses |
//! | `mynah-transport-…` | one adapter each |
//! | `mynah` | this one: re-exports, and URLs |

pub mod blocking;
mod url;

#[doc(inline)]
pub use mynah_codec::Bytes;
#[doc(inline)]
pub use mynah_endpoint::{Endpoint, EndpointError, LimitChanges, Place};
#[doc(inline)]
pub use mynah_macros::{DomainError, export, service};
#[doc(inline)]
pub use mynah_peer::{
    Admission, AttachError, Attached, Attempt, Backoff, Before, Call, CallBuilder, CallError,
    CallFuture, CallKind, CallOutcome, CallSide, Callback, Caller, CallerExt, Context, CutCall,
    CutConnection, Delivery, DialError, DirectError, DomainError, DrainReport, EarlyListeners,
    Events, Extensions, Fault, Faults, FinishedCall, FromContext, Handler, IdTaken, Incoming,
    Intercepted, InterceptedCall, Interceptor, Interceptors, Lag, LocalServer, LogLine, Logs,
    MethodEntry, MethodInfo, MethodKind, Methods, Needs, NoReply, Notify, Object, Params, Peer,
    PeerBuilder, PeerId, PeerStats, Peers, Published, RawAnswer, RawCall, Reconnect,
    ReconnectState, ReconnectStats, ReconnectWatch, Reconnecting, RegisterError, Router, RunKind,
    Server, ServerError, ServerHandle, ServerState, Service, ServiceClient, Session, SessionLimit,
    SessionPermit, SessionPolicy, Shield, SlowThresholds, State, Step, StreamCall, Streaming,
    Subscribe, Subscription, TraceContext, Validate, Verdict, WaitFor, WasSent, validated,
};
#[doc(inline)]
pub use mynah_peer::{CheckError, Contracted, Shown};
#[doc(inline)]
pub use mynah_protocol::{
    By, DecodeLimits, DuplicateKeys, EndReason, ErrorCode, Evidence, EvidenceKey, FormatId, Limits,
    Metadata, MethodName, OPERATION_ID, Outcome, PeerEnd, RpcError, Value,
};
pub use url::{ConnectError, Connector, Listen, connect, connector};

/// The trait of streams, as everywhere: that of `futures` and `tokio-stream`.
pub use futures_core::Stream;
pub use mynah_connection::CloseReason;

/// What is said and heard through a [`Caller`], for those who write one: a pool, a wrapper, a mock.
pub mod caller {
    pub use mynah_peer::{
        Attachments, Encoded, OutgoingCall, ReplyBuffer, ResultStream, SideEffects, Ticket,
        WireFormat,
    };
}

/// How params are given, written and read, for those who do by hand what the macro does.
pub mod params {
    pub use mynah_peer::{
        And, Args, IntoArg, IntoArgs, NamedParams, Plain, ReadList, Reads, Signature, Spelled,
        Spelling,
    };
}

/// Opens and accepts by URL, whatever the transport.
pub use mynah_endpoint as endpoint;

/// Wire formats of peers, to choose from.
pub mod dialect {
    pub use mynah_codec::dialect::cbor_rpc::CborRpc;
    pub use mynah_codec::dialect::jsonrpc::JsonRpc;
    pub use mynah_codec::dialect::kollabor::Kollabor;
    pub use mynah_codec::dialect::native::{CustomNative, Native};
    pub use mynah_codec::{Dialect, Side};
}

/// Envelopes, and the traits that a transport implements.
pub use mynah_protocol as protocol;

/// Formats, framings and wires.
pub use mynah_codec as codec;

/// Contracts as values: manifests, hashes, and what a change breaks.
#[doc(inline)]
pub use mynah_contract as contract;

/// The contract of a service, from a type that the macro made of it: `contract_of::<ArithClient>()`.
#[must_use]
pub fn contract_of<K: Contracted>() -> contract::Contract {
    K::contract()
}

/// Layers of tower around calls. With the feature `tower`.
#[cfg(feature = "tower")]
pub use mynah_tower as tower;

/// TCP. With the feature `tcp`.
#[cfg(feature = "tcp")]
pub use mynah_transport_tcp as tcp;

/// Redis Streams. With the feature `redis-streams`.
#[cfg(feature = "redis-streams")]
pub use mynah_transport_redis_streams as redis_streams;
/// SSH. With the feature `ssh`; empty on systems that are no Unix.
#[cfg(feature = "ssh")]
pub use mynah_transport_ssh as ssh;

/// One's own stdin and stdout, and children as peers. With the feature `stdio`; empty on systems that are no Unix.
#[cfg(feature = "stdio")]
pub use mynah_transport_stdio as stdio;

/// Unix sockets. With the feature `unix`; empty on systems that have none.
#[cfg(feature = "unix")]
pub use mynah_transport_unix as unix;

/// Pairs of connected ends in memory. With the feature `memory`.
#[cfg(feature = "memory")]
pub use mynah_transport_memory as memory;

/// What most programs need.
pub mod prelude {
    pub use crate::CallerExt as _;
    pub use crate::url::Listen as _;
    pub use crate::{
        CallError, Callback, Context, ErrorCode, Incoming, Peer, RpcError, Server, Stream,
    };
}

/// What generated code refers to. Not for programs: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use futures_core::Stream;
    pub use mynah_contract::{Contract, ErrorEntry, Event, Method, MethodKind, Param};
    #[cfg(feature = "schema")]
    pub use mynah_contract::{received, sent};
    pub use mynah_peer::Contracted;
    pub use mynah_peer::blocking::IntoInput;
    pub use mynah_peer::{
        Call, CallError, Callback, Caller, Context, DomainError, Events, Export, Incoming, Lag,
        MethodInfo, MockCalls, Notify, Peer, Published, ReadList, Routes, Service, ServiceClient,
        Signature, Spelled, StreamCall, StreamSink, Subscribe,
    };
    pub use mynah_protocol::{ErrorCode, RpcError, Value};
    pub use serde::{Serialize, de::DeserializeOwned};
    pub use std::sync::Arc;
    #[cfg(not(feature = "schema"))]
    pub use without_schema::{received, sent};

    /// Says what is missing when `#[service(schema)]` is written without the feature.
    #[cfg(not(feature = "schema"))]
    pub mod without_schema {
        use mynah_contract::Schema;

        #[diagnostic::on_unimplemented(
            message = "`#[service(schema)]` needs the feature `schema` of the crate `mynah`",
            label = "no schema of this type can be made",
            note = "turn it on, and derive `schemars::JsonSchema` for every type of the service"
        )]
        /// Implemented by nothing.
        pub trait FeatureSchema {}

        /// Never called.
        pub fn received<T: FeatureSchema + ?Sized>() -> Schema {
            Schema::any()
        }

        /// Never called.
        pub fn sent<T: FeatureSchema + ?Sized>() -> Schema {
            Schema::any()
        }
    }
}

/// The version of this crate, shared by every crate of the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The pages of the guide: every snippet is compiled, and run.
#[cfg(doctest)]
mod guide {
    macro_rules! pages {
        ($($name:ident: $path:literal;)*) => {
            $(#[doc = include_str!(concat!("../../../docs/guide/src/", $path, ".md"))]
            pub struct $name;)*
        };
    }

    pages! {
        Introduction: "introduction";
        FirstService: "first-service";
        CallingByName: "calling-by-name";
        RegisteringByHand: "registering-by-hand";
        DirectDispatch: "direct-dispatch";
        FailOrRefuse: "fail-or-refuse";
        MethodOrNotification: "method-or-notification";
        Streams: "streams";
        CallbacksAndEvents: "callbacks-and-events";
        Errors: "errors";
        ContractsAndDrift: "contracts-and-drift";
        ValuesAcrossLanguages: "values-across-languages";
        DeadlinesAndCancellation: "deadlines-and-cancellation";
        InterceptorsAndObservability: "interceptors-and-observability";
        ReconnectAndIdempotency: "reconnect-and-idempotency";
        Transports: "transports";
        Stdio: "stdio";
        ServerAndPeers: "server-and-peers";
        SynchronousPrograms: "synchronous-programs";
        Limits: "limits";
        TestingYourService: "testing-your-service";
        WritingATransport: "writing-a-transport";
        Pipes: "pipes";
    }

    #[cfg(all(unix, feature = "ssh"))]
    pages! {
        Ssh: "ssh";
        SshServer: "ssh-server";
    }

    #[cfg(feature = "redis-streams")]
    pages! {
        Redis: "redis";
    }
}
