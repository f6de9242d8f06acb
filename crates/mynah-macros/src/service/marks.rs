//! The attributes of ours: on the trait and on its methods.

use crate::errors::Errors;
use crate::names::{self, Case};
use crate::options;
use proc_macro2::{Ident, TokenStream};
use syn::ext::IdentExt as _;
use syn::meta::ParseNestedMeta;
use syn::punctuated::Punctuated;
use syn::{Attribute, Lit, LitStr, Meta, Token};

/// What the options look like.
const EXAMPLE: &str = "name = \"...\"";

/// What the attributes of a method say.
#[derive(Default)]
pub(crate) struct Marks {
    pub(crate) notification: Option<Attribute>,
    pub(crate) spawn: Option<Attribute>,
    pub(crate) blocking: Option<Attribute>,
    pub(crate) idempotent: Option<Attribute>,
    /// `#[event]`, with its options as far as they are good ones.
    pub(crate) event: Option<(Attribute, EventOptions)>,
    /// `#[method(...)]`, with the name if it is a good one.
    pub(crate) method: Option<(Attribute, Option<String>)>,
    /// What `#[role("...")]` says, in order.
    pub(crate) roles: Vec<String>,
    /// All other attributes.
    pub(crate) rest: Vec<Attribute>,
}

/// What happens to subscribers of an event that are too slow.
#[derive(Default)]
pub(crate) struct EventOptions {
    /// The variant of `Lag`.
    pub(crate) lag: Option<Ident>,
    pub(crate) capacity: Option<usize>,
}

/// The ways to treat a subscriber that is too slow, and their variants.
const LAGS: [(&str, &str); 5] = [
    ("drop-oldest", "DropOldest"),
    ("drop-newest", "DropNewest"),
    ("latest", "Latest"),
    ("close", "Close"),
    ("block", "Block"),
];

/// What the options of `#[service(...)]` say, as far as they are good ones.
#[derive(Default)]
pub(crate) struct ServiceOptions {
    /// The name on the wire. Empty: methods are called by their own names alone.
    pub(crate) name: Option<String>,
    /// How methods and events are written on the wire that say nothing else.
    rename_all: Option<Case>,
    /// Whether a mock is asked for.
    pub(crate) mock: bool,
    /// How params are.
    rename_all_params: Option<Case>,
    /// Whether the contract holds the shapes of what travels.
    pub(crate) schema: bool,
    /// Whether params and results are validated.
    pub(crate) validate: bool,
}

impl ServiceOptions {
    /// The name on the wire of a method that says nothing else.
    pub(crate) fn method_name(&self, ident: &Ident) -> String {
        cased(self.rename_all, ident)
    }

    /// The name on the wire of a parameter.
    pub(crate) fn param_name(&self, ident: &Ident) -> String {
        cased(self.rename_all_params, ident)
    }
}

fn cased(case: Option<Case>, ident: &Ident) -> String {
    let name = ident.unraw().to_string();
    case.map_or_else(|| name.clone(), |case| case.of(&name))
}

