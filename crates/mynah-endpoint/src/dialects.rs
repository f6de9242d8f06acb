//! Options that choose a dialect.

use crate::error::EndpointError;
use crate::limits;
use crate::query::Query;
use mynah_codec::Dialect;
use mynah_codec::dialect::cbor_rpc::{self, CborRpc, Padding};
use mynah_codec::dialect::jsonrpc::{self, JsonRpc};
use mynah_codec::dialect::kollabor::{self, Kollabor};
use mynah_codec::dialect::native::{self, Native};

/// The options that one dialect alone has.
const OF_ONE: &[(&str, &[&str])] = &[
    (cbor_rpc::NAME, &["padding", "names", "errors"]),
    (jsonrpc::NAME, &["profile", "params"]),
    (kollabor::NAME, &["max_sent_bytes"]),
];

#[derive(Clone, Copy)]
enum Name {
    Native,
    CborRpc,
    JsonRpc,
    Kollabor,
}

/// Refuses what would have no effect: options of dialects that were not chosen.
fn refuse_others(query: &Query<'_>, chosen: Name) -> Result<(), EndpointError> {
    let chosen = match chosen {
        Name::Native => native::NAME,
        Name::CborRpc => cbor_rpc::NAME,
        Name::JsonRpc => jsonrpc::NAME,
        Name::Kollabor => kollabor::NAME,
    };
    for (name, options) in OF_ONE.iter().filter(|(name, _)| *name != chosen) {
        query.refuse(options, &format!("this option is of dialect={name}"))?;
    }
    Ok(())
}

/// The dialect that is chosen, native in CBOR unless something else is.
pub(crate) fn read(query: &mut Query<'_>) -> Result<Box<dyn Dialect>, EndpointError> {
    let names = [
        (native::NAME, Name::Native),
        (cbor_rpc::NAME, Name::CborRpc),
        (jsonrpc::NAME, Name::JsonRpc),
        (kollabor::NAME, Name::Kollabor),
    ];
    let name = query.choose("dialect", &names)?.unwrap_or(Name::Native);
    refuse_others(query, name)?;
    match name {
        Name::Native => read_native(query),
        Name::CborRpc => read_cbor_rpc(query),
        Name::JsonRpc => read_jsonrpc(query),
        Name::Kollabor => read_kollabor(query),
    }
}

fn read_native(query: &mut Query<'_>) -> Result<Box<dyn Dialect>, EndpointError> {
    let formats = [
        ("cbor", Native::new()),
        ("json", Native::json()),
        ("messagepack", Native::messagepack()),
    ];
    let dialect = query.choose("format", &formats)?;
    Ok(Box::new(dialect.unwrap_or_default()))
}

fn read_cbor_rpc(query: &mut Query<'_>) -> Result<Box<dyn Dialect>, EndpointError> {
    let formats = [("cbor", false), ("json", true)];
    let json = query.choose("format", &formats)?.unwrap_or_default();
    if !json {
        query.refuse(&["padding"], "padding is of format=json")?;
    }
    let paddings = [("newline", Padding::Newline), ("python", Padding::Python)];
    let padding = query.choose("padding", &paddings)?.unwrap_or_default();
    let names = [("method", false), ("qualified", true)];
    let qualified = query.choose("names", &names)?.unwrap_or_default();
    let errors = [("text", false), ("rich", true)];
    let rich = query.choose("errors", &errors)?.unwrap_or_default();
    let dialect = if json {
        CborRpc::json(padding)
    } else {
        CborRpc::cbor()
    };
    Ok(Box::new(
        dialect
            .with_qualified_names(qualified)
            .with_rich_errors(rich),
    ))
}

fn read_kollabor(query: &mut Query<'_>) -> Result<Box<dyn Dialect>, EndpointError> {
    query.choose("format", &[("json", ())])?;
    let known = format!("max_sent_bytes is {}", limits::BYTES);
    let most = query.take("max_sent_bytes", &known, limits::bytes)?;
    let dialect = Kollabor::new();
    Ok(Box::new(match most {
        Some(most) => dialect.with_max_sent_bytes(most),
        None => dialect,
    }))
}

fn read_jsonrpc(query: &mut Query<'_>) -> Result<Box<dyn Dialect>, EndpointError> {
    query.choose("format", &[("json", ())])?;
    let profiles = [
        ("standard", JsonRpc::standard()),
        ("clamator", JsonRpc::clamator()),
    ];
    let chosen = query.choose("profile", &profiles)?.unwrap_or_default();
    let shapes = [("positional", false), ("named", true)];
    Ok(Box::new(match query.choose("params", &shapes)? {
        Some(named) => chosen.with_named_params(named),
        None => chosen,
    }))
}
