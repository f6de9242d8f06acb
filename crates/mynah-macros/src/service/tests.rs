use super::model::{Answer, Kind, Run, Service};
use super::*;
use syn::{Item, parse_quote};

fn read(item: TokenStream) -> (Option<Service>, Vec<String>) {
    let mut errors = Errors::default();
    let service = parse::service(TokenStream::new(), item, &mut errors);
    (service, errors.texts())
}

fn good(item: TokenStream) -> Service {
    let (service, errors) = read(item);
    assert_eq!(errors, Vec::<String>::new());
    service.unwrap()
}

#[test]
fn the_model_says_what_was_written() {
    let service = good(quote! {
        trait KeyStore {
            async fn get(&self, cx: &mynah::Context, key: String) -> Result<Option<String>, E>;
            async fn size(&self) -> u64;
            async fn clear(&self);
            #[notification] async fn touch(&self, r#type: String);
            #[spawn] async fn slow(&self);
            #[blocking] fn digest(&self) -> u64;
            #[method(name = "processId")] async fn process_id(&self) -> u32;
        }
    });
    assert_eq!(service.name, "key_store");
    let names: Vec<_> = service
        .methods
        .iter()
        .map(|method| method.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "get",
            "size",
            "clear",
            "touch",
            "slow",
            "digest",
            "processId"
        ]
    );
    let runs: Vec<_> = service.methods.iter().map(|method| method.run).collect();
    assert_eq!(
        runs,
        [
            Run::Inline,
            Run::Inline,
            Run::Inline,
            Run::Inline,
            Run::Spawned,
            Run::Blocking,
            Run::Inline
        ]
    );
    let [get, size, clear, touch, ..] = service.methods.as_slice() else {
        panic!("methods")
    };
    assert!(get.context.is_some());
    assert_eq!(get.params.len(), 1, "the context is not sent");
    assert!(matches!(get.answer, Answer::Result { .. }));
    assert!(matches!(size.answer, Answer::Value(_)));
    assert!(matches!(clear.answer, Answer::Value(_)));
    assert!(matches!(touch.answer, Answer::None));
}

#[test]
fn streams_callbacks_and_events_are_told_from_values() {
    let service = good(quote! {
        trait Flow {
            fn count(&self) -> impl Stream<Item = u64>;
            fn squares(&self) -> impl futures::Stream<Item = Result<u64, E>> + Send;
            async fn sum(&self, data: Incoming<i64>, told: Callback<u64>, asked: mynah::Callback<u64, i64>);
            async fn own(&self, data: model::Incoming<i64>, told: Callback);
            #[idempotent] async fn get(&self) -> u64;
            #[event] fn changed(change: Change);
            #[method(name = "lastOne")] #[event(lag = "latest", capacity = 3)] fn r#type(of: u8);
        }
    });
    let [count, squares, sum, own, get] = service.methods.as_slice() else {
        panic!("methods")
    };
    let stream = |method: &model::Method| match &method.answer {
        Answer::Stream(stream) => (stream.send, stream.error.is_some()),
        _ => panic!("no stream"),
    };
    assert_eq!(stream(count), (false, false));
    assert_eq!(stream(squares), (true, true));
    let kinds: Vec<_> = sum.params.iter().map(|param| &param.kind).collect();
    assert!(matches!(
        kinds.as_slice(),
        [Kind::Incoming(_), Kind::Telling(_), Kind::Asking { .. }]
    ));
    assert!(sum.binds() && !own.binds(), "types of the user's own");
    assert!(get.idempotent && !sum.idempotent);
    let [changed, last] = service.events.as_slice() else {
        panic!("events")
    };
    assert_eq!(service.topic(changed), "flow.changed");
    assert_eq!(service.topic(last), "flow.lastOne");
    assert_eq!(last.constant(), "TYPE");
    assert!(changed.lag.is_none() && changed.capacity.is_none());
    assert_eq!(
        (
            last.lag.as_ref().unwrap().to_string().as_str(),
            last.capacity
        ),
        ("Latest", Some(3))
    );
    let infos = expand_service::infos(&service).to_string();
    assert_eq!(infos.matches(". idempotent ()").count(), 1, "{infos}");
    let definition = expand_trait::expand(&service).to_string();
    assert!(
        !definition.contains("changed"),
        "events are no part of the trait"
    );
}

#[test]
fn a_type_called_context_by_another_path_is_a_parameter() {
    let service = good(quote! {
        trait Search { async fn find(&self, context: model::Context) -> u64; }
    });
    let method = service.methods.first().unwrap();
    assert!(method.context.is_none());
    assert_eq!(method.params.len(), 1);
}

#[test]
fn marks_go_and_other_attributes_stay() {
    let trait_tokens = expand_trait::expand(&good(quote! {
        /// A doc.
        #[allow(clippy::all)]
        pub(crate) trait Arith {
            /// Another.
            #[spawn]
            #[method(name = "x")]
            #[must_use]
            async fn add(&self, a: i64) -> i64;
            #[blocking]
            fn digest(&self) -> u64;
        }
    }));
    let expected: syn::ItemTrait = parse_quote! {
        /// A doc.
        #[allow(clippy::all)]
        pub(crate) trait Arith: ::core::marker::Send + ::core::marker::Sync + 'static {
            /// Another.
            #[must_use]
            fn add(&self, a: i64)
                -> impl ::core::future::Future<Output = i64> + ::core::marker::Send;
            fn digest(&self) -> u64;
        }
    };
    assert_eq!(trait_tokens.to_string(), quote!(#expected).to_string());
}

#[test]
fn cfg_of_the_trait_is_on_everything() {
    let tokens = expand(
        TokenStream::new(),
        quote! { #[cfg(unix)] trait Arith { async fn add(&self) -> i64; } },
    );
    let file: syn::File = syn::parse2(tokens).unwrap();
    assert_eq!(file.items.len(), 4);
    for item in file.items {
        let attrs = match item {
            Item::Trait(item) => item.attrs,
            Item::Struct(item) => item.attrs,
            Item::Const(item) => item.attrs,
            other => panic!("unexpected {}", quote!(#other)),
        };
        assert!(attrs.iter().any(|attr| attr.path().is_ident("cfg")));
    }
}

#[test]
fn a_method_that_is_wrong_is_left_out() {
    let (service, errors) = read(quote! {
        trait Arith {
            async fn add(&self, a: i64) -> i64;
            async fn name(&self, of: &str, more: &[u8]) -> String;
        }
    });
    assert_eq!(errors.len(), 2, "each parameter is told: {errors:?}");
    assert_eq!(service.unwrap().methods.len(), 1);
}

#[test]
fn a_generic_trait_makes_nothing() {
    let (service, errors) = read(quote! { trait Store<T> { async fn get(&self) -> T; } });
    assert!(service.is_none());
    assert_eq!(errors.len(), 1);
}

#[test]
fn a_name_that_is_wrong_falls_back_with_an_error() {
    let mut errors = Errors::default();
    let service = parse::service(
        quote!(name = "a.b"),
        quote!(
            trait Arith {}
        ),
        &mut errors,
    );
    assert_eq!(service.unwrap().name, "arith");
    assert_eq!(errors.texts().len(), 1);
}
