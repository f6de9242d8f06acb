//! From tokens to what is known of the enum.

use super::message::{self, Message};
use crate::errors::Errors;
use crate::{names, options, owned};
use proc_macro2::{Ident, TokenStream};
use std::collections::HashMap;
use syn::ext::IdentExt as _;
use syn::meta::ParseNestedMeta;
use syn::parse::ParseStream;
use syn::{Attribute, Data, DeriveInput, Fields, LitInt, LitStr, Meta, Token, Type, Variant};

/// The codes that JSON-RPC keeps for itself.
const RESERVED: std::ops::RangeInclusive<i64> = -32768..=-32000;

/// An enum that is a domain error.
pub(super) struct DomainError {
    pub(super) ident: Ident,
    /// Whether `Display` and `Error` are implemented here.
    pub(super) display: bool,
    pub(super) variants: Vec<ErrorVariant>,
}

/// A variant of it.
pub(super) struct ErrorVariant {
    pub(super) ident: Ident,
    pub(super) code: i64,
    pub(super) shape: Shape,
    pub(super) fields: Vec<Field>,
    pub(super) message: Message,
}

/// How the fields of a variant are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Unit,
    Tuple,
    Named,
}

/// A field of a variant.
pub(super) struct Field {
    /// The name of a named field, as it was written.
    pub(super) ident: Option<Ident>,
    /// The name as it travels, or the index.
    pub(super) name: String,
    pub(super) ty: Type,
}

/// What the attributes of a variant say.
#[derive(Default)]
struct Options {
    code: Option<(i64, LitInt)>,
    message: Option<LitStr>,
}

/// Reads the enum. `None`, with an error, when it is none.
pub(super) fn domain_error(item: TokenStream, errors: &mut Errors) -> Option<DomainError> {
    let item: DeriveInput = errors.take(syn::parse2(item))?;
    let Data::Enum(data) = item.data else {
        errors.at(
            &item.ident,
            "`DomainError` is derived for an enum: one variant for each code; make this an enum \
             with one variant",
        );
        return None;
    };
    if item.generics.lt_token.is_some() || item.generics.where_clause.is_some() {
        errors.at(
            &item.generics,
            "a domain error cannot be generic, for both sides must know its types: write them out",
        );
        return None;
    }
    if data.variants.is_empty() {
        errors.at(
            &item.ident,
            "this error cannot happen: give it a variant, or leave the error out of the methods",
        );
    }
    let display = !no_display(&item.attrs, errors);
    let mut codes = HashMap::new();
    let mut variants = Vec::new();
    for item in data.variants {
        let ident = item.ident.clone();
        let Some((variant, literal)) = variant(item, display, errors) else {
            continue;
        };
        if let Some(first) = codes.insert(variant.code, ident) {
            let message = format!(
                "code {} is that of `{first}` already: the caller could not tell the two apart",
                variant.code
            );
            errors.at(&literal, message);
        }
        variants.push(variant);
    }
    Some(DomainError {
        ident: item.ident,
        display,
        variants,
    })
}

/// Reads the attributes of the enum.
fn no_display(attrs: &[Attribute], errors: &mut Errors) -> bool {
    let mut found = false;
    for attr in attrs {
        if attr.path().is_ident("domain") {
            errors.take(attr.parse_nested_meta(|meta| {
                if !meta.path.is_ident("no_display") {
                    return Err(meta.error("unknown option; an error has `no_display`"));
                }
                found = true;
                Ok(())
            }));
        }
    }
    // With `no_display` it belongs to another derive.
    if let Some(attr) = attrs
        .iter()
        .find(|attr| !found && attr.path().is_ident("error"))
    {
        errors.at(attr, "`#[error(...)]` goes on the variants");
    }
    found
}

