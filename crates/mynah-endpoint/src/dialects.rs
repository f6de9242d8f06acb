//! Options that choose a dialect.

use crate::error::EndpointError;
use crate::limits;
use crate::query::Query;
use mynah_codec::Dialect;
use mynah_codec::dialect::cbor_rpc::{self, CborRpc, Padding};
use mynah_codec::dialect::kollabor::{self, Kollabor};
use mynah_codec::dialect::native::{self, Native};

/// Those of cbor-rpc alone.
const OF_CBOR_RPC: &[&str] = &["padding", "names", "errors"];

/// Those of kollabor alone.
const OF_KOLLABOR: &[&str] = &["max_sent_bytes"];

/// The dialect that is chosen, native in CBOR unless something else is.
pub(crate) fn read(query: &mut Query<'_>) -> Result<Box<dyn Dialect>, EndpointError> {
    #[derive(Clone, Copy)]
    enum Name {
        Native,
        CborRpc,
        Kollabor,
    }
    let names = [
        (native::NAME, Name::Native),
        (cbor_rpc::NAME, Name::CborRpc),
        (kollabor::NAME, Name::Kollabor),
    ];
    match query.choose("dialect", &names)?.unwrap_or(Name::Native) {
        Name::Native => read_native(query),
        Name::CborRpc => read_cbor_rpc(query),
        Name::Kollabor => read_kollabor(query),
    }
}

fn no_cbor_rpc(query: &Query<'_>) -> Result<(), EndpointError> {
    query.refuse(OF_CBOR_RPC, "this option is of dialect=cbor-rpc")
}

fn no_kollabor(query: &Query<'_>) -> Result<(), EndpointError> {
    query.refuse(OF_KOLLABOR, "this option is of dialect=kollabor")
}

fn read_native(query: &mut Query<'_>) -> Result<Box<dyn Dialect>, EndpointError> {
    let formats = [
        ("cbor", Native::new()),
        ("json", Native::json()),
        ("messagepack", Native::messagepack()),
    ];
    let dialect = query.choose("format", &formats)?;
    no_cbor_rpc(query)?;
    no_kollabor(query)?;
    Ok(Box::new(dialect.unwrap_or_default()))
}

fn read_cbor_rpc(query: &mut Query<'_>) -> Result<Box<dyn Dialect>, EndpointError> {
    no_kollabor(query)?;
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
    no_cbor_rpc(query)?;
    query.choose("format", &[("json", ())])?;
    let known = format!("max_sent_bytes is {}", limits::BYTES);
    let most = query.take("max_sent_bytes", &known, limits::bytes)?;
    let dialect = Kollabor::new();
    Ok(Box::new(match most {
        Some(most) => dialect.with_max_sent_bytes(most),
        None => dialect,
    }))
}
