//! Figure 4: 40,000 counters of 20 shops come to an empty hub over HTTP, each with the opening that explains it.
//!
//! 20 connections, one a shop, one exchange each, frames built beforehand; from the first request to the last answer.
//! The bytes are those of requests and of answers, heads and bodies; TLS would add its records.

use crate::Plan;
use crate::fleet::{Fleet, stocks};
use crate::merge::bytes_each;
use crate::site::Website;
use crate::stats::median;
use crate::table::{Row, Table, Verdict};

const SHOPS: usize = 20;
const EACH: usize = 2_000;

/// Runs the figure.
pub(crate) fn run(plan: Plan, table: &mut Table) {
    let (mut seconds, mut up, mut down) = (vec![], vec![], vec![]);
    for run in 0..plan.runs {
        let mut fleet = Fleet::start(SHOPS);
        let stocks = stocks(SHOPS, EACH, None, 4 + run as u64);
        let openings = fleet.openings(&stocks, false);
        let pushed = fleet.push(&openings.frames, SHOPS);
        let levels = Website::of(&fleet.chain).snapshot();
        assert_eq!(levels.len(), SHOPS * EACH);
        let (sent, received) = bytes_each(&pushed, SHOPS * EACH);
        seconds.push(pushed.took.as_secs_f64());
        up.push(sent);
        down.push(received);
    }
    let (seconds, up, down) = (median(seconds), median(up), median(down));
    table.add(Row {
        figure: "4 bootstrap of 40,000 counters".into(),
        measured: format!("{seconds:.3} s"),
        peer: "prototype without checks or ledger 0.085 s".into(),
        ratio: None,
        target: "≤ 0.4 s".into(),
        verdict: Verdict::of(seconds <= 0.4),
    });
    table.add(Row {
        figure: "4 … on the wire".into(),
        measured: format!("{:.1} B a counter ({down:.1} of it down)", up + down),
        peer: "entropy 3.6 B".into(),
        ratio: None,
        target: "≤ 14 B".into(),
        verdict: Verdict::of(up + down <= 14.0),
    });
}
