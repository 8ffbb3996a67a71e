//! `diff`: where the shop's 1C and the ledger disagree, and who is right.

use serde_json::json;
use vitrina_host::output::{Exit, Out};
use vitrina_host::{say, when};
use vitrina_shared::Barcode;

use super::Ctx;
use crate::core::now;
use crate::ledger::disagreement::{self, Adopted, Disagreement};
use crate::ledger::{Desk, LedgerError};

/// How many rows are read at once.
const PAGE: usize = 1_000;

#[derive(clap::Subcommand)]
pub(super) enum Verb {
    /// Lists them
    List {
        /// Only these codes
        barcode: Vec<String>,
    },
    /// The 1C is right: books the difference
    Adopt(Which),
    /// The ledger is right
    Dismiss(Which),
}

/// Which barcodes.
#[derive(clap::Args)]
pub(super) struct Which {
    /// The codes
    #[arg(required_unless_present = "all")]
    barcode: Vec<String>,
    /// All of them
    #[arg(long, conflicts_with = "barcode")]
    all: bool,
    /// Keeps nothing: only says what would happen
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn diff(ctx: &Ctx, verb: &Verb, out: &mut Out) -> anyhow::Result<Exit> {
    match verb {
        Verb::List { barcode } => list(ctx, barcode, out),
        Verb::Adopt(which) => decide(ctx, which, Decision::Adopt, out),
        Verb::Dismiss(which) => decide(ctx, which, Decision::Dismiss, out),
    }
}

fn found(ctx: &Ctx, texts: &[String]) -> anyhow::Result<Vec<Disagreement>> {
    if texts.is_empty() {
        return all(ctx);
    }
    let mut found = Vec::new();
    for text in texts {
        let code: Barcode = text.parse()?;
        found.extend(ctx.core.read(move |conn| {
            let barcode = Desk::open(conn, now())?.resolve(&code)?;
            disagreement::of(conn, &barcode)
        })?);
    }
    Ok(found)
}

fn all(ctx: &Ctx) -> anyhow::Result<Vec<Disagreement>> {
    let mut all: Vec<Disagreement> = Vec::new();
    loop {
        let after = all
            .last()
            .map(|last| (last.barcode.clone(), last.condition));
        let page = ctx.core.read(move |conn| {
            disagreement::list(
                conn,
                after
                    .as_ref()
                    .map(|(barcode, condition)| (barcode, *condition)),
                PAGE,
            )
        })?;
        let is_last = page.len() < PAGE;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

fn list(ctx: &Ctx, texts: &[String], out: &mut Out) -> anyhow::Result<Exit> {
    let found = found(ctx, texts)?;
    if ctx.json {
        let items: Vec<_> = found
            .iter()
            .map(|one| {
                json!({
                    "barcode": one.barcode.as_str(), "condition": one.condition.to_string(),
                    "stated": one.stated, "on_hand": one.on_hand, "difference": one.stated - one.on_hand,
                    "at": when::rfc3339_ms(one.at.0), "uncertain": one.uncertain, "file": one.file,
                })
            })
            .collect();
        out.json(&json!({"items": items, "next_cursor": null}))?;
        return Ok(Exit::Done);
    }
    let lines = found.iter().map(|one| {
        [
            one.barcode.to_string(),
            one.stated.to_string(),
            one.on_hand.to_string(),
            (one.stated - one.on_hand).to_string(),
            when::rfc3339_ms(one.at.0),
            if one.uncertain {
                "uncertain".to_owned()
            } else {
                String::new()
            },
            one.file.clone(),
        ]
    });
    out.table(
        &["barcode", "1C", "on_hand", "difference", "at", "", "file"],
        lines,
    )?;
    Ok(Exit::Done)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Decision {
    Adopt,
    Dismiss,
}

fn decide(ctx: &Ctx, which: &Which, decision: Decision, out: &mut Out) -> anyhow::Result<Exit> {
    let found = found(ctx, if which.all { &[] } else { &which.barcode })?;
    let mut barcodes: Vec<Barcode> = found.iter().map(|one| one.barcode.clone()).collect();
    barcodes.dedup();
    let mut done = 0_usize;
    for barcode in &barcodes {
        if which.dry_run || one(ctx, barcode.clone(), decision)? {
            done += 1;
        }
    }
    let word = if decision == Decision::Adopt {
        "adopted"
    } else {
        "dismissed"
    };
    if ctx.json {
        out.json(&json!({word: done, "dry_run": which.dry_run}))?;
    } else {
        out.line(match decision {
            Decision::Adopt => say!(out.lang(), "adopted {done}", "принято по 1С: {done}"),
            Decision::Dismiss => say!(
                out.lang(),
                "dismissed {done}",
                "оставлено по журналу: {done}"
            ),
        })?;
    }
    let asked = which.all || done >= which.barcode.len();
    Ok(if asked { Exit::Done } else { Exit::Failed })
}

fn one(ctx: &Ctx, barcode: Barcode, decision: Decision) -> Result<bool, LedgerError> {
    ctx.core.write_blocking(move |conn| match decision {
        Decision::Adopt => {
            let adopted = disagreement::adopt(&mut Desk::open(conn, now())?, &barcode, None)?;
            Ok(matches!(adopted, Adopted::Booked(_)))
        }
        Decision::Dismiss => disagreement::dismiss(conn, &barcode, None),
    })
}
