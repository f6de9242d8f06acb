//! What is wrong with a trait that should be a service, said where it is wrong and with what to do.

use super::marks::Marks;
use super::model::{Kind, Param, Service};
use super::{events, shapes};
use crate::errors::Errors;
use crate::owned::{self, is_path_to, readable, ungrouped};
use quote::ToTokens as _;
use std::collections::HashMap;
use syn::{
    Attribute, FnArg, GenericArgument, Item, ItemTrait, Pat, PatType, ReceiverKind, ReturnType,
    Safety, Signature, TraitItem, TraitItemFn, Type,
};

/// The most parameters of a method: they travel as a tuple, and serde knows tuples up to here.
const MAX_PARAMS: usize = 16;

/// Methods of the client that are not calls.
const CLIENT_METHODS: &[&str] = &["new", "caller", "from_caller", "clone"];

pub(super) fn not_a_trait(item: &Item, errors: &mut Errors) {
    let message = if matches!(item, Item::Impl(_)) {
        "`#[service]` goes on a trait; an `impl` of that trait needs no attribute"
    } else {
        "`#[service]` goes on a trait"
    };
    errors.at(item, message);
}

/// Checks the trait itself. Returns whether types can be made from it.
pub(super) fn definition(item: &ItemTrait, errors: &mut Errors) -> bool {
    if let Some(unsafety) = &item.unsafety {
        errors.at(unsafety, "a service is not `unsafe`: remove the word");
    }
    errors.take(item.modifiers.require_empty());
    if !item.supertraits.is_empty() {
        errors.at(
            &item.supertraits,
            "a service inherits nothing, for its methods must all be seen here: declare them in \
             this trait, or make two services of two traits (`Send + Sync + 'static` is added for you)",
        );
    }
    let generics = &item.generics;
    let generic = generics.lt_token.is_some();
    if generic {
        errors.at(
            generics,
            "a service cannot be generic, for both sides must know one contract: write the types out",
        );
    }
    if let Some(clause) = &generics.where_clause {
        errors.at(
            clause,
            "a service has no `where` clause: bound the type where you implement it",
        );
    }
    !generic
}

pub(super) fn not_a_method(item: &TraitItem, errors: &mut Errors) {
    match item {
        TraitItem::Const(_) => errors.at(
            item,
            "a constant cannot be called: move it out of the trait, or make it a method",
        ),
        TraitItem::Type(_) => errors.at(
            item,
            "a service has no associated types, for both sides must know one contract: write the \
             type in the methods",
        ),
        TraitItem::Macro(_) => errors.at(
            item,
            "a macro here is not expanded yet when the service is read: write the methods out",
        ),
        _ => errors.at(
            item,
            "a service holds methods of the form `async fn name(&self, ...);`",
        ),
    }
}

/// Checks a method, its parameters and return type aside.
pub(super) fn signature(function: &TraitItemFn, marks: &Marks, errors: &mut Errors) {
    let signature = &function.sig;
    no_cfg(&marks.rest, "a method", errors);
    plainness(signature, errors);
    asyncness(signature, marks, errors);
    idempotence(marks, errors);
    receiver(signature, errors);
    let generics = &signature.generics;
    if generics.lt_token.is_some() {
        errors.at(
            generics,
            "a method of a service cannot be generic, for both sides must know its types: write \
             them out",
        );
    }
    if let Some(clause) = &generics.where_clause {
        errors.at(
            clause,
            "a method of a service has no `where` clause: remove it",
        );
    }
    if let Some(body) = &function.default {
        errors.at(
            body,
            "a service declares its methods and has no default bodies: move this one into an `impl`",
        );
    }
}

