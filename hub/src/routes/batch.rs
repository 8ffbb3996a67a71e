//! `POST /v1/stock/batch`.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use crate::error::ApiError;
use crate::routes::Ask;
use crate::routes::ask::{json_answer, mark_as_of};
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
    let headers = ask.headers.clone();
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
            separate(&mut unknown);
            json::text(&mut unknown, barcode);
            continue;
        };
        // Two of the names asked for may be of one item.
        if given.insert(item.barcode.clone()) {
            let answer = hub.view.answer(&item, Wanted::default());
            separate(&mut items);
            items.extend_from_slice(&answer.body.unwrap_or_default());
            as_of = [as_of, answer.as_of].into_iter().flatten().min();
        }
    }
    let mut out = Vec::with_capacity(32 + items.len() + unknown.len());
    out.extend_from_slice(br#"{"items":["#);
    out.append(&mut items);
    out.extend_from_slice(br#"],"unknown":["#);
    out.append(&mut unknown);
    out.extend_from_slice(b"]}");
    let mut response = json_answer(&headers, out);
    mark_as_of(response.headers_mut(), as_of);
    Ok(response)
}

fn separate(list: &mut Vec<u8>) {
    if !list.is_empty() {
        list.push(b',');
    }
}
