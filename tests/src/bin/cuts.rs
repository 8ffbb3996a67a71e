//! Power cuts and failing calls under the databases of the real programs; `scripts/torture --cuts` starts it. Ends with 1
//! where anything was lost, doubled or half there.
#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use vitrina_tests::power::calls::{Sweep, Swept};
use vitrina_tests::power::cuts::{Findings, Honesty, explore};
use vitrina_tests::power::day::Day;
use vitrina_tests::vfs::{Call, Fault};

/// How often a day is played with other cuts before another day is recorded.
const ROUNDS: usize = 4;

#[derive(Parser)]
#[command(about = "Cuts the power under the agent and the hub at every write and every flush")]
struct Args {
    /// How many cuts at least.
    #[arg(default_value_t = 100_000)]
    cuts: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let is_whole = cuts(&args);
    let is_kept = calls();
    if is_whole && is_kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn cuts(args: &Args) -> bool {
    let begun = Instant::now();
    let mut all = Findings::default();
    let mut seed = args.seed;
    while all.points < args.cuts && all.is_clean() {
        let (records, home) = Day::recorded();
        for record in &records {
            match explore(record, &home, Honesty::Honest, (seed, ROUNDS)) {
                Ok(found) => all.add(found),
                Err(broken) => all.first.push(broken),
            }
        }
        seed += ROUNDS as u64;
        if !all.first.is_empty() {
            break;
        }
    }
    let millis = u64::try_from(begun.elapsed().as_millis()).map_or(1, |millis| millis.max(1));
    for (cut, count) in &all.cuts {
        println!("{count:12} {}", cut.words());
    }
    println!(
        "{} power cuts in {} s, {} a minute; {} of them with something in the air; {} lost, doubled, half there or damaged",
        all.points,
        millis / 1_000,
        all.points * 60_000 / millis,
        all.loose,
        all.harmed
    );
    all.first.iter().for_each(|broken| println!("{broken}"));
    all.is_clean() && all.first.is_empty()
}

fn calls() -> bool {
    let begun = Instant::now();
    let mut sweep = Sweep::prepare();
    let mut all = Swept::default();
    let faults = [
        (None, Fault::Error),
        (Some(Call::Write), Fault::Half),
        (Some(Call::Sync), Fault::Half),
        (Some(Call::Write), Fault::Full),
    ];
    for fault in faults {
        all.add(sweep.go(fault, (1, 1)));
    }
    for (call, count) in &all.calls {
        println!("{count:12} {call:?} failed");
    }
    println!(
        "{} failing calls in {} s; {} told the caller; {} broken promises",
        all.faults,
        begun.elapsed().as_secs(),
        all.refused,
        all.broken.len()
    );
    all.broken.iter().for_each(|broken| println!("{broken}"));
    all.broken.is_empty()
}
