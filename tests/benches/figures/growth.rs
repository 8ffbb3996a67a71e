//! Figure 9: how the cost grows with the work: 48,000 totals and movements, ten and a hundred times as many.
//!
//! At the hub: shops of 2,000 barcodes, no two alike; the merge as in figure 3, the p50 of 5,000 random `GET`s on one
//! connection, and a restart from the command to `ready`. At an agent: one ledger of so many openings, idle for 20 s, and
//! before that the processor that its start took until it was idle: it looks at all pages of its ledger once after each.
//! Three runs at most; nothing may grow faster than linear, and reads must stay flat.

use std::time::{Duration, Instant};

use crate::Plan;
use crate::fleet::{Fleet, stocks};
use crate::idle::rest;
use crate::site::{Site, Website};
use crate::stats::{Random, barcodes, median, ms, percentile};
use crate::table::{Row, Table, Verdict};
use vitrina_tests::system::{cpu, megabytes, rss};

const SHOPS: usize = 24;
const EACH: usize = 2_000;
/// Barcodes of a shop in a try.
const FEW: usize = 50;

#[derive(Default)]
struct Cost {
    merge: Vec<f64>,
    read: Vec<f64>,
    start: Vec<f64>,
    memory: Vec<f64>,
}

/// Runs the figure.
pub(crate) fn run(plan: Plan, table: &mut Table) {
    let (times, runs): (&[usize], usize) = if plan.is_quick {
        (&[1, 10], 1)
    } else {
        (&[1, 10, 100], plan.runs.min(3))
    };
    let each = if plan.is_quick { FEW } else { EACH };
    let mut hubs = Vec::new();
    for times in times {
        let mut cost = Cost::default();
        for run in 0..runs {
            hub(&mut cost, (*times, each), run as u64);
        }
        let rows = (SHOPS * each * times) as f64;
        let [merge, read, start, memory] =
            [cost.merge, cost.read, cost.start, cost.memory].map(median);
        table.say(
            &format!("9 hub, {times}×"),
            format!(
                "merge {merge:.2} s ({:.0} rows/s), GET p50 {read:.0} µs",
                rows / merge
            ),
            &format!("ready after {start:.2} s, {memory:.0} MB"),
        );
        hubs.push([merge, read, start]);
    }
    for (what, name, most) in [
        (0, "merge", 11.0),
        (1, "GET p50", 1.5),
        (2, "start-up", 11.0),
    ] {
        judge(table, name, hubs.iter().map(|hub| hub[what]), most);
    }
    let looks: Vec<f64> = times
        .iter()
        .map(|times| agent(table, (*times, each), runs))
        .collect();
    judge(table, "agent's start-up", looks.into_iter(), 11.0);
}

/// Ten times the work may take ten times the time (and a tenth more); a read half again as long at most.
fn judge(table: &mut Table, name: &str, costs: impl Iterator<Item = f64> + Clone, most: f64) {
    let steps = costs.clone().zip(costs.skip(1));
    let grew = steps.map(|(few, many)| many / few).fold(0.0, f64::max);
    table.add(Row {
        figure: format!("9 {name}, each step of 10×"),
        measured: format!("at most {grew:.2}×"),
        peer: String::new(),
        ratio: None,
        target: format!("≤ {most}×"),
        verdict: Verdict::of(grew <= most),
    });
}

fn hub(cost: &mut Cost, (times, each): (usize, usize), run: u64) {
    let mut fleet = Fleet::start(SHOPS * times);
    let stocks = stocks(SHOPS * times, each, None, 13 + run);
    let openings = fleet.openings(&stocks, false);
    let pushed = fleet.push(&openings.frames, 16);
    cost.merge.push(pushed.took.as_secs_f64());
    // What follows a merge, the copying of the log above all, is no part of a read.
    let busy = fleet.chain.hub.as_ref().unwrap().id();
    at_rest(busy, Duration::from_mins(2));
    let mut random = Random::new(run);
    let mut website = Website::of(&fleet.chain);
    let mut reads = Vec::new();
    for _ in 0..5_500 {
        let stock = random.pick(&stocks);
        let (code, units) = random.pick(stock);
        let begun = Instant::now();
        let seen = website.on_hand(code);
        reads.push(begun.elapsed());
        assert_eq!(seen, Some(*units));
    }
    cost.read.push(ms(percentile(&reads[500..], 0.5)) * 1_000.0);
    fleet.chain.hub.take().unwrap().stop();
    let begun = Instant::now();
    fleet.chain.start_hub();
    cost.start.push(begun.elapsed().as_secs_f64());
    let id = fleet.chain.hub.as_ref().unwrap().id();
    cost.memory.push(megabytes(rss(id).unwrap_or(0)));
    let (code, units) = &stocks[0][0];
    assert_eq!(Website::of(&fleet.chain).on_hand(code), Some(*units));
}

/// Waits until a process takes less than a fiftieth of a processor.
fn at_rest(id: u32, patience: Duration) {
    const LOOK: Duration = Duration::from_millis(500);
    let begun = Instant::now();
    let mut before = cpu(id).unwrap();
    loop {
        std::thread::sleep(LOOK);
        let now = cpu(id).unwrap();
        if now.saturating_sub(before) <= LOOK / 50 {
            return;
        }
        assert!(begun.elapsed() < patience, "never at rest");
        before = now;
    }
}

/// The seconds of processor that an agent's start takes until it is idle.
fn agent(table: &mut Table, (times, each): (usize, usize), runs: usize) -> f64 {
    let count = SHOPS * each * times;
    let mut site = Site::direct();
    let codes = barcodes(&mut Random::new(14), count);
    let stock: Vec<(String, i64)> = codes.into_iter().map(|code| (code, 1)).collect();
    let begun = Instant::now();
    site.open(&stock);
    let opened = begun.elapsed().as_secs_f64();
    let (mut memory, mut share, mut looked) = (vec![], vec![], vec![]);
    for _ in 0..runs {
        site.stop_agent();
        site.start_agent();
        site.level(Duration::from_mins(2));
        at_rest(site.agent_id(), Duration::from_mins(10));
        looked.push(cpu(site.agent_id()).unwrap().as_secs_f64());
        let (bytes, percent) = rest(&site, 20);
        memory.push(megabytes(bytes));
        share.push(percent);
    }
    let looked = median(looked);
    table.say(
        &format!("9 idle agent, {times}×"),
        format!("{:.1} MB, {:.3} %", median(memory), median(share)),
        &format!("{looked:.2} s of processor before; opened and level in {opened:.1} s"),
    );
    looked
}
