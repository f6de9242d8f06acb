//! Every dialect of Mynah, in every format.

use mynah::dialect::{CborRpc, Native};
use mynah_codec::dialect::cbor_rpc::Padding;

mynah_testkit::dialect_suite! { native_cbor => Native::new() }
mynah_testkit::dialect_suite! { native_json => Native::json() }
mynah_testkit::dialect_suite! { native_messagepack => Native::messagepack() }
mynah_testkit::dialect_suite! { cbor_rpc_cbor => CborRpc::cbor() }
mynah_testkit::dialect_suite! { cbor_rpc_json => CborRpc::json(Padding::Newline) }

/// Other spellings of the same dialect.
mod spelled {
    use super::*;

    mynah_testkit::dialect_suite! {
        qualified => CborRpc::cbor().with_qualified_names(true).with_rich_errors(true)
    }
    /// Without whole calls: four kilobytes of padding behind each message make them slow.
    #[test]
    fn padded() {
        let padded = CborRpc::json(Padding::Python).with_rich_errors(true);
        for case in mynah_testkit::dialect::cases() {
            let shown = mynah_testkit::dialect::check(case, &padded);
            assert!(shown.is_ok(), "{case}: {shown:?}");
        }
    }
}
