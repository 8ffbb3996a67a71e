//! The simulator, in a dose for every change; `scripts/torture` runs more.

use std::collections::BTreeMap;

use vitrina_tests::sim::{Config, Fault, Report, run};

const SHOPS: usize = 4;
const STEPS: usize = 60;

fn seed(seed: u64) -> Report {
    run(seed, &Config::of_seed(seed, SHOPS, STEPS))
}

#[test]
fn no_schedule_of_faults_loses_or_doubles_a_sale() {
    let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
    for number in 1..=400 {
        let report = seed(number);
        assert_eq!(
            report.violation,
            None,
            "seed {number}:\n{}",
            report.events.join("\n")
        );
        for (what, count) in report.counts {
            *counts.entry(what).or_default() += count;
        }
    }

    // A fault that never happens proves nothing.
    let branches = [
        "merged",
        "merged_in_part",
        "duplicate",
        "gap",
        "take",
        "fork",
        "hub_behind",
        "minted",
        "branched",
        "taken",
        "doubted",
        "life_changed",
        "sold_again",
        "conflict",
    ];
    let faults = Fault::ALL.iter().map(|fault| fault.name());
    for what in faults.chain(branches) {
        assert!(
            counts.contains_key(what),
            "{what} never happened: {counts:?}"
        );
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for number in 1..=50 {
        assert_eq!(seed(number).trace, seed(number).trace, "seed {number}");
    }
}
