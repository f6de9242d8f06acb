//! Interceptors that add to calls, refuse them, have them wait, or break.

use super::*;

/// Adds a value, and an entry of metadata.
struct Adds {
    waits: bool,
}

impl Interceptor for Adds {
    fn before(&self, call: &mut InterceptedCall<'_>) -> Before {
        assert_eq!(call.side(), CallSide::Server);
        let transport = call.evidence().unwrap().text(EvidenceKey::TRANSPORT);
        assert!(matches!(transport, None | Some("tcp" | "unix" | "memory")));
        if self.waits {
            return Before::wait(async {
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
                Ok(Admission::new()
                    .extension(Number(42))
                    .metadata("desk", "left"))
            });
        }
        call.insert(Number(42));
        call.metadata_mut().insert("desk", "left");
        Before::Proceed
    }

    fn after(&self, call: &FinishedCall<'_>) {
        assert_eq!(call.extension::<Number>().unwrap().0, 42);
    }
}

#[tokio::test]
async fn what_it_adds_at_once_or_later_reaches_the_handler() {
    for way in Way::ALL {
        for waits in [false, true] {
            let router = Router::new()
                .register(DeskService::new(MyDesk::default()))
                .intercept(Adds { waits });
            let setup = Setup {
                server: router,
                capacity: 64,
                ..Setup::default()
            };
            let joined = setup.join(way).await;
            let client: DeskClient = joined.client.client();
            let (number, entry) = within("left", client.left().into_future()).await.unwrap();
            assert_eq!(number, Some(42), "{way:?} {waits}");
            assert_eq!(entry.as_deref(), Some("left"));
            assert_eq!(
                client.left().start().await.unwrap().0,
                Some(42),
                "{way:?} {waits}"
            );
            assert_eq!(client.blocks().await.unwrap(), Some(42));
            assert_eq!(client.spawned().await.unwrap(), Some(42));
            client.note().await.unwrap();
            joined.idle().await;
        }
    }
    for way in STREAMS {
        let flow = MyFlow::new();
        let mut setup = Setup::new(flow.service());
        setup.server = setup.server.intercept(Adds { waits: true });
        let joined = setup.join(way).await;
        let client: FlowClient = joined.client.client();
        assert_eq!(within("items", client.count(5).start().count()).await, 5);
        joined.idle().await;
    }
}

/// Refuses, waits for ever, or panics.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hostile {
    Refuses,
    RefusesLater,
    Busy,
    Waits,
    Panics,
    PanicsLater,
    PanicsAfter,
}

impl Interceptor for Hostile {
    fn before(&self, _call: &mut InterceptedCall<'_>) -> Before {
        let no = || RpcError::new(ErrorCode::application(4), "no");
        match self {
            Self::Refuses => Before::Refuse(no()),
            Self::RefusesLater => Before::wait(async move {
                tokio::task::yield_now().await;
                Err(no())
            }),
            Self::Busy => Before::Refuse(RpcError::from_code(ErrorCode::BUSY)),
            Self::Waits => Before::wait(std::future::pending()),
            Self::Panics => panic!("interceptor, on purpose"),
            Self::PanicsLater => Before::wait(async { panic!("interceptor, on purpose") }),
            Self::PanicsAfter => Before::Proceed,
        }
    }

    fn after(&self, _call: &FinishedCall<'_>) {
        panic!("interceptor, on purpose");
    }
}

