//! Schemas of types are asked for, and the feature that makes them is off.
#![allow(unused)]

use mynah::prelude::*;

#[derive(serde::Serialize, serde::Deserialize)]
struct Book {
    title: String,
}

#[mynah::service(schema)]
trait Shelf {
    async fn borrow(&self, title: String) -> Book;
}

fn main() {}
