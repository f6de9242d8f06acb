//! Options that choose a dialect.

use crate::error::EndpointError;
use crate::query::Query;
use mynah_codec::Dialect;
use mynah_codec::dialect::cbor_rpc::{self, CborRpc, Padding};
use mynah_codec::dialect::native::{self, Native};

/// Those of cbor-rpc alone.
const OF_CBOR_RPC: &[&str] = &["padding", "names", "errors"];

/// The dialect that is chosen, native in CBOR unless something else is.
pub(crate) fn read(query: &mut Query<'_>) -> Result<Box<dyn Dialect>, EndpointError> {
    #[derive(Clone, Copy)]
    enum Name {
        Native,
        CborRpc,
    }
    let names = [
        (native::NAME, Name::Native),
        (cbor_rpc::NAME, Name::CborRpc),
    ];
    match query.choose("dialect", &names)?.unwrap_or(Name::Native) {
        Name::Native => read_native(query),
        Name::CborRpc => read_cbor_rpc(query),
    }
}

fn read_native(query: &mut Query<'_>) -> Result<Box<dyn Dialect>, EndpointError> {
    let formats = [
        ("cbor", Native::new()),
        ("json", Native::json()),
        ("messagepack", Native::messagepack()),
    ];
    let dialect = query.choose("format", &formats)?;
    query.refuse(OF_CBOR_RPC, "this option is of dialect=cbor-rpc")?;
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
