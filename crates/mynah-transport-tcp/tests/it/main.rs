//! What every transport must do.

use mynah_testkit::transport::ByteTransport;
use mynah_transport_tcp::{TcpDialer, TcpListener};

mynah_testkit::transport_suite! {
    bytes dialled tcp => ByteTransport::dialled("tcp", || async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let dialer = TcpDialer::new(listener.local_address().to_string());
        Ok((listener, dialer))
    })
}
