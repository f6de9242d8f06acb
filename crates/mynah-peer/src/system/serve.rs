//! The methods of the system namespace.

use super::{DESCRIBE, PING, SYSTEM_SERVICE};
use crate::encoded::EncodedBuffer;
use crate::handler::{Called, Invocation, Method};
use crate::router::Router;
use mynah_protocol::{ErrorCode, Evidence, MethodName, RpcError, Value};
use serde::Serialize;
use std::any::Any;
use std::sync::Arc;
use std::task;

/// The same namespace as sparrow has it.
const OTHER_SPELLING: &str = "#sys";
pub(super) const PONG: &str = "pong";

enum SystemMethod {
    Ping,
    Describe(Arc<Router>),
}

/// Whether a name is one of the system namespace.
pub(crate) fn is_system(name: &MethodName<'_>) -> bool {
    in_system(name).is_some()
}

/// The name of the method, if it is one of the system namespace. On a wire without services both stand in one name.
fn in_system<'a>(name: &'a MethodName<'_>) -> Option<&'a str> {
    let of = |service: &str| service == SYSTEM_SERVICE || service == OTHER_SPELLING;
    if of(&name.service) {
        return Some(&name.method);
    }
    if !name.service.is_empty() {
        return None;
    }
    let (service, method) = name.method.split_once('.')?;
    of(service).then_some(method)
}

/// The system method of this name.
pub(crate) fn built_in(name: &MethodName<'_>, router: &Arc<Router>) -> Option<Arc<dyn Method>> {
    Some(Arc::new(match in_system(name)? {
        PING => SystemMethod::Ping,
        DESCRIBE => SystemMethod::Describe(Arc::clone(router)),
        _ => return None,
    }))
}

impl Method for SystemMethod {
    fn call(
        &self,
        invocation: Invocation<'_>,
        _task: &mut task::Context<'_>,
        reply: &mut EncodedBuffer,
    ) -> Called {
        let answered = match self {
            Self::Ping => answer(&PONG, &invocation, reply),
            Self::Describe(router) => service(&invocation).and_then(|service| {
                let caller = invocation.context.evidence();
                let described = router.described(caller, service.as_deref())?;
                answer(&*described, &invocation, reply)
            }),
        };
        Called::Done(answered)
    }

    fn recycle(&self, _cell: Box<dyn Any>) {}
}

fn answer<T: Serialize>(
    value: &T,
    invocation: &Invocation<'_>,
    reply: &mut EncodedBuffer,
) -> Result<(), Box<RpcError>> {
    reply
        .push(invocation.format, value)
        .map_err(|error| Box::new(RpcError::new(ErrorCode::UNENCODABLE, error.to_string())))
}

/// The service that is asked for: the first param, or the one called `service`; none for all.
fn service(invocation: &Invocation<'_>) -> Result<Option<String>, Box<RpcError>> {
    let wrong = |text: String| Box::new(RpcError::new(ErrorCode::INVALID_PARAMS, text));
    if invocation.params.is_empty() {
        return Ok(None);
    }
    let params: Result<Value, _> = invocation
        .format
        .decode(invocation.params, invocation.limits);
    let params = params.map_err(|error| wrong(format!("invalid params: {error}")))?;
    let named = |params: &Value| params.get("service").cloned();
    let given = match params {
        Value::Null => None,
        Value::Array(mut params) => match (params.pop(), params.is_empty()) {
            (None, _) => None,
            // One object in the place of the first param is all of them.
            (Some(only @ Value::Map(_)), true) => named(&only),
            (Some(only), true) => Some(only),
            (Some(_), false) => {
                return Err(wrong(
                    "describe takes one param, the name of a service".into(),
                ));
            }
        },
        all @ Value::Map(_) => named(&all),
        other => Some(other),
    };
    match given {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Text(service)) => Ok(Some(service)),
        Some(_) => Err(wrong("the name of a service is a text".into())),
    }
}

impl Router {
    /// What a caller may see of what is offered here.
    pub(crate) fn described(
        &self,
        caller: &Evidence,
        service: Option<&str>,
    ) -> Result<Arc<Value>, Box<RpcError>> {
        let described = self.contracts().described(caller, service, self.methods());
        described.map_err(|error| Box::new(internal(error.to_string())))
    }
}

pub(super) fn internal(text: String) -> RpcError {
    RpcError::new(ErrorCode::INTERNAL, text)
}

pub(super) fn no_answer(expected: &str) -> RpcError {
    internal(format!("the other side did not answer with {expected}"))
}
