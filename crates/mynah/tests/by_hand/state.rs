//! State of a connection, state of the server, and a peer that is kept.

use mynah::prelude::*;
use mynah::{RegisterError, Router, ServerState, State};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Default)]
struct Mine(AtomicU64);

struct All(AtomicU64);

#[mynah::service]
trait Counts {
    async fn mine(&self, cx: &Context) -> u64;
    async fn all(&self, cx: &Context) -> u64;
    async fn named(&self, cx: &Context, name: String) -> Option<String>;
}

struct MyCounts;

impl Counts for MyCounts {
    async fn mine(&self, cx: &Context) -> u64 {
        cx.state::<Mine>().0.fetch_add(1, Ordering::Relaxed) + 1
    }

    async fn all(&self, cx: &Context) -> u64 {
        cx.server_state::<All>()
            .unwrap()
            .0
            .fetch_add(1, Ordering::Relaxed)
            + 1
    }

    async fn named(&self, cx: &Context, name: String) -> Option<String> {
        let before = cx.find_state::<String>().map(|name| name.to_string());
        let old = cx.set_state(name).map(|name| name.to_string());
        assert_eq!(old, before);
        before
    }
}

fn by_hand() -> Router {
    Router::new()
        .state(All(AtomicU64::new(0)))
        .method("counts.mine", |mine: State<Mine>| {
            mine.0.0.fetch_add(1, Ordering::Relaxed) + 1
        })
        .method("counts.all", |all: ServerState<All>| async move {
            all.0.0.fetch_add(1, Ordering::Relaxed) + 1
        })
        .method("counts.named", |cx: Context, (name,): (String,)| {
            cx.set_state(name).map(|name| name.to_string())
        })
}

#[tokio::test]
async fn state_is_of_a_connection_or_of_the_server() {
    let typed = Router::new()
        .state(All(AtomicU64::new(0)))
        .register(CountsService::new(MyCounts));
    for router in [typed, by_hand()] {
        let server = Server::new()
            .router(router)
            .listen("tcp://127.0.0.1:0")
            .start()
            .await
            .unwrap();
        let peers = [
            mynah::connect(server.address()).await.unwrap(),
            mynah::connect(server.address()).await.unwrap(),
            server.local(),
            server.local(),
        ];
        let mut all = 0;
        for peer in &peers {
            let counts: CountsClient = peer.client();
            for count in 1..=3 {
                all += 1;
                assert_eq!(counts.mine().await.unwrap(), count);
                assert_eq!(counts.all().await.unwrap(), all);
            }
            assert_eq!(counts.named("a".to_owned()).await.unwrap(), None);
            assert_eq!(
                counts.named("b".to_owned()).await.unwrap(),
                Some("a".to_owned())
            );
        }
    }
}

#[tokio::test]
async fn server_state_that_is_absent_is_an_error_at_the_start() {
    let router = Router::new().method("a", |_: ServerState<All>| 1);
    let Err(RegisterError::State(name)) = router.check() else {
        panic!("{router:?}");
    };
    assert!(name.ends_with("::All"), "{name}");
    // The order does not matter.
    assert!(router.state(All(AtomicU64::new(0))).check().is_ok());

    let server = Server::new().start().await.unwrap();
    let added = server.methods().method("a", |_: ServerState<All>| 1);
    assert!(matches!(added, Err(RegisterError::State(_))), "{added:?}");
}

#[mynah::service]
trait Keeps {
    async fn keep(&self);
}

#[mynah::service]
trait Home {
    async fn knock(&self) -> String;
}

struct MyHome;

impl Home for MyHome {
    async fn knock(&self) -> String {
        "come in".to_owned()
    }
}

/// A handler keeps its peer, and the program calls the client back after the call and its deadline are over.
#[tokio::test(start_paused = true)]
async fn a_peer_is_kept_after_its_call() {
    let kept = Arc::new(Mutex::new(None));
    for local in [false, true] {
        let keep = Arc::clone(&kept);
        let router = Router::new().method("keeps.keep", move |peer: Peer| {
            *keep.lock().unwrap() = Some(peer);
        });
        let home = Router::new().register(HomeService::new(MyHome));
        let server = Server::new().router(router).start().await.unwrap();
        let client = if local {
            server.local_with(home).unwrap()
        } else {
            let (near, far) = tokio::io::duplex(4096);
            let dialect = mynah::dialect::Native::new();
            let far = server
                .attach(far, &dialect, mynah::Evidence::new())
                .unwrap();
            drop(far);
            Peer::over(near, &dialect).router(home).start().unwrap()
        };
        let keeps: KeepsClient = client.client();
        keeps.keep().deadline(Duration::from_secs(2)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        let peer = kept.lock().unwrap().take().unwrap();
        let home: HomeClient = peer.client();
        assert_eq!(home.knock().await.unwrap(), "come in", "local: {local}");
    }
}

/// While the call runs, what it calls ends no later.
#[tokio::test(start_paused = true)]
async fn a_peer_has_the_deadline_of_a_call_that_runs() {
    #[mynah::service]
    trait Sleeps {
        async fn sleep(&self);
    }

    struct MySleeps;

    impl Sleeps for MySleeps {
        async fn sleep(&self) {
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
    }

    let (said, mut heard) = tokio::sync::mpsc::channel(1);
    let router = Router::new().method("keeps.keep", move |cx: Context| {
        let said = said.clone();
        async move {
            let _shield = cx.shield();
            let started = tokio::time::Instant::now();
            let sleeps: SleepsClient = cx.peer().client();
            let cut = sleeps.sleep().deadline(Duration::from_secs(8)).await;
            said.try_send((cut.unwrap_err(), started.elapsed()))
                .unwrap();
        }
    });
    let (near, far) = tokio::io::duplex(4096);
    let dialect = mynah::dialect::Native::new();
    let _far = Peer::over(far, &dialect)
        .side(mynah::dialect::Side::Accept)
        .router(router)
        .start()
        .unwrap();
    let home = Router::new().register(SleepsService::new(MySleeps));
    let client = Peer::over(near, &dialect).router(home).start().unwrap();
    let keeps: KeepsClient = client.client();
    let late = keeps.keep().deadline(Duration::from_secs(2)).await;
    assert!(matches!(late, Err(CallError::Deadline)), "{late:?}");
    let (error, took) = heard.recv().await.unwrap();
    assert!(matches!(error, CallError::Deadline), "{error:?}");
    assert!(took < Duration::from_secs(3), "{took:?}");
}
