//! Figure 5: one shop sells 1,000 pieces offline, then the line comes back.
//!
//! The line is a TCP proxy that counts bytes. The clock starts with the first byte that the agent sends on the mended
//! line (its backoff is no part of the figure) and stops when a reader of the feed has every level that changed, with
//! its right number (the view may show a commit's first levels before its last); the first snapshot after that must be
//! whole. Bytes are both ways, heads and bodies, until the agent knows
//! that nothing is pending. Sales are random pieces of 2,000 barcodes with a price: as receipts of a till (one to
//! three lines, seconds apart), and as calls with random UUIDs for keys.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Plan;
use crate::sale_visible::{BARCODES, PIECES};
use crate::site::{Site, Till, Website};
use crate::stats::{Random, barcodes, median, ms};
use crate::table::{Row, Table, Verdict};

const SALES: usize = 1_000;

/// Runs the figure.
pub(crate) fn run(plan: Plan, table: &mut Table) {
    let site = Site::with_line();
    let mut random = Random::new(5);
    let codes = barcodes(&mut random, BARCODES);
    let mut stock: Vec<(String, i64)> = codes.iter().map(|c| (c.clone(), PIECES)).collect();
    site.open(&stock);
    let mut receipts = Receipts::default();
    let (mut as_receipts, mut as_calls) = (Caught::default(), Caught::default());
    for _ in 0..plan.runs {
        as_receipts.add(catch_up(&site, &mut stock, &mut random, |till, r, code| {
            receipts.sell(till, r, code);
        }));
        as_calls.add(catch_up(&site, &mut stock, &mut random, |till, r, code| {
            till.sell(&r.uuid(), code);
        }));
    }
    as_receipts.tell(table, "5 1,000 offline sales as receipts");
    as_calls.tell(table, "5 … with random keys");
}

#[derive(Default)]
struct Caught {
    ms: Vec<f64>,
    up: Vec<f64>,
    down: Vec<f64>,
}

impl Caught {
    fn add(&mut self, (took, (up, down)): (Duration, (u64, u64))) {
        self.ms.push(ms(took));
        self.up.push(up as f64 / SALES as f64);
        self.down.push(down as f64 / SALES as f64);
    }

    fn tell(self, table: &mut Table, what: &str) {
        let (ms, up, down) = (median(self.ms), median(self.up), median(self.down));
        table.add(Row {
            figure: what.into(),
            measured: format!("{ms:.1} ms"),
            peer: "prototype, totals only 4 ms".into(),
            ratio: None,
            target: "≤ 40 ms".into(),
            verdict: Verdict::of(ms <= 40.0),
        });
        table.add(Row {
            figure: "5 … on the wire".into(),
            measured: format!("{:.1} B a sale ({down:.1} of it down)", up + down),
            peer: String::new(),
            ratio: None,
            target: "≤ 25 B".into(),
            verdict: Verdict::of(up + down <= 25.0),
        });
    }
}

fn catch_up(
    site: &Site,
    stock: &mut [(String, i64)],
    random: &mut Random,
    mut sell: impl FnMut(&mut Till, &mut Random, &str),
) -> (Duration, (u64, u64)) {
    let link = site.link.as_ref().unwrap();
    let (mut till, mut website) = (site.till(), site.website());
    let before = website.get("/v1/snapshot");
    let cursor = before.header("vitrina-cursor").to_owned();
    let mut sold = BTreeSet::new();
    link.cut();
    let mut last = 0;
    for _ in 0..SALES {
        last = random.below(stock.len() as u64) as usize;
        stock[last].1 -= 1;
        sold.insert(last);
        sell(&mut till, random, &stock[last].0);
    }
    assert_eq!(till.status()["pending"], json!(SALES));
    let (up, down) = link.carried();
    link.mend();
    website.until(&stock[last].0, stock[last].1, Duration::from_micros(200));
    let changed = sold.iter().map(|place| &stock[*place]).collect::<Vec<_>>();
    let seen = all_seen(&mut website, &cursor, &changed);
    let first: Instant = link.first_byte().expect("the agent spoke");
    let mut shown = website.snapshot();
    site.level(Duration::from_secs(30));
    let (up, down) = (link.carried().0 - up, link.carried().1 - down);
    let mut expected: Vec<_> = stock.iter().map(|(b, u)| (b.clone(), *u)).collect();
    expected.sort();
    shown.sort();
    let shown: Vec<_> = shown.into_iter().map(|(b, _, u)| (b, u)).collect();
    let other = |pair: &(&(String, i64), &(String, i64))| pair.0 != pair.1;
    let wrong: Vec<_> = shown.iter().zip(&expected).filter(other).collect();
    assert!(
        shown.len() == expected.len() && wrong.is_empty(),
        "the first snapshot has {} levels of {}, {} of them other than sold: {:?}",
        shown.len(),
        expected.len(),
        wrong.len(),
        wrong.first()
    );
    (seen - first, (up, down))
}

/// Reads the feed from `cursor` until every level that changed was there with its number; when it was.
fn all_seen(website: &mut Website, cursor: &str, changed: &[&(String, i64)]) -> Instant {
    let begun = Instant::now();
    let mut left: BTreeMap<&str, i64> = changed.iter().map(|(b, u)| (b.as_str(), *u)).collect();
    let mut cursor = cursor.to_owned();
    while !left.is_empty() {
        assert!(begun.elapsed() < Duration::from_mins(1), "{left:?}");
        let page = website.get(&format!("/v1/changes?since={cursor}&limit=1000"));
        let page = page.json();
        for item in page["items"].as_array().unwrap() {
            let barcode = item["barcode"].as_str().unwrap_or("");
            if left.get(barcode).copied() == item["on_hand"].as_i64() {
                left.remove(barcode);
            }
        }
        page["cursor"].as_str().unwrap().clone_into(&mut cursor);
    }
    Instant::now()
}

/// Receipts of one till, one after another.
#[derive(Default)]
struct Receipts {
    number: u64,
    left: u64,
    line: u64,
    second: u64,
}

impl Receipts {
    fn sell(&mut self, till: &mut Till, random: &mut Random, barcode: &str) {
        if self.left == 0 {
            self.number += 1;
            self.left = 1 + random.below(3);
            self.line = 0;
            self.second += 20 + random.below(120);
        }
        (self.left, self.line) = (self.left - 1, self.line + 1);
        let (hour, minute, second) = (
            self.second / 3_600 % 24,
            self.second / 60 % 60,
            self.second % 60,
        );
        let day = 3 + self.second / 86_400 % 25;
        let month = 1 + self.second / (25 * 86_400);
        till.book(
            "",
            &json!({
                "type": "sale", "barcode": barcode, "qty": 1, "price": "45900.00",
                "till": "K1", "receipt": self.number.to_string(), "line": self.line,
                "at": format!("2026-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}+03:00"),
            }),
        );
    }
}