/// `const`, `unsafe`, `extern` and `...` have no meaning in a call to another program.
pub(super) fn plainness(signature: &Signature, errors: &mut Errors) {
    if let Some(constness) = &signature.constness {
        errors.at(
            constness,
            "a method of a service is not `const`: remove the word",
        );
    }
    if !matches!(signature.safety, Safety::Default) {
        errors.at(
            &signature.safety,
            "a method of a service is not `unsafe`: remove the word",
        );
    }
    if let Some(abi) = &signature.abi {
        errors.at(abi, "a method of a service has no `extern` ABI: remove it");
    }
    if let Some(variadic) = &signature.variadic {
        errors.at(
            variadic,
            "a method has a fixed number of parameters: take a `Vec<...>`",
        );
    }
}

fn asyncness(signature: &Signature, marks: &Marks, errors: &mut Errors) {
    let stream = match &signature.output {
        ReturnType::Type(_, ty) => shapes::stream_type(ty).is_some(),
        ReturnType::Default => false,
    };
    if stream {
        return stream_method(signature, marks, errors);
    }
    let boxed = match &signature.output {
        ReturnType::Type(_, ty) => shapes::is_boxed_stream(ty),
        ReturnType::Default => false,
    };
    match (&signature.asyncness, &marks.blocking) {
        (None, None) if boxed => errors.at(
            &signature.output,
            "write `-> impl Stream<Item = T> + Send`: the `impl` may give back a boxed one all the same",
        ),
        (None, None) => errors.at(
            signature.fn_token,
            "write `async fn`, or mark a method that blocks its thread with `#[blocking]`",
        ),
        (Some(asyncness), Some(_)) => errors.at(
            asyncness,
            "a `#[blocking]` method is a plain `fn` that runs on the pool for blocking work: remove \
             `async`, or remove `#[blocking]`",
        ),
        _ => {}
    }
    if let (Some(spawn), Some(_)) = (&marks.spawn, &marks.blocking) {
        errors.at(
            spawn,
            "a `#[blocking]` method has a task of its own already: remove `#[spawn]`",
        );
    }
}

/// A method with a stream of results.
fn stream_method(signature: &Signature, marks: &Marks, errors: &mut Errors) {
    if let Some(asyncness) = &signature.asyncness {
        errors.at(
            asyncness,
            "a method with a stream of results is a plain `fn`, and waits inside of its stream: remove `async`",
        );
    }
    if let Some(spawn) = &marks.spawn {
        errors.at(
            spawn,
            "a stream is polled when its caller takes items: remove `#[spawn]`, and give items from a task \
             through a channel",
        );
    }
    if let Some(blocking) = &marks.blocking {
        errors.at(
            blocking,
            "a stream must not block the thread that polls it: remove `#[blocking]`, and give items from \
             `spawn_blocking` through a channel",
        );
    }
}

/// A method that may be called again.
fn idempotence(marks: &Marks, errors: &mut Errors) {
    if let (Some(idempotent), Some(_)) = (&marks.idempotent, &marks.notification) {
        errors.at(
            idempotent,
            "nobody hears whether a notification arrived, so it is never sent again: remove `#[idempotent]`",
        );
    }
}

/// Checks where streams and callbacks are passed.
pub(super) fn bound_params(params: &[Param], marks: &Marks, errors: &mut Errors) {
    let mut streams = 0;
    for param in params {
        let what = match &param.kind {
            Kind::Value => continue,
            Kind::Incoming(_) => {
                streams += 1;
                "a stream"
            }
            Kind::Telling(_) | Kind::Asking { .. } => "a callback",
        };
        if let (Some(idempotent), Kind::Incoming(_)) = (&marks.idempotent, &param.kind) {
            errors.at(
                idempotent,
                "a call with a stream cannot be made again, for its items are gone: remove `#[idempotent]`",
            );
        }
        if streams > 1 && matches!(param.kind, Kind::Incoming(_)) {
            errors.at(
                &param.ty,
                "one stream goes with a call: let its items be of an enum, or make two methods",
            );
        }
        if marks.notification.is_some() {
            let message = format!(
                "{what} lives as long as its call, and a notification has no end: remove `#[notification]`"
            );
            errors.at(&param.ty, message);
        }
    }
}

