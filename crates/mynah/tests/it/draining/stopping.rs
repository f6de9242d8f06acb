//! Stops and drains that come twice, too early, or are given up.

use super::*;

#[tokio::test]
async fn g3_stop_twice_and_drain_after_it() {
    let (probe, flow) = (MyProbe::new(), MyFlow::new());
    let server = Server::new()
        .router(router(&probe, &flow))
        .listen("tcp://127.0.0.1:0")
        .listen("memory:g3-stopped")
        .start()
        .await
        .unwrap();
    let peer = connect(&server).await;
    let call = peer.client::<ProbeClient>().hang().start();
    let mut stream = peer.client::<FlowClient>().hang(1).start();
    stream.next().await.unwrap().unwrap();
    let local = mynah::connect("memory:g3-stopped").await.unwrap();
    for _ in 0..2 {
        server.stop();
        within("the connection ends", peer.closed()).await;
        assert!(mynah::connect("memory:g3-stopped").await.is_err());
        assert!(mynah::connect(server.address()).await.is_err());
        let error = local.client::<ProbeClient>().echo("a".into()).await;
        assert!(
            matches!(error, Err(CallError::Disconnected(_))),
            "{error:?}"
        );
    }
    assert!(within("end", call).await.is_err());
    until("nothing runs", || {
        probe.0.calls.alive() == 0 && flow.0.calls.alive() == 0 && server.peers().is_empty()
    })
    .await;
    let report = within("drain", server.drain(LONG)).await;
    assert!(report.is_complete() && report.connections == 0, "{report}");
    server.stop();
}

#[tokio::test]
async fn g3_stop_before_start_leaves_nothing_behind() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken_url = format!("tcp://{}", taken.local_addr().unwrap());
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("tcp://{}", free.local_addr().unwrap());
    drop(free);
    let attached = || {
        let (near, far) = tokio::io::duplex(1024);
        let server = Server::new()
            .listen(&url)
            .listen("memory:g3-unstarted")
            .attach(far, Native::new(), Evidence::new());
        (near, server)
    };
    // Never started.
    let (mut near, server) = attached();
    drop(server);
    assert_eq!(near.read(&mut [0; 8]).await.unwrap(), 0, "it was closed");
    // Given up while it starts.
    let (mut near, server) = attached();
    let never = async {
        std::future::pending::<()>().await;
        unreachable!()
    };
    let server = server.listen_with::<mynah::tcp::TcpListener>(never, Native::new());
    let mut starting = Box::pin(server.start());
    for _ in 0..10 {
        assert!(poll_once(&mut starting).await.is_pending());
        tokio::task::yield_now().await;
    }
    drop(starting);
    assert_eq!(near.read(&mut [0; 8]).await.unwrap(), 0, "it was closed");
    // One of its listeners cannot be bound.
    let (mut near, server) = attached();
    assert!(server.listen(&taken_url).start().await.is_err());
    assert_eq!(near.read(&mut [0; 8]).await.unwrap(), 0, "it was closed");
    // Place and name are free.
    let (_near, server) = attached();
    let server = server.start().await.unwrap();
    assert_eq!((server.address(), server.peers().len()), (&*url, 1));
}

#[tokio::test]
async fn g3_drain_while_draining_ends_with_the_shorter_grace() {
    let (probe, flow) = (MyProbe::new(), MyFlow::new());
    let server = Arc::new(serve(router(&probe, &flow)).await);
    let peer = connect(&server).await;
    let call = peer.client::<ProbeClient>().hang().start();
    until("it runs", || probe.0.calls.alive() == 1).await;
    let patient = tokio::spawn({
        let server = Arc::clone(&server);
        async move { server.drain(LONG).await }
    });
    let local: ProbeClient = server.local().client();
    let refused = async {
        while local.echo("in process".into()).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    within("it drains", refused).await;
    let hasty = within("hasty", server.drain(Duration::ZERO)).await;
    assert_eq!(
        (hasty.connections, hasty.connections_cut),
        (1, 1),
        "{hasty}"
    );
    let [connection] = &*hasty.cut else {
        panic!("{hasty}")
    };
    assert_eq!(cut(connection), [("probe.hang", RunKind::Call)]);
    let patient = within("patient", patient).await.unwrap();
    assert_eq!(
        (patient.connections, patient.connections_cut),
        (1, 0),
        "{patient}"
    );
    assert!(within("end", call).await.is_err());
}

#[tokio::test]
async fn g3_drop_during_drain_closes_everything() {
    for drops_the_handle in [false, true] {
        let (probe, flow) = (MyProbe::new(), MyFlow::new());
        let server = serve(router(&probe, &flow)).await;
        let peer = connect(&server).await;
        let client: ProbeClient = peer.client();
        let call = client.pass(7).start();
        until("it runs", || probe.0.calls.alive() == 1).await;
        let mut draining = Box::pin(server.drain(LONG));
        for _ in 0..10 {
            assert!(poll_once(&mut draining).await.is_pending());
            tokio::task::yield_now().await;
        }
        drop(draining);
        if drops_the_handle {
            drop(server);
            assert!(within("end", call).await.is_err());
        } else {
            // It goes on draining: what runs may finish, and then its connection goes.
            probe.0.gate.add_permits(1);
            assert_eq!(within("end", call).await.unwrap(), 7);
            until("it is gone", || server.peers().is_empty()).await;
            let report = within("again", server.drain(LONG)).await;
            assert!(report.is_complete() && report.connections == 0, "{report}");
        }
        within("the connection ends", peer.closed()).await;
        until("nothing runs", || probe.0.calls.alive() == 0).await;
    }
}
