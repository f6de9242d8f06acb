//! Notifications that are wrong: dropped, without a word to the caller, and not for ever.

use crate::support::{Setup, Way, until};
use mynah::prelude::*;
use mynah::{CloseReason, Router, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[mynah::service]
trait Bell {
    #[notification]
    async fn ring(&self, times: u32);
    async fn rung(&self) -> usize;
}

/// The same as somebody says it who knows no better.
#[mynah::service(name = "bell")]
trait Wrong {
    #[notification]
    async fn ring(&self, times: Value);
}

struct MyBell(Arc<AtomicUsize>);

impl Bell for MyBell {
    async fn ring(&self, times: u32) {
        self.0.fetch_add(times as usize, Ordering::SeqCst);
    }

    async fn rung(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn routers(rung: &Arc<AtomicUsize>) -> [Router; 2] {
    let typed = Router::new().register(BellService::new(MyBell(Arc::clone(rung))));
    let (ring, read) = (Arc::clone(rung), Arc::clone(rung));
    let by_hand = Router::new()
        .notification("bell.ring", move |_: Context, (times,): (u32,)| {
            ring.fetch_add(times as usize, Ordering::SeqCst);
            async {}
        })
        .method("bell.rung", move || read.load(Ordering::SeqCst));
    [typed, by_hand]
}

#[tokio::test]
async fn a_notification_with_wrong_params_is_dropped() {
    for way in Way::ALL {
        let rung = Arc::new(AtomicUsize::new(0));
        for router in routers(&rung) {
            rung.store(0, Ordering::SeqCst);
            let joined = Setup::of(router).join(way).await;
            let (bell, wrong): (BellClient, WrongClient) =
                (joined.client.client(), joined.client.client());
            bell.ring(2).await.unwrap();
            wrong.ring("twice".into()).await.unwrap();
            wrong.ring(Value::Null).await.unwrap();
            bell.ring(3).await.unwrap();
            until("both have rung", || rung.load(Ordering::SeqCst) == 5).await;
            assert_eq!(bell.rung().await.unwrap(), 5, "{way:?}");
            joined.idle().await;
        }
    }
}

/// They are breaches: whoever sends nothing else is closed, and the log has an end.
#[tokio::test]
async fn slow_a_flood_of_wrong_notifications_ends_the_connection() {
    let rung = Arc::new(AtomicUsize::new(0));
    for router in routers(&rung) {
        let joined = Setup::of(router).join(Way::TcpCbor).await;
        let wrong: WrongClient = joined.client.client();
        let mut sent = 0_u32;
        while !joined.client.is_closed() && wrong.ring("x".into()).await.is_ok() {
            sent += 1;
            assert!(sent < 1_000_000, "the server goes on and on");
            tokio::task::yield_now().await;
        }
        match joined.client.closed().await {
            CloseReason::Refused(code, text) => {
                assert_eq!(code, ErrorCode::PROTOCOL_VIOLATION, "{text}");
            }
            other => panic!("{other:?}"),
        }
        assert!(sent > 10, "a few are forgiven: {sent}");
        assert_eq!(rung.load(Ordering::SeqCst), 0);
    }
}
