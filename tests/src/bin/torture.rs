//! Runs the simulator over many seeds; `scripts/torture` starts it. Ends with 1 at the first broken promise.
#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::collections::BTreeMap;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Parser;
use vitrina_shared::planted;
use vitrina_tests::sim::{
    BRANCHES, Config, Fault, RARE, Report, TABLE, regressions, run, run_agents, run_real, shrink,
};

/// Half of what a run does is to make small things and drop them again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(about = "Looks for a schedule of faults that loses or doubles a sale")]
struct Args {
    /// How many seeds.
    #[arg(long, default_value_t = 5_000)]
    seeds: u64,
    /// Stops after so many minutes, whatever is left.
    #[arg(long)]
    minutes: Option<u64>,
    /// Only this seed, with its last events.
    #[arg(long)]
    seed: Option<u64>,
    /// Plants each bug of the list in turn and shows which promise finds it.
    #[arg(long)]
    mutants: bool,
    /// Plants this bug.
    #[arg(long)]
    mutant: Option<String>,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// The most shops of a run.
    #[arg(long, default_value_t = 5)]
    shops: usize,
    /// The steps of a shop before the faults stop.
    #[arg(long, default_value_t = 200)]
    steps: usize,
    /// Every run has all shops.
    #[arg(long)]
    full: bool,
    /// Only the real stores, over SQL.
    #[arg(long)]
    real: bool,
}

/// One seed of so many also runs on the real stores.
const REAL_EVERY: u64 = 50;
/// From so many seeds on every fault and branch must have happened this often.
const MANY: u64 = 2_000;
const OFTEN: u64 = 10;

fn main() -> ExitCode {
    let args = Args::parse();
    // A run tells of its panic itself.
    std::panic::set_hook(Box::new(|_| {}));
    if args.mutants {
        return mutants(&args);
    }
    if let Some(name) = &args.mutant
        && !planted::plant(name)
    {
        println!("{name} is no planted bug, or this build has none: see scripts/torture --mutants");
        return ExitCode::from(2);
    }
    if let Some(seed) = args.seed {
        let (config, report) = args.one(seed);
        report.events.iter().for_each(|event| println!("{event}"));
        println!("seed {seed}: {config}: trace {:016x}", report.trace);
        return ended(&args, seed, &config, &report);
    }
    for (seed, config) in regressions::all() {
        let report = run(seed, &config);
        if report.violation.is_some() && args.mutant.is_none() {
            return ended(&args, seed, &config, &report);
        }
    }
    many(&args)
}

impl Args {
    /// A run; where there are several of a seed, the first that breaks a promise.
    fn one(&self, seed: u64) -> (Config, Report) {
        if !self.real {
            let config = self.config(seed);
            let report = run(seed, &config);
            if report.violation.is_some() || !seed.is_multiple_of(REAL_EVERY) {
                return (config, report);
            }
        }
        let config = Config::real(seed);
        let mut report = run_real(seed, &config);
        *report.counts.entry("on the real stores").or_default() += 1;
        if report.violation.is_some() {
            return (config, report);
        }
        let config = Config::agents(seed);
        let agents = run_agents(seed, &config);
        if agents.violation.is_some() {
            return (config, agents);
        }
        *report
            .counts
            .entry("with orders at the agents")
            .or_default() += 1;
        (config, report)
    }

    fn config(&self, seed: u64) -> Config {
        if self.full {
            Config::full(seed, self.shops, self.steps)
        } else {
            Config::of_seed(seed, self.shops, self.steps)
        }
    }
}

