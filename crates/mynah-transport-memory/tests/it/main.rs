//! What every transport must do, in every format.

use mynah_protocol::FormatId;
use mynah_testkit::transport::EnvelopeTransport;
use mynah_transport_memory::{MemoryOptions, pair_with};

fn memory(format: FormatId) -> EnvelopeTransport {
    EnvelopeTransport::paired("memory", move || async move {
        Ok(pair_with(&MemoryOptions::default().with_format(format)))
    })
}

mynah_testkit::transport_suite! { envelopes paired cbor => memory(FormatId::Cbor) }
mynah_testkit::transport_suite! { envelopes paired json => memory(FormatId::Json) }
mynah_testkit::transport_suite! { envelopes paired messagepack => memory(FormatId::MessagePack) }
