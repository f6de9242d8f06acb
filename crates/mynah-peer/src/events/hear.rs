//! Handlers of what the peer says without being asked.

use super::logs::LogLine;
use crate::context::Context;
use crate::encoded::EncodedBuffer;
use crate::handler::{Called, Direct, Inline, Invocation, Method, ViaResult};
use crate::params::Plain;
use crate::validate::Unchecked;
use mynah_connection::Said;
use mynah_protocol::Value;
use serde::de::DeserializeOwned;
use std::any::Any;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::task;

/// Who hears what. Fixed once a peer or server has started with it.
#[derive(Default)]
pub(crate) struct Hearers {
    topics: HashMap<Box<str>, Arc<dyn Method>>,
    any: Option<Box<AnyEvent>>,
    log: Option<Box<AnyLog>>,
}

/// Makes the handler of one event of a topic that has none of its own.
type AnyEvent = dyn Fn(&str) -> Arc<dyn Method> + Send + Sync;
/// Makes the handler of one line of log, of its level and of how many were dropped before it.
type AnyLog = dyn Fn(i64, u64) -> Arc<dyn Method> + Send + Sync;

impl Hearers {
    /// `false` when the topic has a handler already.
    pub(crate) fn on_event<T, H, F>(&mut self, topic: &str, handler: H) -> bool
    where
        T: DeserializeOwned + Send + 'static,
        H: Fn(Context, T) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let method = heard(move |context, message| answered(handler(context, message)));
        self.topics.insert(topic.into(), method).is_none()
    }

    /// `false` when there is such a handler already.
    pub(crate) fn on_any_event<T, H, F>(&mut self, handler: H) -> bool
    where
        T: DeserializeOwned + Send + 'static,
        H: Fn(Context, String, T) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let handler = Arc::new(handler);
        let any = move |topic: &str| {
            let (handler, topic) = (Arc::clone(&handler), topic.to_owned());
            heard(move |context, message| answered(handler(context, topic.clone(), message)))
        };
        self.any.replace(Box::new(any)).is_none()
    }

    /// `false` when there is such a handler already.
    pub(crate) fn on_log<H, F>(&mut self, handler: H) -> bool
    where
        H: Fn(Context, LogLine) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let handler = Arc::new(handler);
        let log = move |level, dropped| {
            let handler = Arc::clone(&handler);
            heard(move |context, content: Value| {
                answered(handler(context, LogLine::new(level, content, dropped)))
            })
        };
        self.log.replace(Box::new(log)).is_none()
    }

    /// Whether something has a handler.
    pub(crate) fn hears(&self, said: &Said<'_>) -> bool {
        match said {
            Said::Event(event) => self.any.is_some() || self.topics.contains_key(&*event.topic),
            Said::Log(_) => self.hears_log(),
        }
    }

    /// Whether lines of log have a handler.
    pub(crate) fn hears_log(&self) -> bool {
        self.log.is_some()
    }

    /// The handler of something.
    pub(crate) fn method(&self, said: &Said<'_>) -> Option<Arc<dyn Method>> {
        match said {
            Said::Event(event) => match self.topics.get(&*event.topic) {
                Some(method) => Some(Arc::clone(method)),
                None => self.any.as_ref().map(|any| any(&event.topic)),
            },
            Said::Log(log) => self.log.as_ref().map(|on| on(log.level, log.dropped)),
        }
    }
}

async fn answered(handler: impl Future<Output = ()>) -> Result<(), Infallible> {
    handler.await;
    Ok(())
}

fn heard<P, H, F>(handler: H) -> Arc<dyn Method>
where
    P: DeserializeOwned + Send + 'static,
    H: Fn(Context, P) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), Infallible>> + Send + 'static,
{
    let inline: Arc<Inline<_, P, Plain, ViaResult, Unchecked>> =
        Inline::new(Direct(handler), Plain);
    Arc::new(Heard(inline))
}

/// A handler whose only param is the whole message, and whose answer nobody waits for.
struct Heard<M>(M);

impl<M: Method> Method for Heard<M> {
    fn call(
        &self,
        invocation: Invocation<'_>,
        task: &mut task::Context<'_>,
        reply: &mut EncodedBuffer,
    ) -> Called {
        let called = self.0.call(invocation, task, reply);
        if let Called::Done(Err(error)) = &called {
            tracing::debug!(
                error = error.message(),
                "message is not what its handler takes"
            );
        }
        called
    }

    fn recycle(&self, cell: Box<dyn Any>) {
        self.0.recycle(cell);
    }
}
