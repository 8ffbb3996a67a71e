//! The deterministic simulator: a hub, its shops and its readers, a line that loses, repeats, delays and cuts, disks that
//! are put back and copied, programs that crash, a shop that lies. One thread, one stream of random numbers, no clock: a
//! seed is a run.
//!
//! The decisions are `vitrina_shared::decide`'s and every byte goes through the real codec. The stores are
//! `vitrina_shared::memory`; for a part of the seeds the real ones, over SQL.

mod checks;
mod config;
mod faults;
mod hub;
mod line;
mod machine;
mod malice;
mod orders;
mod parcels;
mod peace;
mod pledges;
pub mod random;
pub mod regressions;
mod run;
mod shrink;
mod story;
mod till;
mod website;
mod world;

pub use config::{Config, Fault};
pub use pledges::{RARE, TABLE};
pub use run::{Report, run, run_agents, run_real, run_real_hub, run_stores};
pub use shrink::shrink;
pub use story::{At, Line, Story, sale};
pub use world::BRANCHES;
