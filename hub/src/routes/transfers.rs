//! `/v1/transfers`: pieces on their way from shop to shop.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use vitrina_shared::hold::{Caps, MAX_ORDER_BYTES, Purpose};
use vitrina_shared::transfer::{Line, State as Word};
use vitrina_shared::{Barcode, Qty, ShopId};

use crate::error::{ApiError, Code};
use crate::holds::caller_of;
use crate::routes::ask::json_of;
use crate::routes::{Ask, holds, movement_json};
use crate::server::Hub;
use crate::store::{
    Destination, HoldRow, MovementRow, NewHold, Placing, TransferEntry, TransferFilter,
    TransferRow, TransferState,
};
use crate::view::json::time_text;

/// The word for every state.
const ALL: &str = "all";
/// The word for all of which something is awaited.
const OPEN: &str = "open";
/// The state of what is only asked for: it has no movements, which have states of their own.
const REQUESTED: &str = "requested";

/// What a state is, for whoever wrote another.
pub(crate) const STATES: &str = "requested, in_transit, partial, received, damaged, other_than_sent, not_sent, cancelled, open or all";

/// Which states a word of the interface means: one, or the open ones, or all.
pub(crate) fn states_of(word: &str) -> Option<TransferState> {
    match word {
        ALL => Some(TransferState::All),
        OPEN => Some(TransferState::Open),
        REQUESTED => Some(TransferState::Requested),
        word => Word::of_word(word).map(TransferState::Is),
    }
}

/// A page of them.
pub(crate) async fn list(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    let state = states_of(ask.text("state").unwrap_or(ALL))
        .ok_or_else(|| ApiError::malformed(format!("state is {STATES}")))?;
    let older: Option<u32> = ask.read("older_than_s", "a number of seconds")?;
    let filter = TransferFilter {
        shop: ask.read::<ShopId>("shop", "a shop's id")?,
        state,
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
    let (entry, movements) = hub.core.store.transfer(id).await?.ok_or_else(unknown)?;
    json_of(&ask.headers, &transfer_json_with(&entry, &movements))
}

/// What is to be moved.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    pub(crate) barcode: String,
    qty: Option<i64>,
    from: ShopId,
    to: ShopId,
    document: Option<String>,
    ttl_s: Option<i64>,
}

/// Asks a shop to send a piece to another: it is held there until it leaves, and under way until it comes.
pub(crate) async fn request(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    let headers = ask.headers.clone();
    let key = holds::idempotency_key(&headers)?;
    let (caller, by) = (caller_of(ask.caller()), ask.by_person());
    let asked: Asked = ask.json().await?;
    let barcode = hub.view.find(&asked.barcode)?.barcode.clone();
    let new = wanted(asked, (caller, key), barcode)?;
    let (row, is_again) = match hub.core.store.place_hold(by, new).await? {
        Placing::Placed(row) => (row, false),
        Placing::Again(row) => (row, true),
        other => return Err(holds::not_placed(other)),
    };
    let mut response = holds::answer(&hub, &headers, &row)?;
    *response.status_mut() = StatusCode::CREATED;
    if is_again {
        let replayed = HeaderValue::from_static("true");
        response
            .headers_mut()
            .insert("idempotency-replayed", replayed);
    }
    Ok(response)
}

/// What is asked for, read.
///
/// # Errors
///
/// 422: it cannot be.
pub(crate) fn wanted(
    asked: Asked,
    (caller, key): (Box<str>, Box<str>),
    barcode: Barcode,
) -> Result<NewHold, ApiError> {
    let seconds = asked.ttl_s.unwrap_or(MOVE_TTL_S);
    let wish = Wish {
        barcode,
        qty: asked.qty.unwrap_or(1),
        from: asked.from,
        to: asked.to,
        document: asked.document,
        ttl_ms: holds::ttl_ms(seconds)?,
    };
    wish.hold(caller, key).map_err(ApiError::invalid)
}

