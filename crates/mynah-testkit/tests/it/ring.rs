//! The transport of the example, which is a stranger's: from `mynah-protocol` alone.

#[allow(unreachable_pub, reason = "public where it is a crate of its own")]
#[path = "../../examples/ring/transport.rs"]
mod transport;

use mynah_testkit::transport::ByteTransport;
pub(crate) use transport::ring;

mynah_testkit::transport_suite! {
    bytes dialled suite => ByteTransport::dialled("ring", || async { Ok(ring("suite")) })
}

#[test]
fn it_is_short_and_needs_one_crate_of_ours() {
    let text = include_str!("../../examples/ring/transport.rs");
    let lines = text.lines().count();
    assert!(lines < 150, "{lines} lines");
    let mut ours = text.split("mynah_").skip(1);
    assert!(ours.clone().count() > 0);
    assert!(ours.all(|rest| rest.starts_with("protocol")));
}
