//! `/v1/holds` and `/v1/questions`: the web orders that ask this shop, and what it says to them.

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use rusqlite::Connection;
use serde::Deserialize;
use serde_json::{Value, json};
use vitrina_host::sign;
use vitrina_shared::hold::DeclineReason;
use vitrina_shared::{Barcode, Condition, Details, Kind, LegId, MovementId, TimeMs};

use super::movements::BookedJson;
use super::request::{self, Price};
use super::{Api, Problem, body};
use crate::core::now;
use crate::hold_json::{self, HoldJson};
use crate::ledger::hold::{self, HoldRow, No, Which, Whose};
use crate::ledger::{Desk, Force, LedgerError, over_hold, state};
use crate::receipt::{Act, Otherwise, Said, Shop, Verb};

/// How many rows a page has, where nobody says.
const LIMIT: usize = 100;
/// The most that anybody may say.
const MAX_LIMIT: usize = 1_000;

/// Which holds.
#[derive(Deserialize)]
pub(super) struct Page {
    state: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// `POST /v1/holds/{id}/confirm`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfirmRequest {
    /// The code on the piece, where it was scanned.
    pub(crate) barcode: Option<String>,
}

/// `POST /v1/holds/{id}/decline`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeclineRequest {
    /// sold, `not_found`, damaged, showcase or other.
    pub(crate) reason: Option<String>,
}

/// `POST /v1/holds/{id}/fulfil`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FulfilRequest {
    pub(crate) receipt: Option<String>,
    pub(crate) line: Option<u32>,
    pub(crate) till: Option<String>,
    pub(crate) at: Option<String>,
    /// The code as scanned, where it is not the hold's own.
    pub(crate) barcode: Option<String>,
    pub(crate) price: Option<Price>,
    pub(crate) cashier: Option<String>,
    /// The order was cancelled, and its buyer takes the piece all the same.
    #[serde(default)]
    pub(crate) force: bool,
}

/// `POST /v1/questions/{id}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnswerRequest {
    /// order or other.
    pub(crate) whose: String,
    /// Which order's, where several come into question.
    pub(crate) hold: Option<String>,
}

/// What became of a call.
pub(crate) type Told = Result<Value, Box<Problem>>;

/// `GET /v1/holds`: those about which there is something to do, or `?state=all`.
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
    let limit = match page.limit.as_deref().map(str::parse::<usize>) {
        None => LIMIT,
        Some(Ok(limit)) if (1..=MAX_LIMIT).contains(&limit) => limit,
        Some(_) => return Err(Problem::field("limit", format!("1 to {MAX_LIMIT}"))),
    };
    let after = page.cursor.as_deref().map(|text| {
        place(text).ok_or_else(|| Problem::field("cursor", "not from an answer of this list"))
    });
    let after = after.transpose()?;
    let work = move |conn: &Connection| hold::list(conn, which, after, (limit + 1, now()));
    let mut rows = api.core.ledger().db().read(work).await?;
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().filter(|_| has_more);
    let next = last.map(|row| format!("{}-{}", row.leg.terms.created_at.0, row.leg.id));
    let items: Vec<HoldJson> = rows.iter().map(HoldJson::of).collect();
    Ok(axum::Json(json!({"items": items, "next_cursor": next})).into_response())
}

fn place(cursor: &str) -> Option<(TimeMs, LegId)> {
    let (at, leg) = cursor.rsplit_once('-')?;
    Some((TimeMs(at.parse().ok()?), leg.parse().ok()?))
}

/// `GET /v1/holds/{id}`.
pub(super) async fn get(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id = id_of(&id)?;
    let found = api
        .core
        .ledger()
        .db()
        .read(move |conn| hold::one(conn, id))
        .await?;
    let row = found.ok_or_else(|| Problem::no(&No::Unknown))?;
    Ok(axum::Json(HoldJson::of(&row)).into_response())
}

