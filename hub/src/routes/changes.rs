//! `GET /v1/changes` and `GET /v1/snapshot`: the copy that a website keeps.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use flate2::Compression;

use crate::error::ApiError;
use crate::feed::Cursor;
use crate::routes::Ask;
use crate::routes::ask::{json_answer, mark, mark_cursor, takes_gzip};
use crate::server::Hub;
use crate::server::body::made_while_taken;
use crate::view::flat::Format;
use crate::view::json;
use crate::view::snapshot::Snapshot;

/// What changed since a cursor.
pub(crate) async fn changes(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    let Some(text) = ask.text("since") else {
        return Err(needs_since());
    };
    // What never was a cursor is treated as one that is no more: the reader begins again.
    let since: Cursor = text.parse().map_err(|_| crate::feed::expired())?;
    let (limit, wait) = (ask.limit()?, ask.wait()?);
    let deadline = tokio::time::Instant::now() + wait;
    let mut since = hub.view.check(since)?;
    let page = loop {
        let page = hub.view.changes(since, limit, ask.channel());
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        if page.count > 0 || left.is_zero() || !hub.wait_beyond(page.upto, left).await {
            break page;
        }
        since = page.upto;
    };
    let mut out = Vec::with_capacity(page.items.len() + 64);
    out.extend_from_slice(br#"{"items":["#);
    out.extend_from_slice(&page.items);
    out.extend_from_slice(br#"],"cursor":"#);
    json::text(&mut out, &hub.view.page_cursor(page.upto).to_string());
    out.extend_from_slice(if page.more {
        br#","more":true}"#
    } else {
        br#","more":false}"#
    });
    Ok(json_answer(&ask.headers, out))
}

/// 400 for a feed without a place in it.
pub(crate) fn needs_since() -> ApiError {
    ApiError::malformed(
        "say since which cursor; take the first one from the header Vitrina-Cursor of GET /v1/snapshot",
    )
    .with("snapshot", "/v1/snapshot")
}

/// Everything, made while it is taken.
pub(crate) async fn snapshot(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    let format = format(&ask.headers);
    let is_gzip = takes_gzip(&ask.headers);
    let (cursor, snapshot) = Snapshot::begin(&hub.view, (format, ask.channel()));
    let body = made_while_taken(snapshot, is_gzip.then(Compression::fast));
    let mut response = Response::new(body);
    mark(response.headers_mut(), is_gzip);
    let media_type = match format {
        Format::Ndjson => "application/x-ndjson",
        Format::Csv => "text/csv; charset=utf-8",
    };
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    mark_cursor(&mut response, cursor);
    Ok(response)
}

fn format(headers: &HeaderMap) -> Format {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .unwrap_or_default();
    match (accept.find("text/csv"), accept.find("ndjson")) {
        (Some(csv), Some(ndjson)) if csv < ndjson => Format::Csv,
        (Some(_), None) => Format::Csv,
        _ => Format::Ndjson,
    }
}
