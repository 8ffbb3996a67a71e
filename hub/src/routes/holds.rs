//! `/v1/holds`: a web order keeps a piece in a shop.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use vitrina_shared::hold::{
    self, HubState, MAX_ORDER_BYTES, NotOpen, Purpose, Refusal, Word, WorkKind,
};
use vitrina_shared::{HoldId, Qty, ShopId};

use crate::error::{ApiError, Code};
use crate::holds::caller_of;
use crate::routes::Ask;
use crate::routes::ask::{json_of, mark_cursor};
use crate::server::Hub;
use crate::store::{
    Alternative, Ending, HoldRow, LegRow, NewHold, Placing, Refused, Rejected, Sending,
};
use crate::view::json::time_text;

/// The longest wait for the shop's word.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// The longest time for which something is held: a year.
const MAX_TTL_S: i64 = 366 * 86_400;
/// The most bytes of an `Idempotency-Key`.
const MAX_KEY_BYTES: usize = 255;

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    barcode: String,
    shop: Option<ShopId>,
    qty: i64,
    order: String,
    purpose: Option<String>,
    ttl_s: Option<i64>,
    #[serde(default)]
    allow_variant: bool,
    #[serde(default)]
    wait_ms: u64,
}

/// For how long.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Longer {
    ttl_s: i64,
}

/// Places a hold.
pub(crate) async fn place(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    let headers = ask.headers.clone();
    let idempotency_key = idempotency_key(&headers)?;
    let (caller, by) = (caller_of(ask.caller()), ask.by_person());
    let order: Asked = ask.json().await?;
    let wait = Duration::from_millis(order.wait_ms).min(MAX_WAIT);
    let item = hub.view.find(&order.barcode)?;
    let asked = order.read(caller, idempotency_key)?;
    let new = NewHold {
        barcode: item.barcode.clone(),
        caps: hub.core.config.holds.caps(),
        looks_gone: !item.has_available(asked.qty.units()),
        ..asked
    };
    // Before it is placed, so that no word is missed.
    let mut watch = hub.core.watchers.watch(new.id());
    let (mut row, is_again) = match hub.core.store.place_hold(by, new).await? {
        Placing::Placed(row) => (row, false),
        Placing::Again(row) => (row, true),
        other => return Err(not_placed(other)),
    };
    let deadline = Instant::now() + wait;
    while row.word == Word::Requested {
        let left = deadline.saturating_duration_since(Instant::now());
        let has_changed = tokio::select! {
            changed = watch.changed(left) => changed,
            () = hub.stop.cancelled() => false,
        };
        if !has_changed {
            break;
        }
        row = the(&hub, row.id).await?;
    }
    let mut response = answer(&hub, &headers, &row)?;
    *response.status_mut() = StatusCode::CREATED;
    if is_again {
        let replayed = HeaderValue::from_static("true");
        response
            .headers_mut()
            .insert("idempotency-replayed", replayed);
    }
    Ok(response)
}

impl Asked {
    /// What is asked for, under a key of a caller's.
    ///
    /// # Errors
    ///
    /// 422: it cannot be.
    pub(crate) fn read(
        self,
        caller: Box<str>,
        idempotency_key: Box<str>,
    ) -> Result<NewHold, ApiError> {
        let purpose = match &self.purpose {
            None => Purpose::default(),
            Some(word) => Purpose::of_word(word)
                .ok_or_else(|| ApiError::invalid("purpose is cart or order"))?,
        };
        if self.order.is_empty() || self.order.len() > MAX_ORDER_BYTES {
            let words = format!("order has 1 to {MAX_ORDER_BYTES} bytes");
            return Err(ApiError::invalid(words));
        }
        let qty = Qty::new(self.qty).ok().filter(|qty| qty.units() > 0);
        let ttl_ms = match self.ttl_s {
            None => purpose.ttl_ms(),
            Some(seconds) => ttl_ms(seconds)?,
        };
        Ok(NewHold {
            caller,
            idempotency_key,
            barcode: self
                .barcode
                .parse()
                .map_err(|_| ApiError::invalid("barcode is none"))?,
            shop: self.shop,
            qty: qty.ok_or_else(|| ApiError::invalid("qty is a number from 1 to 1000000"))?,
            order: self.order.into(),
            purpose,
            ttl_ms,
            allow_variant: self.allow_variant,
            caps: hold::Caps::default(),
            destination: None,
            looks_gone: false,
        })
    }
}

/// One hold.
pub(crate) async fn one(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    ask.wait_for_min_cursor(&hub).await?;
    let row = the(&hub, id_of(&ask.name)?).await?;
    json_of(&ask.headers, &hold_json(&row))
}

