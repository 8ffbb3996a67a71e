//! Figure 10: how soon everybody is back. An agent with 100,000 movements is killed while it sells, and started until a
//! till's sale is answered; a hub with 480,000 rows of 240 shops is killed right after they were merged, and started
//! until the website has an answer; then its database is deleted, it begins empty with its keys, and all shops, one
//! exchange to hear of the new life and one with their whole history each, refill it over 16 connections.

use std::time::{Duration, Instant};

use vitrina_tests::process::Server;

use crate::Plan;
use crate::fleet::{Fleet, stocks};
use crate::local_sale::history;
use crate::sale_visible::{BARCODES, PIECES};
use crate::site::{Site, Website};
use crate::stats::{Random, barcodes, median};
use crate::table::{Row, Table, Verdict};

/// Movements in the agent's ledger, the openings among them.
const MOVEMENTS: usize = 100_000;
const SHOPS: usize = 240;
const EACH: usize = 2_000;
const CONNECTIONS: usize = 16;

/// Runs the figure.
pub(crate) fn run(plan: Plan, table: &mut Table) {
    agent(plan, table);
    hub(plan, table);
}

fn agent(plan: Plan, table: &mut Table) {
    let mut random = Random::new(15);
    let codes = barcodes(&mut random, BARCODES);
    let mut site = Site::direct();
    let stock: Vec<(String, i64)> = codes.iter().map(|code| (code.clone(), PIECES)).collect();
    site.open(&stock);
    let file = site.chain.path("history.csv");
    std::fs::write(&file, history(&codes, MOVEMENTS - BARCODES, 1)).unwrap();
    site.take(&file, Duration::from_mins(10));
    site.level(Duration::from_mins(10));
    let mut back = vec![];
    for _ in 0..plan.runs {
        let mut till = site.till();
        for _ in 0..100 {
            till.sell(&random.uuid(), random.code(&codes));
        }
        site.agent.take().unwrap().kill();
        let begun = Instant::now();
        site.start_agent();
        site.till().sell(&random.uuid(), random.code(&codes));
        back.push(begun.elapsed().as_secs_f64());
    }
    let what = format!("10 agent killed, {MOVEMENTS} movements: a sale is answered");
    seconds(table, what, median(back), 1.0);
}

fn hub(plan: Plan, table: &mut Table) {
    let shops = if plan.is_quick { SHOPS / 10 } else { SHOPS };
    let rows = shops * EACH;
    let (mut back, mut filled) = (vec![], vec![]);
    for run in 0..plan.runs {
        let stocks = stocks(shops, EACH, Some(rows / 12), 16 + run as u64);
        let mut fleet = Fleet::start(shops);
        let frames = fleet.openings(&stocks, false).frames;
        fleet.push(&frames, CONNECTIONS);

        fleet.chain.kill_hub();
        let begun = Instant::now();
        fleet.chain.start_hub();
        let (code, units) = &stocks[0][0];
        assert!(Website::of(&fleet.chain).on_hand(code) >= Some(*units));
        back.push(begun.elapsed().as_secs_f64());

        let begun = empty(&mut fleet);
        fleet.greet(CONNECTIONS);
        fleet.push(&frames, CONNECTIONS);
        filled.push(begun.elapsed().as_secs_f64());
        let verified = fleet.chain.cli(&["verify", "--json"]).ok().json();
        assert_eq!(verified["checked"]["movements"], rows, "{verified}");
    }
    let what = format!("10 hub killed, {rows} rows: the website is answered");
    seconds(table, what, median(back), 3.0);
    let what = format!("10 empty hub refilled by {shops} shops, {rows} rows");
    seconds(table, what, median(filled), 60.0);
}

/// Takes the hub's database away and lets it begin anew with its keys; when it was started.
fn empty(fleet: &mut Fleet) -> Instant {
    fleet.chain.stop_hub();
    let data = fleet.chain.data();
    std::fs::remove_file(data.join("hub.sqlite3")).unwrap();
    let listen = fleet.chain.url.trim_start_matches("http://").to_owned();
    let begun = Instant::now();
    let serve = ["serve", "--init", "--listen", &listen];
    let hub = Server::start("vitrina-hub", &data, &serve);
    fleet.chain.take_over(hub);
    begun
}

fn seconds(table: &mut Table, figure: String, took: f64, most: f64) {
    table.add(Row {
        figure,
        measured: format!("{took:.2} s"),
        peer: String::new(),
        ratio: None,
        target: format!("≤ {most} s"),
        verdict: Verdict::of(took <= most),
    });
}
