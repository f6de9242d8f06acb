//! The service under which a peer subscribes.

use super::hub::Events;
use super::queue::{Lag, Queue};
use crate::encoded::EncodedBuffer;
use crate::handler::{Called, Invocation, Method, Produce, Progress, append_with, decode};
use crate::link::Link;
use mynah_codec::Format;
use mynah_protocol::{EVENTS_SERVICE, EndReason, ErrorCode, Limits, MethodName, RpcError, Value};
use serde::Serialize;
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{self, Poll};

/// What every peer has without registering it.
pub(crate) fn built_in(name: &MethodName<'_>, events: &Events) -> Option<Arc<dyn Method>> {
    let subscribes = name.service == EVENTS_SERVICE && name.method == "subscribe";
    subscribes.then(|| {
        let method: Arc<dyn Method> = Arc::new(SubscribeMethod(events.clone()));
        method
    })
}

struct SubscribeMethod(Events);

/// Topic, what to do when the subscriber is too slow, and how many messages may wait.
type Params = (String, Option<Lag>, Option<u64>);

impl Method for SubscribeMethod {
    fn call(
        &self,
        invocation: Invocation<'_>,
        _task: &mut task::Context<'_>,
        _reply: &mut EncodedBuffer,
    ) -> Called {
        match self.subscribe(&invocation) {
            Ok(producer) => Called::Streaming {
                producer: Box::new(producer),
                accepted: true,
            },
            Err(error) => Called::Done(Err(error)),
        }
    }

    fn recycle(&self, _cell: Box<dyn Any>) {}
}

impl SubscribeMethod {
    fn subscribe(&self, invocation: &Invocation<'_>) -> Result<Subscriber, Box<RpcError>> {
        let refuse = |code, text: &str| -> Box<RpcError> { Box::new(RpcError::new(code, text)) };
        let Some((link, _)) = invocation.context.link() else {
            return Err(refuse(ErrorCode::UNSUPPORTED, "not over a connection"));
        };
        if invocation.streams.window.is_none() {
            let text = "a subscription is a stream, and the call gave no credit for one";
            return Err(refuse(ErrorCode::INVALID_PARAMS, text));
        }
        if let Format::Custom(_) = invocation.format {
            let text = "subscriptions need a built-in format";
            return Err(refuse(ErrorCode::UNSUPPORTED, text));
        }
        let (topic, lag, capacity): Params = decode(
            invocation.params,
            invocation.format,
            invocation.limits,
            &["topic", "lag", "capacity"],
        )?;
        let limits = &link.config.limits;
        if topic.len() > limits.max_name_bytes {
            return Err(refuse(ErrorCode::INVALID_PARAMS, "topic is too long"));
        }
        if !link.allows_topic(&topic) {
            return Err(refuse(ErrorCode::PERMISSION_DENIED, "not allowed"));
        }
        let lease = Lease::take(Holder::Link(Arc::clone(link)), limits)
            .ok_or_else(|| refuse(ErrorCode::BUSY, "too many subscriptions are open"))?;
        let max_bytes = limits.output_high_water_bytes;
        let queue = self
            .0
            .subscribe(&topic, lag, capacity, invocation.format, max_bytes)
            .map_err(|text| refuse(ErrorCode::INVALID_PARAMS, text))?;
        Ok(Subscriber {
            events: self.0.clone(),
            topic: topic.into(),
            queue,
            _lease: lease,
        })
    }
}

/// One of the subscriptions that a peer may have.
pub(crate) struct Lease(Holder);

/// What counts them.
pub(crate) enum Holder {
    Link(Arc<Link>),
    /// A caller in the same process.
    Process(Arc<AtomicUsize>),
}

impl Holder {
    fn count(&self) -> &AtomicUsize {
        match self {
            Self::Link(link) => &link.subscriptions,
            Self::Process(count) => count,
        }
    }
}

impl Lease {
    /// `None` when as many are open as the limits allow.
    pub(crate) fn take(holder: Holder, limits: &Limits) -> Option<Self> {
        let open = holder.count().fetch_add(1, Ordering::AcqRel);
        let lease = Self(holder);
        (open < limits.subscriptions).then_some(lease)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.count().fetch_sub(1, Ordering::AcqRel);
    }
}

/// Sends the messages of a topic to one subscriber.
struct Subscriber {
    events: Events,
    topic: Box<str>,
    queue: Arc<Queue>,
    _lease: Lease,
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.events.unsubscribe(&self.topic, &self.queue);
    }
}

impl Produce for Subscriber {
    fn produce(
        &mut self,
        task: &mut task::Context<'_>,
        items: u64,
        bytes: usize,
        format: Format,
        out: &mut Vec<u8>,
    ) -> (u64, Progress) {
        let limit = out.len().saturating_add(bytes);
        let mut count = 0;
        while count < items && out.len() < limit {
            let (dropped, message) = match self.queue.poll_pop(task.waker()) {
                Poll::Pending => return (count, Progress::Waiting),
                Poll::Ready(Ok(message)) => message,
                Poll::Ready(Err(reason)) => return (count, Progress::Ended(ended(reason))),
            };
            let written = append_with(out, |out| pair(dropped, &message, format, out));
            if let Err(error) = written {
                return (count, Progress::Ended(Err(error)));
            }
            count += 1;
        }
        (count, Progress::More)
    }

    fn drain(&mut self) -> bool {
        drop(self.queue.close(EndReason::Draining));
        true
    }
}

/// How the answer says why a subscription ended.
fn ended(reason: EndReason) -> Result<(), Box<RpcError>> {
    Err(Box::new(match reason {
        EndReason::Finished => return Ok(()),
        EndReason::Lagged(dropped) => RpcError::from_code(ErrorCode::LAGGED).with_data(Value::Map(
            vec![(Value::from("dropped"), Value::from(dropped))],
        )),
        other => other.into(),
    }))
}

/// Writes an array of something (a count, a topic) and a message that is encoded already.
pub(super) fn pair<T: Serialize>(
    first: T,
    message: &[u8],
    format: Format,
    out: &mut Vec<u8>,
) -> Result<(), mynah_codec::EncodeError> {
    format.encode(&(first, ()), out)?;
    // The nothing at the end makes room for the message: one byte in the binary formats.
    if let Format::Json | Format::PythonJson | Format::PythonText(_) | Format::NativeJson = format {
        // Bytes that stand behind the message stand behind the array.
        let text = format.value_len(message);
        let (text, behind) = message.split_at_checked(text).unwrap_or((message, &[]));
        out.truncate(out.len().saturating_sub("null]".len()));
        out.extend_from_slice(text);
        out.push(b']');
        out.extend_from_slice(behind);
    } else {
        out.pop();
        out.extend_from_slice(message);
    }
    Ok(())
}
