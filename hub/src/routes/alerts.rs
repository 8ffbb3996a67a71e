//! `/v1/alerts`: what people must look at, and what they do about it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};
use vitrina_host::sign;
use vitrina_host::when;
use vitrina_shared::{ShopId, TimeMs};

use crate::error::{ApiError, Code};
use crate::routes::Ask;
use crate::routes::ask::{MAX_BODY_BYTES, json_of, read_json};
use crate::server::Hub;
use crate::store::WorkFilter;
use crate::work::{Deed, Done, MAX_NOTE_CHARS, MAX_SNOOZE_MS, WorkItem};

/// The word for every state.
const ALL: &str = "all";

/// What can be said with a deed.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Said {
    note: Option<String>,
    until: Option<String>,
    for_s: Option<i64>,
}

/// Where a page ends, as readers carry it.
pub(crate) fn cursor_of(item: &WorkItem) -> String {
    format!("{}.{}", item.opened_at.0, item.name())
}

fn place(text: &str) -> Option<(i64, [u8; 16])> {
    let (at, id) = text.split_once('.')?;
    Some((at.parse().ok()?, sign::from_hex(id)?))
}

/// A page of them.
pub(crate) async fn list(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    let is_all = ask.text("state") == Some(ALL);
    let state = if is_all {
        None
    } else {
        ask.read("state", "open, acknowledged, snoozed, resolved or all")?
    };
    let after =
        match ask.text("cursor") {
            None => None,
            Some(text) => Some(place(text).ok_or_else(|| {
                ApiError::malformed("cursor is the next_cursor of the page before")
            })?),
        };
    let filter = WorkFilter {
        state,
        all: is_all,
        kind: ask.read("kind", "a kind such as negative_stock")?,
        shop: ask.read::<ShopId>("shop", "a shop's id")?,
        person: ask.text("owner").map(str::to_owned),
        after,
        limit: ask.limit()?,
    };
    let limit = filter.limit;
    let items = hub.core.store.work_items(filter).await?;
    let next = items.last().filter(|_| items.len() == limit).map(cursor_of);
    let lang = hub.core.lang();
    let items: Vec<Value> = items.iter().map(|item| item.json(lang)).collect();
    json_of(
        &ask.headers,
        &json!({ "items": items, "next_cursor": next }),
    )
}

fn id_of(ask: &Ask) -> Result<[u8; 16], ApiError> {
    sign::from_hex(&ask.name).ok_or_else(unknown)
}

fn unknown() -> ApiError {
    ApiError::new(Code::NotFound, "there is no such work item")
}

/// One of them.
pub(crate) async fn one(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    let id = id_of(&ask)?;
    let (item, history) = hub.core.store.work_item(id).await?.ok_or_else(unknown)?;
    json_of(&ask.headers, &item.json_with(&history, hub.core.lang()))
}

/// Somebody is at it.
pub(crate) async fn acknowledge(
    State(hub): State<Arc<Hub>>,
    ask: Ask,
) -> Result<Response, ApiError> {
    act(&hub, ask, |said, _| match said {
        Said {
            until: None,
            for_s: None,
            ..
        } => Ok(Deed::Acknowledge),
        _ => Err(only_a_note()),
    })
    .await
}

/// It is done.
pub(crate) async fn resolve(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    act(&hub, ask, |said, _| match said {
        Said {
            until: None,
            for_s: None,
            ..
        } => Ok(Deed::Resolve),
        _ => Err(only_a_note()),
    })
    .await
}

fn only_a_note() -> ApiError {
    ApiError::invalid("a note can be said with it, and nothing else")
}

/// Not now.
pub(crate) async fn snooze(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    act(&hub, ask, |said, now| {
        let until = match (&said.until, said.for_s) {
            (Some(text), None) => when::parse_ms(text, &TimeZone::UTC)
                .map(TimeMs)
                .map_err(|_| ApiError::invalid("until is a time such as 2026-11-22T09:14:03Z"))?,
            (None, Some(seconds)) => now.plus(seconds.saturating_mul(1_000)),
            _ => {
                return Err(ApiError::invalid(
                    "say until when, as until or as for_s (seconds)",
                ));
            }
        };
        until_of(now, until)
            .map(Deed::Snooze)
            .map_err(ApiError::invalid)
    })
    .await
}

/// A moment to come back at: to come, and within a month.
pub(crate) fn until_of(now: TimeMs, until: TimeMs) -> Result<TimeMs, &'static str> {
    match until.since(now) {
        1..=MAX_SNOOZE_MS => Ok(until),
        ..=0 => Err("this moment is over"),
        _ => Err("what is put off for more than 30 days is forgotten"),
    }
}

async fn act(
    hub: &Hub,
    ask: Ask,
    deed: impl FnOnce(&Said, TimeMs) -> Result<Deed, ApiError>,
) -> Result<Response, ApiError> {
    let (id, by, headers) = (id_of(&ask)?, ask.by(), ask.headers.clone());
    let body = ask.bytes(MAX_BODY_BYTES).await?;
    // Nothing needs to be said with most deeds.
    let said: Said = if body.is_empty() {
        Said::default()
    } else {
        read_json(&body)?
    };
    let note = said.note.clone().filter(|note| !note.is_empty());
    if note
        .as_ref()
        .is_some_and(|note| note.chars().count() > MAX_NOTE_CHARS)
    {
        return Err(ApiError::invalid(format!(
            "a note has at most {MAX_NOTE_CHARS} characters"
        )));
    }
    let deed = deed(&said, hub.core.now())?;
    let core = &hub.core;
    let done = core.store.act_on_work(by, (id, deed, note));
    match done.await? {
        Done::Is(_) => {}
        Done::Over => return Err(ApiError::new(Code::AlertNotOpen, "")),
        Done::Unknown => return Err(unknown()),
    }
    core.deeds.notify_one();
    core.outbox.notify_waiters();
    let (item, history) = core.store.work_item(id).await?.ok_or_else(unknown)?;
    json_of(&headers, &item.json_with(&history, core.lang()))
}
