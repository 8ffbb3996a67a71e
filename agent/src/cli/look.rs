//! `stock` and `sales`: what is here, and what was sold.

use jiff::tz::TimeZone;
use serde_json::json;
use vitrina_host::config::Period;
use vitrina_host::output::{Exit, Out};
use vitrina_host::when;
use vitrina_shared::{Barcode, Key, TimeMs};

use super::{Ctx, Usage};
use crate::core::{now, shop_zone};
use crate::ledger::query::{self, SaleRow};
use crate::ledger::{Desk, LedgerError, others};
use crate::stock_json::{OtherJson, StockJson};

/// How many rows are read at once.
const PAGE: usize = 1_000;

/// Which barcodes.
#[derive(clap::Args)]
pub(super) struct StockArgs {
    /// The codes as scanned; none: all that the shop ever had
    barcode: Vec<String>,
}

/// Which sales.
#[derive(clap::Args)]
pub(super) struct SalesArgs {
    /// Since when, as a time such as 2026-11-22 or 2026-11-22T10:00:00, or as a period before now such as 7d
    #[arg(long, value_name = "T")]
    since: Option<String>,
    /// At most so many, the newest
    #[arg(long, default_value_t = 1_000)]
    limit: usize,
}

pub(super) fn stock(ctx: &Ctx, args: &StockArgs, out: &mut Out) -> anyhow::Result<Exit> {
    let mut unknown = Vec::new();
    let rows = if args.barcode.is_empty() {
        all(ctx)?
    } else {
        let mut rows = Vec::new();
        for text in &args.barcode {
            match one(ctx, text)? {
                Some(row) => rows.push(row),
                None => unknown.push(text.clone()),
            }
        }
        rows
    };
    match rows.as_slice() {
        [one] if ctx.json && args.barcode.len() == 1 => out.json(one)?,
        rows if ctx.json && (unknown.is_empty() || !rows.is_empty()) => {
            out.json(&json!({"items": rows, "next_cursor": null}))?;
        }
        rows if !rows.is_empty() => table(rows, out)?,
        _ => {}
    }
    for text in &unknown {
        out.note(format!("unknown_barcode: {text}"));
    }
    Ok(if unknown.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

fn table(rows: &[StockJson], out: &mut Out) -> anyhow::Result<()> {
    let lines = rows.iter().map(|row| {
        [
            row.barcode.clone(),
            row.article.clone().unwrap_or_default(),
            row.name.clone().unwrap_or_default(),
            row.on_hand.to_string(),
            row.available.to_string(),
            row.price.map(|price| price.to_string()).unwrap_or_default(),
        ]
    });
    Ok(out.table(
        &[
            "barcode",
            "article",
            "name",
            "on_hand",
            "available",
            "price",
        ],
        lines,
    )?)
}

fn all(ctx: &Ctx) -> anyhow::Result<Vec<StockJson>> {
    let mut rows: Vec<StockJson> = Vec::new();
    loop {
        let after = rows
            .last()
            .map(|row| row.barcode.clone())
            .unwrap_or_default();
        let page = ctx
            .core
            .read(move |conn| query::stock(conn, &after, PAGE))?;
        let is_last = page.len() < PAGE;
        rows.extend(page.iter().map(|row| StockJson::of(row, None)));
        if is_last {
            return Ok(rows);
        }
    }
}

fn one(ctx: &Ctx, text: &str) -> anyhow::Result<Option<StockJson>> {
    let Ok(code) = text.parse::<Barcode>() else {
        return Ok(None);
    };
    let found = ctx.core.read(move |conn| {
        let barcode = Desk::open(conn, now())?.resolve(&code)?;
        let elsewhere = others::of(conn, &barcode)?;
        let others: Vec<_> = elsewhere.iter().map(OtherJson::of).collect();
        Ok::<_, LedgerError>(match query::stock_one(conn, &barcode)? {
            Some(row) => Some(StockJson::of(&row, Some(others))),
            None if others.is_empty() => None,
            None => Some(StockJson::nothing(&barcode, Some(others))),
        })
    })?;
    Ok(found)
}

/// A time of the shop, or a period before now.
fn moment(text: &str, zone: &TimeZone) -> Result<TimeMs, Usage> {
    if let Ok(period) = text.parse::<Period>() {
        return Ok(now().plus(period.as_millis().saturating_neg()));
    }
    when::parse_ms(text, zone).map(TimeMs).map_err(|_| {
        Usage(format!(
            "--since {text}: say a time such as 2026-11-22 or 2026-11-22T10:00:00, or a period such as 7d"
        ))
    })
}

pub(super) fn sales(ctx: &Ctx, args: &SalesArgs, out: &mut Out) -> anyhow::Result<Exit> {
    let zone = ctx.core.read(shop_zone)?;
    let since = args
        .since
        .as_deref()
        .map(|text| moment(text, &zone))
        .transpose()?;
    let limit = args.limit;
    let rows = ctx
        .core
        .read(move |conn| query::sales(conn, since, limit))?;
    if ctx.json {
        let items: Vec<_> = rows.iter().map(sale_json).collect();
        out.json(&json!({"items": items, "next_cursor": null}))?;
        return Ok(Exit::Done);
    }
    let lines = rows.iter().map(|row| {
        let (receipt, line, _) = place(&row.key);
        [
            when::rfc3339_ms(row.at.0),
            row.kind.to_string(),
            row.barcode.to_string(),
            row.qty.to_string(),
            row.details
                .price
                .map(|price| price.to_string())
                .unwrap_or_default(),
            receipt.unwrap_or_default(),
            line.map(|line| line.to_string()).unwrap_or_default(),
            if row.counts {
                String::new()
            } else {
                "void".to_owned()
            },
        ]
    });
    out.table(
        &[
            "at", "type", "barcode", "qty", "price", "receipt", "line", "state",
        ],
        lines,
    )?;
    Ok(Exit::Done)
}

fn sale_json(row: &SaleRow) -> serde_json::Value {
    let (receipt, line, till) = place(&row.key);
    json!({
        "id": row.id.to_string(),
        "replica": row.replica.to_string(),
        "seq": row.seq.0,
        "type": row.kind.to_string(),
        "barcode": row.barcode.as_str(),
        "scanned": row.scanned.as_str(),
        "qty": row.qty,
        "condition": row.condition.to_string(),
        "at": when::rfc3339_ms(row.at.0),
        "receipt": receipt,
        "line": line,
        "till": till,
        "price": row.details.price,
        "ref": row.details.reference,
        "cashier": row.details.cashier,
        "state": if row.counts { "counts" } else { "void" },
    })
}

/// Receipt, line and till of a movement that came with a receipt.
fn place(key: &Key) -> (Option<String>, Option<u32>, Option<String>) {
    match key {
        Key::Receipt {
            till,
            receipt,
            line,
            ..
        } => (
            Some(receipt.to_string()),
            Some(*line),
            Some(till.to_string()),
        ),
        _ => (None, None, None),
    }
}
