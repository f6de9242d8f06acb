//! The mock: a type that does what a test gives it.

use super::expand_trait::at_send;
use super::model::{Answer, Method, Run, Service};
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned;
use syn::{Ident, ReturnType};

/// The struct.
pub(super) fn definition(service: &Service) -> TokenStream {
    if !service.mock {
        return TokenStream::new();
    }
    let Service {
        vis,
        cfgs,
        ident,
        methods,
        ..
    } = service;
    let (mock, client) = (service.mock_ident(), service.client_ident());
    let fields = methods.iter().map(|method| {
        let (name, function) = (setter(method), function(method));
        quote!(#name: ::core::option::Option<::mynah::__private::Arc<#function>>,)
    });
    let doc = format!(
        "An [`{ident}`] that does what a test gives it: nothing else, and a call of anything else fails the \
         test.\n\n`{mock}::new()` with an async closure for each method that the test needs, then \
         [`client`](Self::client) for a [`{client}`] that calls it in the same process. When its last handle and \
         client are dropped, it panics if a method was called for which nothing was given. Clones tell of the same \
         calls."
    );
    quote! {
        #(#cfgs)*
        #[doc = #doc]
        #[allow(dead_code, clippy::too_many_arguments, reason = "a program may use one side only; the trait is linted as it stands")]
        #[derive(::core::clone::Clone)]
        #vis struct #mock {
            calls: ::mynah::__private::MockCalls,
            #(#fields)*
        }
    }
}

/// Everything that is implemented for the struct.
pub(super) fn impls(service: &Service) -> TokenStream {
    if !service.mock {
        return TokenStream::new();
    }
    let Service {
        vis,
        ident,
        methods,
        ..
    } = service;
    let (mock, client) = (service.mock_ident(), service.client_ident());
    let server = service.service_ident();
    let text = mock.to_string();
    let empty = methods.iter().map(setter);
    let setters = methods.iter().map(|method| set(service, method));
    let answers = methods.iter().map(answer);
    quote_spanned! {Span::mixed_site()=>
        #[allow(dead_code, clippy::too_many_arguments, reason = "a program may use one side only; the trait is linted as it stands")]
        impl #mock {
            /// A mock that does nothing yet.
            #[must_use]
            #vis fn new() -> Self {
                Self {
                    calls: __p::MockCalls::new(#text),
                    #(#empty: ::core::option::Option::None,)*
                }
            }

            /// A client that calls it in the same process.
            #[must_use]
            #vis fn client(&self) -> #client {
                #client::new(self.peer())
            }

            /// A peer that is this mock, for calls by name.
            #[must_use]
            #vis fn peer(&self) -> __p::Peer {
                self.calls.serve(#server::new(::core::clone::Clone::clone(self)))
            }

            /// The methods that were called, in order, by their names in the trait.
            #[must_use]
            #vis fn calls(&self) -> ::std::vec::Vec<&'static str> {
                self.calls.calls()
            }

            /// What its clients subscribe to.
            #[must_use]
            #vis fn events(&self) -> &__p::Events {
                self.calls.events()
            }

            #(#setters)*
        }

        #[automatically_derived]
        impl ::core::default::Default for #mock {
            fn default() -> Self {
                Self::new()
            }
        }

        #[automatically_derived]
        impl ::core::fmt::Debug for #mock {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::fmt::Debug::fmt(&self.calls, f)
            }
        }

        #[automatically_derived]
        #[allow(deprecated, unused_variables, reason = "a mock has every method, and looks at no context")]
        impl #ident for #mock {
            #(#answers)*
        }
    }
}

/// The name of the method, and of the field, that takes what a method does.
fn setter(method: &Method) -> Ident {
    format_ident!("on_{}", method.ident().unraw())
}

/// The return type of a method, streams aside.
fn output(method: &Method) -> TokenStream {
    match (&method.answer, &method.signature.output) {
        (Answer::None, _) | (_, ReturnType::Default) => quote!(()),
        (_, ReturnType::Type(_, ty)) => ty.to_token_stream(),
    }
}

