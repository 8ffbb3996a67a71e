//! The agent of one shop: drop folders and terminals → ledger (SQLite) → exchange with the hub; local API; commands.
//!
//! It knows nothing of the hub's tables. Data moves one way: a file or call → `ingest` → `ledger` → `sync` → the wire.
//! Reading order: `config`, `identity`, `core` (the open data folder) → `receipt`, `ingest`, `inbox` (what comes in) →
//! `source`, `ledger` (what is kept) → `hub_client`, `sync`, `stick`, `enrol` (the hub) → `local_api` (terminals) → `status`,
//! `doctor`, `daemon`, [`cli`]; [`rig`] for tests that hold the disk.

pub mod cli;
#[cfg(any(fuzzing, test))]
pub mod stranger;

mod config;
mod core;
mod daemon;
mod doctor;
mod enrol;
mod hold_json;
mod hub_client;
mod identity;
mod inbox;
mod ingest;
mod ledger;
mod limits;
mod local_api;
mod receipt;
pub mod rig;
mod situation;
mod source;
mod status;
mod stick;
mod stock_json;
mod sync;
mod transfer_json;
mod words;

pub use ledger::lab;
