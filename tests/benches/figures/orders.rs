//! Figure 11: 10,000 orders of 50 websites for 1,000 last pieces in 20 shops that answer by themselves, while tills sell the
//! same pieces and lines are cut and come back. Each call waits for the shop's word (`wait_ms`); what counts are the
//! calls for shops whose line was up all the time and for five seconds before. The promises are looked at besides:
//! every one that is broken is a miss.

use std::time::Duration;

use vitrina_tests::rush::{Size, rush};

use crate::Plan;
use crate::stats::{ms, percentile};
use crate::table::{Row, Table, Verdict};

/// Runs the figure once: it is ten thousand calls.
pub(crate) fn run(plan: Plan, table: &mut Table) {
    let part = if plan.is_quick { 10 } else { 1 };
    let size = Size {
        shops: 20,
        pieces: 1_000 / part,
        websites: 50,
        orders: 10_000 / part,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let outcome = runtime.block_on(rush(size));
    for violation in outcome.violations.iter().take(10) {
        eprintln!("  {violation}");
    }
    let broken = outcome.violations.len();
    table.add(Row {
        figure: format!("11 {} orders, {} last pieces", size.orders, size.pieces),
        measured: format!("{broken} promises broken"),
        peer: format!(
            "{} sold at tills, {} over a hold; {} cuts; {:?}; work {:?}",
            outcome.sold, outcome.forced, outcome.cuts, outcome.ended, outcome.work
        ),
        ratio: None,
        target: "0".into(),
        verdict: Verdict::of(broken == 0),
    });
    let answered: &[Duration] = &outcome.answered;
    let p99 = ms(percentile(answered, 0.99));
    table.add(Row {
        figure: "11 … order → the shop's word, p99".into(),
        measured: format!("{p99:.1} ms (p50 {:.1})", ms(percentile(answered, 0.5))),
        peer: format!(
            "{} calls, {} confirmed",
            answered.len(),
            outcome.confirmed_at_once
        ),
        ratio: None,
        target: "≤ 100 ms".into(),
        verdict: Verdict::of(p99 <= 100.0),
    });
}
