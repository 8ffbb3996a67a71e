//! A seed is run: in memory, or on the real stores.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use vitrina_shared::{Barcode, ShopId};

use super::config::Config;
use super::world::World;

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Report {
    /// The hash of everything that happened: the same for the same seed.
    pub trace: u64,
    /// How often each fault and each branch of the protocol happened.
    pub counts: BTreeMap<&'static str, u64>,
    /// The first promise that was broken, if one was.
    pub violation: Option<String>,
    /// The last events, oldest first.
    pub events: Vec<String>,
    /// What the hub has at the end.
    pub stock: BTreeMap<(ShopId, Barcode), i64>,
}

/// Where hub and agents keep what they know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stores {
    /// In memory: `vitrina_shared::memory`.
    Memory,
    /// Their own, over SQL.
    Real,
    /// The hub's own, and the shops' in memory.
    RealHub,
    /// The hub in memory, the agents over SQL.
    Agents,
}

/// Runs a seed in memory.
pub fn run(seed: u64, config: &Config) -> Report {
    run_on(Stores::Memory, seed, config)
}

/// Runs a seed on the real stores, and where nothing goes back in it also in memory: both must end with the same stock.
pub fn run_real(seed: u64, config: &Config) -> Report {
    let mut real = run_on(Stores::Real, seed, config);
    if real.violation.is_none() && config.is_comparable() {
        let model = run(seed, config);
        if model.stock != real.stock {
            real.violation =
                Some("I15 the real stores end with another stock than the model".into());
        }
        *real.counts.entry("compared").or_default() += 1;
    }
    real
}

/// Runs a seed on the real hub with the shops of the model.
pub fn run_real_hub(seed: u64, config: &Config) -> Report {
    run_on(Stores::RealHub, seed, config)
}

/// Runs a seed on the real stores of both, with nothing to compare it with.
pub fn run_stores(seed: u64, config: &Config) -> Report {
    run_on(Stores::Real, seed, config)
}

/// Runs a seed with the agents' own stores at a hub in memory.
pub fn run_agents(seed: u64, config: &Config) -> Report {
    run_on(Stores::Agents, seed, config)
}

fn run_on(stores: Stores, seed: u64, config: &Config) -> Report {
    let mut world = World::new(stores, seed, config);
    // A store that a decision leads astray panics: that is how it was found out.
    let lived = catch_unwind(AssertUnwindSafe(|| world.live()));
    let violation = lived
        .unwrap_or_else(|_| Err("panic: a store was told what cannot be".to_owned()))
        .err();
    world.report(violation)
}
