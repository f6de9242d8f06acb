//! What a program uses: peers, servers, routers, contexts and calls, on tokio.
//!
//! One task per connection reads, dispatches and writes. A caller encodes its params in a buffer of
//! its thread, appends the request to the connection's output under a short lock, and wakes that
//! task if it sleeps. A handler is polled once where its request was read; only if it is not ready does it join
//! the connection's running handlers. No code of the user runs under the lock.
//!
//! Programs depend on the facade crate `mynah`, which re-exports this one.

pub mod blocking;
mod call;
mod callback;
mod context;
mod direct;
mod driver;
mod encoded;
mod error;
mod events;
mod handler;
mod intercept;
mod link;
mod local;
mod method;
mod metrics;
mod mock;
mod observe;
mod params;
mod peer;
mod reconnect;
mod router;
mod scratch;
mod server;
mod states;
mod stream;
mod system;
mod trace;
mod validate;

pub use call::{
    Attachments, Attempt, Call, CallBuilder, CallFuture, Caller, CallerExt, Notify, OutgoingCall,
    ResultStream, ServiceClient, SideEffects, Ticket, WireFormat,
};
pub use callback::{Callback, NoReply};
pub use context::{Context, Delivery, Shield};
pub use direct::DirectError;
pub use encoded::{Encoded, ReplyBuffer};
pub use error::{CallError, DomainError, WasSent};
pub use events::{
    EarlyListeners, Events, Lag, LogLine, Logs, Published, Subscribe, Subscription, WaitFor,
};
pub use handler::{
    Export, FromContext, Function, Handler, Mounted, Needs, Output, Respond, Routes, ServerState,
    Service, State, StreamSink, Validated, ValidatedRoutes, markers, validated,
};
pub use intercept::{
    Admission, Before, CallKind, CallOutcome, CallSide, Extensions, FinishedCall, Intercepted,
    InterceptedCall, Interceptor, Interceptors,
};
pub use link::RunKind;
pub use local::{InProcess, LocalServer};
pub use method::{MethodInfo, MethodKind};
pub use mock::MockCalls;
pub use mynah_connection::Backoff;
pub use observe::SlowThresholds;
pub use params::{
    And, Args, Attached, IntoArg, IntoArgs, NamedParams, Object, Params, Plain, ReadList, Reads,
    Signature, Spelled, Spelling,
};
pub use peer::{DEFAULT_TIMEOUT, Peer, PeerBuilder, PeerStats};
pub use reconnect::{
    DialError, Reconnect, ReconnectState, ReconnectStats, ReconnectWatch, Reconnecting,
};
pub use router::{MethodEntry, Methods, RawAnswer, RawCall, RegisterError, Router};
pub use server::{
    AttachError, CutCall, CutConnection, DEFAULT_GRACE, DrainReport, IdTaken, PeerId, Peers,
    Server, ServerError, ServerHandle, Session, SessionLimit, SessionPermit, SessionPolicy,
    Verdict,
};
pub use stream::{Attachment, Incoming, StreamCall, Streaming};
pub use system::{CheckError, Contracted, Shown};
pub use trace::TraceContext;
pub use validate::{CheckParams, CheckResult, Checked, Fault, Faults, Step, Unchecked, Validate};

/// The version of this crate, shared by every crate of the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
