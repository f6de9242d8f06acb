//! What two sides said, read with the dialect, with ids that do not depend on who counts how.

use crate::harness::hex;
use mynah_codec::dialect::cbor_rpc::{CborRpc, CborRpcWire};
use mynah_codec::{Output, OutputChunk, Step, Wire as _};
use mynah_protocol::{Envelope, Lane, WireId};

/// A recorded connection. Calls of `state`, by which a scenario looks at the other side, are left out.
#[derive(Debug)]
pub(crate) struct Transcript {
    /// What the side that dialled said.
    pub(crate) said_by_caller: Vec<Envelope<'static>>,
    /// What the other side said.
    pub(crate) heard_by_caller: Vec<Envelope<'static>>,
}

impl Transcript {
    /// Reads both directions.
    pub(crate) fn read(from_caller: &[u8], from_callee: &[u8]) -> Self {
        let (mut said, mut heard) = (envelopes(from_caller), envelopes(from_callee));
        let looks: Vec<WireId> = said
            .iter()
            .filter_map(|envelope| match envelope {
                Envelope::Request(request) if request.name.method == "state" => {
                    Some(request.id.clone())
                }
                _ => None,
            })
            .collect();
        said.retain(
            |envelope| !matches!(envelope, Envelope::Request(request) if looks.contains(&request.id)),
        );
        heard.retain(
            |envelope| !matches!(envelope, Envelope::Response(reply) if looks.contains(&reply.id)),
        );
        // The ids of calls and fires of each side become 0, 1, 2 in the order of their numbers.
        let (caller, callee) = (own_ids(&said), own_ids(&heard));
        let rename = |envelopes: Vec<_>, own: &[WireId], other: &[WireId]| {
            envelopes
                .into_iter()
                .map(|envelope| renumbered(envelope, own, other))
                .collect()
        };
        Self {
            said_by_caller: rename(said, &caller, &callee),
            heard_by_caller: rename(heard, &callee, &caller),
        }
    }

    /// What the side that dialled said, as hex.
    pub(crate) fn caller(&self) -> Vec<String> {
        written(&self.said_by_caller)
    }

    /// What the other side said, as hex.
    pub(crate) fn callee(&self) -> Vec<String> {
        written(&self.heard_by_caller)
    }
}

fn wire() -> CborRpcWire {
    CborRpcWire::new(CborRpc::cbor(), &CborRpc::default_limits())
}

fn envelopes(mut bytes: &[u8]) -> Vec<Envelope<'static>> {
    let mut wire = wire();
    let mut envelopes = Vec::new();
    while !bytes.is_empty() {
        match wire.decode(bytes).expect("both sides speak this wire") {
            Step::Envelope(used, envelope) => {
                envelopes.push(envelope.into_owned());
                bytes = &bytes[used..];
            }
            // The recording may end within a message.
            Step::Need(_) => break,
            other => panic!("{other:?} in {}", hex(bytes)),
        }
    }
    envelopes
}

/// The ids of calls and fires, in the order in which they were said.
fn own_ids(envelopes: &[Envelope<'static>]) -> Vec<WireId> {
    envelopes
        .iter()
        .filter_map(|envelope| match envelope {
            Envelope::Request(request) => Some(request.id.clone()),
            Envelope::Notification(notification) => notification.id.clone(),
            _ => None,
        })
        .collect()
}

fn renumber(id: &mut WireId, ids: &[WireId]) {
    if let Some(place) = ids.iter().position(|known| known == id) {
        *id = WireId::Uint(place.try_into().expect("few"));
    }
}

/// The same envelope: ids that its sender gave become their place in `own`, ids that it was given their place in
/// `other`.
fn renumbered(
    mut envelope: Envelope<'static>,
    own: &[WireId],
    other: &[WireId],
) -> Envelope<'static> {
    match &mut envelope {
        Envelope::Request(request) => renumber(&mut request.id, own),
        Envelope::Notification(notification) => {
            if let Some(id) = &mut notification.id {
                renumber(id, own);
            }
        }
        Envelope::Cancel(cancel) => renumber(&mut cancel.id, own),
        Envelope::Response(response) => renumber(&mut response.id, other),
        Envelope::Progress(progress) => renumber(&mut progress.id, other),
        Envelope::Log(log) => {
            if let Some(id) = &mut log.id {
                renumber(id, other);
            }
        }
        _ => {}
    }
    envelope
}

fn written(envelopes: &[Envelope<'static>]) -> Vec<String> {
    let mut wire = wire();
    envelopes
        .iter()
        .map(|envelope| {
            let mut output = Output::new();
            wire.encode(envelope, Lane::Data, &mut output)
                .expect("it was read from this wire");
            let mut chunk = OutputChunk::default();
            output.take(Lane::Data, &mut chunk);
            hex(&chunk.bytes)
        })
        .collect()
}
