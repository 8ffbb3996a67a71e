//! `POST /v1/stock/batch`.

use std::collections::HashSet;
use std::iter::once;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;

use crate::error::ApiError;
use crate::routes::Ask;
use crate::routes::ask::{json_in_parts, mark_as_of};
use crate::routes::stock::bodies;
use crate::server::Hub;
use crate::view::json;
use crate::view::ready::Wanted;

/// So many items at once.
const MAX_BARCODES: usize = 500;

/// Which items.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Batch {
    barcodes: Vec<String>,
}

/// Several items, each once, in the order asked for.
pub(crate) async fn batch(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    ask.wait_for_min_cursor(&hub).await?;
    let (headers, channel) = (ask.headers.clone(), ask.channel());
    let Batch { barcodes } = ask.json().await?;
    if barcodes.len() > MAX_BARCODES {
        return Err(ApiError::invalid("at most 500 barcodes at once"));
    }
    let (mut items, mut unknown, mut as_of) = (Vec::new(), Vec::new(), None);
    let (mut asked, mut given) = (HashSet::new(), HashSet::new());
    for barcode in barcodes
        .iter()
        .filter(|barcode| asked.insert(barcode.as_str()))
    {
        let Ok(item) = hub.view.find(barcode) else {
            if !unknown.is_empty() {
                unknown.push(b',');
            }
            json::text(&mut unknown, barcode);
            continue;
        };
        // Two of the names asked for may be of one item.
        if given.insert(item.barcode.clone()) {
            let answer = hub.view.answer(&item, Wanted::tag_of(channel));
            as_of = [as_of, answer.as_of].into_iter().flatten().min();
            items.push(item);
        }
    }
    let end = [br#"],"unknown":["#.as_slice(), &unknown, b"]}"].concat();
    let parts = once(Bytes::from_static(br#"{"items":["#))
        .chain(bodies(&hub.view, items, channel))
        .chain(once(end.into()));
    let mut response = json_in_parts(&headers, parts);
    mark_as_of(response.headers_mut(), as_of);
    Ok(response)
}
