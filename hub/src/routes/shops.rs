//! `GET /v1/shops`: how every shop is.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};
use vitrina_shared::TimeMs;
use vitrina_shared::freshness::age_ms;

use crate::board::ShopCell;
use crate::error::ApiError;
use crate::routes::Ask;
use crate::routes::ask::json_of;
use crate::server::Hub;
use crate::view::View;
use crate::view::json::time_text;

/// All shops, those off the website included.
pub(crate) async fn list(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    json_of(&ask.headers, &shops_json(&hub.view, hub.core.now()))
}

/// The same, for commands.
pub(crate) fn shops_json(view: &View, now: TimeMs) -> Value {
    let mut shops = view.board.all();
    shops.sort_by(|left, right| left.shop.cmp(&right.shop));
    let items: Vec<Value> = shops
        .iter()
        .map(|cell| shop_json(cell, view, now))
        .collect();
    json!({
        "items": items,
        "next_cursor": null,
        "hub_clock_ahead_ms": view.board.hub_clock_ahead_ms(),
    })
}

fn shop_json(cell: &ShopCell, view: &View, now: TimeMs) -> Value {
    let known = cell.known();
    let (as_of, confidence) = view.freshness(cell.index, now);
    let (settings, heard, health) = (&known.row.settings, &known.heard, &known.health);
    json!({
        "shop": cell.shop.as_str(),
        "name": settings.name,
        "city": settings.city,
        "type": settings.shop_type,
        "source": settings.source,
        "lag_ms": heard.complete.and_then(|at| age_ms(at, now)),
        "source_age_s": heard.source.and_then(|at| age_ms(at, now)).map(|ms| ms / 1_000),
        "confidence": confidence.word(),
        "as_of": as_of.map(time_text),
        "pending": heard.exchange.map(|_| health.pending),
        "replica": health.replica.map(|replica| replica.to_string()),
        "version": Some(&health.version).filter(|version| !version.is_empty()),
        "last_exchange_at": heard.exchange.map(time_text),
        "quarantined": heard.exchange.map(|_| health.quarantined),
        "disagreements": heard.exchange.map(|_| health.disagreements),
        "clock_skew_ms": heard.exchange.map(|_| health.skew_ms),
        "disk_free_bytes": health.disk_free,
        "problems": health.problems,
        "publish": known.row.publish,
        "enrolled": known.row.enrolled,
        "revoked": known.row.revoked,
        "closed": settings.closed,
    })
}
