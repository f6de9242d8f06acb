//! Layers of tower around the calls of mynah.
//!
//! [`TowerLayer`] turns a [`tower_layer::Layer`] into an [`Interceptor`]: on the side that answers it is registered with
//! `Server::intercept`, on the side that calls with `Peer::with_interceptor`.
//!
//! ```
//! use mynah::prelude::*;
//! use mynah_tower::TowerLayer;
//! use std::time::Duration;
//! use tower::limit::ConcurrencyLimitLayer;
//! use tower::timeout::TimeoutLayer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::new()
//!     .intercept(TowerLayer::new(ConcurrencyLimitLayer::new(100)))
//!     .intercept(TowerLayer::new(TimeoutLayer::new(Duration::from_secs(5))))
//!     .listen("tcp://127.0.0.1:0")
//!     .start()
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What a layer sees, and what it can do
//!
//! A request with the name, kind and metadata of a call, and a response when the call is over. Params and results are no
//! part of them. So it fits what decides whether, when and how long a call runs: limits of concurrency and rate, timeouts,
//! load shedding, circuit breakers. It does not fit what changes or repeats requests: a layer that calls its service
//! twice for one request (retry, hedge) gets an error for the second; retries are what [`Interceptor::retry`] is for.
//!
//! The service is cloned for every call, as is usual with tower; one that cannot be cloned goes into a `tower::buffer`.
//! A layer that has a call wait costs what its future costs, and one box for that; a call that is let pass at once is
//! not delayed. The future of the layer is polled where the call is polled, until the call is over, so a timeout stops the
//! handler. One that runs on the blocking pool cannot be stopped.

mod call;
mod stage;

pub use call::{CallRequest, CallResponse, Proceed};

use mynah_peer::{Admission, Before, FinishedCall, InterceptedCall, Interceptor};
use mynah_protocol::{ErrorCode, RpcError};
use stage::Stage;
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};
use tower_layer::Layer;
use tower_service::Service;

/// Turns an error of a layer into the one that ends the call.
type MapError<E> = Arc<dyn Fn(E) -> RpcError + Send + Sync>;

/// A layer of tower as an [`Interceptor`].
pub struct TowerLayer<S, E = Box<dyn Error + Send + Sync>> {
    // Behind a lock to be cloned: not every service can be shared.
    service: Mutex<S>,
    map: MapError<E>,
    error: PhantomData<fn(E)>,
}

impl<S, E> fmt::Debug for TowerLayer<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TowerLayer").finish_non_exhaustive()
    }
}

impl<S, E> TowerLayer<S, E>
where
    S: Service<CallRequest, Response = CallResponse, Error = E> + Clone + Send + 'static,
    S::Future: Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>> + 'static,
{
    /// Every call goes through `layer`. What the layer fails with ends the call as busy (-32003), which callers may try
    /// again; an elapsed `tower::timeout` as a deadline; an [`RpcError`] of a layer of one's own as it is.
    pub fn new<L>(layer: L) -> Self
    where
        L: Layer<Proceed, Service = S>,
    {
        Self::with_errors(layer, |error| usual(error.into()))
    }

    /// The same, with the error that a failure of the layer means to callers.
    pub fn with_errors<L>(layer: L, map: impl Fn(E) -> RpcError + Send + Sync + 'static) -> Self
    where
        L: Layer<Proceed, Service = S>,
    {
        Self {
            service: Mutex::new(layer.layer(Proceed::new())),
            map: Arc::new(map),
            error: PhantomData,
        }
    }
}

/// What an error of a layer means to callers.
fn usual(error: Box<dyn Error + Send + Sync>) -> RpcError {
    let error = match error.downcast::<RpcError>() {
        Ok(error) => return *error,
        Err(error) => error,
    };
    // By its words: the type is of the crate `tower`, which only its users need.
    if error.to_string() == "request timed out" {
        return RpcError::from_code(ErrorCode::DEADLINE_EXCEEDED);
    }
    RpcError::new(ErrorCode::BUSY, "too many calls")
}

impl<S, E> Interceptor for TowerLayer<S, E>
where
    S: Service<CallRequest, Response = CallResponse, Error = E> + Clone + Send + 'static,
    S::Future: Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>> + 'static,
{
    fn before(&self, call: &mut InterceptedCall<'_>) -> Before {
        let service = self
            .service
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let (request, handed_on) = CallRequest::of(call);
        let stage = Stage::new(service, request, Arc::clone(&self.map), handed_on.clone());
        Before::wait(async move {
            stage.pass().await?;
            let failed = handed_on.clone();
            Ok(Admission::new()
                .extension(handed_on)
                .stop_when(std::future::poll_fn(move |cx| failed.poll_failed(cx))))
        })
    }

    fn after(&self, call: &FinishedCall<'_>) {
        if let Some(handed_on) = call.extension::<call::HandedOn>() {
            handed_on.end(call.outcome());
        }
    }
}

/// The version of this crate, shared by every crate of the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
