//! `quarantine list|show|retry|drop` and `diff list`, of every shop; the answer travels to the shop by the exchange.

use vitrina_host::output::Exit;
use vitrina_host::{say, sign, when};
use vitrina_shared::ShopId;

use super::{Context, Usage};
use crate::audit::By;
use crate::store::{QuarantineRow, Verdict};

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
        /// Its name
        id: String,
        /// The shop, where several hold a record of that name
        #[arg(long)]
        shop: Option<ShopId>,
    },
    /// Lets the shop try a record again
    Retry {
        /// Its name
        id: String,
        /// Whatever holds it back
        #[arg(long)]
        force: bool,
        /// The shop, where several hold a record of that name
        #[arg(long)]
        shop: Option<ShopId>,
    },
    /// Lets the shop drop a record
    Drop {
        /// Its name
        id: String,
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
            let rows = context.core.store.quarantine(shop).await?;
            if context.json {
                context
                    .out
                    .json(&serde_json::json!({ "items": rows, "next_cursor": null }))?;
                return Ok(Exit::Done);
            }
            let table = rows.into_iter().map(|row| {
                let place = match (row.file, row.line) {
                    (Some(file), Some(line)) => format!("{file}:{line}"),
                    (file, _) => file.unwrap_or_default(),
                };
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

/// The record of a name. One file in two shops makes records of one name: then a person says whose he means.
async fn one(
    id: &str,
    shop: Option<ShopId>,
    context: &Context<'_>,
) -> anyhow::Result<QuarantineRow> {
    let mut rows = context.core.store.quarantined(id_of(id)?).await?;
    rows.retain(|row| shop.as_ref().is_none_or(|shop| row.shop == *shop));
    if rows.len() > 1 {
        let shops: Vec<&str> = rows.iter().map(|row| row.shop.as_str()).collect();
        let shops = shops.join(", ");
        anyhow::bail!(say!(
            context.lang(),
            "{shops} hold a record {id} each: say which with --shop",
            "запись {id} есть у {shops}: укажите --shop"
        ))
    }
    match rows.pop() {
        Some(row) => Ok(row),
        None => anyhow::bail!(say!(
            context.lang(),
            "there is no record {id}",
            "нет записи {id}"
        )),
    }
}

fn id_of(text: &str) -> Result<[u8; 16], Usage> {
    sign::from_hex(text).ok_or_else(|| Usage("a record's name is 32 hexadecimal digits".to_owned()))
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
    (id, shop): (&str, Option<ShopId>),
    verdict: Verdict,
    context: Context<'_>,
) -> anyhow::Result<Exit> {
    let name = id_of(id)?;
    let row = one(id, shop, &context).await?;
    let of = Some(row.shop.clone());
    if !context
        .core
        .store
        .decide(By::CommandLine, name, of, verdict)
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
