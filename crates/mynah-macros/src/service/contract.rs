//! The contract as a value: a function that makes it when somebody asks.

use super::model::{Answer, Event, Kind, Method, Param, Service};
use super::param_marks;
use crate::errors::at;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Attribute, Expr, ExprLit, Lit, Meta, Type};

/// The function, and the trait by which the types of the service give it away.
pub(super) fn impls(service: &Service) -> TokenStream {
    let (name, schema) = (&service.name, service.schema);
    let docs = text(docs(&service.attrs));
    let methods = service.methods.iter().map(|one| method(one, schema));
    let events = service.events.iter().map(|one| event(service, one, schema));
    let (service_ident, client) = (service.service_ident(), service.client_ident());
    quote_spanned! {Span::mixed_site()=>
        fn __contract() -> __p::Contract {
            __p::Contract::of_parts(
                #name,
                #docs,
                ::std::vec![#(#methods),*],
                ::std::vec![#(#events),*],
            )
        }

        #[automatically_derived]
        impl<C> __p::Contracted for #client<C> {
            fn contract() -> __p::Contract {
                __contract()
            }
        }

        #[automatically_derived]
        impl<T> __p::Contracted for #service_ident<T> {
            fn contract() -> __p::Contract {
                __contract()
            }
        }
    }
}

/// Tells a router of it, where the service is registered.
pub(super) fn route() -> TokenStream {
    quote_spanned!(Span::mixed_site()=> routes.contract(__contract);)
}

fn method(method: &Method, schema: bool) -> TokenStream {
    let name = &method.name;
    let takes = method
        .params
        .iter()
        .any(|param| matches!(param.kind, Kind::Incoming(_)));
    let kind = match (&method.answer, takes) {
        (Answer::None, _) => "Notification",
        (Answer::Stream(_), true) => "BothStreams",
        (Answer::Stream(_), false) => "ServerStream",
        (_, true) => "ClientStream",
        (_, false) => "Unary",
    };
    let kind = Ident::new(kind, Span::mixed_site());
    let docs = docs(&method.attrs).map(|docs| quote!(.with_docs(#docs)));
    let params = method.params.iter().map(|one| {
        let param = param(one, schema);
        if method.object {
            quote!(.with_object(#param))
        } else {
            quote!(.with_param(#param))
        }
    });
    let (value, error) = match &method.answer {
        Answer::None => (None, None),
        Answer::Value(value) => (Some(&**value), None),
        Answer::Result { value, error } => (Some(&**value), Some(&**error)),
        Answer::Stream(stream) => (Some(&stream.item), stream.error.as_ref()),
    };
    let result = value.filter(|_| schema).map(|value| {
        let value = sent(value);
        quote!(.with_result(#value))
    });
    let errors = error.map(|error| {
        let entries = quote_spanned!(at(error.span())=> <#error as __p::DomainError>::entries());
        quote!(.with_errors(#entries))
    });
    let idempotent = method.idempotent.then(|| quote!(.idempotent()));
    let roles = method.roles.iter().map(|role| quote!(.with_role(#role)));
    quote! {
        __p::Method::new(#name, __p::MethodKind::#kind)
            #docs #(#params)* #result #errors #idempotent #(#roles)*
    }
}

fn param(param: &Param, schema: bool) -> TokenStream {
    let name = &param.name;
    let with = |schema: TokenStream| quote!(.with_schema(#schema));
    match &param.kind {
        Kind::Value => {
            let ty = &param.ty;
            let schema = schema.then(|| with(received(ty)));
            let optional = param.may_be_absent().then(|| match &param.default {
                Some(attr) => default(attr, ty),
                None => quote!(.optional()),
            });
            quote!(__p::Param::new(#name) #schema #optional)
        }
        Kind::Incoming(item) => {
            let schema = schema.then(|| with(received(item)));
            quote!(__p::Param::stream(#name) #schema)
        }
        Kind::Telling(value) => {
            let schema = schema.then(|| with(sent(value)));
            quote!(__p::Param::callback(#name) #schema)
        }
        Kind::Asking { value, reply } => {
            let schemas = schema.then(|| {
                let (schema, reply) = (with(sent(value)), received(reply));
                quote!(#schema.with_reply(#reply))
            });
            quote!(__p::Param::asked_callback(#name) #schemas)
        }
    }
}

/// What stands in the place of a param that does not come, as a value.
fn default(attr: &Attribute, ty: &Type) -> TokenStream {
    let value = param_marks::value(attr);
    quote_spanned! {at(attr.span())=>
        .with_default_of(&{
            fn __default() -> #ty {
                #value
            }
            __default()
        })
    }
}

fn event(service: &Service, event: &Event, schema: bool) -> TokenStream {
    let topic = service.topic(event);
    let docs = docs(&event.attrs).map(|docs| quote!(.with_docs(#docs)));
    let message = schema.then(|| {
        let message = sent(&event.message);
        quote!(.with_message(#message))
    });
    quote!(__p::Event::new(#topic) #docs #message)
}

/// Asks for `JsonSchema` where the type is written.
fn received(ty: &Type) -> TokenStream {
    quote_spanned!(at(ty.span())=> __p::received::<#ty>())
}

fn sent(ty: &Type) -> TokenStream {
    quote_spanned!(at(ty.span())=> __p::sent::<#ty>())
}

/// What is written in doc comments, line by line; `None` when there is none.
fn docs(attrs: &[Attribute]) -> Option<String> {
    let lines: Vec<String> = attrs.iter().filter_map(line).collect();
    let text = lines.join("\n");
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn line(attr: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attr.meta else {
        return None;
    };
    match &pair.value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) if pair.path.is_ident("doc") => {
            let text = text.value();
            Some(
                text.strip_prefix(' ')
                    .unwrap_or(&text)
                    .trim_end()
                    .to_owned(),
            )
        }
        _ => None,
    }
}

fn text(value: Option<String>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}
