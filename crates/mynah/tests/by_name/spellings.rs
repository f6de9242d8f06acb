//! What each wire can say, and what it refuses before anything is written.

use super::service::DeskClient;
use super::ways::{self, Joined, Spells};
use mynah::prelude::*;
use mynah::protocol::ParamsShape;

fn refused<T: std::fmt::Debug>(
    result: Result<T, CallError<RpcError>>,
    joined: &Joined,
) -> &'static str {
    // Nothing has left: the other side has heard of nothing.
    assert_eq!(joined.client.stats(), mynah::PeerStats::default());
    match result.unwrap_err() {
        CallError::Unsupported { feature, .. } => feature,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_wire_with_positions_refuses_names() {
    let joined = ways::cbor_rpc();
    let client = &joined.client;
    let desk: DeskClient = client.client();
    assert_eq!(desk.add(1, 2).await.unwrap(), 3);
    let call = client.call("desk", "add").args((1, 2)).result::<u8>();
    assert_eq!(call.await.unwrap(), 3);
    let call = client.call("desk", "add").arg("a", 1).arg("b", 2);
    assert_eq!(refused(call.result::<u8>().await, &joined), "named params");
    // One object is the only element of its array.
    let order = std::collections::BTreeMap::from([("item", "tea")]);
    let call = client.call("desk", "order").params(&order);
    assert_eq!(call.result::<String>().await.unwrap(), "0 tea");
    // What is absent at the end is not there.
    let greeting = desk.greet("Ada".to_owned(), None, "Hi".to_owned()).await;
    assert_eq!(greeting.unwrap(), "Hi, Ada");
    let call = client.call("desk", "greet").args(("Ada",));
    assert_eq!(call.result::<String>().await.unwrap(), "Hello, Ada");
}

#[tokio::test]
async fn a_wire_with_names_refuses_positions_without_names() {
    for shape in [ParamsShape::Named, ParamsShape::Object] {
        let joined = ways::over(&Spells { shape, only: true });
        let client = &joined.client;
        // The contract knows the names.
        let desk: DeskClient = client.client();
        assert_eq!(desk.add(1, 2).await.unwrap(), 3);
        let call = client.call("desk", "add").arg("b", 2).arg("a", 1);
        assert_eq!(call.result::<u8>().await.unwrap(), 3);
        let call = client.call("desk", "noted").result::<Vec<String>>();
        assert_eq!(call.await.unwrap(), Vec::<String>::new());
        let call = client.call("desk", "add").args((1, 2)).result::<u8>();
        assert_eq!(refused(call.await, &joined), "positional params");
        // Callbacks and events are not the user's: they work on every wire that has them.
        let told = desk.tell(2, |_| {}, async |number| Ok(number));
        assert_eq!(told.await.unwrap(), 1);
        drop(desk.rang().await.unwrap());
    }
}