fn receiver(signature: &Signature, errors: &mut Errors) {
    let Some(FnArg::Receiver(receiver)) = signature.inputs.first() else {
        let message = format!(
            "a method of a service has a receiver: write `{}(&self, ...)`",
            signature.ident
        );
        errors.at(&signature.ident, message);
        return;
    };
    no_cfg(&receiver.attrs, "a parameter", errors);
    match &receiver.kind {
        ReceiverKind::Reference(_, None, None) => {}
        ReceiverKind::Reference(_, Some(lifetime), None) => {
            errors.at(lifetime, "the receiver has no lifetime: write `&self`");
        }
        ReceiverKind::Reference(_, _, Some(_)) => errors.at(
            receiver,
            "one value answers many calls at a time, so none has it alone: write `&self`, and keep \
             what changes in a mutex or an atomic",
        ),
        _ => errors.at(
            receiver,
            "one value answers all calls, so none can take it: write `&self`",
        ),
    }
}

/// Refuses attributes that could give the two sides different contracts.
pub(super) fn no_cfg(attrs: &[Attribute], what: &str, errors: &mut Errors) {
    for attr in attrs {
        for name in ["cfg", "cfg_attr"] {
            if attr.path().is_ident(name) {
                let message = format!(
                    "`{name}` on {what} could give the two sides different contracts: put it on \
                     the whole service, or make the optional part a service of its own"
                );
                errors.at(attr, message);
            }
        }
    }
}

pub(super) fn not_a_name(pat: &Pat, errors: &mut Errors) {
    let message = match pat {
        Pat::Wild(_) => "a parameter has a name, for the client has it too: write one for `_`",
        Pat::Ident(pat) if pat.mutability.is_some() => {
            "`mut` belongs to the `impl`: write the bare name"
        }
        _ => {
            "a parameter is a plain name, for the client has it too: take patterns apart in the `impl`"
        }
    };
    errors.at(pat, message);
}

/// Whether a parameter is meant to be the context of the call.
pub(super) fn is_context(ty: &Type) -> bool {
    match ungrouped(ty) {
        Type::Reference(reference) => is_path_to(&reference.elem, "Context"),
        // A type of the user's own may be called `Context` too; it can be told by its path.
        Type::Path(path) if is_path_to(ty, "Context") => {
            let segments = &path.path.segments;
            segments.len() == 1
                || segments.len() == 2
                    && segments.first().is_some_and(|first| first.ident == "mynah")
        }
        _ => false,
    }
}

pub(super) fn context(input: &PatType, twice: bool, first: bool, errors: &mut Errors) {
    if let Type::Reference(reference) = ungrouped(&input.ty) {
        if let Some(mutability) = &reference.mutability {
            errors.at(mutability, "the context is shared: write `&Context`");
        }
        if let Some(lifetime) = &reference.lifetime {
            errors.at(lifetime, "the context has no lifetime: write `&Context`");
        }
    } else {
        let name = input.pat.to_token_stream();
        let message = format!("the context is lent to the method: write `{name}: &Context`");
        errors.at(&input.ty, message);
    }
    if twice {
        errors.at(input, "a call has one context: remove this one");
    } else if !first {
        errors.at(
            input,
            "the context comes first, right after `&self`: move it there",
        );
    }
}

pub(super) fn parameter(ty: &Type, errors: &mut Errors) {
    owned::check(ty, "parameter", errors);
}

pub(super) fn returned(ty: &Type, errors: &mut Errors) {
    owned::check(ty, "result", errors);
    shapes::nested(ty, "result", errors);
}

/// Checks a parameter that is all of the params.
pub(super) fn object(
    attr: &Attribute,
    is_value: bool,
    default: Option<&Attribute>,
    errors: &mut Errors,
) {
    if !is_value {
        errors.at(
            attr,
            "a stream or a callback is no object: remove `#[params]`",
        );
    }
    if let Some(default) = default {
        errors.at(
            default,
            "the object itself always comes: give its fields a default, with `#[serde(default)]`",
        );
    }
}