#[tokio::test]
async fn refusals_and_panics_are_answers_like_those_of_handlers() {
    for way in Way::ALL {
        for on_client in [false, true] {
            for hostile in [
                Hostile::Refuses,
                Hostile::RefusesLater,
                Hostile::Busy,
                Hostile::Panics,
                Hostile::PanicsLater,
                Hostile::PanicsAfter,
            ] {
                let book = Book::default();
                let mut setup = desk(&book);
                if !on_client {
                    setup.server = setup.server.intercept(hostile);
                }
                let joined = setup.join(way).await;
                let mut peer = joined.client.clone();
                if on_client {
                    peer = peer
                        .with_interceptor(book.clone())
                        .with_interceptor(hostile);
                }
                let client: DeskClient = peer.client();
                for started in [false, true] {
                    let call = client.fails();
                    let result = if started {
                        call.start().await
                    } else {
                        call.await
                    };
                    let error = result.unwrap_err();
                    // cbor-rpc has no codes.
                    let from_peer = !on_client || matches!(hostile, Hostile::PanicsAfter);
                    let coded = way != Way::CborRpc || !from_peer;
                    let right = !coded
                        || match hostile {
                            Hostile::Refuses | Hostile::RefusesLater => {
                                matches!(&error, CallError::Application(error) if error.code() == ErrorCode::application(4))
                            }
                            Hostile::Busy => matches!(&error, CallError::Busy { .. }),
                            Hostile::Panics | Hostile::PanicsLater => {
                                matches!(&error, CallError::Application(error) if error.code() == ErrorCode::INTERNAL)
                            }
                            _ => {
                                matches!(&error, CallError::Application(error) if error.code() == ErrorCode::application(9))
                            }
                        };
                    assert!(right, "{way:?} {hostile:?} {on_client}: {error:?}");
                }
                // Those that came before it heard of the end.
                let passes = matches!(hostile, Hostile::PanicsAfter);
                let expected = if on_client && passes { 4 } else { 2 };
                until("told", || book.ended.lock().unwrap().len() == expected).await;
                let _all = book.take();
                joined.idle().await;
            }
        }
    }
}

#[tokio::test]
async fn a_call_that_waits_for_an_interceptor_can_be_dropped_and_has_a_deadline() {
    for way in Way::ALL {
        for on_client in [false, true] {
            let book = Book::default();
            let mut setup = desk(&book);
            if !on_client {
                setup.server = setup.server.intercept(Hostile::Waits);
            }
            let joined = setup.join(way).await;
            let mut peer = joined.client.clone();
            if on_client {
                peer = peer
                    .with_interceptor(book.clone())
                    .with_interceptor(Hostile::Waits);
            }
            let client: DeskClient = peer.client();
            let mut call = client.hangs().into_future();
            assert!(poll_once(&mut call).await.is_pending());
            until("it waits", || !book.began.lock().unwrap().is_empty()).await;
            drop(call);
            assert_eq!(
                book.one().await.2,
                CallOutcome::Cancelled,
                "{way:?} {on_client}"
            );
            let late = client.hangs().deadline(Duration::from_millis(5));
            let error = within("deadline", late.into_future()).await.unwrap_err();
            assert!(
                matches!(error, CallError::Deadline),
                "{way:?} {on_client}: {error:?}"
            );
            until("told", || !book.ended.lock().unwrap().is_empty()).await;
            book.take();
            joined.idle().await;
        }
    }
}

#[tokio::test]
async fn what_stops_a_call_drops_its_handler() {
    struct Stops;
    impl Interceptor for Stops {
        fn before(&self, _call: &mut InterceptedCall<'_>) -> Before {
            Before::wait(async {
                let stop = async {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    RpcError::from_code(ErrorCode::DEADLINE_EXCEEDED)
                };
                Ok(Admission::new().stop_when(stop))
            })
        }
    }
    for way in Way::ALL {
        for on_client in [false, true] {
            let my = MyDesk::default();
            let mut setup = Setup::new(DeskService::new(my.clone()));
            if !on_client {
                setup.server = setup.server.intercept(Stops);
            }
            let joined = setup.join(way).await;
            let mut peer = joined.client.clone();
            if on_client {
                peer = peer.with_interceptor(Stops);
            }
            let client: DeskClient = peer.client();
            for spawned in [false, true] {
                let call = if spawned {
                    client.hangs_spawned()
                } else {
                    client.hangs()
                };
                let error = within("stop", call.into_future()).await.unwrap_err();
                let right = matches!(error, CallError::Deadline) || way == Way::CborRpc;
                assert!(right, "{way:?} {on_client} {spawned}: {error:?}");
                until("the handler is dropped", || my.0.alive() == 0).await;
            }
            joined.idle().await;
        }
    }
}
