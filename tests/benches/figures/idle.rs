//! Figure 7: what an idle agent costs: 2,000 barcodes, 100,000 movements in its ledger, the folder scan on, the line up.
//!
//! The ledger is filled through the drop folder; then the agent is started anew, is level with the hub, and is left
//! alone for 120 s. Memory is `VmRSS` at the end, time is that of all its threads. Its memory right after the import,
//! without a restart, stands beside it. Once.

use std::time::Duration;

use crate::Plan;
use crate::local_sale::history;
use crate::sale_visible::{BARCODES, PIECES};
use crate::site::Site;
use crate::stats::{Random, barcodes};
use crate::table::{Row, Table, Verdict};
use vitrina_tests::system::{cpu, megabytes, rss};

/// Movements in the ledger, the openings among them.
const MOVEMENTS: usize = 100_000;

/// Runs the figure.
pub(crate) fn run(plan: Plan, table: &mut Table) {
    size(table);
    let seconds = if plan.is_quick { 20 } else { 120 };
    let codes = barcodes(&mut Random::new(10), BARCODES);
    let mut site = Site::direct();
    let stock: Vec<(String, i64)> = codes.iter().map(|c| (c.clone(), PIECES)).collect();
    site.open(&stock);
    let file = site.chain.path("history.csv");
    std::fs::write(&file, history(&codes, MOVEMENTS - BARCODES, 1)).unwrap();
    site.take(&file, Duration::from_mins(10));
    site.level(Duration::from_mins(10));
    let Some(used) = rss(site.agent_id()) else {
        table.skip("7", "no /proc on this system");
        return;
    };
    site.stop_agent();
    site.start_agent();
    site.level(Duration::from_mins(1));
    let (memory, share) = rest(&site, seconds);
    table.add(Row {
        figure: format!("7 idle agent, {seconds} s: memory"),
        measured: format!("{:.1} MB", megabytes(memory)),
        peer: format!("{:.1} MB right after the import", megabytes(used)),
        ratio: None,
        target: "≤ 14 MB".into(),
        verdict: Verdict::of(megabytes(memory) <= 14.0),
    });
    table.add(Row {
        figure: "7 … processor".into(),
        measured: format!("{share:.3} %"),
        peer: String::new(),
        ratio: None,
        target: "≤ 0.1 %".into(),
        verdict: Verdict::of(share <= 0.1),
    });
}

/// Leaves an agent alone; its memory at the end and its share of one core in percent.
pub(crate) fn rest(site: &Site, seconds: u64) -> (u64, f64) {
    // Its start is over: the first exchanges, the first look at the folders.
    std::thread::sleep(Duration::from_secs(3));
    let id = site.agent_id();
    let before = cpu(id).unwrap();
    std::thread::sleep(Duration::from_secs(seconds));
    let busy = cpu(id).unwrap().saturating_sub(before);
    let share = busy.as_secs_f64() / seconds as f64 * 100.0;
    (rss(id).unwrap(), share)
}

fn size(table: &mut Table) {
    let path = vitrina_tests::binaries::folder().join("vitrina-agent");
    let bytes = std::fs::metadata(path).unwrap().len();
    table.add(Row {
        figure: "7 vitrina-agent, stripped".into(),
        measured: format!("{:.1} MB", megabytes(bytes)),
        peer: String::new(),
        ratio: None,
        target: "≤ 12 MB".into(),
        verdict: Verdict::of(megabytes(bytes) <= 12.0),
    });
}
