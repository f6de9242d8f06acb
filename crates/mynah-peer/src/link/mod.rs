//! One connection as handles and its task share it.

mod clock;
mod effects;
mod out;
mod state;

pub(crate) use clock::Clock;
pub(crate) use effects::{Arrived, Body, CancelOrder, Collected, DriverEffects};
pub(crate) use out::{Out, Sent};
pub(crate) use state::{
    BeginOptions, CallEnd, HandlerRef, InSlot, Link, LinkConfig, OutSlot, Reply, Side, Sides,
    State, WireFacts, wake,
};