fn variant(item: Variant, display: bool, errors: &mut Errors) -> Option<(ErrorVariant, LitInt)> {
    let mut found = Options::default();
    let mut well_read = true;
    for attr in &item.attrs {
        let ours = attr.path().is_ident("domain")
            || attr.path().is_ident("error") && (display || has_options(attr));
        if ours {
            let read = attr.meta.require_list().and_then(|list| {
                options::read(list.tokens.clone(), "code = 1, message = \"...\"", |meta| {
                    option(meta, display, &mut found)
                })
            });
            well_read &= errors.take(read).is_some();
        }
    }
    let shape = match &item.fields {
        Fields::Unit => Shape::Unit,
        Fields::Unnamed(_) => Shape::Tuple,
        Fields::Named(_) => Shape::Named,
    };
    let fields = fields(&item, errors);
    let message = match &found.message {
        Some(text) => errors.take(message::parse(text, &item.ident, &fields)),
        None => Some(Message::plain(
            &names::words(&item.ident.unraw().to_string(), ' '),
            &item,
        )),
    };
    let Some((code, literal)) = found.code else {
        if well_read {
            let attribute = if display { "error" } else { "domain" };
            let message = format!(
                "`{}` has no code: add `#[{attribute}(code = 1)]`, with a number of its own",
                item.ident
            );
            errors.at(&item.ident, message);
        }
        return None;
    };
    Some((
        ErrorVariant {
            ident: item.ident,
            code,
            shape,
            fields,
            message: message?,
        },
        literal,
    ))
}

fn fields(item: &Variant, errors: &mut Errors) -> Vec<Field> {
    let fields = item.fields.iter().enumerate();
    fields
        .map(|(index, field)| {
            owned::check(&field.ty, "field of an error", errors);
            let name = match &field.ident {
                Some(ident) => ident.unraw().to_string(),
                None => index.to_string(),
            };
            Field {
                ident: field.ident.clone(),
                name,
                ty: field.ty.clone(),
            }
        })
        .collect()
}

/// Whether `#[error(...)]` starts like ours and not like that of another derive.
fn has_options(attr: &Attribute) -> bool {
    let starts = |input: ParseStream<'_>| {
        let named = input.peek(syn::Ident) && input.peek2(Token![=]);
        let _rest: TokenStream = input.parse()?;
        Ok(named)
    };
    matches!(attr.meta, Meta::List(_)) && attr.parse_args_with(starts).unwrap_or_default()
}

fn option(meta: &ParseNestedMeta<'_>, display: bool, found: &mut Options) -> syn::Result<()> {
    if meta.path.is_ident("code") {
        if found.code.is_some() {
            return Err(meta.error("`code` is here twice; remove one"));
        }
        found.code = Some(code(meta.value()?)?);
    } else if meta.path.is_ident("message") {
        if !display {
            return Err(meta.error("the text is that of your `Display`: remove `message`"));
        }
        if found.message.is_some() {
            return Err(meta.error("`message` is here twice; remove one"));
        }
        found.message = Some(options::text(meta)?);
    } else {
        return Err(meta.error("unknown option; a variant has `code = 1` and `message = \"...\"`"));
    }
    Ok(())
}

fn code(input: ParseStream<'_>) -> syn::Result<(i64, LitInt)> {
    let minus: Option<Token![-]> = input.parse()?;
    let literal: LitInt = input
        .parse()
        .map_err(|error| syn::Error::new(error.span(), "a code is an integer, as in `code = 1`"))?;
    let digits = literal.base10_digits();
    let text = if minus.is_some() {
        format!("-{digits}")
    } else {
        digits.to_owned()
    };
    let code: i64 = text
        .parse()
        .map_err(|_too_large: std::num::ParseIntError| {
            syn::Error::new(
                literal.span(),
                "a code is a signed 64-bit integer: choose one in its range",
            )
        })?;
    if RESERVED.contains(&code) {
        let message = format!(
            "codes from {} to {} are reserved for the protocol: choose one outside",
            RESERVED.start(),
            RESERVED.end()
        );
        return Err(syn::Error::new(literal.span(), message));
    }
    Ok((code, literal))
}
