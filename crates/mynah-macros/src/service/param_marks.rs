//! The attributes of ours on parameters.

use crate::errors::Errors;
use crate::owned::is_path_to;
use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Attribute, Expr, ExprLit, FnArg, Lit, Meta, Signature, Type};

/// What the attributes of a parameter say.
#[derive(Default)]
pub(super) struct ParamMarks {
    /// The whole of the params, as one object.
    pub(super) object: Option<Attribute>,
    /// `#[default]`, and the value behind it.
    pub(super) default: Option<Attribute>,
}

/// Whether an attribute is one of ours.
fn is_ours(attr: &Attribute) -> bool {
    attr.path().is_ident("default") || attr.path().is_ident("params")
}

/// The signature without the attributes of ours, as the trait keeps it.
pub(super) fn stripped(mut signature: Signature) -> Signature {
    for input in &mut signature.inputs {
        if let FnArg::Typed(input) = input {
            input.attrs.retain(|attr| !is_ours(attr));
        }
    }
    signature
}

/// Reads the attributes of a parameter.
pub(super) fn read(attrs: &[Attribute], errors: &mut Errors) -> ParamMarks {
    let mut marks = ParamMarks::default();
    for attr in attrs.iter().filter(|attr| is_ours(attr)) {
        let (slot, name) = if attr.path().is_ident("default") {
            (&mut marks.default, "default")
        } else {
            if !matches!(attr.meta, Meta::Path(_)) {
                errors.at(attr, "`#[params]` takes no options; write it bare");
            }
            (&mut marks.object, "params")
        };
        if slot.is_some() {
            errors.at(attr, format!("`#[{name}]` is here twice; remove one"));
        }
        if let Meta::List(_) = attr.meta
            && name == "default"
        {
            errors.at(
                attr,
                "write `#[default = value]`, or `#[default]` for the default of the type",
            );
        }
        *slot = Some(attr.clone());
    }
    marks
}

/// Refuses a default where the type has one, or nothing could take it.
pub(super) fn check_default(attr: &Attribute, ty: &Type, is_value: bool, errors: &mut Errors) {
    if !is_value {
        errors.at(
            attr,
            "a stream or a callback always comes with its call: remove `#[default]`",
        );
    } else if is_path_to(ty, "Option") {
        errors.at(
            attr,
            "an `Option` that does not come is `None`, and a client writes nothing for `None`: remove \
             `#[default]`, or write the type inside of it",
        );
    }
}

/// Refuses attributes of ours where they mean nothing.
pub(super) fn none_allowed(attrs: &[Attribute], what: &str, errors: &mut Errors) {
    for attr in attrs.iter().filter(|attr| is_ours(attr)) {
        let name = attr.path().to_token_stream();
        errors.at(
            attr,
            format!("`#[{name}]` is for what is sent as a param, which {what} is not: remove it"),
        );
    }
}

/// The value of a default, as an expression of the parameter's type.
pub(super) fn value(attr: &Attribute) -> TokenStream {
    match &attr.meta {
        Meta::NameValue(pair) => match &pair.value {
            text @ Expr::Lit(ExprLit {
                lit: Lit::Str(_), ..
            }) => {
                quote_spanned!(crate::errors::at(text.span())=> ::core::convert::Into::into(#text))
            }
            value => value.to_token_stream(),
        },
        Meta::Path(_) | Meta::List(_) => {
            quote_spanned!(crate::errors::at(attr.span())=> ::core::default::Default::default())
        }
    }
}
