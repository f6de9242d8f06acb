use super::parse::{DomainError, Shape};
use super::*;
use quote::{ToTokens as _, quote};

fn read(item: TokenStream) -> (Option<DomainError>, Vec<String>) {
    let mut errors = Errors::default();
    let model = parse::domain_error(item, &mut errors);
    (model, errors.texts())
}

#[test]
fn the_model_says_what_was_written() {
    let (model, errors) = read(quote! {
        enum E {
            #[error(code = 1)] NotFound,
            #[error(code = -7, message = "{limit:>3} and {{{r0}}} of {limit}")]
            Full { r0: u8, more: u8, limit: u64 },
            #[error(code = 3, message = "{1}")] Pair(u8, u8),
        }
    });
    assert_eq!(errors, Vec::<String>::new());
    let model = model.unwrap();
    assert!(model.display);
    let [not_found, full, pair] = model.variants.as_slice() else {
        panic!("variants")
    };
    assert_eq!((not_found.code, not_found.shape), (1, Shape::Unit));
    assert_eq!(not_found.message.format.value(), "not found");
    assert_eq!((full.code, full.shape), (-7, Shape::Named));
    assert_eq!(
        full.message.format.value(),
        "{limit:>3} and {{{r0}}} of {limit}"
    );
    assert_eq!(full.message.shown, [0, 2]);
    assert_eq!((pair.code, pair.shape), (3, Shape::Tuple));
    assert_eq!(pair.message.format.value(), "{field_1}");
    assert_eq!(pair.message.shown, [1]);
}

#[test]
fn codes_reach_to_both_ends() {
    for (code, good) in [
        (quote!(0), true),
        (quote!(9223372036854775807), true),
        (quote!(-9223372036854775808), true),
        (quote!(9223372036854775808), false),
        (quote!(-31999), true),
        (quote!(-32000), false),
        (quote!(-32768), false),
        (quote!(-32769), true),
        (quote!(0x10), true),
        (quote!(1.5), false),
    ] {
        let (_, errors) = read(quote! { enum E { #[error(code = #code)] A } });
        assert_eq!(errors.is_empty(), good, "{code}: {errors:?}");
    }
}

#[test]
fn attributes_of_another_derive_are_left_alone() {
    let (model, errors) = read(quote! {
        #[domain(no_display)]
        enum E {
            #[error("not found: {0}")] #[domain(code = 1)] NotFound(String),
            #[error(transparent)] #[domain(code = 2)] Other(Source),
            #[error(code = 3)] Plain,
        }
    });
    assert_eq!(errors, Vec::<String>::new());
    let codes: Vec<i64> = model
        .unwrap()
        .variants
        .iter()
        .map(|variant| variant.code)
        .collect();
    assert_eq!(codes, [1, 2, 3]);
}

#[test]
fn mistakes_leave_a_stand_in() {
    let tokens = expand(quote! { enum E { A } });
    let file: syn::File = syn::parse2(tokens).unwrap();
    let impls = file
        .items
        .iter()
        .filter(|item| matches!(item, syn::Item::Impl(_)))
        .count();
    assert_eq!(impls, 3, "Display, Error and DomainError");
    assert!(file.to_token_stream().to_string().contains("compile_error"));
}

#[test]
fn what_is_no_enum_makes_nothing() {
    for item in [
        quote!(
            struct S;
        ),
        quote!(union U { a: u8 }),
        quote!(
            enum E<T> {
                A(T),
            }
        ),
    ] {
        let (model, errors) = read(item);
        assert!(model.is_none());
        assert_eq!(errors.len(), 1);
    }
}
