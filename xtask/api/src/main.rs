//! Prints the public API of a crate from rustdoc's JSON, an item a line.
//!
//! usage: mynah-api FILE.json. Derived and blanket implementations are left out: they say nothing new.

use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: mynah-api FILE.json");
        return ExitCode::FAILURE;
    };
    let listed = public_api::Builder::from_rustdoc_json(&path)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build();
    match listed {
        Ok(api) => {
            println!("{api}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{path}: {error}");
            ExitCode::FAILURE
        }
    }
}
