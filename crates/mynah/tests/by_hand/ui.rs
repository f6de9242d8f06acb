//! What the compiler says to a user of handlers, of methods that run, and of exported functions.
//!
//! After a change, write the texts anew with `TRYBUILD=overwrite cargo test -p mynah --test by_hand ui`, and read them.

#[test]
fn ui_by_hand() {
    let cases = trybuild::TestCases::new();
    // Those that compile are programs of their own: with them here, all that they use would be built twice.
    cases.compile_fail("tests/by_hand/ui/fail/*.rs");
}
