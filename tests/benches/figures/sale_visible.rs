//! Figure 1: a till's sale, answered (so: durable), until the website's next `GET` shows it.
//!
//! Agent and hub are real processes; 1,000 sales one after another, random ones of 2,000 barcodes. The clock starts
//! when the till has its 201 and stops when a `GET /v1/stock/{barcode}` has answered with the new number; the website
//! asks again 100 µs after each answer, so that polling takes little of the two cores from what it measures. The limit
//! is [`RawLedger`], committed between the sales.

use std::time::Duration;

use crate::Plan;
use crate::raw::RawLedger;
use crate::site::Site;
use crate::stats::{Random, barcodes, median, ms, percentile};
use crate::table::{Row, Table, Verdict};

/// How many barcodes the shop has, and pieces of each.
pub(crate) const BARCODES: usize = 2_000;
pub(crate) const PIECES: i64 = 100_000;

/// Runs the figure.
pub(crate) fn run(plan: Plan, table: &mut Table) {
    let sales = if plan.is_quick { 200 } else { 1_000 };
    let mut random = Random::new(1);
    let codes = barcodes(&mut random, BARCODES);
    let site = Site::direct();
    let mut stock: Vec<(String, i64)> = codes.iter().map(|c| (c.clone(), PIECES)).collect();
    site.open(&stock);
    let mut raw = RawLedger::new(&site.chain.path("raw.sqlite3"), &codes);
    let (mut till, mut website) = (site.till(), site.website());
    let (mut p50, mut p99, mut limit, mut ratio) = (vec![], vec![], vec![], vec![]);
    for _ in 0..plan.runs {
        let (mut seen, mut bare) = (vec![], vec![]);
        for _ in 0..sales {
            let place = random.below(BARCODES as u64) as usize;
            let (barcode, units) = &mut stock[place];
            *units -= 1;
            till.sell(&random.uuid(), barcode);
            let answered = std::time::Instant::now();
            let visible = website.until(barcode, *units, Duration::from_micros(100));
            seen.push(visible - answered);
            bare.push(raw.sell(barcode));
        }
        p50.push(ms(percentile(&seen, 0.5)));
        p99.push(ms(percentile(&seen, 0.99)));
        limit.push(ms(percentile(&bare, 0.5)));
        ratio.push(ms(percentile(&seen, 0.5)) / ms(percentile(&bare, 0.5)));
    }
    let (p50, p99, limit, ratio) = (median(p50), median(p99), median(limit), median(ratio));
    table.add(Row {
        figure: "1 sale answered → visible, p50".into(),
        measured: format!("{p50:.2} ms"),
        peer: format!("raw FULL commit p50 {limit:.3} ms"),
        ratio: Some(ratio),
        target: "≤ 3 ms, ≤ 12× the commit".into(),
        verdict: Verdict::of(p50 <= 3.0 && ratio <= 12.0),
    });
    table.add(Row {
        figure: "1 … p99".into(),
        measured: format!("{p99:.2} ms"),
        peer: String::new(),
        ratio: None,
        target: "≤ 12 ms".into(),
        verdict: Verdict::of(p99 <= 12.0),
    });
}
