//! What a change of a Rust type breaks, by the schemas that schemars makes of it.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and of its types the schemas count"
)]

use mynah_contract::{Comparison, Contract, Method, MethodKind, Param, Verdict, received, sent};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is said of a change from `Old` to `New` as a param, and as a result.
fn check<Old: JsonSchema, New: JsonSchema>(as_param: &[&str], as_result: &[&str]) {
    fn contract<T: JsonSchema>() -> Contract {
        Contract::new("s")
            .with_method(
                Method::new("m", MethodKind::Unary)
                    .with_param(Param::new("p").with_schema(received::<T>()))
                    .with_result(sent::<T>()),
            )
            .expect("a method")
    }
    let comparison = Comparison::of_contracts(&contract::<Old>(), &contract::<New>());
    let told: Vec<String> = comparison
        .changes()
        .iter()
        .map(|change| change.to_string().replace(": s.m ", ": "))
        .collect();
    let (params, results): (Vec<&str>, Vec<&str>) = told
        .iter()
        .map(String::as_str)
        .partition(|line| line.contains(": params"));
    assert_eq!(params, as_param, "{comparison}");
    assert_eq!(results, as_result, "{comparison}");
    let same = Comparison::of_contracts(&contract::<Old>(), &contract::<Old>());
    assert!(same.is_empty(), "{same}");
    let hash = |contract: &Contract| contract.hash(&contract.methods()[0]).expect("a hash");
    assert_eq!(hash(&contract::<Old>()), hash(&contract::<Old>()));
    if comparison.verdict() > Verdict::Compatible {
        assert_ne!(hash(&contract::<Old>()), hash(&contract::<New>()));
    }
}

mod one {
    use super::*;

    #[derive(JsonSchema, Serialize, Deserialize)]
    pub(crate) struct Struct {
        pub(crate) a: u8,
        pub(crate) b: Option<String>,
        #[serde(default)]
        pub(crate) c: u32,
        pub(crate) next: Option<Box<Struct>>,
    }

    #[derive(JsonSchema, Serialize, Deserialize)]
    pub(crate) enum Plain {
        A,
        B,
    }

    #[derive(JsonSchema, Serialize, Deserialize)]
    pub(crate) enum Full {
        Unit,
        New(u8),
        Named { x: i32 },
    }

    #[derive(JsonSchema, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    pub(crate) enum Tagged {
        A { x: i32 },
        B,
    }

    #[derive(JsonSchema, Serialize, Deserialize)]
    #[serde(tag = "t", content = "c")]
    pub(crate) enum Adjacent {
        A(u8),
        B,
    }

    #[derive(JsonSchema, Serialize, Deserialize)]
    #[serde(untagged)]
    pub(crate) enum Untagged {
        Number(i64),
        Text(String),
    }

    #[derive(JsonSchema, Serialize, Deserialize)]
    pub(crate) struct Flat {
        #[serde(flatten)]
        pub(crate) tagged: Tagged,
        pub(crate) y: u8,
    }

    #[derive(JsonSchema, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Closed {
        pub(crate) a: u8,
    }

    #[derive(JsonSchema, Serialize, Deserialize)]
    pub(crate) struct Wide {
        pub(crate) map: BTreeMap<String, Vec<(u8, i16)>>,
        pub(crate) big: u128,
        pub(crate) char: char,
        pub(crate) array: [u8; 3],
    }
}

mod two {
    use super::*;

    /// Docs, another order, and another name.
    #[derive(JsonSchema, Serialize, Deserialize)]
    #[schemars(rename = "Record")]
    pub(crate) struct Struct {
        pub(crate) next: Option<Box<Struct>>,
        #[serde(default)]
        pub(crate) c: u32,
        /// A text.
        pub(crate) b: Option<String>,
        pub(crate) a: u16,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(crate) d: Option<bool>,
    }

    #[derive(JsonSchema, Serialize, Deserialize)]
    pub(crate) enum Plain {
        /// The first.
        A,
        B,
        C,
    }

    #[derive(JsonSchema, Serialize, Deserialize)]
    pub(crate) enum Full {
        Unit,
        New(u16),
        Named { x: i32, y: Option<u8> },
    }

