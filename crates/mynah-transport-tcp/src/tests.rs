use super::*;
use mynah_protocol::{Dialer as _, EvidenceKey, Listener as _, TransportErrorKind};
use std::future::poll_fn;

#[tokio::test]
async fn both_ends_know_each_other_and_do_not_delay() {
    let mut listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_address();
    assert_eq!(listener.address(), format!("tcp://{address}"));
    let dialed = TcpDialer::new(address.to_string()).dial().await.unwrap();
    let accepted = poll_fn(|cx| listener.poll_accept(cx))
        .await
        .unwrap()
        .unwrap();
    assert!(dialed.connection.nodelay().unwrap() && accepted.connection.nodelay().unwrap());
    for evidence in [&dialed.evidence, &accepted.evidence] {
        assert_eq!(evidence.text(EvidenceKey::TRANSPORT), Some("tcp"));
    }
    assert_eq!(
        accepted.evidence.text(EvidenceKey::REMOTE_ADDRESS),
        dialed.evidence.text(EvidenceKey::LOCAL_ADDRESS)
    );
}

#[tokio::test]
async fn errors_say_what_was_tried() {
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_address();
    let refused = TcpDialer::new(free.to_string()).dial().await.unwrap_err();
    assert_eq!(refused.kind(), TransportErrorKind::Refused);
    assert!(
        refused
            .chain()
            .contains(&format!("cannot connect to tcp://{free}")),
        "{}",
        refused.chain()
    );
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let error = TcpListener::bind(&taken.local_address().to_string())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Address);
    assert!(TcpListener::bind("no port here").await.is_err());
}
