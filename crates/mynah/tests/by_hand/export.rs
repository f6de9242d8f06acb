//! Free functions that are added to a router.

use crate::support::{Setup, Way};
use futures::{StreamExt as _, stream};
use mynah::prelude::*;
use mynah::{MethodKind, RegisterError, Router};

/// Greets somebody.
#[mynah::export(namespace = "math")]
async fn hello_world(cx: &Context, #[default = "world"] name: String) -> Result<String, RpcError> {
    tokio::task::yield_now().await;
    if cx.is_cancelled() {
        return Err(RpcError::new(ErrorCode::CANCELLED, "stopped"));
    }
    Ok(format!("hello {name}"))
}

/// A plain function.
#[mynah::export(namespace = "math")]
pub(crate) fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[mynah::export(namespace = "math", name = "Half")]
fn half(value: f64) -> f64 {
    value / 2.0
}

#[mynah::export]
#[idempotent]
async fn bare() -> bool {
    true
}

#[mynah::export(namespace = "math")]
fn numbers(up_to: u64) -> impl Stream<Item = u64> + Send {
    stream::iter(0..up_to)
}

#[mynah::export(namespace = "math")]
async fn sum(values: Incoming<u64>, told: Callback<u64>) -> u64 {
    let sum = values
        .fold(0, async |sum, value| sum + value.unwrap())
        .await;
    told.send(sum).await.unwrap();
    sum
}

#[mynah::export(namespace = "math")]
#[blocking]
fn blocking(value: u64) -> u64 {
    value + 1
}

#[mynah::export(namespace = "math")]
#[notification]
async fn touch(_key: String) {}

fn router() -> Router {
    Router::new()
        .add(hello_world)
        .add(add)
        .add(half)
        .add(bare)
        .add(numbers)
        .add(sum)
        .add(blocking)
        .add(touch)
}

#[mynah::service(name = "math")]
trait Math {
    async fn add(&self, a: i64, b: i64) -> i64;
    fn numbers(&self, up_to: u64) -> impl Stream<Item = u64> + Send;
    async fn sum(&self, values: Incoming<u64>, told: Callback<u64>) -> u64;
    #[notification]
    async fn touch(&self, key: String);
}

#[tokio::test]
async fn an_exported_function_answers_in_every_convention() {
    for way in Way::NATIVE.into_iter().chain([Way::InProcess]) {
        let joined = Setup::of(router()).join(way).await;
        let peer = &joined.client;
        let math: MathClient = peer.client();
        assert_eq!(math.add(2, 3).await.unwrap(), 5, "{way:?}");
        // By position, by name, and with its default.
        let hello = |name: &'static str| {
            peer.call("math", "hello_world")
                .args((name,))
                .result::<String>()
        };
        assert_eq!(hello("Ann").await.unwrap(), "hello Ann", "{way:?}");
        let named = peer
            .call("math", "hello_world")
            .arg("name", "Bob")
            .result::<String>();
        assert_eq!(named.await.unwrap(), "hello Bob", "{way:?}");
        let nobody = peer.call("math", "hello_world").result::<String>();
        assert_eq!(nobody.await.unwrap(), "hello world", "{way:?}");
        let named = peer
            .call("math", "add")
            .arg("b", 4)
            .arg("a", 3)
            .result::<i64>();
        assert_eq!(named.await.unwrap(), 7, "{way:?}");
        let halved = peer.call("math", "Half").args((5.0,)).result::<f64>();
        assert_eq!(halved.await.unwrap(), 2.5, "{way:?}");
        assert!(
            peer.call("", "bare").result::<bool>().await.unwrap(),
            "{way:?}"
        );
        let one = peer.call("math", "blocking").args((1,)).result::<u64>();
        assert_eq!(one.await.unwrap(), 2, "{way:?}");
        let items: Vec<_> = math.numbers(3).start().map(Result::unwrap).collect().await;
        assert_eq!(items, [0, 1, 2], "{way:?}");
        let (told, mut heard) = tokio::sync::mpsc::channel(1);
        let told = move |value| told.try_send(value).unwrap();
        assert_eq!(
            math.sum(stream::iter([1, 2]), told).await.unwrap(),
            3,
            "{way:?}"
        );
        assert_eq!(heard.try_recv(), Ok(3), "{way:?}");
        math.touch("a".to_owned()).await.unwrap();
        joined.idle().await;
    }
}

#[tokio::test]
async fn an_exported_function_is_still_a_function() {
    assert_eq!(add(1, 2), 3);
    assert!(bare().await);
    assert_eq!(blocking(1), 2);
    let functions = [add, add];
    assert_eq!(format!("{functions:?}"), "[add, add]");
}

#[tokio::test]
async fn an_exported_function_is_listed_with_its_params_and_can_be_removed() {
    let methods = router().methods();
    let hello = &methods[0];
    assert_eq!(hello.name.to_string(), "math.hello_world");
    assert_eq!(hello.params, ["name"]);
    let streams = methods
        .iter()
        .find(|entry| entry.name.method == "numbers")
        .unwrap();
    assert_eq!(streams.kind, MethodKind::Stream);
    assert_eq!(methods.last().unwrap().kind, MethodKind::Notification);

    let server = Server::new().add(add).start().await.unwrap();
    let peer = server.local();
    let call = || peer.call("math", "add").args((1, 2)).result::<i64>();
    assert_eq!(call().await.unwrap(), 3);
    let methods = server.methods();
    assert_eq!(
        methods.add(add),
        Err(RegisterError::Duplicate("math.add".to_owned()))
    );
    assert!(methods.remove("math.add"));
    assert!(call().await.is_err());
    methods.add(add).unwrap();
    assert_eq!(call().await.unwrap(), 3);
}
