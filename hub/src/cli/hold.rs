//! `hold list|show|place|release|transfer|extend`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use vitrina_host::config::Period;
use vitrina_host::output::Exit;
use vitrina_host::{say, sign};
use vitrina_shared::hold::{Purpose, Word};
use vitrina_shared::{HoldId, Qty, ShopId};

use super::query::view;
use super::{Context, Usage};
use crate::audit::By;
use crate::error::ApiError;
use crate::routes::holds::{ended, hold_json, not_placed, sent};
use crate::store::{Ending, HoldFilter, HoldRow, NewHold, Placing};

/// Who placed a hold that was placed here.
pub(super) const CALLER: &str = "command line";
/// So many holds are read at once.
const PAGE: usize = 1_000;
/// So many are shown unless somebody says otherwise.
const SHOWN: usize = 100;

#[derive(Debug, clap::Subcommand)]
pub(super) enum HoldVerb {
    /// Holds, the latest first
    List {
        /// Only those that asked this shop
        #[arg(long)]
        shop: Option<ShopId>,
        /// Only those of this order
        #[arg(long)]
        order: Option<String>,
        /// Those that are over too
        #[arg(long)]
        all: bool,
        /// At most so many
        #[arg(long, default_value_t = SHOWN)]
        limit: usize,
    },
    /// One hold: which shops were asked, what each said, why others were not asked
    Show {
        /// Its name
        id: HoldId,
    },
    /// Keeps a piece in a shop for an order
    Place(PlaceArgs),
    /// Lets a hold go
    Release {
        /// Its name
        id: HoldId,
    },
    /// Has the shop that keeps the piece send it to another: the hold goes with it
    Transfer {
        /// Its name
        id: HoldId,
        /// Where it is to go
        #[arg(long, value_name = "SHOP")]
        to: ShopId,
    },
    /// Keeps a hold for so long from now
    Extend {
        /// Its name
        id: HoldId,
        /// How long
        #[arg(long, value_name = "PERIOD")]
        ttl: Period,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct PlaceArgs {
    /// The barcode, or another code of it
    barcode: String,
    /// The order's number
    #[arg(long)]
    order: String,
    /// The shop; otherwise the best one
    #[arg(long)]
    shop: Option<ShopId>,
    /// How many
    #[arg(long, default_value_t = 1)]
    qty: i64,
    /// What it is for: cart or order
    #[arg(long, default_value = "order")]
    purpose: String,
    /// How long; otherwise 15 minutes for a cart, a day for an order
    #[arg(long, value_name = "PERIOD")]
    ttl: Option<Period>,
    /// Another barcode of the same article and size will do
    #[arg(long)]
    allow_variant: bool,
    /// The same command under the same key is the same hold
    #[arg(long)]
    key: Option<String>,
    /// Waits for the shop's word, at most so long
    #[arg(long, value_name = "PERIOD")]
    wait: Option<Period>,
}

pub(super) async fn run(verb: HoldVerb, mut context: Context<'_>) -> anyhow::Result<Exit> {
    let store = &context.core.store;
    match verb {
        HoldVerb::List {
            shop,
            order,
            all,
            limit,
        } => {
            context.known(shop.as_ref()).await?;
            let filter = HoldFilter {
                shop,
                order,
                open: !all,
                before: None,
                limit,
            };
            list(filter, &mut context).await
        }
        HoldVerb::Show { id } => {
            let row = store.hold(id).await?.map_or(Ending::Unknown, Ending::Done);
            show(&ended(row)?, &mut context)
        }
        HoldVerb::Place(args) => place(args, context).await,
        HoldVerb::Release { id } => {
            let ending = store.release_hold(Some(By::CommandLine), id).await?;
            tell(&ended(ending)?, &mut context)
        }
        HoldVerb::Transfer { id, to } => {
            context.known(Some(&to)).await?;
            let sending = store.send_hold(Some(By::CommandLine), id, to).await?;
            tell(&sent(sending)?, &mut context)
        }
        HoldVerb::Extend { id, ttl } => {
            let by = Some(By::CommandLine);
            let ending = store.extend_hold(by, id, ttl.as_millis()).await?;
            tell(&ended(ending)?, &mut context)
        }
    }
}

async fn list(filter: HoldFilter, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let mut holds: Vec<HoldRow> = Vec::new();
    let mut before = None;
    while holds.len() < filter.limit {
        let page = HoldFilter {
            before,
            limit: PAGE.min(filter.limit - holds.len()),
            ..filter.clone()
        };
        let page = context.core.store.holds(page).await?;
        holds.extend(page.holds);
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    let items: Vec<Value> = holds.iter().map(hold_json).collect();
    if context.json {
        context
            .out
            .json(&json!({ "items": items, "next_cursor": null }))?;
        return Ok(Exit::Done);
    }
    let names = [
        "id",
        "order",
        "barcode",
        "qty",
        "shop",
        "state",
        "answer_by",
        "expires_at",
    ];
    let rows = items.iter().map(|item| names.map(|name| text(item, name)));
    context.out.table(&names, rows)?;
    Ok(Exit::Done)
}

fn show(row: &HoldRow, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let hold = hold_json(row);
    if context.json {
        context.out.json(&hold)?;
        return Ok(Exit::Done);
    }
    let fields = [
        "id",
        "order",
        "barcode",
        "qty",
        "purpose",
        "placed_by",
        "state",
        "created_at",
        "answer_by",
        "expires_at",
    ];
    let rows = fields.map(|name| [name.to_owned(), text(&hold, name)]);
    context.out.table(&["field", "value"], rows)?;
    let names = [
        "shop",
        "barcode",
        "hub",
        "shop_side",
        "reason",
        "held",
        "created_at",
        "answered_at",
    ];
    let legs = hold.get("legs").and_then(Value::as_array);
    let legs = legs.map(Vec::as_slice).unwrap_or_default();
    let rows = legs.iter().map(|leg| names.map(|name| text(leg, name)));
    context.out.table(&names, rows)?;
    let rows = not_asked(&hold, legs);
    if !rows.is_empty() {
        context
            .out
            .table(&["not asked", "barcode", "why", "available"], rows)?;
    }
    Ok(Exit::Done)
}

/// The shops that were not asked, each with what was said of it last.
fn not_asked(hold: &Value, legs: &[Value]) -> Vec<[String; 4]> {
    let last = hold.get("rejected").into_iter();
    let why = legs.iter().filter_map(|leg| leg.get("rejected"));
    let rejected = why.chain(last).filter_map(Value::as_array).flatten();
    let asked: BTreeSet<String> = legs.iter().map(|leg| text(leg, "shop")).collect();
    let mut said = BTreeMap::new();
    for one in rejected {
        let [shop, barcode, why, available] =
            ["shop", "barcode", "why", "available"].map(|name| text(one, name));
        if !asked.contains(&shop) {
            said.insert((shop, barcode), (why, available));
        }
    }
    let row = |((shop, barcode), (why, available))| [shop, barcode, why, available];
    said.into_iter().map(row).collect()
}

async fn place(args: PlaceArgs, mut context: Context<'_>) -> anyhow::Result<Exit> {
    let purpose = Purpose::of_word(&args.purpose)
        .ok_or_else(|| Usage("--purpose is cart or order".to_owned()))?;
    context.known(args.shop.as_ref()).await?;
    let qty = Qty::new(args.qty).ok().filter(|qty| qty.units() > 0);
    let key = match args.key {
        Some(key) => key,
        None => sign::hex(&sign::random_bytes::<16>()?),
    };
    let view = view(&context).await?;
    let new = NewHold {
        caller: CALLER.into(),
        idempotency_key: key.into(),
        barcode: view.find(&args.barcode)?.barcode.clone(),
        shop: args.shop,
        qty: qty.ok_or_else(|| Usage("--qty is a number from 1 to 1000000".to_owned()))?,
        order: args.order.into(),
        purpose,
        ttl_ms: args.ttl.map_or(purpose.ttl_ms(), Period::as_millis),
        allow_variant: args.allow_variant,
        caps: context.core.config.holds.caps(),
        destination: None,
        looks_gone: false,
    };
    if new.order.is_empty() || new.order.len() > vitrina_shared::hold::MAX_ORDER_BYTES {
        return Err(Usage("--order has 1 to 128 bytes".to_owned()).into());
    }
    let mut watch = context.core.watchers.watch(new.id());
    let store = &context.core.store;
    let mut row = match store.place_hold(Some(By::CommandLine), new).await? {
        Placing::Placed(row) | Placing::Again(row) => row,
        other => {
            let refused = not_placed(other);
            say_where_else(&refused, &mut context);
            return Err(refused.into());
        }
    };
    let deadline = Instant::now() + args.wait.map_or(Duration::ZERO, Period::duration);
    while row.word == Word::Requested {
        let left = deadline.saturating_duration_since(Instant::now());
        if !watch.changed(left).await {
            break;
        }
        let found = context.core.store.hold(row.id).await?;
        row = ended(found.map_or(Ending::Unknown, Ending::Done))?;
    }
    tell(&row, &mut context)
}

/// Where else it is to be had, beside the refusal.
pub(super) fn say_where_else(refused: &ApiError, context: &mut Context<'_>) {
    let list = refused.member("alternatives").and_then(Value::as_array);
    for one in list.into_iter().flatten() {
        let (shop, available) = (text(one, "shop"), text(one, "available"));
        let barcode = text(one, "barcode");
        context.out.note(say!(
            context.lang(),
            "{shop} has {available} of {barcode}",
            "{shop}: {barcode}, доступно {available}"
        ));
    }
}

/// How a hold stands now.
pub(super) fn tell(row: &HoldRow, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let hold = hold_json(row);
    if context.json {
        context.out.json(&hold)?;
        return Ok(Exit::Done);
    }
    let names = ["id", "shop", "state", "transfer_to", "expires_at"];
    context
        .out
        .table(&names, [names.map(|name| text(&hold, name))])?;
    Ok(Exit::Done)
}

/// The text of a member.
pub(super) fn text(value: &Value, name: &str) -> String {
    match value.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
