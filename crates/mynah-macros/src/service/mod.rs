//! `#[service]`: from a trait to its server side and its client.

mod checks;
mod contract;
mod events;
mod expand_client;
mod expand_mock;
mod expand_service;
mod expand_trait;
mod marks;
mod model;
mod param_marks;
mod parse;
mod shapes;

use crate::errors::Errors;
use proc_macro2::TokenStream;
use quote::quote;

/// The trait, the service type and the client type; or what is wrong, together with as much of
/// them as can be made, so that one mistake does not hide behind a hundred unresolved names.
pub(crate) fn expand(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let model = parse::service(options, item, &mut errors);
    let code = model.as_ref().map(generate);
    let errors = errors.into_tokens();
    quote!(#errors #code)
}

/// A function of the program as the one method of a service: what is known of it as items, and its registration with
/// `routes`. `callee`: what is called.
pub(crate) struct FreeFunction {
    pub(crate) items: TokenStream,
    pub(crate) route: TokenStream,
    /// The context parameter, if it takes one.
    pub(crate) context: bool,
    pub(crate) docs: Vec<syn::Attribute>,
    /// Without the attributes of ours.
    pub(crate) signature: syn::Signature,
    pub(crate) is_stream: bool,
}

/// Reads a function that has a receiver for the sake of the checks, and no body.
pub(crate) fn free_function(
    function: syn::TraitItemFn,
    namespace: String,
    name: Option<String>,
    callee: &TokenStream,
    errors: &mut Errors,
) -> Option<FreeFunction> {
    let mut method = parse::method(function, &marks::ServiceOptions::default(), errors)?;
    if let Some(name) = name {
        method.name = name;
    }
    let service = model::Service {
        attrs: Vec::new(),
        cfgs: Vec::new(),
        vis: syn::Visibility::Inherited,
        trait_token: syn::token::Trait::default(),
        ident: method.ident().clone(),
        name: namespace,
        mock: false,
        schema: false,
        validate: false,
        methods: Vec::new(),
        events: Vec::new(),
    };
    let receiver = TokenStream::new();
    let route = expand_service::route(&service, 0, &method, (callee, &receiver));
    let free = FreeFunction {
        route,
        items: TokenStream::new(),
        context: method.context.is_some(),
        docs: method.docs().cloned().collect(),
        signature: method.signature.clone(),
        is_stream: matches!(method.answer, model::Answer::Stream(_)),
    };
    let service = model::Service {
        methods: vec![method],
        ..service
    };
    Some(FreeFunction {
        items: expand_service::infos(&service),
        ..free
    })
}

fn generate(service: &model::Service) -> TokenStream {
    let definition = expand_trait::expand(service);
    let service_type = expand_service::definition(service);
    let client_type = expand_client::definition(service);
    let events_type = events::definition(service);
    let mock_type = expand_mock::definition(service);
    let infos = expand_service::infos(service);
    let service_impls = expand_service::impls(service);
    let client_impls = expand_client::impls(service);
    let events_impls = events::impls(service);
    let mock_impls = expand_mock::impls(service);
    let contract = contract::impls(service);
    let cfgs = &service.cfgs;
    quote! {
        #definition
        #service_type
        #client_type
        #events_type
        #mock_type
        #(#cfgs)*
        const _: () = {
            use ::mynah::__private as __p;
            #infos
            #service_impls
            #client_impls
            #events_impls
            #mock_impls
            #contract
        };
    }
}

#[cfg(test)]
mod tests;
