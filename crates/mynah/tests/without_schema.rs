//! What `#[service(schema)]` says where the feature that makes schemas is off. A binary of its own, for it is small.
//!
//! After a change, write the text anew with `TRYBUILD=overwrite cargo test -p mynah --test without_schema`, and read it.
#![cfg(not(feature = "schema"))]

#[test]
fn ui_without_schema() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/without_schema/*.rs");
}