    #[derive(JsonSchema, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    pub(crate) enum Tagged {
        A { x: String },
        C,
    }

    #[derive(JsonSchema, Serialize, Deserialize)]
    #[serde(tag = "t", content = "c")]
    pub(crate) enum Adjacent {
        A(u8),
        B,
        C(bool),
    }

    #[derive(JsonSchema, Serialize, Deserialize)]
    #[serde(untagged)]
    pub(crate) enum Untagged {
        Number(i64),
        Text(String),
        Flag(bool),
    }

    #[derive(JsonSchema, Serialize, Deserialize)]
    pub(crate) struct Flat {
        #[serde(flatten)]
        pub(crate) tagged: one::Tagged,
        pub(crate) y: Option<u8>,
    }

    #[derive(JsonSchema, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Closed {
        pub(crate) a: u8,
        #[serde(default)]
        pub(crate) b: u8,
    }

    #[derive(JsonSchema, Serialize, Deserialize)]
    pub(crate) struct Wide {
        pub(crate) map: BTreeMap<String, Vec<(u8, i32)>>,
        pub(crate) big: u64,
        pub(crate) char: String,
        pub(crate) array: [u8; 4],
    }
}

#[test]
fn structs() {
    check::<one::Struct, two::Struct>(
        &[
            "needs both sides: params.p.a: type widened from integer from 0 to 255 to integer from 0 to 65535",
            "compatible: params.p.d: optional field added",
        ],
        &[
            "breaking: result.a: type widened from integer from 0 to 255 to integer from 0 to 65535",
            "compatible: result.d: optional field added",
        ],
    );
    check::<one::Closed, two::Closed>(
        &["needs both sides: params.p.b: optional field added"],
        // A field with a default is always written, and an old client refuses it.
        &["breaking: result.b: required field added"],
    );
}

#[test]
fn enums() {
    check::<one::Plain, two::Plain>(
        &["needs both sides: params.p: enum value \"C\" added"],
        &["breaking: result: enum value \"C\" added"],
    );
    check::<one::Full, two::Full>(
        &[
            "compatible: params.p<Named>.Named.y: optional field added",
            "needs both sides: params.p<New>.New: type widened from integer from 0 to 255 to integer from 0 to 65535",
        ],
        &[
            "needs both sides: result<Named>.Named.y: required field added",
            "breaking: result<New>.New: type widened from integer from 0 to 255 to integer from 0 to 65535",
        ],
    );
    check::<one::Tagged, two::Tagged>(
        &[
            "breaking: params.p<kind=A>.x: type changed from integer from -2147483648 to 2147483647 to text",
            "breaking: params.p: variant kind=B removed",
            "needs both sides: params.p: variant kind=C added",
        ],
        &[
            "breaking: result<kind=A>.x: type changed from integer from -2147483648 to 2147483647 to text",
            "needs both sides: result: variant kind=B removed",
            "breaking: result: variant kind=C added",
        ],
    );
    check::<one::Adjacent, two::Adjacent>(
        &["needs both sides: params.p: variant t=C added"],
        &["breaking: result: variant t=C added"],
    );
    check::<one::Untagged, two::Untagged>(
        &[
            "needs both sides: params.p: type widened from integer from -9223372036854775808 to 9223372036854775807 | text to integer from -9223372036854775808 to 9223372036854775807 | text | boolean",
        ],
        &[
            "breaking: result: type widened from integer from -9223372036854775808 to 9223372036854775807 | text to integer from -9223372036854775808 to 9223372036854775807 | text | boolean",
        ],
    );
}

#[test]
fn flattened_enums_and_collections() {
    check::<one::Flat, two::Flat>(
        &[
            "needs both sides: params.p<kind=A>.y: became optional",
            "needs both sides: params.p<kind=A>.y: may be null now",
            "needs both sides: params.p<kind=B>.y: became optional",
            "needs both sides: params.p<kind=B>.y: may be null now",
        ],
        &[
            "breaking: result<kind=A>.y: may be null now",
            "breaking: result<kind=B>.y: may be null now",
        ],
    );
    check::<one::Wide, two::Wide>(
        &[
            "breaking: params.p.array: type changed from list of 3 to list of 4",
            "breaking: params.p.big: type narrowed from integer from 0 to integer from 0 to 18446744073709551615",
            "needs both sides: params.p.char: type widened from text, at least 1 long, at most 1 long to text",
            "needs both sides: params.p.map{}[][1]: type widened from integer from -32768 to 32767 to integer from -2147483648 to 2147483647",
        ],
        &[
            "breaking: result.array: type changed from list of 3 to list of 4",
            "needs both sides: result.big: type narrowed from integer from 0 to integer from 0 to 18446744073709551615",
            "breaking: result.char: type widened from text, at least 1 long, at most 1 long to text",
            "breaking: result.map{}[][1]: type widened from integer from -32768 to 32767 to integer from -2147483648 to 2147483647",
        ],
    );
}
