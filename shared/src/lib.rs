//! The model of Vitrina: what stock is, how it merges, who decides what, and how it travels.
//!
//! Pure: no I/O, no clock, no randomness, no async. The agent and the hub are shells around it, and the simulator
//! runs the same code. Words are those of the glossary in the README; `PROTOCOL.md` is the normative page of [`wire`].
//!
//! Reading order: [`barcode`], [`ids`], [`qty`], [`time`], [`money`] (the values) → [`movement`] (one change and its
//! identity) → [`chain`], [`totals`], [`voids`] (what a set of movements means) → [`delta`], [`decide`], [`orphan`]
//! (who sends what to whom) → [`digest`] (whether both hold the same) → [`model`] (the same as a CRDT, the oracle), [`memory`] (both sides without a
//! disk, for tests) → [`stock`] (the one formula), [`safety`] (what is kept back), [`account`] (how it came about), [`registers`], [`freshness`], [`distance`] → [`hold`] (pieces kept for web orders), [`transfer`] (pieces between two shops) → [`wire`].

pub mod account;
pub mod barcode;
pub mod chain;
pub mod decide;
pub mod delta;
pub mod digest;
pub mod distance;
pub mod freshness;
pub mod hold;
pub mod hours;
pub mod ids;
pub mod memory;
pub mod model;
pub mod money;
pub mod movement;
pub mod orphan;
pub mod planted;
pub mod qty;
pub mod registers;
pub mod safety;
pub mod stock;
pub mod time;
pub mod totals;
pub mod transfer;
pub mod voids;
pub mod wire;

mod hash;

pub use barcode::Barcode;
pub use chain::{Chain, Position};
pub use delta::Delta;
pub use ids::{Dot, HoldId, HubLife, LegId, MovementId, ReplicaId, Seq, ShopId, TransferId};
pub use money::Money;
pub use movement::{Condition, Details, Key, Kind, Movement};
pub use qty::Qty;
pub use time::TimeMs;
pub use totals::Total;
