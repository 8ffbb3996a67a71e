//! `stock`, `sales`, `lag`, `export`.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use vitrina_host::config::Period;
use vitrina_host::output::Exit;
use vitrina_host::{say, when};
use vitrina_shared::movement::Kind;
use vitrina_shared::{ShopId, TimeMs};

use super::{Context, Usage};
use crate::audit::{By, What};
use crate::error::Code;
use crate::routes::{item_json, movement_json, shops_json, stock_list_json};
use crate::server::wrong_clock;
use crate::store::{MovementFilter, MovementRow};
use crate::view::View;
use crate::view::flat::Format;
use crate::view::list::StockQuery;
use crate::view::snapshot::snapshot_to;

/// Levels of one page.
const PAGE: usize = 1_000;
/// The most sales that are shown.
const MAX_SALES: usize = 100_000;
const DAY_MS: i64 = 86_400_000;

#[derive(Debug, clap::Args)]
pub(super) struct StockArgs {
    /// Barcodes, aliases, UINs, external ids
    barcodes: Vec<String>,
    /// Only this article
    #[arg(long)]
    article: Option<String>,
    /// Only this shop
    #[arg(long)]
    shop: Option<ShopId>,
    /// Only this city
    #[arg(long)]
    city: Option<String>,
    /// Only this size
    #[arg(long)]
    size: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct SalesArgs {
    /// Since when, as a time or as a period before now such as 7d [default: 1d]
    #[arg(long)]
    since: Option<String>,
    /// Only this shop
    #[arg(long)]
    shop: Option<ShopId>,
}

#[derive(Debug, clap::Args)]
pub(super) struct LagArgs {
    /// Marks the shops that are older, and ends with 3 where there is one
    #[arg(long, value_name = "PERIOD")]
    max: Option<Period>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum ExportForm {
    /// A header and a line a level
    Csv,
    /// An object a line
    Ndjson,
}

#[derive(Debug, clap::Args)]
pub(super) struct ExportArgs {
    /// The form
    #[arg(value_name = "FORM")]
    export_form: ExportForm,
    /// The file; otherwise it is printed
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The text of a member, whatever it is.
fn text(value: &Value, name: &str) -> String {
    match value.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Object(money)) => money
            .get("amount")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        Some(other) => other.to_string(),
    }
}

fn items(value: &Value, name: &str) -> Vec<Value> {
    value
        .get(name)
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default()
}

/// What a list of levels shows of each: names of the interface, and its columns.
const LEVEL: [&str; 8] = [
    "barcode",
    "article",
    "shop",
    "on_hand",
    "available",
    "price",
    "as_of",
    "confidence",
];

/// The merged stock, as of now.
pub(super) async fn view(context: &Context<'_>) -> anyhow::Result<Arc<View>> {
    let core = Arc::clone(context.core);
    let view = tokio::task::spawn_blocking(move || core.view()).await??;
    view.look(context.core.now());
    Ok(view)
}

pub(super) async fn stock(args: StockArgs, mut context: Context<'_>) -> anyhow::Result<Exit> {
    context.known(args.shop.as_ref()).await?;
    let view = view(&context).await?;
    if !args.barcodes.is_empty() {
        return stock_of(&view, &args, &mut context);
    }
    let mut query = StockQuery {
        shop: args.shop,
        article: args.article,
        city: args.city,
        size: args.size,
        limit: PAGE,
        ..StockQuery::default()
    };
    let mut levels = Vec::new();
    loop {
        let page = match (stock_list_json(&view, &query), &query.shop) {
            // It is there, or it had been refused.
            (Err(error), Some(shop)) if error.code() == Code::UnknownShop => {
                anyhow::bail!(say!(
                    context.lang(),
                    "{shop} is not on the website: the command explain shows its numbers",
                    "{shop} не показан на сайте: числа покажет команда explain"
                ))
            }
            (page, _) => page?,
        };
        levels.extend(items(&page, "items"));
        match page.get("next_cursor").and_then(Value::as_str) {
            Some(next) => query.after = Some(next.parse()?),
            None => break,
        }
    }
    levels.sort_by_cached_key(|level| (text(level, "barcode"), text(level, "shop")));
    if context.json {
        context
            .out
            .json(&json!({ "items": levels, "next_cursor": null }))?;
        return Ok(Exit::Done);
    }
    let rows = levels
        .iter()
        .map(|level| LEVEL.map(|name| text(level, name)));
    context.out.table(&LEVEL, rows)?;
    Ok(Exit::Done)
}

fn stock_of(view: &View, args: &StockArgs, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let (mut found, mut unknown) = (Vec::new(), Vec::new());
    for barcode in &args.barcodes {
        match item_json(view, barcode) {
            Ok(item) => found.push(item),
            Err(error) if error.code() == Code::UnknownBarcode => unknown.push(barcode.clone()),
            Err(error) => return Err(error.into()),
        }
    }
    let exit = if unknown.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    };
    match (context.json, found.as_slice(), args.barcodes.len()) {
        (true, [item], 1) => context.out.json(item)?,
        (true, ..) => context
            .out
            .json(&json!({ "items": found, "unknown": unknown }))?,
        (false, ..) => {
            let is_asked = |level: &Value| {
                args.shop
                    .as_ref()
                    .is_none_or(|shop| text(level, "shop") == shop.as_str())
            };
            let mut rows: Vec<[String; 8]> = Vec::new();
            for item in &found {
                for level in items(item, "levels").iter().filter(|level| is_asked(level)) {
                    let of_level = |name| text(level, name);
                    rows.push([
                        text(item, "barcode"),
                        text(item, "article"),
                        text(item, "name"),
                        of_level("shop"),
                        of_level("on_hand"),
                        of_level("available"),
                        of_level("price"),
                        of_level("confidence"),
                    ]);
                }
            }
            let headers = [
                "barcode",
                "article",
                "name",
                "shop",
                "on_hand",
                "available",
                "price",
                "confidence",
            ];
            context.out.table(&headers, rows)?;
        }
    }
    for barcode in unknown {
        context.out.note(format!("unknown_barcode: {barcode}"));
    }
    Ok(exit)
}

