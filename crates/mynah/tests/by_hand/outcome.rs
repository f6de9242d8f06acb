//! Expected refusals as values.

use crate::support::{Setup, Way};
use mynah::codec::Format;
use mynah::prelude::*;
use mynah::{DecodeLimits, Outcome, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Refusal {
    OutOfStock { left: u32 },
    NotForSale,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Receipt {
    number: u64,
}

type Bought = Outcome<Receipt, Refusal>;

#[mynah::service]
trait Shop {
    async fn buy(&self, what: String, count: u32) -> Result<Bought, RpcError>;
}

struct MyShop;

impl Shop for MyShop {
    async fn buy(&self, what: String, count: u32) -> Result<Bought, RpcError> {
        match (&*what, count) {
            ("", _) => Err(RpcError::new(ErrorCode::INVALID_PARAMS, "what?")),
            ("till", _) => Ok(Outcome::Refused(Refusal::NotForSale)),
            (_, 4..) => Ok(Outcome::Refused(Refusal::OutOfStock { left: 3 })),
            _ => Ok(Outcome::Ok(Receipt { number: 1 })),
        }
    }
}

fn by_hand() -> Router {
    Router::new().method("shop.buy", |(what, count): (String, u32)| async move {
        MyShop.buy(what, count).await
    })
}

#[tokio::test]
async fn a_refusal_is_no_error() {
    for way in Way::ALL {
        for typed in [true, false] {
            let setup = Setup::of(if typed {
                Router::new().register(ShopService::new(MyShop))
            } else {
                by_hand()
            });
            let joined = setup.join(way).await;
            let shop: ShopClient = joined.client.client();
            let buy = async |what: &str, count| {
                // To the last variant: one more does not compile here.
                match shop.buy(what.to_owned(), count).await {
                    Ok(Outcome::Ok(Receipt { number })) => format!("receipt {number}"),
                    Ok(Outcome::Refused(Refusal::NotForSale)) => "not for sale".to_owned(),
                    Ok(Outcome::Refused(Refusal::OutOfStock { left })) => format!("{left} left"),
                    Err(error) => {
                        assert!(matches!(error, CallError::Application(_)), "{error:?}");
                        "error".to_owned()
                    }
                }
            };
            assert_eq!(buy("egg", 3).await, "receipt 1", "{way:?}");
            assert_eq!(buy("egg", 4).await, "3 left", "{way:?}");
            assert_eq!(buy("till", 1).await, "not for sale", "{way:?}");
            assert_eq!(buy("", 1).await, "error", "{way:?}");
        }
    }
}

#[test]
fn an_outcome_is_written_with_ok() {
    let ok: Bought = Outcome::Ok(Receipt { number: 3 });
    let refused: Bought = Outcome::Refused(Refusal::OutOfStock { left: 1 });
    let plain: Bought = Outcome::Refused(Refusal::NotForSale);
    assert_eq!(
        serde_json::to_value(&ok).unwrap(),
        json!({"ok": true, "value": {"number": 3}})
    );
    assert_eq!(
        serde_json::to_value(&refused).unwrap(),
        json!({"ok": false, "reason": {"out_of_stock": {"left": 1}}})
    );
    assert_eq!(
        serde_json::to_value(&plain).unwrap(),
        json!({"ok": false, "reason": "not_for_sale"})
    );
    for outcome in [ok, refused, plain] {
        for format in [Format::Cbor, Format::Json, Format::MessagePack] {
            let mut bytes = Vec::new();
            format.encode(&outcome, &mut bytes).unwrap();
            let back: Bought = format.decode(&bytes, &DecodeLimits::DEFAULT).unwrap();
            assert_eq!(back, outcome, "{format:?}");
        }
        assert_eq!(Bought::from(outcome.clone().into_result()), outcome);
    }
}

#[test]
fn an_outcome_is_read_in_any_order_and_strictly() {
    type Read = Outcome<u32, String>;
    let read = |text: &str| {
        let json: Result<Read, _> = Format::Json.decode(text.as_bytes(), &DecodeLimits::DEFAULT);
        json.map_err(|error| error.to_string())
    };
    assert_eq!(read(r#"{"ok":true,"value":1}"#), Ok(Outcome::Ok(1)));
    assert_eq!(
        read(r#"{"value":1,"more":[{}],"ok":true}"#),
        Ok(Outcome::Ok(1))
    );
    assert_eq!(
        read(r#"{"reason":"no","ok":false,"value":null}"#),
        Ok(Outcome::Refused("no".to_owned()))
    );
    for (text, why) in [
        ("{}", "missing field `ok`"),
        (r#"{"ok":true}"#, "missing field `value`"),
        (r#"{"ok":false}"#, "missing field `reason`"),
        (r#"{"ok":true,"value":1,"reason":"no"}"#, "`ok` is true"),
        (r#"{"ok":false,"value":1,"reason":"no"}"#, "`ok` is false"),
        (r#"{"ok":true,"ok":true,"value":1}"#, "twice"),
        (r#"{"ok":1,"value":1}"#, "invalid type"),
        (r#"{"ok":true,"value":"x"}"#, "invalid type"),
        (r#"[true,1]"#, "a map with `ok`"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
    }
    // What can stand for nothing may be absent.
    let none: Outcome<Option<u32>, ()> = Format::Json
        .decode(br#"{"ok":true}"#, &DecodeLimits::DEFAULT)
        .unwrap();
    assert_eq!(none, Outcome::Ok(None));
    let unit: Outcome<(), ()> = Format::Json
        .decode(br#"{"ok":false}"#, &DecodeLimits::DEFAULT)
        .unwrap();
    assert_eq!(unit, Outcome::Refused(()));
}
