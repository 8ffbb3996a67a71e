//! `GET /v1/movements`: pages of the merged history, and the feed of it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};
use vitrina_shared::movement::{Key, Kind};
use vitrina_shared::{Barcode, ShopId};

use crate::error::ApiError;
use crate::feed::Cursor;
use crate::routes::Ask;
use crate::routes::ask::json_of;
use crate::server::Hub;
use crate::store::{MovementFilter, MovementRow};
use crate::view::json::time_text;

/// Pages, latest received first; with `since` the feed.
pub(crate) async fn movements(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    let filter = filter(&hub, &ask)?;
    let limit = ask.limit()?;
    if ask.text("since").is_some() {
        return feed(&hub, &ask, filter, limit).await;
    }
    let before: Option<u64> = ask.read("cursor", "the next_cursor of the page before")?;
    let page = hub.core.store.movements_page(filter, before, limit).await?;
    let items: Vec<Value> = page.rows.iter().map(movement_json).collect();
    json_of(
        &ask.headers,
        &json!({ "items": items, "next_cursor": page.next.map(|next| next.to_string()) }),
    )
}

async fn feed(
    hub: &Hub,
    ask: &Ask,
    filter: MovementFilter,
    limit: usize,
) -> Result<Response, ApiError> {
    // `0` begins at the beginning: the history is never pruned.
    let mut since = match ask.text("since") {
        Some("0") | None => 0,
        Some(text) => hub
            .view
            .check(text.parse::<Cursor>().map_err(|_| crate::feed::expired())?)?,
    };
    let deadline = tokio::time::Instant::now() + ask.wait()?;
    let page = loop {
        let page = hub
            .core
            .store
            .movements_feed(filter.clone(), since, limit)
            .await?;
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        since = page.upto;
        if !page.rows.is_empty()
            || page.more
            || left.is_zero()
            || !hub.wait_beyond(since, left).await
        {
            break page;
        }
    };
    // The store may be a commit ahead of the view, which alone knows its tag.
    hub.wait_beyond(page.upto.saturating_sub(1), crate::routes::ask::MAX_WAIT)
        .await;
    let items: Vec<Value> = page.rows.iter().map(movement_json).collect();
    let cursor = hub.view.page_cursor(page.upto).to_string();
    json_of(
        &ask.headers,
        &json!({ "items": items, "cursor": cursor, "more": page.more }),
    )
}

fn filter(hub: &Hub, ask: &Ask) -> Result<MovementFilter, ApiError> {
    let kind = match ask.text("type") {
        None => None,
        Some(word) => Some(
            Kind::of_word(word)
                .ok_or_else(|| ApiError::malformed("type is a kind such as sale"))?,
        ),
    };
    let barcode = ask
        .text("barcode")
        .map(|text| key_of(hub, text))
        .transpose()?;
    Ok(MovementFilter {
        shop: ask.read::<ShopId>("shop", "a shop's id")?,
        barcode,
        kind,
        from: ask.time("from")?,
        to: ask.time("to")?,
    })
}

/// The key that a text names, or the text itself: nothing is found then.
pub(crate) fn key_of(hub: &Hub, text: &str) -> Result<Barcode, ApiError> {
    match hub.view.find(text) {
        Ok(item) => Ok(item.barcode.clone()),
        Err(_) => Barcode::from_key(text).map_err(|error| ApiError::malformed(error.to_string())),
    }
}

/// A movement as the interface shows it.
pub(crate) fn movement_json(row: &MovementRow) -> Value {
    let (movement, details) = (&row.movement, row.movement.details());
    let (till, receipt, line) = match &movement.key {
        Key::Receipt {
            till,
            receipt,
            line,
            ..
        } => (Some(till), Some(receipt), Some(u64::from(*line))),
        Key::FileLine { line, .. } => (None, None, Some(*line)),
        _ => (None, None, None),
    };
    json!({
        "id": row.id.to_string(),
        "shop": row.shop.as_str(),
        "replica": row.replica.to_string(),
        "seq": row.seq.0,
        "type": movement.kind.to_string(),
        "barcode": movement.barcode.as_str(),
        "scanned": movement.scanned_text().as_str(),
        "qty": movement.qty.units(),
        "condition": movement.condition.to_string(),
        "at": time_text(movement.at),
        "received_at": time_text(row.received_at),
        "receipt": receipt,
        "line": line,
        "till": till,
        "price": details.price,
        "cashier": details.cashier,
        "ref": details.reference,
        "doc": details.document,
        "to": details.to,
        "from": details.from,
        "transfer": details.transfer,
        "observed": details.observed,
        "voids": movement.target.map(|target| target.to_string()),
        "state": if row.counts { "counts" } else { "void" },
    })
}