/// A time, or a period before now.
pub(super) fn since(text: Option<&str>, now: TimeMs) -> Result<TimeMs, Usage> {
    let Some(text) = text else {
        return Ok(now.plus(-DAY_MS));
    };
    if let Ok(period) = text.parse::<Period>() {
        return Ok(now.plus(period.as_millis().saturating_neg()));
    }
    when::parse_ms(text, &TimeZone::system())
        .map(TimeMs)
        .map_err(|_| {
            Usage(format!(
                "--since {text}: say a time such as 2026-11-22T09:00:00Z, or a period such as 7d"
            ))
        })
}

pub(super) async fn sales(args: SalesArgs, context: Context<'_>) -> anyhow::Result<Exit> {
    let from = since(args.since.as_deref(), context.core.now())?;
    context.known(args.shop.as_ref()).await?;
    let mut rows: Vec<MovementRow> = Vec::new();
    for kind in [Kind::Sale, Kind::Return] {
        let filter = MovementFilter {
            shop: args.shop.clone(),
            kind: Some(kind),
            from: Some(from),
            ..MovementFilter::default()
        };
        let mut before = None;
        loop {
            let page = context
                .core
                .store
                .movements_page(filter.clone(), before, PAGE)
                .await?;
            rows.extend(page.rows.into_iter().filter(|row| row.counts));
            before = page.next;
            if before.is_none() || rows.len() >= MAX_SALES {
                break;
            }
        }
    }
    rows.sort_by_key(|row| std::cmp::Reverse((row.movement.at, row.pos)));
    let items: Vec<Value> = rows.iter().map(movement_json).collect();
    if context.json {
        context
            .out
            .json(&json!({ "items": items, "next_cursor": null }))?;
        return Ok(Exit::Done);
    }
    let names = [
        "at", "shop", "type", "barcode", "qty", "price", "till", "receipt", "line",
    ];
    context.out.table(
        &names,
        items.iter().map(|item| names.map(|name| text(item, name))),
    )?;
    Ok(Exit::Done)
}

pub(super) async fn lag(args: LagArgs, context: Context<'_>) -> anyhow::Result<Exit> {
    let view = view(&context).await?;
    let shops = shops_json(&view, context.core.now());
    let list = items(&shops, "items");
    let is_late = |shop: &Value| args.max.is_some_and(|max| is_older(shop, max));
    let ahead = shops.get("hub_clock_ahead_ms").and_then(Value::as_i64);
    if let Some(ahead) = ahead {
        context.out.note(wrong_clock(ahead));
    }
    if context.json {
        context.out.json(&shops)?;
    } else {
        let seconds = |shop: &Value| {
            shop.get("lag_ms")
                .and_then(Value::as_i64)
                .map_or_else(String::new, |ms| format!("{:.1} s", ms_as_s(ms)))
        };
        let rows = list.iter().map(|shop| {
            let of_shop = |name| text(shop, name);
            [
                of_shop("shop"),
                of_shop("name"),
                seconds(shop),
                of_shop("source_age_s"),
                of_shop("confidence"),
                of_shop("pending"),
                of_shop("quarantined"),
                of_shop("last_exchange_at"),
                if is_late(shop) { "!!" } else { "" }.to_owned(),
            ]
        });
        let headers = [
            "shop",
            "name",
            "lag",
            "source_age_s",
            "confidence",
            "pending",
            "quarantined",
            "last_exchange_at",
            "",
        ];
        context.out.table(&headers, rows)?;
    }
    let is_wrong = list.iter().any(is_late) || (args.max.is_some() && ahead.is_some());
    Ok(if is_wrong { Exit::Wrong } else { Exit::Done })
}

/// Whether an open shop was not heard from for longer than that, or never.
fn is_older(shop: &Value, max: Period) -> bool {
    let is_open =
        shop.get("closed") != Some(&Value::Bool(true)) && text(shop, "confidence") != "closed";
    let lag = shop.get("lag_ms").and_then(Value::as_i64);
    is_open && lag.is_none_or(|lag| lag > max.as_millis())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a lag is shown in tenths of a second"
)]
fn ms_as_s(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

pub(super) async fn export(args: ExportArgs, context: Context<'_>) -> anyhow::Result<Exit> {
    let view = view(&context).await?;
    let (form, word) = match args.export_form {
        ExportForm::Csv => (Format::Csv, "csv"),
        ExportForm::Ndjson => (Format::Ndjson, "ndjson"),
    };
    let file = args.out.as_ref().and_then(|file| file.file_name());
    let detail = json!({ "form": word, "file": file.map(|file| file.to_string_lossy()) });
    let store = &context.core.store;
    store.note(By::CommandLine, What::Export, detail).await?;
    let Some(file) = &args.out else {
        snapshot_to(&view, form, context.out)?;
        return Ok(Exit::Done);
    };
    let path = context.file(file);
    let failed = || format!("cannot write {}", path.display());
    let mut out = std::io::BufWriter::new(std::fs::File::create(&path).with_context(failed)?);
    snapshot_to(&view, form, &mut out).with_context(failed)?;
    out.flush().with_context(failed)?;
    Ok(Exit::Done)
}
