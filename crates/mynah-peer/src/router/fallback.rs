//! What answers a call of a method that nobody has.

use crate::context::Context;
use crate::encoded::EncodedBuffer;
use crate::handler::{Called, Invocation, Method, Running, decode};
use mynah_codec::Format;
use mynah_protocol::{DecodeLimits, ErrorCode, FormatId, MethodName, RpcError};
use serde::{Serialize, de::DeserializeOwned};
use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

/// A call of a method that nobody has, as it came.
pub struct RawCall {
    name: MethodName<'static>,
    params: Vec<u8>,
    format: Format,
    limits: DecodeLimits,
}

/// What a fallback answers: a value that is encoded already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawAnswer {
    bytes: Vec<u8>,
}

impl fmt::Debug for RawCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawCall")
            .field("name", &self.name.to_string())
            .field("format", &self.format())
            .field("params", &self.params.len())
            .finish()
    }
}

impl RawCall {
    /// What was called, in the words of the peer. The service is empty on a wire without services.
    #[must_use]
    pub const fn name(&self) -> &MethodName<'static> {
        &self.name
    }

    /// The params as they came: one value in [`Self::format`], not checked.
    #[must_use]
    pub fn params(&self) -> &[u8] {
        &self.params
    }

    /// The format of the params, and of the answer.
    #[must_use]
    pub fn format(&self) -> FormatId {
        self.format.id()
    }

    /// Reads the params.
    ///
    /// # Errors
    /// -32602 when they are of another shape, and what is wrong in its data; that they exceed a limit.
    pub fn read<P: DeserializeOwned>(&self) -> Result<P, RpcError> {
        decode(&self.params, self.format, &self.limits, &[]).map_err(|error| *error)
    }

    /// An answer with a value.
    ///
    /// # Errors
    /// When the format cannot say it.
    pub fn answer<T: Serialize + ?Sized>(&self, value: &T) -> Result<RawAnswer, RpcError> {
        let mut bytes = Vec::new();
        self.format
            .encode(value, &mut bytes)
            .map_err(|error| RpcError::new(ErrorCode::UNENCODABLE, error.to_string()))?;
        Ok(RawAnswer { bytes })
    }

    /// An answer with bytes that are one value in [`Self::format`] already: those of another service, say.
    ///
    /// # Errors
    /// When they are not.
    pub fn answer_raw(&self, bytes: impl Into<Vec<u8>>) -> Result<RawAnswer, RpcError> {
        let bytes = bytes.into();
        match self.format.scan(&bytes, &self.limits) {
            Ok(()) => Ok(RawAnswer { bytes }),
            Err(error) => {
                let text = format!("answer is not one value of its format: {error}");
                Err(RpcError::new(ErrorCode::UNENCODABLE, text))
            }
        }
    }

    /// That there is no such method: -32601, as without a fallback.
    #[must_use]
    pub fn not_found(&self) -> RpcError {
        not_found(&self.name)
    }
}

/// What a call of an unknown method is refused with.
fn not_found(name: &MethodName<'_>) -> RpcError {
    RpcError::new(
        ErrorCode::METHOD_NOT_FOUND,
        format!("method not found: {name}"),
    )
}

/// The handler of what nobody has.
pub(crate) trait Fallback: Send + Sync {
    fn start(&self, context: Context, call: RawCall) -> Answering;
}

type Answering = Pin<Box<dyn Future<Output = Result<RawAnswer, RpcError>> + Send>>;

struct ByFunction<H>(H);

impl<H, F> Fallback for ByFunction<H>
where
    H: Fn(Context, RawCall) -> F + Send + Sync,
    F: Future<Output = Result<RawAnswer, RpcError>> + Send + 'static,
{
    fn start(&self, context: Context, call: RawCall) -> Answering {
        Box::pin((self.0)(context, call))
    }
}

pub(super) fn new<H, F>(handler: H) -> Arc<dyn Fallback>
where
    H: Fn(Context, RawCall) -> F + Send + Sync + 'static,
    F: Future<Output = Result<RawAnswer, RpcError>> + Send + 'static,
{
    Arc::new(ByFunction(handler))
}

/// The fallback as the method of one name.
pub(crate) struct FallbackMethod {
    name: MethodName<'static>,
    fallback: Arc<dyn Fallback>,
}

impl FallbackMethod {
    pub(crate) fn of(name: &MethodName<'_>, fallback: Arc<dyn Fallback>) -> Arc<dyn Method> {
        Arc::new(Self {
            name: name.clone().into_owned(),
            fallback,
        })
    }
}

impl Method for FallbackMethod {
    fn call(
        &self,
        invocation: Invocation<'_>,
        task: &mut task::Context<'_>,
        reply: &mut EncodedBuffer,
    ) -> Called {
        if invocation.streams.window.is_some() {
            return Called::Done(Err(Box::new(not_found(&self.name))));
        }
        let call = RawCall {
            name: self.name.clone(),
            params: invocation.params.to_vec(),
            format: invocation.format,
            limits: *invocation.limits,
        };
        let mut running = FallbackRunning(Some(self.fallback.start(invocation.context, call)));
        match running.poll(task, reply) {
            Poll::Ready(result) => Called::Done(result),
            Poll::Pending => Called::Running(Box::new(running)),
        }
    }

    fn recycle(&self, _cell: Box<dyn Any>) {}
}

struct FallbackRunning(Option<Answering>);

impl Running for FallbackRunning {
    fn poll(
        &mut self,
        task: &mut task::Context<'_>,
        reply: &mut EncodedBuffer,
    ) -> Poll<Result<(), Box<RpcError>>> {
        let Some(future) = &mut self.0 else {
            return Poll::Pending;
        };
        future.as_mut().poll(task).map(|result| {
            let answer = result.map_err(Box::new)?;
            reply.bytes.extend_from_slice(&answer.bytes);
            Ok(())
        })
    }

    fn stop(&mut self) {
        self.0 = None;
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
