//! Events: what is wrong with them, and the type that publishes them.

use super::checks;
use super::marks::Marks;
use super::model::{Event, Service};
use super::shapes;
use crate::errors::{Errors, at};
use crate::owned;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{FnArg, Pat, PatIdent, ReturnType, TraitItemFn, Type};

/// Methods of the publisher that publish nothing.
const PUBLISHER_METHODS: &[&str] = &["new", "from_context", "events", "clone"];

/// Checks an event. Returns its parameter and the type of its message.
pub(super) fn check(
    function: &TraitItemFn,
    marks: &Marks,
    errors: &mut Errors,
) -> Option<(Ident, Type)> {
    let signature = &function.sig;
    checks::no_cfg(&marks.rest, "an event", errors);
    checks::plainness(signature, errors);
    if let Some(asyncness) = &signature.asyncness {
        errors.at(
            asyncness,
            "an event is declared as a plain `fn`, for it is published and not called: remove `async`",
        );
    }
    if signature.generics.lt_token.is_some() || signature.generics.where_clause.is_some() {
        errors.at(
            &signature.ident,
            "an event cannot be generic, for both sides must know its message: write the type out",
        );
    }
    if let Some(body) = &function.default {
        errors.at(body, "an event has no body: end the line with `;`");
    }
    if let ReturnType::Type(_, ty) = &signature.output {
        errors.at(
            ty,
            "nothing comes back from those who hear an event: remove the return type, or remove \
             `#[event]` and add `&self`",
        );
    }
    let others = [
        ("notification", &marks.notification),
        ("spawn", &marks.spawn),
        ("blocking", &marks.blocking),
        ("idempotent", &marks.idempotent),
    ];
    if !marks.roles.is_empty() {
        errors.at(
            &signature.ident,
            "an event is published and not called: remove `#[role]`",
        );
    }
    for (name, other) in others {
        if let Some(other) = other {
            let message = format!("an event is published and not called: remove `#[{name}]`");
            errors.at(other, message);
        }
    }
    param(function, errors)
}

fn param(function: &TraitItemFn, errors: &mut Errors) -> Option<(Ident, Type)> {
    let signature = &function.sig;
    let mut inputs = signature.inputs.iter();
    if let Some(FnArg::Receiver(receiver)) = signature.inputs.first() {
        let message = format!(
            "an event is published and not called: remove `&self`, as in `fn {}(message: T);`",
            signature.ident
        );
        errors.at(receiver, message);
        inputs.next();
    }
    let (Some(FnArg::Typed(input)), None) = (inputs.next(), inputs.next()) else {
        let message = format!(
            "an event carries one message: write `fn {}(message: T);`, with a struct for several values",
            signature.ident
        );
        errors.at(&signature.ident, message);
        return None;
    };
    checks::no_cfg(&input.attrs, "a parameter", errors);
    let plain =
        |pat: &PatIdent| pat.by_ref.is_none() && pat.mutability.is_none() && pat.subpat.is_none();
    let name = match &*input.pat {
        Pat::Ident(pat) if plain(pat) => pat.ident.clone(),
        other => {
            errors.at(
                other,
                "a message has a plain name, which its publisher has too: write `message`, or the like",
            );
            return None;
        }
    };
    if checks::is_context(&input.ty) {
        errors.at(
            &input.ty,
            "no call is there when an event is published: name the type of the message instead",
        );
        return None;
    }
    owned::check(&input.ty, "message", errors);
    shapes::nested(&input.ty, "message", errors);
    Some((name, (*input.ty).clone()))
}

/// Whether the publisher has a method of its own by this name.
pub(super) fn clashes(ident: &Ident) -> bool {
    PUBLISHER_METHODS.iter().any(|name| ident == name)
}

/// The struct.
pub(super) fn definition(service: &Service) -> TokenStream {
    if service.events.is_empty() {
        return TokenStream::new();
    }
    let Service {
        vis,
        cfgs,
        ident,
        name,
        ..
    } = service;
    let events = service.events_ident();
    let doc =
        format!("Publishes the events of [`{ident}`], under topics that begin with `{name}.`");
    quote! {
        #(#cfgs)*
        #[doc = #doc]
        #[allow(dead_code, reason = "a program may use one side only")]
        #[derive(::core::clone::Clone)]
        #vis struct #events {
            events: ::mynah::__private::Events,
        }
    }
}

