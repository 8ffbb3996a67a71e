//! The eleven figures: what Vitrina measures beside what limits it, in one table.
//!
//! `scripts/bench` builds everything and runs this; `scripts/bench 1 6` runs some figures, `--runs N` takes the
//! median of so many runs, `--quick` runs fewer and shorter ones, to try. Each figure is a module whose doc says exactly what is measured and against what. Absolute figures move by
//! 40 % between hours and machines: a limit is measured between the runs of what it limits, and ratios are quoted.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a bench fails by panicking, prints its table, and its numbers are small"
)]

mod bootstrap;
mod commerceml;
mod fleet;
mod growth;
mod idle;
mod local_sale;
mod merge;
mod nginx;
mod offline;
mod orders;
mod raw;
mod read;
mod recovery;
mod sale_visible;
mod site;
mod stats;
mod table;
mod wrk;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use table::{Row, Table, Verdict};

/// How much is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Runs of a figure, of which the median counts.
    pub(crate) runs: usize,
    /// Only tried: fewer and shorter runs.
    pub(crate) is_quick: bool,
}

type Figure = fn(Plan, &mut Table);

const FIGURES: [(&str, Figure); 11] = [
    ("1", sale_visible::run),
    ("2", local_sale::run),
    ("3", merge::run),
    ("4", bootstrap::run),
    ("5", offline::run),
    ("6", read::run),
    ("7", idle::run),
    ("8", commerceml::run),
    ("9", growth::run),
    ("10", recovery::run),
    ("11", orders::run),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let is_quick = args.iter().any(|arg| arg == "--quick");
    let at = args.iter().position(|arg| arg == "--runs");
    let runs = at.map(|at| args.get(at + 1).and_then(|runs| runs.parse().ok()));
    if matches!(runs, Some(None | Some(0))) {
        eprintln!("--runs wants a number of runs, such as --runs 1");
        return ExitCode::from(2);
    }
    let runs = runs.flatten();
    // `cargo bench` adds a word of its own.
    let is_figure = |(place, arg): &(usize, &String)| {
        !arg.starts_with("--") && at.is_none_or(|at| *place != at + 1)
    };
    let wanted = args.iter().enumerate().filter(is_figure);
    let wanted: Vec<&String> = wanted.map(|(_, arg)| arg).collect();
    let is_known = |name: &&String| FIGURES.iter().any(|(known, _)| known == name);
    if let Some(unknown) = wanted.iter().find(|name| !is_known(name)) {
        eprintln!("there is no figure {unknown}: 1 to 11 are, --quick and --runs N");
        return ExitCode::from(2);
    }
    let plan = Plan {
        runs: runs.unwrap_or(if is_quick { 2 } else { 5 }),
        is_quick,
    };
    let mut table = Table::default();
    let mut failed = 0;
    for (name, figure) in FIGURES {
        if wanted.is_empty() || wanted.iter().any(|wanted| *wanted == name) {
            eprintln!("figure {name}");
            let done = catch_unwind(AssertUnwindSafe(|| figure(plan, &mut table)));
            if let Err(panic) = done {
                failed += 1;
                table.add(failure(name, &*panic));
            }
        }
    }
    table.print();
    println!(
        "\n{} targets missed, {failed} figures failed; medians of {} runs{}",
        table.missed(),
        plan.runs,
        if is_quick { " (--quick: to try)" } else { "" }
    );
    ExitCode::from(u8::from(failed > 0))
}

fn failure(name: &str, panic: &(dyn Any + Send)) -> Row {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic");
    Row {
        figure: name.into(),
        measured: format!("failed: {}", text.chars().take(160).collect::<String>()),
        peer: String::new(),
        ratio: None,
        target: String::new(),
        verdict: Verdict::Missed,
    }
}
