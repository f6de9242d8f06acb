//! What every transport must do.

use mynah_testkit::transport::EnvelopeTransport;

mynah_testkit::transport_suite! {
    envelopes paired memory => EnvelopeTransport::paired("memory", || async {
        Ok(mynah_transport_memory::pair())
    })
}