/// Everything that is implemented for the struct.
pub(super) fn impls(service: &Service) -> TokenStream {
    if service.events.is_empty() {
        return TokenStream::new();
    }
    let vis = &service.vis;
    let ident = service.events_ident();
    let text = ident.to_string();
    let declarations = declarations(service, &quote_spanned!(Span::mixed_site()=> events));
    let constants = service.events.iter().map(|event| {
        let (constant, topic) = (event.constant(), service.topic(event));
        let doc = format!("The topic of `{}`.", event.ident);
        quote! {
            #[doc = #doc]
            #vis const #constant: &'static str = #topic;
        }
    });
    let methods = service.events.iter().map(|event| {
        let Event {
            ident,
            param,
            message,
            ..
        } = event;
        let constant = event.constant();
        let docs = docs(
            event,
            &format!("Publishes under `{}`.", service.topic(event)),
        );
        let publish = Ident::new("publish", at(message.span()));
        quote_spanned! {Span::mixed_site()=>
            #docs
            ///
            /// It waits only if the topic is declared to wait for its subscribers.
            ///
            /// # Errors
            /// When the message cannot be encoded; nobody has it then.
            #vis async fn #ident(
                &self,
                #param: &#message,
            ) -> ::core::result::Result<__p::Published, __p::CallError> {
                self.events.#publish(Self::#constant, #param).await
            }
        }
    });
    quote_spanned! {Span::mixed_site()=>
        #[allow(dead_code, reason = "a program may use one side only")]
        impl #ident {
            #(#constants)*

            /// Publishes through these events. What the contract says of slow subscribers is declared there, unless
            /// something else is declared already.
            #[must_use]
            #vis fn new(events: __p::Events) -> Self {
                #declarations
                Self { events }
            }

            /// Publishes from a handler, to the subscribers of the side that serves it.
            #[must_use]
            #vis fn from_context(cx: &__p::Context) -> Self {
                Self::new(cx.events())
            }

            /// What it publishes through.
            #[must_use]
            #vis const fn events(&self) -> &__p::Events {
                &self.events
            }

            #(#methods)*
        }

        #[automatically_derived]
        impl ::core::fmt::Debug for #ident {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct(#text).finish_non_exhaustive()
            }
        }
    }
}

/// What the user wrote of an event, or `otherwise`.
fn docs(event: &Event, otherwise: &str) -> TokenStream {
    let docs = event.docs();
    let written = event.attrs.iter().any(|attr| attr.path().is_ident("doc"));
    let otherwise = (!written).then(|| quote!(#[doc = #otherwise]));
    quote!(#otherwise #(#docs)*)
}

/// Says what happens to slow subscribers, at whatever `to` is.
fn declarations(service: &Service, to: &TokenStream) -> TokenStream {
    let declared = declared(service);
    quote_spanned!(Span::mixed_site()=> #(#to.declare_default #declared;)*)
}

/// The same, where the service is registered.
pub(super) fn routes(service: &Service) -> TokenStream {
    let declared = declared(service);
    quote_spanned!(Span::mixed_site()=> #(routes.event #declared;)*)
}

fn declared(service: &Service) -> Vec<TokenStream> {
    let some = |event: &&Event| event.lag.is_some() || event.capacity.is_some();
    let events = service.events.iter().filter(some);
    events
        .map(|event| {
            let topic = service.topic(event);
            let lag = option(event.lag.as_ref().map(|lag| quote!(__p::Lag::#lag)));
            let capacity = option(event.capacity.map(|capacity| quote!(#capacity)));
            quote!((#topic, #lag, #capacity))
        })
        .collect()
}

fn option(value: Option<TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}

/// The methods of the client that subscribe.
pub(super) fn client(service: &Service) -> impl Iterator<Item = TokenStream> {
    let vis = &service.vis;
    service.events.iter().map(move |event| {
        let Event { ident, message, .. } = event;
        let topic = service.topic(event);
        let docs = docs(event, &format!("Subscribes to `{topic}`."));
        let subscribe = format_ident!("Subscribe", span = at(message.span()));
        quote_spanned! {Span::mixed_site()=>
            #docs
            ///
            /// Awaited, it gives a subscription: nothing that is published afterwards is missed.
            #vis fn #ident(&self) -> __p::#subscribe<#message, C> {
                __p::Subscribe::new(::core::clone::Clone::clone(&self.caller), #topic)
            }
        }
    })
}

/// Asks for what both sides need of each message where it is written.
pub(super) fn asked(service: &Service) -> impl Iterator<Item = TokenStream> {
    service.events.iter().map(|event| {
        let ty = &event.message;
        quote_spanned!(at(ty.span())=> __encoded::<#ty>(); __decoded::<#ty>();)
    })
}
