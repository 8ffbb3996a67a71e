//! Figure 2: the local sale API, `POST /v1/movements` → 201, and the same while a file of 1,000,000 lines is imported.
//!
//! The limit is [`RawLedger`], committed between the sales. A shop's agent with the hub reachable is measured in two
//! ways: with the hub on this machine, whose merges share the disk and the two cores with the till, and with the hub
//! stopped, as a shop has its own machine. The import goes through `drop/` with the hub running; a till sells every
//! 5 ms from the rename until the file is in `done/`.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::Plan;
use crate::raw::RawLedger;
use crate::sale_visible::{BARCODES, PIECES};
use crate::site::Site;
use crate::stats::{Random, barcodes, median, ms, percentile};
use crate::table::{Row, Table, Verdict};

/// Runs the figure.
pub(crate) fn run(plan: Plan, table: &mut Table) {
    let mut random = Random::new(2);
    let codes = barcodes(&mut random, BARCODES);
    let mut site = opened(&codes);
    let mut raw = RawLedger::new(&site.chain.path("raw.sqlite3"), &codes);
    alone(plan, table, "2 POST → 201 p50", &site, (&codes, &mut raw));
    site.chain.hub.take().unwrap().stop();
    alone(plan, table, "2 … hub stopped", &site, (&codes, &mut raw));
    site.stop_agent();
    drop(site);
    during_import(plan, table, &codes);
}

fn opened(codes: &[String]) -> Site {
    let site = Site::direct();
    let stock: Vec<(String, i64)> = codes.iter().map(|c| (c.clone(), PIECES)).collect();
    site.open(&stock);
    site
}

fn alone(
    plan: Plan,
    table: &mut Table,
    what: &str,
    site: &Site,
    (codes, raw): (&[String], &mut RawLedger),
) {
    let sales = if plan.is_quick { 300 } else { 1_000 };
    let mut random = Random::new(what.len() as u64);
    let mut till = site.till();
    let (mut p50, mut p99, mut limit, mut ratio) = (vec![], vec![], vec![], vec![]);
    for _ in 0..plan.runs {
        let (mut sold, mut bare) = (vec![], vec![]);
        for number in 0..sales {
            let key = random.uuid();
            sold.push(till.sell(&key, random.code(codes)));
            // The exchange of this sale is over before the next, and before the limit's commit.
            if number % 10 == 9 {
                std::thread::sleep(Duration::from_millis(5));
                for _ in 0..10 {
                    bare.push(raw.sell(random.code(codes)));
                }
            }
        }
        p50.push(ms(percentile(&sold, 0.5)));
        p99.push(ms(percentile(&sold, 0.99)));
        limit.push(ms(percentile(&bare, 0.5)));
        ratio.push(ms(percentile(&sold, 0.5)) / ms(percentile(&bare, 0.5)));
    }
    let (p50, p99, limit, ratio) = (median(p50), median(p99), median(limit), median(ratio));
    table.add(Row {
        figure: what.into(),
        measured: format!("{p50:.3} ms (p99 {p99:.2})"),
        peer: format!("raw FULL commit p50 {limit:.3} ms"),
        ratio: Some(ratio),
        target: "≤ 2× the commit".into(),
        verdict: Verdict::of(ratio <= 2.0),
    });
}

/// Once: while a million lines are imported, a till sells tens of thousands of times.
fn during_import(plan: Plan, table: &mut Table, codes: &[String]) {
    let lines = if plan.is_quick { 100_000 } else { 1_000_000 };
    let site = opened(codes);
    let file = site.chain.path("history.csv");
    std::fs::write(&file, history(codes, lines, 0)).unwrap();
    let mut till = site.till();
    let mut random = Random::new(100);
    let mut sold = vec![];
    let begun = site.drop_file(&file);
    let mut looked = Instant::now();
    let took = loop {
        let key = random.uuid();
        sold.push(till.sell(&key, random.code(codes)));
        std::thread::sleep(Duration::from_millis(5));
        if looked.elapsed() > Duration::from_millis(50) {
            looked = Instant::now();
            if site.is_done("history.csv") {
                break begun.elapsed();
            }
        }
        assert!(begun.elapsed() < Duration::from_mins(15), "not imported");
    };
    let (p50, p99) = (ms(percentile(&sold, 0.5)), ms(percentile(&sold, 0.99)));
    let (sales, rate) = (sold.len(), lines as f64 / took.as_secs_f64());
    table.add(Row {
        figure: format!("2 … p99 while {lines} lines are imported"),
        measured: format!("{p99:.2} ms (p50 {p50:.2}, {sales} sales)"),
        peer: format!("{rate:.0} lines/s, settling included"),
        ratio: None,
        target: "≤ 20 ms".into(),
        verdict: Verdict::of(p99 <= 20.0),
    });
}

/// A till's history after the opening: receipts of one to three lines, every tenth a return.
pub(crate) fn history(codes: &[String], lines: usize, seed: u64) -> String {
    let mut random = Random::new(seed);
    let mut text = String::with_capacity(lines * 72);
    text.push_str("type;till;receipt;line;barcode;qty;price;at\n");
    let (mut receipt, mut left, mut line, mut second) = (0_u64, 0, 0, 0_u64);
    for _ in 0..lines {
        if left == 0 {
            (receipt, left, line) = (receipt + 1, 1 + random.below(3), 0);
            second += 1 + random.below(40);
        }
        (left, line) = (left - 1, line + 1);
        let word = if random.below(10) == 0 {
            "return"
        } else {
            "sale"
        };
        let at = moment(second);
        let barcode = random.code(codes);
        let price = 5_000 + random.below(950) * 100;
        writeln!(text, "{word};K1;{receipt};{line};{barcode};1;{price};{at}").unwrap();
    }
    text
}

/// A second of the year 2026 from its third day on, as a file writes it.
fn moment(second: u64) -> String {
    let day = second / 86_400 % 300;
    let (month, day) = (day / 28 % 10 + 1, day % 28 + 1);
    let of_day = second % 86_400;
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    let day = if month == 1 { day.max(3) } else { day };
    format!("2026-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}
