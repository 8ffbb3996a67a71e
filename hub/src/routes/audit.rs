//! `GET /v1/audit`: who changed what.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::json;
use vitrina_shared::ShopId;

use crate::audit::AuditFilter;
use crate::error::ApiError;
use crate::routes::Ask;
use crate::routes::ask::json_of;
use crate::server::Hub;

/// The records, the latest first.
pub(crate) async fn list(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    let filter = AuditFilter {
        since: ask.time("since")?,
        shop: ask.read::<ShopId>("shop", "a shop's id")?,
        before: ask.read("cursor", "the next_cursor of the page before")?,
        limit: ask.limit()?,
    };
    let limit = filter.limit;
    let records = hub.core.store.audit(filter).await?;
    let next = records
        .last()
        .filter(|last| records.len() == limit && last.n > 1);
    let next = next.map(|last| last.n.to_string());
    json_of(
        &ask.headers,
        &json!({ "items": records, "next_cursor": next }),
    )
}
