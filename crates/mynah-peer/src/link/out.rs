//! Where envelopes go: to a wire's bytes, or to a carrier of envelopes.

use super::own_ids::OwnIds;
use crate::scratch;
use mynah_codec::{EncodeError, Format, FrameSpan, OrderKey, Output, Wire};
use mynah_protocol::{CallId, Envelope, Lane, Limits, Opaque, Profile, WireId};
use std::collections::{BTreeMap, VecDeque};

/// The output side of a connection, under its lock.
#[derive(Debug)]
pub(crate) enum Out {
    /// Bytes.
    Wire {
        wire: Box<dyn Wire>,
        output: Output,
        /// Bytes of the data lane that I/O has written.
        written: u64,
        /// Bytes of frames that were withdrawn before I/O took what stood around them: they count for where a
        /// frame stands, and are never written.
        withdrawn: u64,
        /// Bytes of both lanes that I/O has taken and not written.
        taken: usize,
        /// Present once the program has chosen an id for a call.
        ids: Option<Box<OwnIds>>,
    },
    /// Whole envelopes.
    Carrier {
        profile: Profile,
        data: VecDeque<Option<Envelope<'static>>>,
        control: VecDeque<Envelope<'static>>,
        /// Envelopes of the data lane that I/O has taken.
        taken: u64,
        /// Bytes of the payloads in `data`.
        bytes: usize,
        /// The most bytes of payload in one envelope.
        max_bytes: usize,
        ids: Option<Box<OwnIds>>,
    },
}

/// Where a request stands in the output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent(FrameSpan);

impl Sent {
    /// How many envelopes of the data lane of a carrier went before it.
    pub(crate) const fn place(self) -> u64 {
        self.0.start
    }
}

impl Out {
    pub(crate) fn wire(wire: Box<dyn Wire>) -> Self {
        Self::Wire {
            wire,
            output: Output::with_bulk(),
            written: 0,
            withdrawn: 0,
            taken: 0,
            ids: None,
        }
    }

    pub(crate) fn carrier(profile: Profile, limits: &Limits) -> Self {
        let own = limits.decode.max_message_bytes;
        Self::Carrier {
            max_bytes: profile.max_message_bytes.map_or(own, |most| own.min(most)),
            profile,
            data: VecDeque::new(),
            control: VecDeque::new(),
            taken: 0,
            bytes: 0,
            ids: None,
        }
    }

    const fn ids(&mut self) -> &mut Option<Box<OwnIds>> {
        match self {
            Self::Wire { ids, .. } | Self::Carrier { ids, .. } => ids,
        }
    }

    /// Gives a call an id of the program's own. `false`: another call has it.
    pub(crate) fn name_call(&mut self, id: CallId, text: &str) -> bool {
        self.ids().get_or_insert_default().insert(id, text)
    }

    /// A call is over, whatever its id was.
    #[inline]
    pub(crate) fn forget_call(&mut self, id: CallId) {
        if let Some(ids) = self.ids() {
            ids.remove(id);
        }
    }

    /// Gives what came in for a call under an id of the program's own the number that the connection knows.
    #[inline]
    pub(crate) fn incoming(&mut self, envelope: &mut Envelope<'_>) {
        if let Some(ids) = self.ids() {
            ids.incoming(envelope);
        }
    }

    /// Gives back the buffers of lanes in which nothing waits.
    pub(crate) fn give_back(&mut self) {
        if let Self::Wire { output, .. } = self {
            for lane in [Lane::Data, Lane::Control] {
                if let Some(chunk) = output.take_buffers(lane) {
                    scratch::return_chunk(chunk);
                }
            }
        }
    }

    /// Has the wire say the hashes of contracts, if its hello has room for them.
    pub(crate) fn announce(&mut self, contracts: &BTreeMap<Box<str>, Opaque>) {
        if let Self::Wire { wire, .. } = self {
            wire.announce(contracts);
        }
    }

    pub(crate) fn profile(&self) -> &Profile {
        match self {
            Self::Wire { wire, .. } => wire.profile(),
            Self::Carrier { profile, .. } => profile,
        }
    }

    /// The codec of payloads.
    pub(crate) fn format(&self) -> Format {
        match self {
            Self::Wire { wire, .. } => wire.format(),
            Self::Carrier { profile, .. } => {
                Format::built_in(profile.format).unwrap_or(Format::Cbor)
            }
        }
    }

    #[inline]
    pub(crate) fn put(&mut self, envelope: &Envelope<'_>, lane: Lane) -> Result<Sent, EncodeError> {
        match self.ids().as_ref().and_then(|ids| ids.outgoing(envelope)) {
            None => self.put_as_it_is(envelope, lane),
            Some(envelope) => self.put_as_it_is(&envelope, lane),
        }
    }

    #[inline]
    fn put_as_it_is(&mut self, envelope: &Envelope<'_>, lane: Lane) -> Result<Sent, EncodeError> {
        match self {
            Self::Wire { wire, output, .. } => {
                if output.lacks_buffers(lane) {
                    output.lend_buffers(lane, scratch::take_chunk());
                }
                wire.encode(envelope, lane, output).map(Sent)
            }
            Self::Carrier {
                data,
                control,
                taken,
                bytes,
                max_bytes,
                ..
            } => {
                let len = envelope.payload_bytes();
                if len > *max_bytes {
                    return Err(EncodeError::TooLarge {
                        len,
                        limit: *max_bytes,
                    });
                }
                let owned = envelope.clone().into_owned();
                Ok(match lane {
                    Lane::Control => {
                        control.push_back(owned);
                        Sent(FrameSpan {
                            start: u64::MAX,
                            len: 0,
                        })
                    }
                    Lane::Data => {
                        let start = *taken + data.len() as u64;
                        *bytes += owned.payload_bytes();
                        data.push_back(Some(owned));
                        Sent(FrameSpan { start, len: 1 })
                    }
                })
            }
        }
    }