/// `POST /v1/holds/{id}/{action}`.
pub(super) async fn act(
    State(api): State<Api>,
    Path((id, action)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let id = id_of(&id)?;
    let bytes = body::read(&api, &headers, body).await?;
    let told = match action.as_str() {
        "confirm" => {
            let request: ConfirmRequest = body::json_or_nothing(&bytes)?;
            let work = move |conn: &Connection| confirm(conn, id, &request);
            api.core.write(work).await?
        }
        "decline" => {
            let request: DeclineRequest = body::json_or_nothing(&bytes)?;
            let work = move |conn: &Connection| decline(conn, id, &request);
            api.core.write(work).await?
        }
        "fulfil" => {
            let request: FulfilRequest = body::json_or_nothing(&bytes)?;
            let work = move |conn: &Connection| fulfil(conn, id, &request);
            api.core.write(work).await?
        }
        "put_back" => {
            let work = move |conn: &Connection| Ok(told_of(hold::put_back(conn, id, now())?));
            api.core.write(work).await?
        }
        _ => return Err(super::nothing_here()),
    };
    answer(told)
}

/// `GET /v1/questions`.
pub(super) async fn questions(State(api): State<Api>) -> Result<Response, Problem> {
    let rows = api.core.ledger().db().read(hold::questions).await?;
    let items: Vec<Value> = rows.iter().map(hold_json::question).collect();
    Ok(axum::Json(json!({"items": items, "next_cursor": null})).into_response())
}

/// `POST /v1/questions/{id}`.
pub(super) async fn settle(
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let id = id_of(&id)?;
    let bytes = body::read(&api, &headers, body).await?;
    let request: AnswerRequest = body::json(&bytes)?;
    let work = move |conn: &Connection| settled(conn, id, &request);
    answer(api.core.write(work).await?)
}

fn answer(told: Told) -> Result<Response, Problem> {
    match told {
        Ok(value) => Ok(axum::Json(value).into_response()),
        Err(problem) => Err(*problem),
    }
}

/// A hold's id or a leg's, or a movement's.
fn id_of(text: &str) -> Result<[u8; 16], Problem> {
    sign::from_hex(text).ok_or_else(|| Problem::no(&No::Unknown))
}

/// A person has the piece in his hand.
///
/// # Errors
///
/// [`LedgerError`]; nothing is kept.
pub(crate) fn confirm(
    conn: &Connection,
    id: [u8; 16],
    request: &ConfirmRequest,
) -> Result<Told, LedgerError> {
    let scanned = match request.barcode.as_deref().map(str::parse::<Barcode>) {
        None => None,
        Some(Ok(code)) => Some(code),
        Some(Err(error)) => return Ok(refuse(Problem::field("barcode", error.to_string()))),
    };
    let desk = Desk::open(conn, now())?;
    Ok(told_of(hold::confirm(&desk, id, scanned.as_ref())?))
}

/// A person says no.
///
/// # Errors
///
/// [`LedgerError`]; nothing is kept.
pub(crate) fn decline(
    conn: &Connection,
    id: [u8; 16],
    request: &DeclineRequest,
) -> Result<Told, LedgerError> {
    let word = request.reason.as_deref();
    let reason = word.map_or(Some(DeclineReason::Other), DeclineReason::of_word);
    let Some(reason) = reason else {
        let known = DeclineReason::ALL.map(DeclineReason::word).join(", ");
        return Ok(refuse(Problem::field("reason", format!("one of {known}"))));
    };
    Ok(told_of(hold::decline(conn, id, reason, now())?))
}

fn told_of(said: Result<HoldRow, No>) -> Told {
    match said {
        Ok(row) => Ok(json!(HoldJson::of(&row))),
        Err(no) => refuse(Problem::no(&no)),
    }
}

/// The buyer takes the piece: the sale and the shop's word in one commit.
///
/// # Errors
///
/// [`LedgerError`]; nothing is kept.
pub(crate) fn fulfil(
    conn: &Connection,
    id: [u8; 16],
    request: &FulfilRequest,
) -> Result<Told, LedgerError> {
    let Some(row) = hold::one(conn, id)? else {
        return Ok(refuse(Problem::no(&No::Unknown)));
    };
    let shop = Shop::of(conn)?;
    let said = match request.said(&row, &shop) {
        Ok(said) => said,
        Err(problem) => return Ok(refuse(problem)),
    };
    let by_leg = over_hold::call_of(row.leg.id);
    let booking = match said.act(&shop, now(), Otherwise::Call(&by_leg)) {
        Ok(Act::Book(booking)) => booking,
        Ok(Act::Cancel(_)) => return Ok(refuse(Problem::internal())),
        Err(invalid) => return Ok(refuse(invalid.into())),
    };
    let done = hold::fulfil(&mut Desk::open(conn, now())?, id, &booking)?;
    Ok(match done {
        Ok((row, booked)) => {
            state::heartbeat(conn, now())?;
            let mut value = json!(HoldJson::of(&row));
            if let Some(object) = value.as_object_mut() {
                let sale = booked.as_ref().map(BookedJson::of);
                object.insert("sale".to_owned(), json!(sale));
            }
            Ok(value)
        }
        Err(no) => refuse(Problem::no(&no)),
    })
}

impl FulfilRequest {
    fn said(&self, row: &HoldRow, shop: &Shop) -> Result<Said, Problem> {
        let code = match self.barcode.as_deref().map(str::parse::<Barcode>) {
            None => row.code(),
            Some(Ok(code)) => code,
            Some(Err(error)) => return Err(Problem::field("barcode", error.to_string())),
        };
        let at = self.at.as_deref().map(|text| request::time(text, shop));
        let at = at.transpose()?;
        Ok(Said {
            verb: Verb::Move(Kind::Sale),
            code: Some(code),
            condition: Condition::Sellable,
            qty: row.leg.units(),
            // A receipt is of today, where nobody says when.
            at: at.or_else(|| self.receipt.is_some().then(now)),
            till: self.till.clone(),
            receipt: self.receipt.clone(),
            line: self.line.or_else(|| self.receipt.is_some().then_some(1)),
            details: Details {
                price: self.price.map(|price| price.0),
                cashier: self.cashier.as_deref().map(Into::into),
                hold: Some(row.leg.terms.hold),
                ..Details::default()
            },
            force: if self.force {
                Force::Anyway
            } else {
                Force::Rules
            },
        })
    }
}

/// A person says whose a sale over a hold was.
///
/// # Errors
///
/// [`LedgerError`]; nothing is kept.
pub(crate) fn settled(
    conn: &Connection,
    id: [u8; 16],
    request: &AnswerRequest,
) -> Result<Told, LedgerError> {
    let hold = match request.hold.as_deref().map(sign::from_hex::<16>) {
        None => None,
        Some(Some(id)) => Some(id),
        Some(None) => return Ok(refuse(Problem::field("hold", "32 hexadecimal digits"))),
    };
    let whose = match request.whose.as_str() {
        "order" => Whose::Order(hold),
        "other" if hold.is_none() => Whose::Other,
        "other" => {
            let neither = "of a sale to somebody else no hold is named";
            return Ok(refuse(Problem::field("hold", neither)));
        }
        _ => return Ok(refuse(Problem::field("whose", "order or other"))),
    };
    let said = hold::settle(conn, MovementId(id), whose, now())?;
    Ok(match said {
        Ok(row) => Ok(hold_json::question(&row)),
        Err(No::Unknown) if hold.is_none() => refuse(Problem::new(
            axum::http::StatusCode::NOT_FOUND,
            "not_found",
            "there is no such question, or no order left that it may be about",
        )),
        Err(no) => refuse(Problem::no(&no)),
    })
}

fn refuse(problem: Problem) -> Told {
    Err(Box::new(problem))
}
