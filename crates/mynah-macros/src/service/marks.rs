//! The attributes of ours: on the trait and on its methods.

use crate::errors::Errors;
use crate::{names, options};
use proc_macro2::TokenStream;
use syn::meta::ParseNestedMeta;
use syn::{Attribute, Meta};

/// What the options look like.
const EXAMPLE: &str = "name = \"...\"";

/// What the attributes of a method say.
#[derive(Default)]
pub(crate) struct Marks {
    pub(crate) notification: Option<Attribute>,
    pub(crate) spawn: Option<Attribute>,
    pub(crate) blocking: Option<Attribute>,
    /// `#[method(...)]`, with the name if it is a good one.
    pub(crate) method: Option<(Attribute, Option<String>)>,
    /// All other attributes.
    pub(crate) rest: Vec<Attribute>,
}

/// Reads the options of `#[service(...)]`: the name, if it is there and good.
pub(crate) fn service_name(options: TokenStream, errors: &mut Errors) -> Option<String> {
    let mut name = None;
    errors.take(options::read(options, EXAMPLE, |meta| {
        read_name(meta, &mut name, "service")
    }));
    name
}

/// Sorts the attributes of a method.
pub(crate) fn read(attrs: Vec<Attribute>, errors: &mut Errors) -> Marks {
    let mut marks = Marks::default();
    for attr in attrs {
        if attr.path().is_ident("method") {
            let mut name = None;
            if errors.take(method_name(&attr, &mut name)).is_some() && name.is_none() {
                errors.at(&attr, "say what it sets: `#[method(name = \"...\")]`");
            }
            if marks.method.is_some() {
                errors.at(&attr, "`#[method]` is here twice; remove one");
            } else {
                marks.method = Some((attr, name));
            }
            continue;
        }
        let slot = if attr.path().is_ident("notification") {
            &mut marks.notification
        } else if attr.path().is_ident("spawn") {
            &mut marks.spawn
        } else if attr.path().is_ident("blocking") {
            &mut marks.blocking
        } else {
            marks.rest.push(attr);
            continue;
        };
        let name = attr
            .path()
            .get_ident()
            .map(ToString::to_string)
            .unwrap_or_default();
        if !matches!(attr.meta, Meta::Path(_)) {
            errors.at(
                &attr,
                format!("`#[{name}]` takes no options; write it bare"),
            );
        }
        if slot.is_some() {
            errors.at(&attr, format!("`#[{name}]` is here twice; remove one"));
        }
        *slot = Some(attr);
    }
    marks
}

fn method_name(attr: &Attribute, name: &mut Option<String>) -> syn::Result<()> {
    match &attr.meta {
        Meta::Path(_) => Ok(()),
        meta => {
            let tokens = meta.require_list()?.tokens.clone();
            options::read(tokens, EXAMPLE, |meta| read_name(meta, name, "method"))
        }
    }
}

fn read_name(meta: &ParseNestedMeta<'_>, name: &mut Option<String>, what: &str) -> syn::Result<()> {
    if !meta.path.is_ident("name") {
        return Err(meta.error(format!("unknown option; a {what} has `name = \"...\"`")));
    }
    if name.is_some() {
        return Err(meta.error("`name` is here twice; remove one"));
    }
    *name = Some(names::checked(&options::text(meta)?, what)?);
    Ok(())
}
