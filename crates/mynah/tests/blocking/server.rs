//! Servers of programs without a runtime.

use crate::support::*;
use mynah::blocking;
use mynah::prelude::*;
use mynah::{CloseReason, Session, SessionLimit};

#[test]
fn it_knows_its_peers_drains_and_says_who_was_there() {
    let limit = SessionLimit::new(2);
    let server = blocking::Server::from(Server::new())
        .register(DeskService::new(MyDesk::default()))
        .with(|server| {
            server
                .admit(limit.clone())
                .on_connect(|session: Session| async move {
                    let taken = |error: mynah::IdTaken| {
                        RpcError::new(ErrorCode::application(1), error.to_string())
                    };
                    let first = session.set_id("first");
                    first.or_else(|_| session.set_id("second")).map_err(taken)
                })
        })
        .listen("tcp://127.0.0.1:0")
        .listen("tcp://127.0.0.1:0?dialect=cbor-rpc")
        .start()
        .unwrap();
    assert_eq!(server.addresses().len(), 2);
    let connector = mynah::connector(server.address()).unwrap();
    let connector = connector.register(DeskService::new(MyDesk::default()));
    let first = connector.connect_blocking().unwrap();
    let desk: Client = first.client();
    assert_eq!(desk.add(1, 2).wait().unwrap(), 3);
    let second: Client = connect(&server).client();
    assert_eq!(second.add(1, 2).wait().unwrap(), 3);
    let third = connect(&server);
    let CloseReason::Refused(code, text) = third.closed().unwrap() else {
        panic!("it is refused")
    };
    assert_eq!(
        (code, &*text),
        (ErrorCode::BUSY, "as many sessions are open as may be")
    );

    assert_eq!(server.peers().len(), 2);
    assert!(server.peer("third").is_none());
    let there = server.peer("first").unwrap();
    let theirs: Client = there.client();
    assert_eq!(theirs.add(4, 5).wait().unwrap(), 9);
    let mut heard = first.listen::<u32>("bell").unwrap();
    there.emit("bell", &3).unwrap();
    assert_eq!(heard.next(), Some(Ok(3)));
    let report = server.drain(None).unwrap();
    assert!(report.is_complete() && report.connections == 2, "{report}");
    server.finished().unwrap();
    assert!(server.peers().is_empty());
}

#[test]
fn it_ends_with_its_last_connection_when_nothing_listens() {
    let server = blocking::Server::new().start().unwrap();
    server.finished().unwrap();
    assert_eq!(server.address(), "");
    server.stop();
}
