//! What is checked through the crate's own types.

mod compare;
mod contracts;
mod hostile;
mod manifests;
mod properties;
mod texts;

use crate::{Contract, Method, MethodKind, Param, Schema};

pub(super) fn schema(text: &str) -> Schema {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A service `s` with a method `m` that takes and gives these.
pub(super) fn contract(params: &[(&str, &str)], result: &str) -> Contract {
    let mut method = Method::new("m", MethodKind::Unary).with_result(schema(result));
    for (name, text) in params {
        method = method.with_param(Param::new(*name).with_schema(schema(text)));
    }
    Contract::new("s").with_method(method).unwrap()
}
