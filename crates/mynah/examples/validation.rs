//! Params that are checked by garde, a crate of another house: the adapter is one function.
//!
//! Run it with `cargo run --example validation`.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use garde::error::Kind;
use mynah::prelude::*;
use mynah::{Faults, Validate};
use serde::{Deserialize, Serialize};

/// Holds a value against its derived rules. Each fault keeps its place.
fn by_garde<T: garde::Validate<Context = ()>>(value: &T, faults: &mut Faults) {
    let Err(report) = value.validate() else {
        return;
    };
    for (path, error) in report.iter() {
        // The way from the inside out, as the report has it.
        let mut steps: Vec<(Kind, String)> = path
            .__iter()
            .map(|(kind, step)| (kind, step.to_string()))
            .collect();
        steps.reverse();
        add(&steps, error.message(), faults);
    }
}

/// Goes down the way to the part that is wrong.
fn add(steps: &[(Kind, String)], message: &str, faults: &mut Faults) {
    match steps.split_first() {
        None => faults.add("invalid", message),
        Some(((Kind::Index, index), rest)) if index.parse::<usize>().is_ok() => {
            let index = index.parse().unwrap_or_default();
            faults.element(index, |faults| add(rest, message, faults));
        }
        Some(((_, name), rest)) => {
            faults.field(name.clone(), |faults| add(rest, message, faults));
        }
    }
}

/// Somebody who wants a room.
#[derive(Clone, Debug, Serialize, Deserialize, garde::Validate)]
pub struct Guest {
    /// What to call them.
    #[garde(length(min = 1, max = 40))]
    pub name: String,
    /// In years.
    #[garde(range(max = 150))]
    pub age: u8,
    /// Who comes along.
    #[garde(dive, length(max = 3))]
    pub children: Vec<Child>,
}

/// Somebody who comes along.
#[derive(Clone, Debug, Serialize, Deserialize, garde::Validate)]
pub struct Child {
    /// In years.
    #[garde(range(max = 17))]
    pub age: u8,
}

impl Validate for Guest {
    fn validate(&self, faults: &mut Faults) {
        by_garde(self, faults);
    }
}

/// Gives rooms.
#[mynah::service(validate)]
pub trait Inn {
    /// Gives a room.
    async fn enter(&self, guest: Guest, nights: u32) -> Result<u32, RpcError>;
}

struct MyInn;

impl Inn for MyInn {
    async fn enter(&self, guest: Guest, nights: u32) -> Result<u32, RpcError> {
        println!("{} stays for {nights} nights", guest.name);
        Ok(7)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::new()
        .register(InnService::new(MyInn))
        .listen("tcp://127.0.0.1:0")
        .start()
        .await?;
    let inn: InnClient = mynah::connect(server.address()).await?.client();
    let guest = Guest {
        name: "Ann".to_owned(),
        age: 30,
        children: vec![Child { age: 4 }],
    };
    println!("room {}", inn.enter(guest.clone(), 2).await?);

    let wrong = Guest {
        name: String::new(),
        age: 200,
        children: vec![Child { age: 4 }, Child { age: 40 }],
    };
    match inn.enter(wrong, 2).await {
        Err(CallError::Application(error)) => {
            println!("{error}");
            println!("{:?}", error.data());
        }
        other => println!("{other:?}"),
    }
    Ok(())
}
