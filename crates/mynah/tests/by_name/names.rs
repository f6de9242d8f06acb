//! What services, methods and params are called.

use mynah::dialect::{CborRpc, Native};
use mynah::prelude::*;
use mynah::{RegisterError, Router, ServerError};

#[mynah::service(name = "", rename_all = "camelCase", rename_all_params = "camelCase")]
trait Loose {
    async fn add_all(&self, first_number: i64, #[default = 10] second_number: i64) -> i64;
    #[method(name = "pid")]
    async fn process_id(&self) -> u32;
    #[event]
    fn all_added(sum: i64);
}

#[mynah::service]
trait Other {
    #[method(name = "addAll")]
    async fn add_all(&self, a: i64) -> i64;
}

#[mynah::service]
trait Third {
    #[method(name = "addAll")]
    async fn add_all(&self) -> i64;
    async fn alone(&self) -> i64;
}

struct All;

impl Loose for All {
    async fn add_all(&self, first_number: i64, second_number: i64) -> i64 {
        first_number + second_number
    }

    async fn process_id(&self) -> u32 {
        7
    }
}

impl Other for All {
    async fn add_all(&self, a: i64) -> i64 {
        a * 100
    }
}

impl Third for All {
    async fn add_all(&self) -> i64 {
        3
    }

    async fn alone(&self) -> i64 {
        4
    }
}

fn over(dialect: &impl mynah::dialect::Dialect, router: Router) -> (Peer, Peer) {
    let (near, far) = tokio::io::duplex(4096);
    let far = Peer::over(far, dialect).router(router).start().unwrap();
    (Peer::over(near, dialect).start().unwrap(), far)
}

fn failed(result: Result<i64, CallError<RpcError>>) -> String {
    match result.unwrap_err() {
        CallError::Application(error) => error.message().to_owned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_service_without_a_name_is_called_by_its_methods() {
    assert_eq!(LooseService::<All>::NAME, "");
    assert_eq!(LooseEvents::ALL_ADDED, "allAdded");
    for joined in [
        over(
            &Native::new(),
            Router::new().register(LooseService::new(All)),
        ),
        over(
            &CborRpc::cbor(),
            Router::new().register(LooseService::new(All)),
        ),
    ] {
        let (client, far) = &joined;
        let loose: LooseClient = client.client();
        assert_eq!(loose.add_all(1, 2).await.unwrap(), 3);
        assert_eq!(loose.process_id().await.unwrap(), 7);
        let call = client.call("", "addAll").args((1,)).result::<i64>();
        assert_eq!(call.await.unwrap(), 11);
        let call = client.call("", "add_all").args((1,)).result::<i64>();
        assert!(failed(call.await).contains("not found"));
        drop(far.clone());
    }
    let (client, _far) = over(
        &Native::new(),
        Router::new().register(LooseService::new(All)),
    );
    let call = client.call("", "addAll").arg("firstNumber", 5);
    assert_eq!(call.result::<i64>().await.unwrap(), 15);
}

#[tokio::test]
async fn a_bare_name_is_that_of_one_service_or_says_whose_it_is() {
    let both = || {
        Router::new()
            .register(OtherService::new(All))
            .register(ThirdService::new(All))
    };
    let (client, _far) = over(&Native::new(), both());
    let call = client.call("", "alone").result::<i64>();
    assert_eq!(call.await.unwrap(), 4);
    let call = client.call("", "addAll").args((2,)).result::<i64>();
    let text = failed(call.await);
    assert!(
        text.contains("addAll is that of `other` and `third`"),
        "{text}"
    );
    for (service, args, sum) in [("other", Some(2), 200), ("third", None, 3)] {
        let call = client.call(service, "addAll");
        let found = match args {
            Some(a) => call.args((a,)).result::<i64>().await,
            None => call.result::<i64>().await,
        };
        assert_eq!(found.unwrap(), sum);
    }
    // The method of a service without a name is meant before those of others.
    let (client, _far) = over(&Native::new(), both().register(LooseService::new(All)));
    let call = client.call("", "addAll").args((2,)).result::<i64>();
    assert_eq!(call.await.unwrap(), 12);
}

#[tokio::test]
async fn what_a_wire_cannot_tell_apart_does_not_start() {
    let server = |url: &str| {
        Server::new()
            .register(OtherService::new(All))
            .register(ThirdService::new(All))
            .listen(url)
    };
    let refused = server("tcp://127.0.0.1:0?dialect=cbor-rpc").start().await;
    let Err(ServerError::Register(error)) = refused else {
        panic!("it started");
    };
    assert_eq!(
        error.to_string(),
        "cbor-rpc calls methods by their own names, and `addAll` is that of `other` and `third`: rename one, or \
         have the names of services said as well"
    );
    assert!(matches!(error, RegisterError::Ambiguous { .. }));
    // Where services are said as well, and where there are two names anyway, nothing is wrong.
    for url in [
        "tcp://127.0.0.1:0?dialect=cbor-rpc&names=qualified",
        "tcp://127.0.0.1:0",
    ] {
        drop(server(url).start().await.unwrap());
    }
    // A name that two methods have is refused everywhere.
    let twice = Server::new()
        .register(OtherService::new(All))
        .register(OtherService::new(All));
    let refused = twice.start().await;
    assert!(matches!(
        refused,
        Err(ServerError::Register(RegisterError::Duplicate(name))) if name == "other.addAll"
    ));
}
