//! `transfer list|show|request`.

use serde_json::{Value, json};
use vitrina_host::config::Period;
use vitrina_host::output::Exit;
use vitrina_host::sign;
use vitrina_shared::{ShopId, TransferId};

use super::hold::{self, text};
use super::query::view;
use super::{Context, Usage};
use crate::audit::By;
use crate::routes::holds::not_placed;
use crate::routes::transfers::{
    MOVE_TTL_S, STATES, Wish, states_of, transfer_json, transfer_json_with, unknown,
};
use crate::store::{Placing, TransferEntry, TransferFilter};

/// So many transfers are read at once.
const PAGE: usize = 1_000;
/// So many are shown unless somebody says otherwise.
const SHOWN: usize = 100;

#[derive(Debug, clap::Subcommand)]
pub(super) enum TransferVerb {
    /// Transfers, the latest heard of first
    List {
        /// Only those that this shop sends or gets
        #[arg(long)]
        shop: Option<ShopId>,
        /// Only those in this state, such as `requested` or `in_transit`; `open`: all for which somebody waits; `all`
        #[arg(long, default_value = "open")]
        state: String,
        /// Only what left, or was asked for, longer ago than this
        #[arg(long, value_name = "PERIOD")]
        older_than: Option<Period>,
        /// At most so many
        #[arg(long, default_value_t = SHOWN)]
        limit: usize,
    },
    /// One transfer: what was sent and received, and by which movements
    Show {
        /// Its name
        id: TransferId,
    },
    /// Asks a shop to send a piece to another: it is held there until it leaves
    Request(RequestArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct RequestArgs {
    /// The barcode, or another code of it
    barcode: String,
    /// The shop that has it
    #[arg(long, value_name = "SHOP")]
    from: ShopId,
    /// The shop that is to have it
    #[arg(long, value_name = "SHOP")]
    to: ShopId,
    /// How many
    #[arg(long, default_value_t = 1)]
    qty: i64,
    /// What it is called
    #[arg(long, value_name = "ID")]
    document: Option<String>,
    /// How long it is asked for [default: 7d]
    #[arg(long, value_name = "PERIOD")]
    ttl: Option<Period>,
    /// The same command under the same key asks once
    #[arg(long)]
    key: Option<String>,
}

pub(super) async fn run(verb: TransferVerb, mut context: Context<'_>) -> anyhow::Result<Exit> {
    // What an older version merged; beside a server it is done long since.
    while context.core.store.scan_transfers().await? {}
    match verb {
        TransferVerb::List {
            shop,
            state,
            older_than,
            limit,
        } => {
            let state = states_of(&state).ok_or_else(|| Usage(format!("--state is {STATES}")))?;
            context.known(shop.as_ref()).await?;
            let now = context.core.now();
            let filter = TransferFilter {
                shop,
                state,
                sent_before: older_than.map(|period| now.plus(-period.as_millis())),
                before: None,
                limit,
            };
            list(filter, &mut context).await
        }
        TransferVerb::Show { id } => show(id, &mut context).await,
        TransferVerb::Request(args) => request(args, context).await,
    }
}

async fn request(args: RequestArgs, mut context: Context<'_>) -> anyhow::Result<Exit> {
    context.known(Some(&args.from)).await?;
    context.known(Some(&args.to)).await?;
    let key = match args.key {
        Some(key) => key,
        None => sign::hex(&sign::random_bytes::<16>()?),
    };
    let view = view(&context).await?;
    let wish = Wish {
        barcode: view.find(&args.barcode)?.barcode.clone(),
        qty: args.qty,
        from: args.from,
        to: args.to,
        document: args.document,
        ttl_ms: args.ttl.map_or(MOVE_TTL_S * 1_000, Period::as_millis),
    };
    let new = wish.hold(hold::CALLER.into(), key.into()).map_err(Usage)?;
    let store = &context.core.store;
    match store.place_hold(Some(By::CommandLine), new).await? {
        Placing::Placed(row) | Placing::Again(row) => hold::tell(&row, &mut context),
        other => {
            let refused = not_placed(other);
            hold::say_where_else(&refused, &mut context);
            Err(refused.into())
        }
    }
}

async fn list(filter: TransferFilter, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let mut transfers: Vec<TransferEntry> = Vec::new();
    let mut before = None;
    while transfers.len() < filter.limit {
        let page = TransferFilter {
            before,
            limit: PAGE.min(filter.limit - transfers.len()),
            ..filter.clone()
        };
        let page = context.core.store.transfers(page).await?;
        transfers.extend(page.transfers);
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    let items: Vec<Value> = transfers.iter().map(transfer_json).collect();
    if context.json {
        context
            .out
            .json(&json!({ "items": items, "next_cursor": null }))?;
        return Ok(Exit::Done);
    }
    let names = ["id", "document", "from", "to", "state", "sent_at"];
    let sums = ["asked", "sent", "received"];
    let head: Vec<&str> = names.into_iter().chain(sums).collect();
    let rows = items.iter().map(|item| {
        let texts = names.map(|name| text(item, name));
        let sums = sums.map(|name| sum(item, name).to_string());
        texts.into_iter().chain(sums)
    });
    context.out.table(&head, rows)?;
    Ok(Exit::Done)
}

async fn show(id: TransferId, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let (entry, movements) = context.core.store.transfer(id).await?.ok_or_else(unknown)?;
    let transfer = transfer_json_with(&entry, &movements);
    if context.json {
        context.out.json(&transfer)?;
        return Ok(Exit::Done);
    }
    let fields = [
        "id",
        "document",
        "from",
        "to",
        "state",
        "asked_at",
        "sent_at",
        "received_at",
    ];
    let rows = fields.map(|name| [name.to_owned(), text(&transfer, name)]);
    context.out.table(&["field", "value"], rows)?;
    let names = [
        "barcode",
        "asked",
        "sent",
        "received",
        "damaged",
        "outstanding",
        "over",
    ];
    let rows = list_of(&transfer, "lines").map(|line| names.map(|name| text(line, name)));
    context.out.table(&names, rows)?;
    let names = [
        "type", "shop", "barcode", "qty", "at", "state", "receipt", "id",
    ];
    let rows = list_of(&transfer, "movements").map(|row| names.map(|name| text(row, name)));
    context.out.table(&names, rows)?;
    Ok(Exit::Done)
}

fn list_of<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    let list = value.get(name).and_then(Value::as_array);
    list.into_iter().flatten()
}

/// The units of all lines together.
fn sum(transfer: &Value, name: &str) -> i64 {
    let units = list_of(transfer, "lines").filter_map(|line| line.get(name)?.as_i64());
    units.fold(0, i64::saturating_add)
}