/// The items of a stream of results.
fn item(method: &Method) -> Option<TokenStream> {
    let Answer::Stream(stream) = &method.answer else {
        return None;
    };
    let item = &stream.item;
    Some(match &stream.error {
        Some(error) => quote!(::core::result::Result<#item, #error>),
        None => item.to_token_stream(),
    })
}

/// What is kept of a method.
fn function(method: &Method) -> TokenStream {
    let types = method.params.iter().map(|param| &param.ty);
    let given = match (item(method), method.run) {
        (Some(item), _) => quote! {
            ::core::pin::Pin<::std::boxed::Box<
                dyn ::mynah::__private::Stream<Item = #item> + ::core::marker::Send
            >>
        },
        (None, Run::Blocking) => output(method),
        (None, Run::Inline | Run::Spawned) => {
            let output = output(method);
            quote! {
                ::core::pin::Pin<::std::boxed::Box<
                    dyn ::core::future::Future<Output = #output> + ::core::marker::Send
                >>
            }
        }
    };
    quote!(dyn ::core::ops::Fn(#(#types),*) -> #given + ::core::marker::Send + ::core::marker::Sync)
}

/// Takes what a method does.
fn set(service: &Service, method: &Method) -> TokenStream {
    let site = Span::mixed_site();
    let vis = &service.vis;
    let (setter, function) = (setter(method), function(method));
    let types: Vec<_> = method.params.iter().map(|param| &param.ty).collect();
    let names: Vec<_> = (0..method.params.len())
        .map(|index| format_ident!("p{index}", span = site))
        .collect();
    let doc = format!("What `{}` does from now on.", method.ident());
    let (generics, given, kept) = match (item(method), method.run) {
        (Some(item), _) => (
            quote_spanned! {site=>
                <G: __p::Stream<Item = #item> + ::core::marker::Send + 'static>
            },
            quote_spanned!(site=> G),
            quote_spanned!(site=> ::std::boxed::Box::pin(does(#(#names),*))),
        ),
        (None, Run::Blocking) => (
            TokenStream::new(),
            output(method),
            quote_spanned!(site=> does(#(#names),*)),
        ),
        (None, Run::Inline | Run::Spawned) => {
            let output = output(method);
            (
                quote_spanned! {site=>
                    <G: ::core::future::Future<Output = #output> + ::core::marker::Send + 'static>
                },
                quote_spanned!(site=> G),
                quote_spanned!(site=> ::std::boxed::Box::pin(does(#(#names),*))),
            )
        }
    };
    quote_spanned! {site=>
        #[doc = #doc]
        #[must_use]
        #vis fn #setter #generics(
            mut self,
            does: impl ::core::ops::Fn(#(#types),*) -> #given
                + ::core::marker::Send + ::core::marker::Sync + 'static,
        ) -> Self {
            let kept: __p::Arc<#function> = __p::Arc::new(move |#(#names: #types),*| #kept);
            self.#setter = ::core::option::Option::Some(kept);
            self
        }
    }
}

/// A method of the trait: it does what was given.
fn answer(method: &Method) -> TokenStream {
    let site = Span::mixed_site();
    let signature = &method.signature;
    let name = method.ident().unraw().to_string();
    let setter = setter(method);
    let names = method.params.iter().map(|param| &param.ident);
    // As the signature says it, which is not of this macro.
    let this = signature.inputs.first().map_or(site, Spanned::span);
    let this = Ident::new("self", this);
    let wait = (item(method).is_none() && method.run != Run::Blocking)
        .then(|| quote_spanned!(site=> .await));
    let head = match &method.answer {
        Answer::Stream(stream) => {
            let (fn_token, ident, inputs) =
                (&signature.fn_token, &signature.ident, &signature.inputs);
            let (ty, send) = (&stream.ty, at_send(stream));
            quote!(#fn_token #ident(#inputs) -> #ty #send)
        }
        _ => signature.to_token_stream(),
    };
    quote_spanned! {site=>
        #head {
            #this.calls.note(#name);
            match &#this.#setter {
                ::core::option::Option::Some(does) => does(#(#names),*) #wait,
                ::core::option::Option::None => #this.calls.unexpected(#name),
            }
        }
    }
}