/// Lets a hold go.
pub(crate) async fn release(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    let (id, by) = (id_of(&ask.name)?, ask.by_person());
    let ending = hub.core.store.release_hold(by, id).await?;
    answer(&hub, &ask.headers, &ended(ending)?)
}

/// Keeps a hold longer.
pub(crate) async fn extend(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    let (headers, id, by) = (ask.headers.clone(), id_of(&ask.name), ask.by_person());
    let Longer { ttl_s } = ask.json().await?;
    let store = &hub.core.store;
    let ending = store.extend_hold(by, id?, ttl_ms(ttl_s)?).await?;
    answer(&hub, &headers, &ended(ending)?)
}

/// Where it is to go.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SentTo {
    to: ShopId,
}

/// Has the shop that keeps the piece send it to another: the hold goes with it.
pub(crate) async fn transfer(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    let (headers, id, by) = (ask.headers.clone(), id_of(&ask.name), ask.by_person());
    let SentTo { to } = ask.json().await?;
    let sending = hub.core.store.send_hold(by, id?, to).await?;
    answer(&hub, &headers, &sent(sending)?)
}

/// The hold whose piece is to be sent.
///
/// # Errors
///
/// 404 `unknown_hold` or `unknown_shop`, 409 `hold_not_open`.
pub(crate) fn sent(sending: Sending) -> Result<HoldRow, ApiError> {
    match sending {
        Sending::Asked(row) => Ok(row),
        Sending::NotOpen(not_open) => ended(Ending::NotOpen(not_open)),
        Sending::UnknownShop => Err(ApiError::new(Code::UnknownShop, "")),
        Sending::Unknown => Err(unknown()),
    }
}

/// The call's `Idempotency-Key`.
///
/// # Errors
///
/// 400: there is none, or it is too long.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Box<str>, ApiError> {
    let Some(key) = headers.get("idempotency-key") else {
        return Err(ApiError::new(
            Code::MissingIdempotencyKey,
            "send a header Idempotency-Key: the same call under it is the same hold",
        ));
    };
    let text = key.to_str().unwrap_or_default();
    if text.is_empty() || text.len() > MAX_KEY_BYTES {
        let words = format!("an Idempotency-Key has 1 to {MAX_KEY_BYTES} visible characters");
        return Err(ApiError::malformed(words));
    }
    Ok(text.into())
}

/// Seconds of a hold as milliseconds.
///
/// # Errors
///
/// 422: too few or too many.
pub(crate) fn ttl_ms(seconds: i64) -> Result<i64, ApiError> {
    if (1..=MAX_TTL_S).contains(&seconds) {
        Ok(seconds * 1_000)
    } else {
        let words = format!("ttl_s is a number of seconds from 1 to {MAX_TTL_S}");
        Err(ApiError::invalid(words))
    }
}

fn id_of(text: &str) -> Result<HoldId, ApiError> {
    text.parse().map_err(|_| unknown())
}

fn unknown() -> ApiError {
    ApiError::new(Code::UnknownHold, "")
}

async fn the(hub: &Hub, id: HoldId) -> Result<HoldRow, ApiError> {
    hub.core.store.hold(id).await?.ok_or_else(unknown)
}

/// A hold with the place in the feed at which everything of it is seen.
pub(crate) fn answer(hub: &Hub, headers: &HeaderMap, row: &HoldRow) -> Result<Response, ApiError> {
    let mut response = json_of(headers, &hold_json(row))?;
    mark_cursor(&mut response, hub.view.cursor(hub.view.head().pos));
    Ok(response)
}

/// Why nothing was placed.
pub(crate) fn not_placed(placing: Placing) -> ApiError {
    match placing {
        Placing::UnknownShop => ApiError::new(Code::UnknownShop, ""),
        Placing::Refused(refused) => refusal(&refused),
        Placing::Mismatch | Placing::Placed(_) | Placing::Again(_) => {
            ApiError::mismatch("under this Idempotency-Key something else was asked for")
        }
    }
}

fn refusal(refused: &Refused) -> ApiError {
    let (code, detail) = match refused.why {
        Refusal::NotPublished => (Code::InsufficientStock, "the shop is not on the website"),
        Refusal::NotReturned => (
            Code::InsufficientStock,
            "the shop has not yet said which pieces it keeps",
        ),
        Refusal::NotPromised(_) => (
            Code::InsufficientStock,
            "the shop was not heard from: nothing of it is promised",
        ),
        Refusal::Insufficient { .. } => (Code::InsufficientStock, ""),
        Refusal::TooManyOfOrder => (
            Code::InsufficientStock,
            "the order has as many open holds as an order may, whatever their qty (per_order of [holds] in hub.toml): \
             release one, or ask for several pieces of a barcode with one hold's qty",
        ),
        Refusal::TooManyOfCaller => (
            Code::InsufficientStock,
            "this key has as many open holds as a key may (per_key of [holds] in hub.toml): release one",
        ),
    };
    let (why, available) = refused.words();
    let alternatives: Vec<Value> = refused.alternatives.iter().map(alternative_json).collect();
    ApiError::new(code, detail)
        .with("reason", why)
        .with("available", available.unwrap_or(0))
        .with("alternatives", alternatives)
}

