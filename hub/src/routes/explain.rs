//! What head office looks into: how a number came about, what shops hold back, where their two ledgers disagree.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};
use vitrina_shared::ShopId;
use vitrina_shared::stock::Channel;

use crate::error::{ApiError, Code};
use crate::routes::Ask;
use crate::routes::ask::json_of;
use crate::routes::holds::hold_json;
use crate::routes::movements::{key_of, movement_json};
use crate::server::Hub;
use crate::store::{Explained, HoldRow};
use crate::view::View;

/// How a number came about.
pub(crate) async fn explain(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    let barcode = match hub.view.find(&ask.name) {
        Ok(item) => item.barcode.clone(),
        // A bare code of several shops names its candidates; one that nobody has may have a history still.
        Err(several) if several.has("candidates") => return Err(several),
        Err(_) => key_of(&hub, &ask.name)?,
    };
    let shop = known_shop(&hub, &ask)?;
    let rows = hub
        .core
        .store
        .explain(barcode.clone(), shop.clone())
        .await?;
    let mut holds = hub.core.store.holds_of(barcode.clone()).await?;
    retain_of(&mut holds, shop.as_ref());
    if rows.is_empty() && hub.view.find(barcode.as_str()).is_err() {
        return Err(ApiError::new(Code::UnknownBarcode, ""));
    }
    json_of(
        &ask.headers,
        &explained_json(&hub.view, barcode.as_str(), (&rows, &holds)),
    )
}

/// Leaves the holds that ask this shop, where one is asked about.
pub(crate) fn retain_of(holds: &mut Vec<HoldRow>, shop: Option<&ShopId>) {
    if let Some(shop) = shop {
        holds.retain(|hold| hold.legs.iter().any(|leg| leg.leg.terms.shop == *shop));
    }
}

/// The same as JSON, for commands: by shop, each movement with the on-hand that it led to, and the holds that keep
/// something of it.
pub(crate) fn explained_json(
    view: &View,
    barcode: &str,
    (rows, holds): (&[Explained], &[HoldRow]),
) -> Value {
    let mut shops: Vec<Value> = Vec::new();
    for chunk in rows.chunk_by(|left, right| left.row.shop == right.row.shop) {
        let Some(first) = chunk.first() else { continue };
        let mut shop = json!({ "shop": first.row.shop.as_str() });
        let cell = view.board.find(&first.row.shop);
        if let (Some(cell), Some(item)) = (cell, view.item(barcode)) {
            item.with_level((cell.index, Channel::NetOfHolds), |level, _, _, _| {
                let numbers = level.numbers;
                shop = json!({
                    "shop": first.row.shop.as_str(),
                    "on_hand": numbers.on_hand,
                    "held": numbers.held,
                    "unavailable": numbers.unavailable,
                    "safety_stock": numbers.safety_stock,
                    "available": numbers.available(),
                    "confidence": cell.confidence().word(),
                });
            });
        }
        let movements: Vec<Value> = chunk.iter().map(explained_movement).collect();
        if let Some(members) = shop.as_object_mut() {
            members.insert("movements".into(), movements.into());
            let of_shop = |hold: &&HoldRow| {
                let mut legs = hold.legs.iter();
                legs.any(|leg| leg.held > 0 && leg.leg.terms.shop == first.row.shop)
            };
            let holds: Vec<Value> = holds.iter().filter(of_shop).map(hold_json).collect();
            members.insert("holds".into(), holds.into());
        }
        shops.push(shop);
    }
    json!({ "barcode": barcode, "shops": shops })
}

fn explained_movement(explained: &Explained) -> Value {
    let mut movement = movement_json(&explained.row);
    if let Some(members) = movement.as_object_mut() {
        members.insert("on_hand".into(), explained.sum.into());
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
