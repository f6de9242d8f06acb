//! From tokens to the model. What cannot be a service is left out, with an error.

use super::marks::{self, Marks, ServiceOptions};
use super::model::{Answer, Event, Kind, Method, Param, Run, Service};
use super::{checks, events, param_marks, shapes};
use crate::errors::Errors;
use crate::names;
use crate::owned::ungrouped;
use proc_macro2::TokenStream;
use syn::ext::IdentExt as _;
use syn::{
    FnArg, GenericArgument, Item, ItemTrait, Pat, PathArguments, ReturnType, TraitItem,
    TraitItemFn, Type, TypePath, parse_quote,
};

/// Reads `#[service(options)] item`. `None` when nothing useful can be generated.
pub(crate) fn service(
    options: TokenStream,
    item: TokenStream,
    errors: &mut Errors,
) -> Option<Service> {
    let options = marks::service_options(options, errors);
    let item = match errors.take(syn::parse2(item))? {
        Item::Trait(item) => item,
        other => {
            checks::not_a_trait(&other, errors);
            return None;
        }
    };
    // A type without the generics of its trait would be wrong at each use.
    let usable = checks::definition(&item, errors);
    let mut service = read_trait(item, options, errors);
    checks::names(&mut service, errors);
    usable.then_some(service)
}

fn read_trait(item: ItemTrait, options: ServiceOptions, errors: &mut Errors) -> Service {
    let mut methods = Vec::new();
    let mut events = Vec::new();
    for item in item.items {
        let TraitItem::Fn(function) = item else {
            checks::not_a_method(&item, errors);
            continue;
        };
        if function
            .attrs
            .iter()
            .any(|attr| attr.path().is_ident("event"))
        {
            events.extend(event(function, &options, errors));
        } else {
            methods.extend(method(function, &options, errors));
        }
    }
    let cfgs = item
        .attrs
        .iter()
        .filter(|attr| attr.path().is_ident("cfg"))
        .cloned()
        .collect();
    Service {
        validate: options.validate,
        cfgs,
        attrs: item.attrs,
        vis: item.vis,
        mock: options.mock,
        trait_token: item.trait_token,
        name: options
            .name
            .unwrap_or_else(|| names::words(&item.ident.unraw().to_string(), '_')),
        ident: item.ident,
        methods,
        events,
        schema: options.schema,
    }
}

/// An event, or `None` when something is wrong with it.
fn event(function: TraitItemFn, options: &ServiceOptions, errors: &mut Errors) -> Option<Event> {
    let mut found = Errors::default();
    let marks = marks::read(function.attrs.clone(), &mut found);
    let message = events::check(&function, &marks, &mut found);
    let usable = found.is_empty();
    errors.append(found);
    let (param, message) = message.filter(|_| usable)?;
    let (_, event) = marks.event?;
    let ident = function.sig.ident;
    Some(Event {
        name: marks
            .method
            .and_then(|(_, name)| name)
            .unwrap_or_else(|| options.method_name(&ident)),
        attrs: marks.rest,
        ident,
        param,
        message,
        lag: event.lag,
        capacity: event.capacity,
    })
}

/// A method, or `None` when something is wrong with it.
pub(super) fn method(
    function: TraitItemFn,
    options: &ServiceOptions,
    errors: &mut Errors,
) -> Option<Method> {
    let mut found = Errors::default();
    let marks = marks::read(function.attrs.clone(), &mut found);
    checks::signature(&function, &marks, &mut found);
    let (context, params, object) = inputs(&function, options, &mut found);
    checks::bound_params(&params, &marks, &mut found);
    let answer = answer(&function.sig.output, &marks, &mut found);
    let usable = found.is_empty();
    errors.append(found);
    if !usable {
        return None;
    }
    let run = match (&marks.spawn, &marks.blocking) {
        (_, Some(_)) => Run::Blocking,
        (Some(_), None) => Run::Spawned,
        (None, None) => Run::Inline,
    };
    Some(Method {
        name: marks
            .method
            .and_then(|(_, name)| name)
            .unwrap_or_else(|| options.method_name(&function.sig.ident)),
        attrs: marks.rest,
        signature: param_marks::stripped(function.sig),
        context,
        params,
        answer: answer?,
        run,
        idempotent: marks.idempotent.is_some(),
        object,
        roles: marks.roles,
    })
}

