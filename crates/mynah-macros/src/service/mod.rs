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
