//! What head office looks into: how a number came about, what shops hold back, where their two ledgers disagree.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};
use vitrina_shared::account::{self, Posting};
use vitrina_shared::freshness::age_ms;
use vitrina_shared::stock::Level;
use vitrina_shared::{Barcode, ShopId, TimeMs};

use crate::error::{ApiError, Code};
use crate::routes::Ask;
use crate::routes::ask::json_of;
use crate::routes::holds::hold_json;
use crate::routes::movements::{key_of, movement_json};
use crate::server::Hub;
use crate::store::{Account, Explained, Posted};
use crate::view::View;
use crate::view::json::time_text;

/// How a number came about.
pub(crate) async fn explain(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    let barcode = match hub.view.find(&ask.name) {
        Ok(item) => item.barcode.clone(),
        // A bare code of several shops names its candidates; one that nobody has may have a history still.
        Err(several) if several.has("candidates") => return Err(several),
        Err(_) => key_of(&hub, &ask.name)?,
    };
    let shop = known_shop(&hub, &ask)?;
    let accounts = hub.core.store.account(barcode.clone(), shop).await?;
    if accounts.is_empty() && hub.view.find(barcode.as_str()).is_err() {
        return Err(ApiError::new(Code::UnknownBarcode, ""));
    }
    let now = hub.core.now();
    json_of(
        &ask.headers,
        &explained_json(&hub.view, now, (&barcode, &accounts)),
    )
}

/// The same as JSON, for commands: by shop what it began with, each movement with the on-hand that it led to, what does not
/// count, what is held, unavailable and kept back, and what is left; and how old the knowledge of each is.
pub(crate) fn explained_json(
    view: &View,
    now: TimeMs,
    (barcode, accounts): (&Barcode, &[Account]),
) -> Value {
    let shops = accounts
        .iter()
        .map(|account| account_json(view, now, (barcode, account)));
    json!({ "barcode": barcode.as_str(), "shops": shops.collect::<Vec<_>>() })
}

fn account_json(view: &View, now: TimeMs, (barcode, told): (&Barcode, &Account)) -> Value {
    let ruling = view.ruling(&told.shop, barcode);
    let row = &told.level;
    let level = Level {
        on_hand: row.on_hand,
        held: row.held,
        unavailable: row.unavailable,
        safety_stock: ruling.map_or(0, |ruling| ruling.units.into()),
    };
    let postings: Vec<Posting> = { told.movements.iter() }
        .map(|posted| posting(&posted.explained))
        .collect();
    let stages: Vec<Value> = { account::account(&postings, level).into_iter() }
        .map(|stage| {
            json!({ "stage": stage.step.word(), "units": stage.units, "balance": stage.balance })
        })
        .collect();
    let mut shop = json!({
        "shop": told.shop.as_str(),
        "on_hand": level.on_hand,
        "held": level.held,
        "unavailable": level.unavailable,
        "safety_stock": level.safety_stock,
        "safety_rule": ruling.map(|ruling| {
            json!({ "of": ruling.of, "in": if ruling.is_of_shop { "shop" } else { "chain" } })
        }),
        "available": level.available(),
        "updated_at": time_text(row.updated_at),
        "cursor": view.cursor(row.pos).to_string(),
        "stages": stages,
        "movements": told.movements.iter().map(posted_json).collect::<Vec<_>>(),
        "holds": told.holds.iter().map(hold_json).collect::<Vec<_>>(),
    });
    let freshness = view.board.find(&told.shop).map(|cell| {
        let known = cell.known();
        let (as_of, confidence) = view.freshness(cell.index, now);
        json!({
            "name": known.row.settings.name,
            "confidence": confidence.word(),
            "promised": cell.promise().of(level.available()),
            "as_of": as_of.map(time_text),
            "source_as_of": known.heard.source.map(time_text),
            "complete_up_to": known.heard.complete.map(time_text),
            "last_exchange_at": known.heard.exchange.map(time_text),
            "lag_ms": known.heard.complete.and_then(|at| age_ms(at, now)),
        })
    });
    if let (Some(members), Some(Value::Object(freshness))) = (shop.as_object_mut(), freshness) {
        members.extend(freshness);
    }
    shop
}

fn posting(explained: &Explained) -> Posting {
    Posting {
        kind: explained.row.movement.kind,
        units: explained.row.movement.qty.units(),
        counts: explained.row.counts,
    }
}

/// A movement, its dot, the web order that it was for, the on-hand that it led to, and how long it took: from the till to
/// the hub, from there to the website. When the shop had it on its disk is the shop's to know.
fn posted_json(posted: &Posted) -> Value {
    let row = &posted.explained.row;
    let mut movement = movement_json(row);
    let visible = posted.visible_at.map(|at| at.since(row.received_at).max(0));
    let (hold, order) = match &posted.order {
        Some((hold, order)) => (Some(hold.to_string()), Some(order)),
        None => (None, None),
    };
    let more = json!({
        "hold": hold,
        "order": order,
        "on_hand": posted.explained.sum,
        "dot": format!("{}:{}", row.replica, row.seq.0),
        "committed_at": null,
        "visible_at": posted.visible_at.map(time_text),
        "lags": {
            "till_to_commit_ms": null,
            "commit_to_hub_ms": null,
            "till_to_hub_ms": row.received_at.since(row.movement.at),
            "hub_to_visible_ms": visible,
        },
    });
    if let (Some(members), Value::Object(more)) = (movement.as_object_mut(), more) {
        members.extend(more);
    }
    movement
}

/// Records that shops hold back.
pub(crate) async fn quarantine(
    State(hub): State<Arc<Hub>>,
    ask: Ask,
) -> Result<Response, ApiError> {
    let rows = hub.core.store.quarantine(known_shop(&hub, &ask)?).await?;
    json_of(&ask.headers, &json!({ "items": rows, "next_cursor": null }))
}

/// Where a shop's 1C and its ledger disagree.
pub(crate) async fn disagreements(
    State(hub): State<Arc<Hub>>,
    ask: Ask,
) -> Result<Response, ApiError> {
    let rows = hub
        .core
        .store
        .disagreements(known_shop(&hub, &ask)?)
        .await?;
    json_of(&ask.headers, &json!({ "items": rows, "next_cursor": null }))
}

fn known_shop(hub: &Hub, ask: &Ask) -> Result<Option<ShopId>, ApiError> {
    let shop = ask.read::<ShopId>("shop", "a shop's id")?;
    match shop {
        Some(shop) if hub.view.board.find(&shop).is_none() => {
            Err(ApiError::new(Code::UnknownShop, ""))
        }
        shop => Ok(shop),
    }
}