fn alternative_json(one: &Alternative) -> Value {
    json!({
        "shop": one.shop.as_str(),
        "name": one.name,
        "city": one.city,
        "barcode": one.barcode.as_str(),
        "available": one.available,
        "confidence": one.confidence.word(),
    })
}

/// The hold that was changed.
///
/// # Errors
///
/// 404 `unknown_hold`, 409 `hold_expired` or `hold_not_open`.
pub(crate) fn ended(ending: Ending) -> Result<HoldRow, ApiError> {
    match ending {
        Ending::Done(row) => Ok(row),
        Ending::Unknown => Err(unknown()),
        Ending::NotOpen(NotOpen::Expired) => {
            Err(ApiError::new(Code::HoldExpired, "").with("state", Word::Expired.as_str()))
        }
        Ending::NotOpen(NotOpen::Closed(word)) => {
            let state = word.unwrap_or(Word::Declined).as_str();
            Err(ApiError::new(Code::HoldNotOpen, "").with("state", state))
        }
    }
}

/// A hold as the interface shows it.
pub(crate) fn hold_json(row: &HoldRow) -> Value {
    let mut members = Map::new();
    members.insert("id".into(), row.id.to_string().into());
    if let Some(current) = row.leg() {
        let (leg, terms) = (&current.leg, &current.leg.terms);
        let first = row.legs.first().unwrap_or(current);
        let of_leg = json!({
            "barcode": terms.ordered().as_str(),
            "shop": terms.shop.as_str(),
            "qty": leg.units(),
            "order": terms.order,
            "purpose": terms.purpose.word(),
            "allow_variant": terms.allow_variant,
            "placed_by": terms.caller,
            "state": row.word.as_str(),
            "created_at": time_text(first.leg.terms.created_at),
            "answer_by": row.answer_by.map(time_text),
            "expires_at": time_text(leg.hub.expires_at),
            "transfer_to": row.destination.as_ref().map(|to| to.to.as_str()),
        });
        if let Value::Object(of_leg) = of_leg {
            members.extend(of_leg);
        }
    }
    let legs: Vec<Value> = row.legs.iter().map(leg_json).collect();
    members.insert("legs".into(), legs.into());
    members.insert("rejected".into(), rejected_json(&row.rejected));
    Value::Object(members)
}

fn leg_json(row: &LegRow) -> Value {
    let (leg, terms) = (&row.leg, &row.leg.terms);
    let work: Vec<Value> = row
        .work
        .iter()
        .map(|(kind, at)| json!({ "kind": work_word(*kind), "at": time_text(*at) }))
        .collect();
    json!({
        "id": leg.id.to_string(),
        "shop": terms.shop.as_str(),
        "barcode": terms.barcode.as_str(),
        "hub": leg.hub.state.word(),
        "shop_side": leg.shop.word(),
        "reason": reason(row),
        "state": hold::effect(leg, row.facts).word.map(Word::as_str),
        "held": row.held,
        "created_at": time_text(terms.created_at),
        "answered_at": leg.shop.at().map(time_text),
        "expires_at": time_text(leg.hub.expires_at),
        "movement": leg.shop.movement().map(|id| id.to_string()),
        "comes_from": terms.comes_from.map(|id| id.to_string()),
        "rejected": rejected_json(&row.rejected),
        "work": work,
    })
}

/// Why a leg is no longer asked for, where that is known: the shop's own reason, else what the hub did.
fn reason(row: &LegRow) -> Option<&'static str> {
    let of_shop = row.leg.shop.reason().map(hold::DeclineReason::word);
    of_shop.or(match row.leg.hub.state {
        HubState::Expired => Some("expired"),
        HubState::Released => Some("released"),
        HubState::Requested | HubState::Ended => None,
    })
}

fn rejected_json(list: &[Rejected]) -> Value {
    serde_json::to_value(list).unwrap_or_default()
}

fn work_word(kind: WorkKind) -> &'static str {
    match kind {
        WorkKind::PutBack => "put_back",
        WorkKind::Broken => "broken",
        WorkKind::TravelsUnwanted => "travels_unwanted",
        WorkKind::BoughtAfterEnd => "bought_after_end",
        WorkKind::CancelledAndBought => "cancelled_and_bought",
        WorkKind::SoldOverHold => "sold_over_hold",
    }
}