/// What is all of the params has none beside it.
pub(super) fn one_object(attr: &Attribute, count: usize, errors: &mut Errors) {
    if count > 1 {
        errors.at(
            attr,
            "`#[params]` is all of the params as one object: make the others fields of it, or remove \
             `#[params]` and take each by its name",
        );
    }
}

pub(super) fn count(signature: &Signature, count: usize, errors: &mut Errors) {
    if count > MAX_PARAMS {
        let message = format!(
            "a method has at most {MAX_PARAMS} parameters, this one has {count}: gather them in a \
             struct"
        );
        errors.at(&signature.ident, message);
    }
}

pub(super) fn notification(output: &ReturnType, errors: &mut Errors) {
    let ReturnType::Type(_, ty) = output else {
        return;
    };
    let message = if is_path_to(ty, "Result") {
        "nothing comes back from a notification, not even an error: handle it in the method, or \
         remove `#[notification]`"
    } else {
        "nothing comes back from a notification: remove the return type, or remove `#[notification]`"
    };
    errors.at(ty, message);
}

/// A `Result` whose error type is hidden in an alias.
pub(super) fn result_alias(ty: &Type, value: Option<&GenericArgument>, errors: &mut Errors) {
    let value = match value {
        Some(GenericArgument::Type(value)) => readable(value),
        _ => "T".to_owned(),
    };
    let message = format!(
        "a macro cannot look into an alias: write both types, as in `Result<{value}, YourError>`"
    );
    errors.at(ty, message);
}

/// Checks that names differ: those on the wire, and those of the client. A method that the client
/// cannot have is left out.
pub(super) fn names(service: &mut Service, errors: &mut Errors) {
    let mut seen = HashMap::new();
    let methods = service
        .methods
        .iter()
        .map(|method| (method.ident(), &method.name));
    let events = service
        .events
        .iter()
        .map(|event| (&event.ident, &event.name));
    for (ident, name) in methods.chain(events) {
        if let Some(first) = seen.insert(name, ident) {
            let message = format!(
                "`{first}` is called `{name}` on the wire already: give one of the two another name \
                 with `#[method(name = \"...\")]`"
            );
            errors.at(ident, message);
        }
    }
    client_names(service, errors);
    publisher_names(service, errors);
}

fn client_names(service: &mut Service, errors: &mut Errors) {
    let client = service.client_ident();
    service.methods.retain(|method| {
        let ident = method.ident();
        let clash = CLIENT_METHODS.iter().any(|name| ident == name);
        if clash {
            let message = format!(
                "`{client}` has a method `{ident}` of its own: rename this one, and keep its name on \
                 the wire with `#[method(name = \"{}\")]`",
                method.name
            );
            errors.at(ident, message);
        }
        !clash
    });
    let methods = &service.methods;
    service.events.retain(|event| {
        let ident = &event.ident;
        let own = CLIENT_METHODS.iter().any(|name| ident == name);
        let twice = methods.iter().any(|method| method.ident() == ident);
        if own || twice {
            let of_its_own = if own { " of its own" } else { "" };
            let message = format!(
                "`{client}` has a method `{ident}`{of_its_own}: rename this event, and keep its topic with \
                 `#[method(name = \"{}\")]`",
                event.name
            );
            errors.at(ident, message);
        }
        !own && !twice
    });
}

/// An event that its publisher cannot have is left out.
fn publisher_names(service: &mut Service, errors: &mut Errors) {
    let publisher = service.events_ident();
    service.events.retain(|event| {
        let ident = &event.ident;
        let clash = events::clashes(ident);
        if clash {
            let message = format!(
                "`{publisher}` has a method `{ident}` of its own: rename this event, and keep its topic with \
                 `#[method(name = \"{}\")]`",
                event.name
            );
            errors.at(ident, message);
        }
        !clash
    });
}