/// Every planted bug in a process of its own; 1 when one of them lives.
fn mutants(args: &Args) -> ExitCode {
    let own = std::env::current_exe().expect("the path of this program");
    let mut alive = 0;
    for name in planted::ALL {
        let output = Command::new(&own)
            .args(["--mutant", name, "--seeds", &args.seeds.to_string()])
            .args(is_of_a_store(name).then_some("--real"))
            .output()
            .expect("this program starts again");
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().last().unwrap_or_default();
        let is_caught = output.status.code() == Some(1);
        alive += usize::from(!is_caught);
        println!(
            "{} {name}: {last}",
            if is_caught { "caught" } else { "ALIVE " }
        );
    }
    println!("{} planted bugs, {alive} alive", planted::ALL.len());
    if alive == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Whether only the real stores have this bug.
fn is_of_a_store(name: &str) -> bool {
    name.starts_with("agent_") || name.starts_with("hub_")
}

fn many(args: &Args) -> ExitCode {
    let begun = Instant::now();
    let until = args.minutes.map(Duration::from_mins);
    let next = AtomicU64::new(args.from);
    let end = args.from + args.seeds;
    let done = AtomicU64::new(0);
    let counts: Mutex<BTreeMap<&'static str, u64>> = Mutex::default();
    let failed: Mutex<Option<(u64, Config, Report)>> = Mutex::default();
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let is_late = until.is_some_and(|until| begun.elapsed() > until);
            let has_failed = failed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .is_some();
            if seed >= end || is_late || has_failed {
                return;
            }
            let (config, report) = args.one(seed);
            done.fetch_add(1, Ordering::Relaxed);
            let mut all = counts.lock().unwrap_or_else(PoisonError::into_inner);
            for (what, count) in &report.counts {
                *all.entry(what).or_default() += count;
            }
            drop(all);
            if report.violation.is_some() {
                *failed.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some((seed, config, report));
                return;
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let counts = counts.into_inner().unwrap_or_else(PoisonError::into_inner);
    for (what, count) in &counts {
        println!("{count:12} {what}");
    }
    let done = done.into_inner();
    let millis = u64::try_from(begun.elapsed().as_millis()).map_or(1, |millis| millis.max(1));
    println!(
        "{done} seeds in {} s, {} a minute",
        millis / 1_000,
        done * 60_000 / millis
    );
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        None if done >= MANY && !args.real && args.mutant.is_none() => all_happened(&counts),
        None => ExitCode::SUCCESS,
        Some((seed, config, report)) => {
            report.events.iter().for_each(|event| println!("{event}"));
            ended(args, seed, &config, &report)
        }
    }
}

/// A fault that never happens proves nothing.
fn all_happened(counts: &BTreeMap<&'static str, u64>) -> ExitCode {
    let faults = Fault::ALL.iter().map(|fault| fault.name());
    let mut rare = faults.chain(BRANCHES.iter().copied());
    let is_rare = |what: &&str| counts.get(what).is_none_or(|count| *count < OFTEN);
    let cells = TABLE.as_flattened().iter().copied().chain(RARE);
    let is_seen = |cell: &str| !matches!(cell, "requested/declined" | "requested/broken");
    let mut seldom = cells.filter(|cell| is_seen(cell));
    if let Some(what) = seldom.find(|what| !counts.contains_key(what)) {
        println!("{what} never happened: these seeds prove nothing about it");
        return ExitCode::FAILURE;
    }
    match rare.find(is_rare) {
        None => ExitCode::SUCCESS,
        Some(what) => {
            println!("{what} happened less than {OFTEN} times: these seeds prove nothing about it");
            ExitCode::FAILURE
        }
    }
}

/// Tells of a broken promise: the seed, its shrunk form, and keeps it.
fn ended(args: &Args, seed: u64, config: &Config, report: &Report) -> ExitCode {
    let Some(violation) = &report.violation else {
        return ExitCode::SUCCESS;
    };
    if args.mutant.is_some() {
        println!("seed {seed}: {violation}");
        return ExitCode::FAILURE;
    }
    // Only what breaks in memory can be shrunk, and run again from the regressions.
    for (of, stores) in [
        (Config::real(seed), "on the real stores"),
        (Config::agents(seed), "with the agents' own ledgers"),
    ] {
        if *config == of {
            println!("seed {seed} {stores} ({config}): {violation}");
            return ExitCode::FAILURE;
        }
    }
    let small = shrink(seed, config, violation);
    let shrunk = run(seed, &small);
    let violation = shrunk.violation.as_deref().unwrap_or(violation);
    println!("shrunk to {small}:");
    shrunk.events.iter().for_each(|event| println!("{event}"));
    if !regressions::all().contains(&(seed, small.clone())) {
        regressions::keep(seed, &small, violation);
    }
    println!(
        "seed {seed} ({config}); shrunk ({small}), kept in tests/regressions.txt: {violation}"
    );
    ExitCode::FAILURE
}
