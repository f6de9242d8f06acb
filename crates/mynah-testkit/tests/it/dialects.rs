//! Every dialect of Mynah, in every format.

use mynah::dialect::{CborRpc, JsonRpc, Kollabor, Native};
use mynah_codec::dialect::cbor_rpc::Padding;

mynah_testkit::dialect_suite! { native_cbor => Native::new() }
mynah_testkit::dialect_suite! { native_json => Native::json() }
mynah_testkit::dialect_suite! { native_messagepack => Native::messagepack() }
mynah_testkit::dialect_suite! { cbor_rpc_cbor => CborRpc::cbor() }
mynah_testkit::dialect_suite! { cbor_rpc_json => CborRpc::json(Padding::Newline) }
mynah_testkit::dialect_suite! { jsonrpc => JsonRpc::standard() }
mynah_testkit::dialect_suite! { kollabor => Kollabor::new() }

/// Other spellings of a dialect, which have no column of their own in the table of what is compatible.
mod spelled {
    use super::*;
    use mynah_testkit::dialect;
    use std::time::Duration;

    #[tokio::test]
    async fn qualified() {
        let qualified = CborRpc::cbor().with_qualified_names(true);
        let qualified = qualified.with_rich_errors(true);
        for case in dialect::cases() {
            let shown = dialect::check(case, &qualified);
            assert!(shown.is_ok(), "{case}: {shown:?}");
        }
        for case in dialect::cases_of_calls() {
            let shown = dialect::check_calls(case, &qualified).await;
            assert!(shown.is_ok(), "{case}: {shown:?}");
        }
    }

    #[tokio::test]
    async fn jsonrpc() {
        let named = JsonRpc::standard().with_named_params(true);
        for dialect in [named, JsonRpc::clamator()] {
            for case in dialect::cases() {
                let shown = dialect::check(case, &dialect);
                assert!(shown.is_ok(), "{case} of {dialect:?}: {shown:?}");
            }
            for case in dialect::cases_of_calls() {
                let checked = dialect::check_calls(case, &dialect);
                let shown = mynah_testkit::within(Duration::from_secs(60), checked).await;
                assert!(
                    matches!(shown, Ok(Ok(_))),
                    "{case} of {dialect:?}: {shown:?}"
                );
            }
        }
    }

    /// Without whole calls: four kilobytes of padding behind each message make them slow.
    #[test]
    fn padded() {
        let padded = CborRpc::json(Padding::Python).with_rich_errors(true);
        for case in dialect::cases() {
            let shown = dialect::check(case, &padded);
            assert!(shown.is_ok(), "{case}: {shown:?}");
        }
    }
}
