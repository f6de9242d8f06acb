//! What every transport must do: the client of this crate against its server.

use crate::support::Site;
use mynah_testkit::transport::ByteTransport;

mynah_testkit::transport_suite! {
    bytes dialled own_server => ByteTransport::dialled("ssh", || async {
        let site = Site::shared();
        let listener = site.listen().await;
        let dialer = site.dialer(&listener);
        Ok((listener, dialer))
    })
}
