//! `diff`: where the shop's 1C and the ledger disagree, and who is right.

use std::collections::BTreeSet;

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
        barcode: Vec<Barcode>,
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
    barcode: Vec<Barcode>,
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

/// The disagreements about a code, and the barcode that it means.
fn about(ctx: &Ctx, code: &Barcode) -> anyhow::Result<(Barcode, Vec<Disagreement>)> {
    let code = code.clone();
    Ok(ctx.core.read(move |conn| {
        let barcode = Desk::open(conn, now())?.resolve(&code)?;
        let found = disagreement::of(conn, &barcode)?;
        Ok((barcode, found))
    })?)
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

fn list(ctx: &Ctx, codes: &[Barcode], out: &mut Out) -> anyhow::Result<Exit> {
    let found = if codes.is_empty() {
        all(ctx)?
    } else {
        let mut found = Vec::new();
        for code in codes {
            found.extend(about(ctx, code)?.1);
        }
        found
    };
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
            if one.uncertain { "yes" } else { "no" }.to_owned(),
            one.file.clone(),
        ]
    });
    out.table(
        &[
            "barcode",
            "1C",
            "on_hand",
            "difference",
            "at",
            "uncertain",
            "file",
        ],
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
    let (mut done, mut undone) = (0_usize, 0_usize);
    for barcode in asked(ctx, which, out, &mut undone)? {
        let is_done = which.dry_run || one(ctx, barcode.clone(), decision)?;
        if is_done {
            done += 1;
        } else {
            undone += 1;
            out.note(say!(
                out.lang(),
                "{barcode}: this statement was adopted before; the next file decides",
                "{barcode}: это утверждение уже принято раньше; решит следующий файл"
            ));
        }
    }
    let word = match decision {
        Decision::Adopt => "adopted",
        Decision::Dismiss => "dismissed",
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
    Ok(if which.all || undone == 0 {
        Exit::Done
    } else {
        Exit::Failed
    })
}

/// The barcodes that were asked for, each once; of which there is nothing to decide is said and counted.
fn asked(
    ctx: &Ctx,
    which: &Which,
    out: &mut Out,
    undone: &mut usize,
) -> anyhow::Result<BTreeSet<Barcode>> {
    if which.all {
        return Ok(all(ctx)?.into_iter().map(|one| one.barcode).collect());
    }
    let mut asked = BTreeSet::new();
    for code in &which.barcode {
        let (barcode, found) = about(ctx, code)?;
        if found.is_empty() {
            *undone += 1;
            out.note(say!(
                out.lang(),
                "there is no disagreement about {code}",
                "по {code} нет расхождений"
            ));
        } else {
            asked.insert(barcode);
        }
    }
    Ok(asked)
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
