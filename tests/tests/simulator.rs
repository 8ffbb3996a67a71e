//! The simulator, in a dose for every change; `scripts/torture` runs more.

use std::collections::BTreeMap;

use vitrina_tests::sim::{
    BRANCHES, Config, Fault, Report, regressions, run, run_agents, run_real, run_real_hub,
    run_stores, shrink,
};

const SHOPS: usize = 4;
const STEPS: usize = 60;

fn config(seed: u64) -> Config {
    Config::of_seed(seed, SHOPS, STEPS)
}

/// The run; where it broke a promise, everything that is needed to see why.
fn must_hold(seed: u64, config: &Config) -> Report {
    let report = run(seed, config);
    if let Some(violation) = &report.violation {
        let small = shrink(seed, config, violation);
        panic!(
            "{}\nseed {seed}: {config}: {violation}\nthe line for regressions.txt:\n{seed}: {small} # {violation}",
            report.events.join("\n")
        );
    }
    report
}

#[test]
fn what_once_broke_a_promise_breaks_none() {
    for (seed, config) in regressions::all() {
        must_hold(seed, &config);
    }
}

#[test]
fn no_schedule_of_faults_loses_or_doubles_a_sale() {
    let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
    for seed in 1..=400 {
        for (what, count) in must_hold(seed, &config(seed)).counts {
            *counts.entry(what).or_default() += count;
        }
    }

    // A fault that never happens proves nothing.
    let faults = Fault::ALL.iter().map(|fault| fault.name());
    for what in faults.chain(BRANCHES.iter().copied()) {
        assert!(
            counts.contains_key(what),
            "{what} never happened: {counts:?}"
        );
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 1..=50 {
        let again = run(seed, &config(seed)).trace;
        assert_eq!(run(seed, &config(seed)).trace, again, "seed {seed}");
    }
}

#[test]
fn the_same_seed_is_the_same_run_of_the_real_hub() {
    for seed in 1..=8 {
        let config = Config::real_hub(seed);
        let again = run_real_hub(seed, &config).trace;
        assert_eq!(run_real_hub(seed, &config).trace, again, "seed {seed}");
    }
}

#[test]
fn a_configuration_reads_back_as_written() {
    for seed in 1..=50 {
        let config = config(seed);
        assert_eq!(config.to_string().parse(), Ok(config));
    }
    assert!("4 shops".parse::<Config>().is_err());
    assert!("4 shops, 3 steps; rain 4".parse::<Config>().is_err());
}

#[test]
fn the_real_stores_keep_every_promise_and_end_with_the_stock_of_the_model() {
    let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
    for seed in 1..=24 {
        let config = Config::real(seed);
        let report = run_real(seed, &config);
        assert_eq!(
            report.violation,
            None,
            "seed {seed}: {config}\n{}",
            report.events.join("\n")
        );
        for (what, count) in report.counts {
            *counts.entry(what).or_default() += count;
        }
    }

    for what in [
        "merged",
        "duplicate",
        "fork",
        "hub_behind",
        "minted",
        "branched",
        "taken",
        "doubted",
        "life_changed",
        "sold_again",
        "cancelled",
        "priced",
        "followed",
        "expired",
        "forbidden",
        "compared",
    ] {
        assert!(
            counts.contains_key(what),
            "{what} never happened: {counts:?}"
        );
    }
}

#[test]
fn no_piece_is_lost_or_doubled_between_two_shops() {
    let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
    for seed in 1..=16 {
        let config = Config::parcels(seed);
        let report = run_real(seed, &config);
        assert_eq!(
            report.violation,
            None,
            "seed {seed}: {config}\n{}",
            report.events.join("\n")
        );
        for (what, count) in report.counts {
            *counts.entry(what).or_default() += count;
        }
    }

    for what in ["parcel_sent", "parcel_came", "sold_again", "cancelled"] {
        assert!(
            counts.contains_key(what),
            "{what} never happened: {counts:?}"
        );
    }
}

#[test]
fn the_real_hub_keeps_every_promise_about_holds() {
    let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
    for seed in 1..=24 {
        let config = Config::real_hub(seed);
        let report = run_real_hub(seed, &config);
        assert_eq!(
            report.violation,
            None,
            "seed {seed}: {config}\n{}",
            report.events.join("\n")
        );
        for (what, count) in report.counts {
            *counts.entry(what).or_default() += count;
        }
    }

    for what in [
        "hold_opened",
        "hold_again",
        "hold_refused",
        "hold_released",
        "hold_extended",
        "re_sourced",
        "asked_next",
        "returned",
        "leg_scanned",
        "shipped",
        "received",
        "file_over_hold",
    ] {
        assert!(
            counts.contains_key(what),
            "{what} never happened: {counts:?}"
        );
    }
}

#[test]
fn the_agents_own_ledger_keeps_every_promise_to_web_orders() {
    let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
    for seed in 1..=60 {
        let config = Config::agents(seed);
        let report = run_agents(seed, &config);
        assert_eq!(
            report.violation,
            None,
            "seed {seed}: {config}\n{}",
            report.events.join("\n")
        );
        for (what, count) in report.counts {
            *counts.entry(what).or_default() += count;
        }
    }

    for what in [
        "hold_opened",
        "leg_scanned",
        "leg_declined",
        "forced",
        "file_over_hold",
        "file_names_order",
        "answered_question",
        "shipped",
        "received",
        "returned",
        "minted",
        "life_changed",
    ] {
        assert!(
            counts.contains_key(what),
            "{what} never happened: {counts:?}"
        );
    }
}

#[test]
fn ledger_and_hub_over_sql_keep_every_promise_to_web_orders_together() {
    for seed in 1..=12 {
        let config = Config::agents(seed);
        let report = run_stores(seed, &config);
        assert_eq!(
            report.violation,
            None,
            "seed {seed}: {config}\n{}",
            report.events.join("\n")
        );
    }
}
