//! One connection as handles and its task share it.

mod calls;
mod clock;
mod drain;
mod effects;
mod handlers;
mod out;
mod receipts;
mod said;
mod state;
mod streams;

pub(crate) use calls::{BeginOptions, CallEnd};
pub(crate) use clock::Clock;
pub(crate) use effects::{Arrived, Body, CancelOrder, Collected, DriverEffects};
pub(crate) use out::{Out, Sent};
pub(crate) use receipts::Receipts;
pub use state::RunKind;
pub(crate) use state::{
    HandlerRef, InSlot, Link, LinkConfig, OutExtras, OutInput, OutSlot, Reply, Run, Side, Sides,
    State, WireFacts,
};
pub(crate) use streams::Batch;
