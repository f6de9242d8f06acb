//! What the compiler says to a user of handlers, of methods that run, and of exported functions.
//!
//! Each case holds the lines that are ours in what the compiler says, and not the rest, which is its own and would change
//! with it.

#[test]
fn ui_by_hand() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/by_hand/ui/pass/*.rs");
    cases.compile_fail("tests/by_hand/ui/fail/*.rs");
}