    /// Takes a data envelope back. `false` when I/O has it already.
    pub(crate) fn withdraw(&mut self, sent: Sent) -> bool {
        match self {
            Self::Wire { output, .. } => output.withdraw(sent.0),
            Self::Carrier {
                data, taken, bytes, ..
            } => {
                let slot = sent
                    .0
                    .start
                    .checked_sub(*taken)
                    .and_then(|index| usize::try_from(index).ok())
                    .and_then(|index| data.get_mut(index));
                match slot {
                    Some(slot) => {
                        *bytes -= slot.take().map_or(0, |envelope| envelope.payload_bytes());
                        // Nothing may pile up: what was withdrawn at the end goes at once.
                        while matches!(data.back(), Some(None)) {
                            data.pop_back();
                        }
                        true
                    }
                    None => false,
                }
            }
        }
    }

    /// Whether the peer has not said yet that it takes something of `len` bytes.
    pub(crate) fn awaits_hello(&self, len: usize) -> bool {
        match self {
            Self::Wire { wire, .. } => wire.awaits_hello(len),
            // Whoever delivers it answers for what is too large.
            Self::Carrier { .. } => false,
        }
    }

    /// Whether an envelope has left this side completely.
    pub(crate) fn has_left(&self, sent: Sent) -> bool {
        match self {
            Self::Wire { output, .. } if sent.0.is_bulk() => output.bulk_has_left(sent.0, true),
            Self::Wire { written, .. } => sent.0.start + sent.0.len as u64 <= *written,
            Self::Carrier { taken, .. } => sent.0.start < *taken,
        }
    }

    /// Whether an envelope may have left this side completely. Where frames were withdrawn between others that are
    /// half out, nobody counts which: then it may.
    pub(crate) fn may_have_left(&self, sent: Sent) -> bool {
        match self {
            Self::Wire { output, .. } if sent.0.is_bulk() => output.bulk_has_left(sent.0, false),
            Self::Wire {
                written, withdrawn, ..
            } => sent.0.start + sent.0.len as u64 <= *written + *withdrawn,
            Self::Carrier { .. } => self.has_left(sent),
        }
    }

    /// Bytes of data that this side holds and the peer did not take yet.
    #[inline]
    pub(crate) fn held(&self) -> usize {
        match self {
            Self::Wire { output, taken, .. } => output.data_held() + output.bulk_behind() + taken,
            Self::Carrier { bytes, data, .. } => bytes + data.len() * 64,
        }
    }

    /// Bytes of large messages that wait beside the data: they hold up none but their like.
    #[inline]
    pub(crate) fn bulk_held(&self) -> usize {
        match self {
            Self::Wire { output, .. } => output.bulk_held(),
            Self::Carrier { .. } => 0,
        }
    }

    /// Whether a large message of a call waits beside the data.
    pub(crate) fn has_large_of(&self, call: &WireId) -> bool {
        match self {
            Self::Wire { output, .. } => output.bulk_holds(&OrderKey::Call(call.clone())),
            Self::Carrier { .. } => false,
        }
    }

    /// Counts an answer that was put: returns how many of it are in the lanes, where they leave with what was there.
    #[inline]
    pub(crate) fn note_answer(&mut self, sent: Sent) -> usize {
        match self {
            Self::Wire { output, .. } if sent.0.is_bulk() => {
                output.note_bulk_answer(sent.0);
                0
            }
            _ => 1,
        }
    }

    pub(crate) fn control_held(&self) -> usize {
        match self {
            Self::Wire { output, .. } => output.control_len(),
            Self::Carrier { control, .. } => control.len() * 64,
        }
    }

    /// Whether nothing waits to be taken by I/O.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Wire { output, .. } => output.is_empty(),
            Self::Carrier { data, control, .. } => data.is_empty() && control.is_empty(),
        }
    }

    /// Whether something may be taken by I/O now.
    #[inline]
    pub(crate) fn is_ready_to_leave(&self) -> bool {
        match self {
            Self::Wire { output, .. } => output.is_ready(),
            Self::Carrier { .. } => !self.is_empty(),
        }
    }

    /// Whether what may be taken by I/O belongs to no call: it gains by leaving with what does.
    pub(crate) fn is_control_only(&self) -> bool {
        match self {
            Self::Wire { output, .. } => output.data_len() == 0 && !output.bulk_waits(),
            Self::Carrier { .. } => false,
        }
    }

    /// Lets go of everything: nobody will take it any more.
    pub(crate) fn discard(&mut self) {
        match self {
            Self::Wire { output, taken, .. } => {
                *output = Output::with_bulk();
                *taken = 0;
            }
            Self::Carrier {
                data,
                control,
                bytes,
                ..
            } => {
                *data = VecDeque::new();
                *control = VecDeque::new();
                *bytes = 0;
            }
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        match self {
            Self::Wire { wire, .. } => wire.is_ready(),
            Self::Carrier { .. } => true,
        }
    }

    pub(crate) fn own_output(&mut self) {
        if let Self::Wire { wire, output, .. } = self {
            wire.own_output(output);
        }
    }
}
