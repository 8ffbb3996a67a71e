//! Figure 3: the hub merges 480,000 movements and their totals: 240 shops, each 2,000 openings in one exchange.
//!
//! The frames are built and signed beforehand and pushed over 16 connections; the clock runs from the first request to
//! the last answer: decode, signature, check, store, view. Afterwards the snapshot must have every level. Twice: the
//! shops choose from 40,000 barcodes (each is in twelve shops), and no two shops share one. The limit is
//! [`raw::merge`]: the same rows in key order with as many commits as the hub took (it shares one among shops; at least
//! one for 2,000 rows would be slower). A row here is a movement with its row of totals.

use crate::Plan;
use crate::fleet::{Fleet, Openings, Pushed, stocks};
use crate::raw;
use crate::site::Website;
use crate::stats::median;
use crate::table::{Row, Table, Verdict};

const SHOPS: usize = 240;
const EACH: usize = 2_000;
const CONNECTIONS: usize = 16;

/// Runs the figure.
pub(crate) fn run(plan: Plan, table: &mut Table) {
    let shops = if plan.is_quick { SHOPS / 10 } else { SHOPS };
    let pool = Some(shops * EACH / 12);
    measure(plan, table, ("each barcode in 12 shops", shops), pool);
    measure(plan, table, ("each barcode in one shop", shops), None);
}

fn measure(plan: Plan, table: &mut Table, (what, shops): (&str, usize), pool: Option<usize>) {
    let (mut rate, mut limit, mut ratio, mut commits) = (vec![], vec![], vec![], vec![]);
    for run in 0..plan.runs {
        let stocks = stocks(shops, EACH, pool, 3 + run as u64);
        let mut fleet = Fleet::start(shops);
        let openings = fleet.openings(&stocks, true);
        let before = fleet.commits();
        let pushed = fleet.push(&openings.frames, CONNECTIONS);
        let taken = (fleet.commits() - before).max(1);
        must_be_whole(&fleet, shops);
        let bare = bare(&fleet, &openings, taken);
        let rows = (shops * EACH) as f64;
        let merged = rows / pushed.took.as_secs_f64();
        rate.push(merged);
        limit.push(rows / bare);
        ratio.push(merged * bare / rows);
        commits.push(taken as f64);
    }
    let (rate, limit, ratio) = (median(rate), median(limit), median(ratio));
    table.add(Row {
        figure: format!("3 merge of {}, {what}", shops * EACH),
        measured: format!("{rate:.0} rows/s"),
        peer: format!("raw {limit:.0} rows/s, {:.0} commits", median(commits)),
        ratio: Some(ratio),
        target: "≥ 0.5".into(),
        verdict: Verdict::of(ratio >= 0.5),
    });
}

fn must_be_whole(fleet: &Fleet, shops: usize) {
    let levels = Website::of(&fleet.chain).snapshot();
    assert_eq!(levels.len(), shops * EACH, "the snapshot has every level");
}

fn bare(fleet: &Fleet, openings: &Openings, commits: usize) -> f64 {
    let path = fleet.chain.path("raw.sqlite3");
    raw::merge(&path, &openings.rows, commits).as_secs_f64()
}

/// Bytes of a push for each row, up and down.
pub(crate) fn bytes_each(pushed: &Pushed, rows: usize) -> (f64, f64) {
    let each = |bytes: u64| bytes as f64 / rows as f64;
    (each(pushed.sent), each(pushed.received))
}