/// The context, if the method takes it, the parameters that are sent, and whether the one of them is the whole object.
fn inputs(
    function: &TraitItemFn,
    options: &ServiceOptions,
    errors: &mut Errors,
) -> (Option<syn::PatType>, Vec<Param>, bool) {
    let mut context: Option<syn::PatType> = None;
    let mut params = Vec::new();
    let mut object = None;
    for input in &function.sig.inputs {
        let FnArg::Typed(input) = input else { continue };
        checks::no_cfg(&input.attrs, "a parameter", errors);
        let Pat::Ident(pat) = &*input.pat else {
            checks::not_a_name(&input.pat, errors);
            continue;
        };
        if pat.by_ref.is_some() || pat.mutability.is_some() || pat.subpat.is_some() {
            checks::not_a_name(&input.pat, errors);
        }
        if checks::is_context(&input.ty) {
            checks::context(input, context.is_some(), params.is_empty(), errors);
            param_marks::none_allowed(&input.attrs, "the context", errors);
            context = Some(input.clone());
            continue;
        }
        let marks = param_marks::read(&input.attrs, errors);
        checks::parameter(&input.ty, errors);
        let kind = shapes::kind(&input.ty, errors);
        let is_value = matches!(kind, Kind::Value);
        if let Some(default) = &marks.default {
            param_marks::check_default(default, &input.ty, is_value, errors);
        }
        if let Some(attr) = marks.object {
            checks::object(&attr, is_value, marks.default.as_ref(), errors);
            object = Some(attr);
        }
        params.push(Param {
            ident: pat.ident.clone(),
            name: options.param_name(&pat.ident),
            default: marks.default,
            ty: (*input.ty).clone(),
            kind,
        });
    }
    checks::count(&function.sig, params.len(), errors);
    if let Some(attr) = &object {
        checks::one_object(attr, params.len(), errors);
    }
    (context, params, object.is_some())
}

/// What the method gives back; `None`, with an error, when that cannot be sent.
fn answer(output: &ReturnType, marks: &Marks, errors: &mut Errors) -> Option<Answer> {
    if marks.notification.is_some() {
        checks::notification(output, errors);
        return Some(Answer::None);
    }
    let ReturnType::Type(_, ty) = output else {
        return Some(Answer::Value(Box::new(parse_quote!(()))));
    };
    if let Some(stream) = shapes::stream_type(ty) {
        let (mut stream, item) = shapes::stream(stream, errors)?;
        checks::returned(&item, errors);
        if let Some((value, error)) = value_and_error(&item, errors)? {
            stream.item = value;
            stream.error = Some(error);
        }
        return Some(Answer::Stream(Box::new(stream)));
    }
    if shapes::hidden_stream(ty, errors) {
        return None;
    }
    checks::returned(ty, errors);
    Some(match value_and_error(ty, errors)? {
        Some((value, error)) => Answer::Result {
            value: Box::new(value),
            error: Box::new(error),
        },
        None => Answer::Value(ty.clone()),
    })
}

/// Both types of a `Result`; `None`, with an error, when they are hidden.
#[allow(
    clippy::option_option,
    reason = "no result, or one that cannot be read"
)]
fn value_and_error(ty: &Type, errors: &mut Errors) -> Option<Option<(Type, Type)>> {
    let Some(arguments) = result_arguments(ty) else {
        return Some(None);
    };
    if let [GenericArgument::Type(value), GenericArgument::Type(error)] = arguments.as_slice() {
        return Some(Some((value.clone(), error.clone())));
    }
    checks::result_alias(ty, arguments.first(), errors);
    None
}

/// The generic arguments of a path that ends in `Result`.
fn result_arguments(ty: &Type) -> Option<Vec<GenericArgument>> {
    let Type::Path(TypePath {
        qself: None, path, ..
    }) = ungrouped(ty)
    else {
        return None;
    };
    let last = path.segments.last().filter(|last| last.ident == "Result")?;
    match &last.arguments {
        PathArguments::AngleBracketed(arguments) => Some(arguments.args.iter().cloned().collect()),
        PathArguments::None | PathArguments::Parenthesized(_) => Some(Vec::new()),
    }
}
