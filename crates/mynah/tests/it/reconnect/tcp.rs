//! A real server that is stopped, and started again in the same place.

use super::*;
use crate::probe::MyProbe;
use mynah::{ConnectError, ServerHandle};

async fn serve(probe: &MyProbe, url: &str) -> ServerHandle {
    let server = Server::new().register(probe.service());
    server.listen(url).start().await.unwrap()
}

#[tokio::test]
async fn a_server_is_stopped_and_started() {
    for query in ["", "?format=json", "?dialect=cbor-rpc"] {
        for place in Socket::each() {
            stopped_and_started(&place, query).await;
        }
    }
}

async fn stopped_and_started(place: &Socket, query: &str) {
    let first = MyProbe::new();
    let server = serve(&first, &format!("{}{query}", place.url)).await;
    let url = format!("{}{query}", server.address());
    let backoff = Backoff::new().with_first(MS).with_cap(20 * MS).with_seed(1);
    let client = mynah::connector(&url)
        .unwrap()
        .reconnect(backoff)
        .unwrap()
        .connect()
        .await
        .unwrap();
    let service = probe(&client);
    assert_eq!(service.echo("a".into()).await.unwrap(), "a");
    let mut started = 1;
    let mut server = Some(server);
    for round in 1..4 {
        drop(server.take());
        until("it is lost", || client.peer().is_none()).await;
        // Made while nobody is there.
        let waits = tokio::spawn(service.echo("b".into()).into_future());
        settle().await;
        let next = MyProbe::new();
        server = Some(serve(&next, &url).await);
        assert_eq!(within("answer", waits).await.unwrap().unwrap(), "b");
        assert_eq!(next.0.calls.started(), 1, "{query} round {round}");
        started += 1;
    }
    assert_eq!(client.stats().connections, started);
    let evidence = client.peer().unwrap().evidence().to_string();
    let transport = if place.url.starts_with("unix") {
        "unix"
    } else {
        "127.0.0.1"
    };
    assert!(evidence.contains(transport), "{evidence}");
    idle(&client).await;
}

#[tokio::test]
async fn what_cannot_be_made_again_is_told() {
    let error = mynah::connector("memory:somewhere")
        .unwrap()
        .reconnect(Backoff::default())
        .unwrap_err();
    assert!(matches!(error, ConnectError::NoReconnect(_)));
    assert!(error.to_string().contains("memory:somewhere"), "{error}");
    // A port where nobody is.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tcp://{}", free.local_addr().unwrap());
    drop(free);
    let client = mynah::connector(&url)
        .unwrap()
        .reconnect(Backoff::default())
        .unwrap();
    let error = ConnectError::from(client.connect().await.unwrap_err());
    assert!(matches!(error, ConnectError::Transport(_)), "{error:?}");
}

/// A carrier of envelopes is dialled as well.
#[tokio::test]
async fn carriers_reconnect() {
    use mynah::memory::{MemoryEnd, pair};
    use mynah::protocol::{Accepted, Dialer};

    struct Pairs(mpsc::Sender<MemoryEnd>);

    impl Dialer for Pairs {
        type Connection = MemoryEnd;

        fn dial<'a, 'async_trait>(
            &'a self,
        ) -> std::pin::Pin<
            Box<
                dyn Future<Output = Result<Accepted<MemoryEnd>, TransportError>>
                    + Send
                    + 'async_trait,
            >,
        >
        where
            'a: 'async_trait,
        {
            Box::pin(async move {
                let (near, far) = pair();
                self.0.send(far).await.unwrap();
                Ok(Accepted {
                    connection: near,
                    evidence: mynah::Evidence::new(),
                })
            })
        }
    }

    let (sender, mut accepted) = mpsc::channel(8);
    let client = Reconnecting::dial_transport(Pairs(sender))
        .backoff(Backoff::new().with_first(MS).with_seed(1))
        .start()
        .unwrap();
    let served = MyProbe::new();
    for round in 1..4 {
        let far = within("dial", accepted.recv()).await.unwrap();
        let server = Peer::over_transport(far)
            .router(served.router())
            .side(Side::Accept)
            .start()
            .unwrap();
        assert_eq!(probe(&client).echo("a".into()).await.unwrap(), "a");
        assert_eq!(served.0.calls.started(), round);
        server.close();
        until("it is lost", || {
            client.stats().connections == round as u64 && client.peer().is_none()
        })
        .await;
    }
}