/// Reads the options of `#[service(...)]`.
pub(crate) fn service_options(options: TokenStream, errors: &mut Errors) -> ServiceOptions {
    let mut read = ServiceOptions::default();
    errors.take(options::read(options, EXAMPLE, |meta| {
        if meta.path.is_ident("name") {
            let text = options::text(meta)?;
            let name = if text.value().is_empty() {
                String::new()
            } else {
                names::checked(&text, "service")?
            };
            let twice = read.name.replace(name);
            return no_second(meta, twice.is_some());
        }
        if meta.path.is_ident("schema") {
            let twice = std::mem::replace(&mut read.schema, true);
            return no_second(meta, twice);
        }
        if meta.path.is_ident("validate") {
            let twice = std::mem::replace(&mut read.validate, true);
            return no_second(meta, twice);
        }
        for (option, case) in [
            ("rename_all", &mut read.rename_all),
            ("rename_all_params", &mut read.rename_all_params),
        ] {
            if meta.path.is_ident(option) {
                let twice = case.replace(Case::read(&options::text(meta)?)?);
                return no_second(meta, twice.is_some());
            }
        }
        if meta.path.is_ident("mock") {
            if meta.input.peek(syn::Token![=]) || meta.input.peek(syn::token::Paren) {
                return Err(meta.error("`mock` takes no value; write it bare"));
            }
            return no_second(meta, std::mem::replace(&mut read.mock, true));
        }
        Err(meta.error(
            "unknown option; a service has `name = \"...\"`, `rename_all = \"...\"`, \
             `rename_all_params = \"...\"`, `mock`, `schema` and `validate`",
        ))
    }));
    read
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
        if attr.path().is_ident("role") {
            errors.take(roles(&attr, &mut marks.roles));
            continue;
        }
        if attr.path().is_ident("event") {
            let mut options = EventOptions::default();
            errors.take(event_options(&attr, &mut options));
            if marks.event.is_some() {
                errors.at(&attr, "`#[event]` is here twice; remove one");
            } else {
                marks.event = Some((attr, options));
            }
            continue;
        }
        let slot = if attr.path().is_ident("notification") {
            &mut marks.notification
        } else if attr.path().is_ident("spawn") {
            &mut marks.spawn
        } else if attr.path().is_ident("blocking") {
            &mut marks.blocking
        } else if attr.path().is_ident("idempotent") {
            &mut marks.idempotent
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

/// Reads `#[role("admin", "auditor")]`; several stand behind each other.
fn roles(attr: &Attribute, roles: &mut Vec<String>) -> syn::Result<()> {
    let named = |list: &syn::MetaList| {
        list.parse_args_with(Punctuated::<LitStr, Token![,]>::parse_terminated)
    };
    let names = match &attr.meta {
        Meta::List(list) => named(list)?,
        _ => Punctuated::new(),
    };
    if names.is_empty() {
        return Err(syn::Error::new_spanned(
            attr,
            "say who may call it: `#[role(\"admin\")]`",
        ));
    }
    for name in names {
        if name.value().is_empty() || roles.contains(&name.value()) {
            return Err(syn::Error::new(
                name.span(),
                "a role has a name, and is named once",
            ));
        }
        roles.push(name.value());
    }
    Ok(())
}

fn event_options(attr: &Attribute, options: &mut EventOptions) -> syn::Result<()> {
    const EXAMPLE: &str = "lag = \"...\"";
    if matches!(attr.meta, Meta::Path(_)) {
        return Ok(());
    }
    let tokens = attr.meta.require_list()?.tokens.clone();
    options::read(tokens, EXAMPLE, |meta| {
        if meta.path.is_ident("lag") {
            let twice = options.lag.replace(read_lag(&options::text(meta)?)?);
            return no_second(meta, twice.is_some());
        }
        if meta.path.is_ident("capacity") {
            let twice = options.capacity.replace(read_capacity(meta)?);
            return no_second(meta, twice.is_some());
        }
        Err(meta.error("unknown option; an event has `lag = \"...\"` and `capacity = ...`"))
    })
}

fn no_second(meta: &ParseNestedMeta<'_>, twice: bool) -> syn::Result<()> {
    if twice {
        let name = meta.path.require_ident()?;
        return Err(meta.error(format!("`{name}` is here twice; remove one")));
    }
    Ok(())
}

fn read_lag(text: &LitStr) -> syn::Result<Ident> {
    let value = text.value();
    let variant = LAGS.iter().find(|(name, _)| *name == value);
    let (_, variant) = variant.ok_or_else(|| {
        let names = LAGS.map(|(name, _)| format!("\"{name}\"")).join(", ");
        syn::Error::new(
            text.span(),
            format!("say what happens when a subscriber is too slow: one of {names}"),
        )
    })?;
    Ok(Ident::new(variant, text.span()))
}

fn read_capacity(meta: &ParseNestedMeta<'_>) -> syn::Result<usize> {
    let literal: Lit = meta.value()?.parse()?;
    let count = match &literal {
        Lit::Int(count) => count.base10_parse::<u16>().ok().filter(|count| *count > 0),
        _ => None,
    };
    count.map(usize::from).ok_or_else(|| {
        syn::Error::new(
            literal.span(),
            "write how many messages may wait for each subscriber: a number from 1 to 65535",
        )
    })
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
