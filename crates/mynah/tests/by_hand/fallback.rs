//! What answers for methods that nobody has.

use crate::support::{Setup, Way};
use mynah::prelude::*;
use mynah::{FormatId, RawCall, Router};

fn router() -> Router {
    Router::new()
        .method("a.known", || 1_i64)
        .fallback(|_cx: Context, call: RawCall| async move {
            match &*call.name().method {
                "sum" => {
                    tokio::task::yield_now().await;
                    let (a, b): (i64, i64) = call.read()?;
                    call.answer(&(a + b))
                }
                "echo" => call.answer_raw(call.params()),
                // Not one value of its format.
                "wrong" => call.answer_raw([0xff, 0xff]),
                _ => Err(call.not_found()),
            }
        })
}

#[tokio::test]
async fn a_fallback_has_name_and_payload_and_may_answer_raw() {
    for way in Way::ALL {
        let setup = Setup::of(router());
        let joined = setup.join(way).await;
        let peer = &joined.client;
        let sum = |service, method| peer.call(service, method).args((2, 3)).result::<i64>();
        let known = peer.call("a", "known").result::<i64>();
        assert_eq!(known.await.unwrap(), 1, "{way:?}");
        assert_eq!(sum("a", "sum").await.unwrap(), 5, "{way:?}");
        let echo = peer.call("b", "echo").args((7, 8)).result::<(i64, i64)>();
        assert_eq!(echo.await.unwrap(), (7, 8), "{way:?}");
        let other = sum("b", "other").await.unwrap_err();
        let wrong = sum("b", "wrong").await.unwrap_err();
        if way != Way::CborRpc {
            let code = |error: &CallError<RpcError>| match error {
                CallError::Application(error) => Some(error.code()),
                other => other.code(),
            };
            assert_eq!(
                code(&other),
                Some(ErrorCode::METHOD_NOT_FOUND),
                "{way:?}: {other:?}"
            );
            assert_eq!(
                code(&wrong),
                Some(ErrorCode::UNENCODABLE),
                "{way:?}: {wrong:?}"
            );
        }
        joined.idle().await;
    }
}

#[tokio::test]
async fn a_fallback_is_told_the_format() {
    for (way, format) in [
        (Way::TcpCbor, FormatId::Cbor),
        (Way::TcpJson, FormatId::Json),
        (Way::TcpPack, FormatId::MessagePack),
    ] {
        let setup = Setup::of(Router::new().fallback(
            move |_cx: Context, call: RawCall| async move {
                assert_eq!(call.format(), format);
                call.answer(&call.params().len())
            },
        ));
        let joined = setup.join(way).await;
        let call = joined
            .client
            .call("a", "len")
            .args(("text",))
            .result::<u64>();
        assert!(call.await.unwrap() > 5, "{way:?}");
    }
}
