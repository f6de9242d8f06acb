//! What the macros say to a user. What they let pass is in the test `every_feature`.
//!
//! The texts are held word for word. Cases whose text is the compiler's own are left out: they would
//! fail with the next compiler. After a change, write the texts anew with
//! `TRYBUILD=overwrite cargo test -p mynah --test it ui`, and read them: each must say what to do.

#[test]
fn ui_macros() {
    let cases = trybuild::TestCases::new();
    // Those that compile are programs of their own: with them here, all that they use would be built twice.
    cases.compile_fail("tests/ui/fail/*.rs");
}
