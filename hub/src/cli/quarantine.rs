//! `quarantine list|show|retry|drop` and `diff list`, of every shop; the answer travels to the shop by the exchange.

use anyhow::Context as _;
use vitrina_host::output::Exit;
use vitrina_host::sign::NamePrefix;
use vitrina_host::{say, sign, when};
use vitrina_shared::ShopId;

use super::Context;
use crate::audit::By;
use crate::store::{QuarantineRow, Verdict};

/// How many records are named where a beginning fits several.
const NAMED: usize = 10;

#[derive(Debug, clap::Subcommand)]
pub(super) enum QuarantineVerb {
    /// Records that are held back
    List {
        /// Only of this shop
        #[arg(long)]
        shop: Option<ShopId>,
    },
    /// One record
    Show {
        /// Its name, or the beginning of it
        id: NamePrefix,
        /// The shop, where several hold a record of that name
        #[arg(long)]
        shop: Option<ShopId>,
    },
    /// Lets the shop try a record again
    Retry {
        /// Its name, or the beginning of it
        id: NamePrefix,
        /// Whatever holds it back
        #[arg(long)]
        force: bool,
        /// The shop, where several hold a record of that name
        #[arg(long)]
        shop: Option<ShopId>,
    },
    /// Lets the shop drop a record
    Drop {
        /// Its name, or the beginning of it
        id: NamePrefix,
        /// The shop, where several hold a record of that name
        #[arg(long)]
        shop: Option<ShopId>,
    },
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum DiffVerb {
    /// All disagreements
    List {
        /// Only of this shop
        #[arg(long)]
        shop: Option<ShopId>,
    },
}

pub(super) async fn run(verb: QuarantineVerb, mut context: Context<'_>) -> anyhow::Result<Exit> {
    match verb {
        QuarantineVerb::List { shop } => {
            context.known(shop.as_ref()).await?;
            let rows = context.core.store.quarantine(shop).await?;
            if context.json {
                context
                    .out
                    .json(&serde_json::json!({ "items": rows, "next_cursor": null }))?;
                return Ok(Exit::Done);
            }
            let table = rows.into_iter().map(|row| {
                let place = place(row.file.as_deref().unwrap_or_default(), row.line);
                [
                    row.shop.to_string(),
                    row.id,
                    row.reason,
                    place,
                    row.message,
                    row.decided.unwrap_or_default().to_owned(),
                ]
            });
            context.out.table(
                &["shop", "id", "reason", "where", "message", "decided"],
                table,
            )?;
            Ok(Exit::Done)
        }
        QuarantineVerb::Show { id, shop } => {
            let row = one(&id, shop, &context).await?;
            show(&row, &mut context)
        }
        QuarantineVerb::Retry { id, force, shop } => {
            let verdict = if force {
                Verdict::Force
            } else {
                Verdict::Retry
            };
            decide((&id, shop), verdict, context).await
        }
        QuarantineVerb::Drop { id, shop } => decide((&id, shop), Verdict::Drop, context).await,
    }
}

/// The record that a name or its beginning means. One file in two shops makes records of one name: then a person says
/// whose he means.
async fn one(
    name: &NamePrefix,
    shop: Option<ShopId>,
    context: &Context<'_>,
) -> anyhow::Result<QuarantineRow> {
    context.known(shop.as_ref()).await?;
    let mut rows = context.core.store.quarantined(name.range()).await?;
    rows.retain(|row| shop.as_ref().is_none_or(|shop| row.shop == *shop));
    let open = rows.iter().filter(|row| row.state == "open").count();
    // What is decided already stands in nobody's way.
    if name.whole().is_none() && open == 1 {
        rows.truncate(1);
    }
    let Some(first) = rows.first() else {
        anyhow::bail!(say!(
            context.lang(),
            "there is no record {name}",
            "нет записи {name}"
        ))
    };
    if rows.iter().any(|row| row.id != first.id) {
        let lines = named(&rows);
        anyhow::bail!(say!(
            context.lang(),
            "several records begin with {name}; give more digits:{lines}",
            "с {name} начинаются несколько записей; укажите больше цифр:{lines}"
        ))
    }
    if rows.len() > 1 {
        let id = &first.id;
        let shops: Vec<&str> = rows.iter().map(|row| row.shop.as_str()).collect();
        let shops = shops.join(", ");
        anyhow::bail!(say!(
            context.lang(),
            "{shops} hold a record {id} each: say which with --shop",
            "запись {id} есть у {shops}: укажите --shop"
        ))
    }
    Ok(first.clone())
}

/// The first records, a line each.
fn named(rows: &[QuarantineRow]) -> String {
    let mut lines: String = rows.iter().take(NAMED).map(line_of).collect();
    if rows.len() > NAMED {
        lines.push_str("\n  …");
    }
    lines
}

/// A line that tells a record from others.
fn line_of(row: &QuarantineRow) -> String {
    let QuarantineRow {
        shop,
        id,
        state,
        reason,
        ..
    } = row;
    let place = place(row.file.as_deref().unwrap_or("–"), row.line);
    format!("\n  {id} {shop} {state} {reason} {place}")
}

fn place(file: &str, line: Option<i64>) -> String {
    line.map_or_else(|| file.to_owned(), |line| format!("{file}:{line}"))
}

fn show(row: &QuarantineRow, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    if context.json {
        context.out.json(row)?;
        return Ok(Exit::Done);
    }
    let text = |name: &str, value: &str| [name.to_owned(), value.to_owned()];
    context.out.table(
        &["field", "value"],
        [
            text("shop", row.shop.as_str()),
            text("id", &row.id),
            text("at", &when::rfc3339_ms(row.at.0)),
            text("state", row.state),
            text("reason", &row.reason),
            text("message", &row.message),
            text("file", row.file.as_deref().unwrap_or_default()),
            text(
                "line",
                &row.line.map(|line| line.to_string()).unwrap_or_default(),
            ),
            text("record", &row.record),
            text("decided", row.decided.unwrap_or_default()),
        ],
    )?;
    Ok(Exit::Done)
}

async fn decide(
    (name, shop): (&NamePrefix, Option<ShopId>),
    verdict: Verdict,
    context: Context<'_>,
) -> anyhow::Result<Exit> {
    let row = one(name, shop, &context).await?;
    let id = &row.id;
    let whole = sign::from_hex(id).context("a name of 32 digits")?;
    let of = Some(row.shop.clone());
    if !context
        .core
        .store
        .decide(By::CommandLine, whole, of, verdict)
        .await?
    {
        anyhow::bail!(say!(
            context.lang(),
            "there is no open record {id}",
            "нет открытой записи {id}"
        ));
    }
    context.core.waiters.wake(&row.shop);
    if context.json {
        context
            .out
            .json(&serde_json::json!({ "id": id, "done": "decided" }))?;
    } else {
        context.out.line(say!(
            context.lang(),
            "the shop is told",
            "магазин получит решение"
        ))?;
    }
    Ok(Exit::Done)
}

pub(super) async fn diff(verb: DiffVerb, context: Context<'_>) -> anyhow::Result<Exit> {
    let DiffVerb::List { shop } = verb;
    context.known(shop.as_ref()).await?;
    let rows = context.core.store.disagreements(shop).await?;
    if context.json {
        context
            .out
            .json(&serde_json::json!({ "items": rows, "next_cursor": null }))?;
        return Ok(Exit::Done);
    }
    let table = rows.into_iter().map(|row| {
        [
            row.shop.to_string(),
            row.barcode,
            row.condition,
            row.stated.to_string(),
            row.on_hand.to_string(),
            when::rfc3339_ms(row.at.0),
            if row.uncertain { "yes" } else { "no" }.to_owned(),
            row.file,
        ]
    });
    context.out.table(
        &[
            "shop",
            "barcode",
            "condition",
            "stated",
            "on_hand",
            "at",
            "uncertain",
            "file",
        ],
        table,
    )?;
    Ok(Exit::Done)
}
