//! One connection as handles and its task share it.

mod calls;
mod clock;
mod closing;
mod collected;
mod drain;
mod effects;
mod handlers;
mod out;
mod own_ids;
mod permission;
mod receipts;
mod said;
mod slots;
mod state;
mod streams;

pub(crate) use calls::{BeginOptions, CallEnd};
pub(crate) use clock::Clock;
pub(crate) use collected::{Arrived, Body, CalledKind, CancelOrder, Collected};
pub(crate) use effects::DriverEffects;
pub(crate) use out::{Out, Sent};
pub(crate) use receipts::Receipts;
pub use slots::RunKind;
pub(crate) use slots::{HandlerRef, InSlot, OutExtras, OutInput, OutSlot, Reply, Run, Side, Sides};
pub(crate) use state::{Link, LinkConfig, Rules, State, Strays, WireFacts};
pub(crate) use streams::Batch;