/// So long a shop has to send what head office wants moved, in seconds: a week.
pub(crate) const MOVE_TTL_S: i64 = 7 * 86_400;

/// A piece that head office wants moved.
#[derive(Debug)]
pub(crate) struct Wish {
    /// What.
    pub(crate) barcode: Barcode,
    /// How many.
    pub(crate) qty: i64,
    /// Who has it.
    pub(crate) from: ShopId,
    /// Who is to have it.
    pub(crate) to: ShopId,
    /// What it is called; its barcode and where it goes otherwise.
    pub(crate) document: Option<String>,
    /// For how long it is asked for.
    pub(crate) ttl_ms: i64,
}

impl Wish {
    /// The hold that keeps it until it leaves.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words.
    pub(crate) fn hold(self, caller: Box<str>, key: Box<str>) -> Result<NewHold, String> {
        if self.from == self.to {
            return Err("from and to are one shop".to_owned());
        }
        let name = self.document.unwrap_or_else(|| format!("→ {}", self.to));
        if name.is_empty() || name.len() > MAX_ORDER_BYTES {
            return Err(format!("document has 1 to {MAX_ORDER_BYTES} bytes"));
        }
        let qty = Qty::new(self.qty).ok().filter(|qty| qty.units() > 0);
        Ok(NewHold {
            caller,
            idempotency_key: key,
            barcode: self.barcode,
            shop: Some(self.from),
            qty: qty.ok_or("qty is a number from 1 to 1000000")?,
            order: name.into(),
            purpose: Purpose::Order,
            ttl_ms: self.ttl_ms,
            allow_variant: false,
            // Head office moves as much as it wants.
            caps: Caps {
                order: None,
                caller: None,
            },
            destination: Some(Destination {
                to: self.to,
                is_stock: true,
            }),
            looks_gone: false,
        })
    }
}

/// There is none of that name.
pub(crate) fn unknown() -> ApiError {
    ApiError::new(Code::NotFound, "there is no such transfer")
}

/// A transfer as the interface shows it, or one that is only asked for.
pub(crate) fn transfer_json(entry: &TransferEntry) -> Value {
    match entry {
        TransferEntry::Moved(row) => moved_json(row),
        TransferEntry::Asked(hold) => asked_json(hold),
    }
}

/// Nothing of it was sent yet. Its name is the hold's: by that it is let go, and it has no other.
fn asked_json(hold: &HoldRow) -> Value {
    let to = hold.destination.as_ref();
    let is_kept = |shop: &ShopId| to.is_some_and(|to| to.to != *shop);
    let keeper = hold
        .legs
        .iter()
        .find(|row| row.held > 0 && is_kept(&row.leg.terms.shop));
    let leg = keeper.or(hold.leg()).map(|row| &row.leg);
    let line = leg.map(|leg| {
        let mut line = line_json((&leg.terms.barcode, &Line::default()));
        if let Some(members) = line.as_object_mut() {
            members.insert("asked".to_owned(), leg.units().into());
        }
        line
    });
    json!({
        "id": hold.id.to_string(),
        "document": leg.map(|leg| &leg.terms.order),
        "from": leg.map(|leg| leg.terms.shop.as_str()),
        "to": to.map(|to| to.to.as_str()),
        "sent_to": [],
        "received_by": [],
        "state": REQUESTED,
        "asked_at": leg.map(|leg| time_text(leg.terms.created_at)),
        "sent_at": null,
        "received_at": null,
        "holds": [hold.id.to_string()],
        "lines": line.into_iter().collect::<Vec<_>>(),
    })
}

fn moved_json(row: &TransferRow) -> Value {
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
        "asked_at": null,
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
pub(crate) fn transfer_json_with(entry: &TransferEntry, movements: &[MovementRow]) -> Value {
    let mut members = match transfer_json(entry) {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    let movements: Vec<Value> = movements.iter().map(movement_json).collect();
    members.insert("movements".into(), movements.into());
    Value::Object(members)
}
