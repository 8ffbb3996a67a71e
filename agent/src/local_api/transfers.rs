//! `/v1/transfers`: what is to be sent and what is on its way here; a parcel goes out or comes in by a scan.

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vitrina_host::when;
use vitrina_shared::{Barcode, ShopId, TimeMs};

use super::movements::{self, Answer};
use super::request::MovementRequest;
use super::{Api, Problem, body};
use crate::core::{now, shop_zone};
use crate::ledger::reply::{self, ReplyKey};
use crate::ledger::transfer::{self, No, Parcel, TransferRow, Which};
use crate::ledger::{Desk, LedgerError, hold, others, state};
use crate::transfer_json::TransferJson;

/// `GET /v1/transfers`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    state: Option<String>,
}

/// `POST /v1/transfers/ship`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ShipRequest {
    /// The code as scanned.
    pub(crate) barcode: String,
    /// How many; 1.
    pub(crate) qty: Option<i64>,
    /// Where it goes; a piece that the hub asks for goes where the hub says.
    pub(crate) to: Option<String>,
    /// The document; what leaves for one shop on one day is one transfer otherwise.
    pub(crate) transfer: Option<String>,
    /// The order whose piece it is.
    pub(crate) hold: Option<String>,
    /// sellable or unavailable.
    pub(crate) condition: Option<String>,
    /// When; now.
    pub(crate) at: Option<String>,
}

/// `POST /v1/transfers/receive`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ReceiveRequest {
    /// The code as scanned.
    pub(crate) barcode: String,
    /// How many; 1.
    pub(crate) qty: Option<i64>,
    /// The transfer's id or document; the one that waits for the piece otherwise.
    pub(crate) transfer: Option<String>,
    /// Who sent it, where the hub has not told of it yet.
    pub(crate) from: Option<String>,
    /// It cannot be sold as it came.
    pub(crate) damaged: bool,
    /// Takes in what is not awaited all the same.
    pub(crate) force: bool,
    /// When; now.
    pub(crate) at: Option<String>,
}

/// `POST /v1/transfers/cancel`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CancelRequest {
    /// The transfer's id or document.
    pub(crate) transfer: String,
    /// Only this of it.
    pub(crate) barcode: Option<String>,
}

/// The handler of the list: what somebody waits for, or `?state=all`.
pub(super) async fn list(
    State(api): State<Api>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(page) = page.map_err(|error| Problem::field("query", error.body_text()))?;
    let which = match page.state.as_deref() {
        None | Some("open") => Which::Open,
        Some("all") => Which::All,
        Some(_) => return Err(Problem::field("state", "open or all")),
    };
    let items = api
        .core
        .ledger()
        .db()
        .read(move |conn| items(conn, which))
        .await?;
    Ok(axum::Json(json!({"items": items, "next_cursor": null})).into_response())
}

/// What is to be sent, then what is on its way.
///
/// # Errors
///
/// [`LedgerError`].
pub(crate) fn items(conn: &Connection, which: Which) -> Result<Vec<TransferJson>, LedgerError> {
    let shop = state::shop(conn)?.ok_or(LedgerError::NotEnrolled)?;
    let asked = hold::to_ship(conn)?;
    let asked = asked.iter().map(|(row, to)| TransferJson::asked(row, to));
    let rows = transfer::list(conn, which)?;
    let is_meant = |row: &&TransferRow| which == Which::All || row.is_open_at(&shop);
    let known = rows.iter().filter(is_meant);
    let known = known.map(|row| TransferJson::of(row, shop.as_str()));
    let mut items: Vec<TransferJson> = asked.chain(known).collect();
    for item in &mut items {
        let with = if item.direction == "out" {
            &item.to
        } else {
            &item.from
        };
        if let Some(with) = with {
            item.with_name = others::name(conn, with)?;
        }
    }
    Ok(items)
}

/// `POST /v1/transfers/{action}`.
pub(super) async fn act(
    State(api): State<Api>,
    Path(action): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let bytes = body::read(&api, &headers, body).await?;
    let key = movements::idempotency_key(&headers);
    let answer = match action.as_str() {
        "ship" => {
            let (request, key): (ShipRequest, _) = (body::json(&bytes)?, named(key?)?);
            let work = move |conn: &Connection| ship(conn, &request, &key);
            api.core.write(work).await?
        }
        "receive" => {
            let (request, key): (ReceiveRequest, _) = (body::json(&bytes)?, named(key?)?);
            let work = move |conn: &Connection| receive(conn, &request, &key);
            api.core.write(work).await?
        }
        "cancel" => {
            let request: CancelRequest = body::json(&bytes)?;
            let work = move |conn: &Connection| cancel(conn, &request);
            return match api.core.write(work).await? {
                Ok(value) => Ok(axum::Json(value).into_response()),
                Err(problem) => Err(*problem),
            };
        }
        _ => return Err(super::nothing_here()),
    };
    Ok(answer.into_response())
}

fn named(key: Option<String>) -> Result<String, Problem> {
    key.ok_or_else(movements::missing_key)
}

