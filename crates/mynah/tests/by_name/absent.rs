//! `None` is written alike by typed clients and by name: where it may be left out it is.

use super::ways::{self, Spells};
use mynah::dialect::{Dialect, Native, Side};
use mynah::prelude::*;
use mynah::protocol::ParamsShape;
use mynah::{RawCall, Router};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// Whoever answers says what the params were.
#[mynah::service]
trait Wire {
    async fn take(&self, a: u8, b: Option<u8>, c: Option<u8>) -> Value;
    async fn all(&self, #[default = 7] a: u8, b: Option<u8>) -> Value;
}

fn told(dialect: &impl Dialect) -> (Peer, Peer) {
    let (near, far) = tokio::io::duplex(4096);
    let router = Router::new().fallback(|_: Context, call: RawCall| async move {
        let params = if call.params().is_empty() {
            json!([])
        } else {
            call.read::<Value>()?
        };
        call.answer(&params)
    });
    let far = Peer::over(far, dialect).side(Side::Accept).router(router);
    let near = Peer::over(near, dialect).side(Side::Dial);
    (near.start().unwrap(), far.start().unwrap())
}

const NONE: Option<u8> = None;

#[tokio::test]
async fn positions_at_the_end_are_left_out_and_others_are_null() {
    for dialect in [Native::new(), Native::json(), Native::messagepack()] {
        let (peer, _far) = told(&dialect);
        let wire: WireClient = peer.client();
        let by_name = |args: (u8, Option<u8>, Option<u8>)| peer.call("wire", "take").args(args);
        for (args, written) in [
            ((1, NONE, NONE), json!([1])),
            ((1, Some(2), NONE), json!([1, 2])),
            ((1, NONE, Some(3)), json!([1, null, 3])),
            ((1, Some(2), Some(3)), json!([1, 2, 3])),
        ] {
            let (a, b, c) = args;
            assert_eq!(wire.take(a, b, c).await.unwrap(), written);
            assert_eq!(by_name(args).result::<Value>().await.unwrap(), written);
        }
        // Who wants a null says so.
        let null = peer.call("wire", "take").args((1, (), ()));
        assert_eq!(
            null.result::<Value>().await.unwrap(),
            json!([1, null, null])
        );
        let nothing = peer.call("wire", "take").args((NONE, NONE));
        assert_eq!(nothing.result::<Value>().await.unwrap(), json!([]));
    }
}

#[tokio::test]
async fn names_are_left_out() {
    for shape in [ParamsShape::Named, ParamsShape::Positional] {
        let (peer, _far) = told(&Spells { shape, only: false });
        let wire: WireClient = peer.client();
        let named = peer.call("wire", "take");
        let named = named.arg("a", 1_u8).arg("b", NONE).arg("c", Some(3_u8));
        let written = json!({"a": 1, "c": 3});
        assert_eq!(named.result::<Value>().await.unwrap(), written);
        if shape == ParamsShape::Named {
            assert_eq!(wire.take(1, None, Some(3)).await.unwrap(), written);
        }
        let nothing = peer.call("wire", "take").arg("a", NONE).arg("b", NONE);
        assert_eq!(nothing.result::<Value>().await.unwrap(), json!({}));
        let null = peer.call("wire", "take").arg("a", ());
        assert_eq!(null.result::<Value>().await.unwrap(), json!({"a": null}));
    }
}

struct Here;

impl Wire for Here {
    async fn take(&self, a: u8, b: Option<u8>, c: Option<u8>) -> Value {
        json!([a, b, c])
    }

    async fn all(&self, a: u8, b: Option<u8>) -> Value {
        json!([a, b])
    }
}

/// What is left out is what the method says that it is, its default included.
#[tokio::test]
async fn a_server_reads_what_is_left_out_as_absent() {
    let server = Server::new().register(WireService::new(Here));
    let server = server.listen("tcp://127.0.0.1:0").start().await.unwrap();
    let far = mynah::connect(server.address()).await.unwrap();
    for peer in [far, server.local()] {
        let all = || peer.call("wire", "all");
        let named = all().arg("a", NONE).arg("b", Some(2_u8)).result::<Value>();
        assert_eq!(named.await.unwrap(), json!([7, 2]));
        let positional = all().args((NONE, NONE)).result::<Value>();
        assert_eq!(positional.await.unwrap(), json!([7, null]));
        let null = all().arg("a", ()).result::<Value>().await.unwrap_err();
        assert!(
            matches!(&null, CallError::Application(error) if error.code() == ErrorCode::INVALID_PARAMS),
            "{null:?}"
        );
    }
}

#[mynah::service]
trait Tells {
    async fn tell(&self, told: Callback<Option<u8>>) -> Result<(), RpcError>;
}

struct Teller;

impl Tells for Teller {
    async fn tell(&self, told: Callback<Option<u8>>) -> Result<(), RpcError> {
        for value in [None, Some(1), None] {
            told.send(value)
                .await
                .map_err(|gone| RpcError::new(ErrorCode::application(1), gone.to_string()))?;
        }
        Ok(())
    }
}

/// What a callback is told is not a param that may be absent.
#[tokio::test]
async fn a_callback_is_told_none() {
    let server = Server::new().register(TellsService::new(Teller));
    let server = server.listen("tcp://127.0.0.1:0").start().await.unwrap();
    for peer in [
        mynah::connect(server.address()).await.unwrap(),
        server.local(),
    ] {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&heard);
        let tells: TellsClient = peer.client();
        let told = tells.tell(move |value| hears.lock().unwrap().push(value));
        told.await.unwrap();
        ways::until("all is heard", || heard.lock().unwrap().len() == 3).await;
        assert_eq!(*heard.lock().unwrap(), [None, Some(1), None]);
    }
}
