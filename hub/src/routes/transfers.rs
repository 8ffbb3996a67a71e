//! `/v1/transfers`: pieces on their way from shop to shop.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Map, Value, json};
use vitrina_shared::transfer::{Line, State as Word};
use vitrina_shared::{Barcode, ShopId};

use crate::error::{ApiError, Code};
use crate::routes::ask::json_of;
use crate::routes::{Ask, movement_json};
use crate::server::Hub;
use crate::store::{MovementRow, TransferFilter, TransferRow};
use crate::view::json::time_text;

/// The word for every state, and that for all of which something is awaited.
const ALL: &str = "all";
const OPEN: &str = "open";

/// What a state is, for whoever wrote another.
pub(crate) const STATES: &str = "in_transit, partial, received, damaged, other_than_sent, not_sent, cancelled, open or all";

/// Which states a word of the interface means: one, or the open ones, or all.
pub(crate) fn states_of(word: &str) -> Option<(Option<Word>, bool)> {
    match word {
        ALL => Some((None, false)),
        OPEN => Some((None, true)),
        word => Some((Some(Word::of_word(word)?), false)),
    }
}

/// A page of them.
pub(crate) async fn list(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    let (state, open) = states_of(ask.text("state").unwrap_or(ALL))
        .ok_or_else(|| ApiError::malformed(format!("state is {STATES}")))?;
    let older: Option<u32> = ask.read("older_than_s", "a number of seconds")?;
    let filter = TransferFilter {
        shop: ask.read::<ShopId>("shop", "a shop's id")?,
        state,
        open,
        sent_before: older.map(|seconds| hub.core.now().plus(-i64::from(seconds) * 1_000)),
        before: ask.read("cursor", "the next_cursor of the page before")?,
        limit: ask.limit()?,
    };
    let page = hub.core.store.transfers(filter).await?;
    let items: Vec<Value> = page.transfers.iter().map(transfer_json).collect();
    json_of(
        &ask.headers,
        &json!({ "items": items, "next_cursor": page.next.map(|next| next.to_string()) }),
    )
}

/// One of them.
pub(crate) async fn one(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    let id = ask.name.parse().map_err(|_| unknown())?;
    let (row, movements) = hub.core.store.transfer(id).await?.ok_or_else(unknown)?;
    json_of(&ask.headers, &transfer_json_with(&row, &movements))
}

/// There is none of that name.
pub(crate) fn unknown() -> ApiError {
    ApiError::new(Code::NotFound, "there is no such transfer")
}

/// A transfer as the interface shows it.
pub(crate) fn transfer_json(row: &TransferRow) -> Value {
    let transfer = &row.transfer;
    let lines: Vec<Value> = transfer.lines.iter().map(line_json).collect();
    let names = |shops: &mut dyn Iterator<Item = &ShopId>| -> Vec<String> {
        shops.map(ToString::to_string).collect()
    };
    json!({
        "id": row.id.to_string(),
        "document": row.document,
        "from": row.from,
        "to": transfer.to.first().map(ShopId::as_str),
        "sent_to": names(&mut transfer.to.iter()),
        "received_by": names(&mut transfer.received_by.iter()),
        "state": transfer.state.word(),
        "sent_at": transfer.sent_at.map(time_text),
        "received_at": transfer.received_at.map(time_text),
        "holds": transfer.holds.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "lines": lines,
    })
}

fn line_json((barcode, line): (&Barcode, &Line)) -> Value {
    json!({
        "barcode": barcode.as_str(),
        "sent": line.sent,
        "received": line.received,
        "damaged": line.damaged,
        "outstanding": line.outstanding,
        "over": line.over,
        "astray": line.astray,
    })
}

/// The same with its movements.
pub(crate) fn transfer_json_with(row: &TransferRow, movements: &[MovementRow]) -> Value {
    let mut members = match transfer_json(row) {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    let movements: Vec<Value> = movements.iter().map(movement_json).collect();
    members.insert("movements".into(), movements.into());
    Value::Object(members)
}