/// Sends a piece: the movement and what it does to the order whose piece it is, in one commit.
///
/// # Errors
///
/// [`LedgerError`]; nothing is kept.
pub(crate) fn ship(
    conn: &Connection,
    request: &ShipRequest,
    key: &str,
) -> Result<Answer, LedgerError> {
    if let Some(again) = again(conn, request, key)? {
        return Ok(again);
    }
    let to = match (&request.to, request.hold.as_deref()) {
        (Some(to), _) => Some(to.clone()),
        (None, Some(hold)) => hold::destination(conn, hold)?,
        (None, None) => None,
    };
    let Some(to) = to else {
        return Ok(Answer::refuse(Problem::field(
            "to",
            "to which shop it goes",
        )));
    };
    let day = when::local_day(now().0, &shop_zone(conn)?);
    let movement = MovementRequest {
        transfer: Some(match &request.transfer {
            Some(document) => document.clone(),
            None => format!("{to}-{day}"),
        }),
        to: Some(to),
        hold: request.hold.clone(),
        condition: request.condition.clone(),
        at: request.at.clone(),
        ..MovementRequest::of("transfer_out", &request.barcode, request.qty.unwrap_or(1))
    };
    movements::book_as(conn, &movement, key, movements::content_hash(request))
}

/// Takes a piece in.
///
/// # Errors
///
/// [`LedgerError`]; nothing is kept.
pub(crate) fn receive(
    conn: &Connection,
    request: &ReceiveRequest,
    key: &str,
) -> Result<Answer, LedgerError> {
    if let Some(again) = again(conn, request, key)? {
        return Ok(again);
    }
    let refuse = |field, words: String| Ok(Answer::refuse(Problem::field(field, words)));
    let code: Barcode = match request.barcode.parse() {
        Ok(code) => code,
        Err(error) => return refuse("barcode", format!("{error}")),
    };
    let from = match request.from.as_deref().map(str::parse::<ShopId>) {
        None => None,
        Some(Ok(from)) => Some(from),
        Some(Err(error)) => return refuse("from", error.to_string()),
    };
    let qty = request.qty.unwrap_or(1);
    let parcel = Parcel {
        transfer: request.transfer.clone().filter(|text| !text.is_empty()),
        from,
        insists: request.force,
    };
    let desk = Desk::open(conn, now())?;
    let pairing = match transfer::receive(&desk, &code, qty, &parcel)? {
        Ok(pairing) => pairing,
        Err(no) => return Ok(Answer::refuse(problem(&no))),
    };
    let movement = MovementRequest {
        transfer: Some(pairing.transfer),
        from: Some(pairing.from),
        hold: pairing.hold.map(|hold| hold.to_string()),
        condition: request.damaged.then(|| "unavailable".to_owned()),
        at: request.at.clone(),
        ..MovementRequest::of("transfer_in", &request.barcode, qty)
    };
    movements::book_as(conn, &movement, key, movements::content_hash(request))
}

/// What was said under the key before.
fn again(
    conn: &Connection,
    request: &impl Serialize,
    key: &str,
) -> Result<Option<Answer>, LedgerError> {
    let hash = movements::content_hash(request);
    let stored = reply::find(conn, &ReplyKey::call(key))?;
    Ok(stored.map(|stored| Answer::stored(stored, hash)))
}

/// Takes back what was sent, before any of it came. Twice is once.
///
/// # Errors
///
/// [`LedgerError`]; nothing is kept.
pub(crate) fn cancel(
    conn: &Connection,
    request: &CancelRequest,
) -> Result<Result<Value, Box<Problem>>, LedgerError> {
    let only = match request.barcode.as_deref().map(str::parse::<Barcode>) {
        None => None,
        Some(Ok(code)) => Some(code),
        Some(Err(error)) => {
            return Ok(Err(Box::new(Problem::field("barcode", error.to_string()))));
        }
    };
    let mut desk = Desk::open(conn, now())?;
    Ok(
        match transfer::cancel(&mut desk, &request.transfer, only.as_ref())? {
            Ok(voids) => {
                let ids: Vec<String> = voids.iter().map(|void| void.id.to_string()).collect();
                Ok(json!({"transfer": request.transfer, "cancelled": ids.len(), "voids": ids}))
            }
            Err(no) => Err(Box::new(problem(&no))),
        },
    )
}

/// Why a parcel is not taken, in words.
fn problem(no: &No) -> Problem {
    let conflict = |code, words: String| Problem::new(StatusCode::CONFLICT, code, words);
    let list = |rows: &[TransferRow]| -> Value {
        let one = |row: &TransferRow| json!({"id": row.id.to_string(), "document": row.document, "from": row.from, "since": when_of(row.since)});
        rows.iter().map(one).collect()
    };
    match no {
        No::NotAwaited => conflict(
            "not_awaited",
            "no transfer to this shop waits for this piece: say \"transfer\" and \"from\" as the papers have them".to_owned(),
        ),
        No::NotSent(row, left) => {
            let name = row.document.clone().unwrap_or_else(|| row.id.to_string());
            conflict(
                "other_than_sent",
                format!("transfer {name} waits for {left} of this piece: look again; \"force\" takes it in all the same, and head office is told"),
            )
            .with("awaited", json!(left))
            .with("transfer", list(std::slice::from_ref(row)))
        }
        No::Which(rows) => conflict(
            "which_transfer",
            "several transfers wait for this piece: say which in \"transfer\"".to_owned(),
        )
        .with("transfers", list(rows)),
        No::Sender => Problem::field("from", "nothing is known of this transfer yet: say which shop sent it"),
        No::Unknown => Problem::new(StatusCode::NOT_FOUND, "unknown_transfer", "this shop sent no such transfer"),
        No::Received(row) => {
            let name = row.document.clone().unwrap_or_else(|| row.id.to_string());
            conflict(
                "transfer_received",
                format!("some of transfer {name} has come already: what comes back is a transfer of its own"),
            )
        }
        No::Refused(refusal) => Problem::refused(refusal),
    }
}

fn when_of(at: TimeMs) -> String {
    when::rfc3339_ms(at.0)
}
