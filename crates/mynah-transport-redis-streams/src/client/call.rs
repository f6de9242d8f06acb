//! Envelopes to entries.

use super::core::{Core, Queued, Said};
use crate::command::Call;
use mynah_codec::EncodeError;
use mynah_codec::dialect::jsonrpc::Messages;
use mynah_protocol::{Envelope, ErrorCode, Metadata, OPERATION_ID, Response, RpcError, WireId};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Writes what the peer says. What cannot be said ends its call, and nothing else.
pub(super) fn say(core: &Arc<Core>, messages: &Messages, envelope: Envelope<'static>) {
    let Some(envelope) = core.say_in_session(envelope) else {
        return;
    };
    let (id, service, written) = match envelope {
        Envelope::Request(mut request) => {
            let id = request.id.clone();
            let metadata = std::mem::take(&mut request.metadata);
            let timeout = request.timeout;
            let service = request.name.service.to_string();
            core.mix(&mut request.id);
            let envelope = Envelope::Request(request);
            let written = entry(core, messages, envelope, &service, timeout, &metadata, true);
            (Some(id), service, written)
        }
        Envelope::Notification(mut notification) => {
            let metadata = std::mem::take(&mut notification.metadata);
            let service = notification.name.service.to_string();
            let envelope = Envelope::Notification(notification);
            let written = entry(core, messages, envelope, &service, None, &metadata, false);
            (None, service, written)
        }
        Envelope::Cancel(mut cancel) => {
            drop(core.offers.take(&cancel.id));
            if !core.withdraw(&cancel.id) {
                core.mix(&mut cancel.id);
                say_cancel(core, &cancel.id);
            }
            return;
        }
        Envelope::Event(event) => return core.publish(&event),
        other => {
            tracing::debug!(kind = other.kind(), "not said: this wire has no way to");
            return;
        }
    };
    if let (Ok((call, until)), Some(id)) = (&written, &id) {
        core.offers.keep(id, call, &service, *until);
    }
    match (written, id) {
        (Ok((call, until)), id) => core.write(Queued {
            bytes: call.len(),
            said: Said::Call(call),
            id,
            service,
            until,
            unserved: false,
            told: false,
        }),
        (Err(error), Some(id)) => core.hear([refusal(id, &error)]),
        (Err(error), None) => tracing::warn!(%error, "notification cannot be sent"),
    }
}

/// Which server has the call only those know that read the control stream.
fn say_cancel(core: &Core, id: &WireId) {
    // Ids of the program's own have numbers below them.
    let WireId::Uint(number) = id else { return };
    core.write(Queued::aside(Said::Cancel(*number)));
}

fn refusal(id: WireId, error: &EncodeError) -> Envelope<'static> {
    let error = RpcError::new(ErrorCode::UNSUPPORTED, error.to_string());
    Envelope::Response(Response {
        id,
        result: Err(Box::new(error)),
    })
}

fn entry(
    core: &Core,
    messages: &Messages,
    mut envelope: Envelope<'static>,
    service: &str,
    timeout: Option<Duration>,
    metadata: &Metadata,
    answered: bool,
) -> Result<(Call, Option<Instant>), EncodeError> {
    let frame = match core.coding.call() {
        Some(kind) => Some((kind, core.frame(&mut envelope)?.into())),
        None => None,
    };
    let mut text = Vec::with_capacity(envelope.payload_bytes() + 160);
    messages.write(&envelope, &mut text)?;
    let operation = metadata.value(OPERATION_ID).map(str::to_owned);
    let note = match &envelope {
        Envelope::Request(decoy) if !answered => Some(decoy.id.clone()),
        _ => None,
    };
    let call = Call {
        stream: core.keys.commands(service),
        envelope: text,
        reply_to: (answered || note.is_some()).then(|| Arc::clone(&core.reply_to)),
        metadata: fields(metadata),
        operation,
        frame,
    };
    if let Some(note) = &note {
        core.keep_note(note, &call, service);
    }
    let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    Ok((call, until))
}

/// The metadata as a JSON object, but for what has a field of its own.
fn fields(metadata: &Metadata) -> Option<Vec<u8>> {
    if metadata.is_empty() {
        return None;
    }
    let entries = metadata.iter().filter(|(name, _)| *name != OPERATION_ID);
    let object: serde_json::Map<String, serde_json::Value> = entries
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    if object.is_empty() {
        return None;
    }
    serde_json::to_vec(&object).ok()
}
