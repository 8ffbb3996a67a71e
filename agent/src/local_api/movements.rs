//! `POST /v1/movements`: one movement, durable when it is answered, once however often it is asked for.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rusqlite::Connection;
use serde::Serialize;
use serde_json::json;
use vitrina_host::sign;
use vitrina_shared::movement::MAX_KEY_TEXT_BYTES;

use super::request::MovementRequest;
use super::{Api, Problem, body};
use crate::core::now;
use crate::ledger::reply::{self, ReplyKey, Stored};
use crate::ledger::{Booked, Desk, LedgerError, Outcome, state};
use crate::receipt::{Otherwise, Said, Shop};

/// What became of a call.
pub(crate) enum Answer {
    /// Done now.
    Made(Vec<u8>),
    /// Done before; this is what was said then.
    Again(u16, Vec<u8>),
    /// Not done.
    Refused(Box<Problem>),
}

/// One booked movement, as the API says it.
#[derive(Serialize)]
pub(super) struct BookedJson {
    id: String,
    replica: String,
    seq: u64,
    barcode: String,
    on_hand: i64,
    available: i64,
    /// What names the transfer, of a movement of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer: Option<Box<str>>,
}

impl BookedJson {
    pub(super) fn of(booked: &Booked) -> Self {
        Self {
            id: booked.id.to_string(),
            replica: booked.replica.to_string(),
            seq: booked.seq.0,
            barcode: booked.barcode.to_string(),
            on_hand: booked.level.on_hand,
            available: booked.level.available(),
            transfer: None,
        }
    }
}

/// The handler.
pub(super) async fn post(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let bytes = body::read(&api, &headers, body).await?;
    let request: MovementRequest = body::json(&bytes)?;
    let key = idempotency_key(&headers)?;
    let answer = api
        .core
        .write(move |conn| book(conn, &request, key.as_deref()))
        .await?;
    Ok(answer.into_response())
}

/// The `Idempotency-Key`, where there is one.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let text = value.to_str().map(str::trim).unwrap_or_default();
    if text.is_empty() || text.len() > MAX_KEY_TEXT_BYTES {
        let wrong = format!("an Idempotency-Key is 1 to {MAX_KEY_TEXT_BYTES} visible characters");
        return Err(Problem::field("Idempotency-Key", wrong));
    }
    Ok(Some(text.to_owned()))
}

/// Books what was asked for, in one job; the answer is kept with it. A call that is not refused proves the source.
///
/// # Errors
///
/// [`LedgerError`]; then nothing of it is kept. A refusal is an answer.
pub(crate) fn book(
    conn: &Connection,
    request: &MovementRequest,
    key: Option<&str>,
) -> Result<Answer, LedgerError> {
    let answer = booked(conn, request, key, content_hash(request))?;
    answer.prove_source(conn)?;
    Ok(answer)
}

/// Books a movement that another call than `POST /v1/movements` stands for: the key is that call's, of this content.
///
/// # Errors
///
/// As [`book`].
pub(super) fn book_as(
    conn: &Connection,
    request: &MovementRequest,
    key: &str,
    hash: [u8; 32],
) -> Result<Answer, LedgerError> {
    let answer = booked(conn, request, Some(key), hash)?;
    answer.prove_source(conn)?;
    Ok(answer)
}

fn booked(
    conn: &Connection,
    request: &MovementRequest,
    key: Option<&str>,
    hash: [u8; 32],
) -> Result<Answer, LedgerError> {
    let shop = Shop::of(conn)?;
    let said = match request.said(&shop) {
        Ok(said) => said,
        Err(invalid) => return Ok(Answer::refuse(invalid)),
    };
    if !said.is_natural() && key.is_none() {
        return Ok(Answer::refuse(missing_key()));
    }
    if let Some(key) = key
        && let Some(stored) = reply::find(conn, &ReplyKey::call(key))?
    {
        return Ok(Answer::stored(stored, hash));
    }
    let otherwise = key.map_or(Otherwise::Nobody, Otherwise::Call);
    let kept = match keys(&said, &shop, key) {
        Ok(kept) => kept,
        Err(invalid) => return Ok(Answer::refuse(invalid)),
    };
    if let Some(Kept { key, content }) = kept.iter().find(|kept| kept.content == Content::OfLine)
        && let Some(stored) = reply::find(conn, key)?
        && stored.request == content.hash(&said, hash)
    {
        return Ok(Answer::Again(stored.status, stored.body));
    }
    let act = match said.act(&shop, now(), otherwise) {
        Ok(act) => act,
        Err(invalid) => return Ok(Answer::refuse(invalid)),
    };
    let mut desk = Desk::open(conn, now())?;
    let (booked, is_new) = match act.perform(&mut desk)? {
        Outcome::Booked(booked) => (booked, true),
        Outcome::Duplicate(booked) => (booked, false),
        Outcome::Refused(refusal) => return Ok(Answer::refuse(Problem::refused(&refusal))),
    };
    let body = BookedJson {
        transfer: said.details.transfer.clone(),
        ..BookedJson::of(&booked)
    };
    let mut body = serde_json::to_vec(&body).unwrap_or_default();
    if !is_new && said.is_natural() {
        let hash = Content::OfLine.hash(&said, hash);
        body = tillless(conn, &said, &shop, hash)?
            .filter(|told| is_of(told, &booked))
            .unwrap_or(body);
    }
    for Kept { key, content } in kept {
        let stored = Stored {
            request: content.hash(&said, hash),
            status: 201,
            body: body.clone(),
        };
        reply::keep(conn, &key, &stored)?;
    }
    Ok(if is_new {
        Answer::Made(body)
    } else {
        Answer::Again(201, body)
    })
}

/// What was said to a call of this content before any receipt had named a till.
pub(super) fn tillless(
    conn: &Connection,
    said: &Said,
    shop: &Shop,
    hash: [u8; 32],
) -> Result<Option<Vec<u8>>, LedgerError> {
    let tillless = Said {
        till: Some(String::new()),
        ..said.clone()
    };
    let Ok(key) = tillless.reply_key(shop) else {
        return Ok(None);
    };
    let stored = reply::find(conn, &key)?.filter(|stored| stored.request == hash);
    Ok(stored.map(|stored| stored.body))
}

/// Whether an answer is about this movement.
fn is_of(told: &[u8], booked: &Booked) -> bool {
    let told = serde_json::from_slice::<serde_json::Value>(told).unwrap_or_default();
    told.get("id") == Some(&json!(booked.id.to_string()))
}

/// Under which name an answer is kept, and for which content.
struct Kept {
    key: ReplyKey,
    content: Content,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    /// The whole request belongs to the key.
    OfCall,
    /// Only what the id is made of belongs to a receipt line: the rest may be told better the second time.
    OfLine,
}

impl Content {
    fn hash(self, said: &Said, whole: [u8; 32]) -> [u8; 32] {
        match self {
            Self::OfCall => whole,
            Self::OfLine => {
                let code = said.code.as_ref().map_or("", |code| code.as_str());
                sign::sha256(format!("{code}\0{}\0{}", said.qty, said.condition).as_bytes())
            }
        }
    }
}

fn keys(said: &Said, shop: &Shop, key: Option<&str>) -> Result<Vec<Kept>, crate::receipt::Invalid> {
    let mut kept = Vec::with_capacity(2);
    if said.is_natural() {
        kept.push(Kept {
            key: said.reply_key(shop)?,
            content: Content::OfLine,
        });
    }
    if let Some(key) = key {
        kept.push(Kept {
            key: ReplyKey::call(key),
            content: Content::OfCall,
        });
    }
    Ok(kept)
}

/// 400: nothing says which call this is.
pub(super) fn missing_key() -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "missing_idempotency_key",
        "give an Idempotency-Key, or receipt, line and at, which then are the identity",
    )
}

/// The hash of what a request says, whatever its blanks and the order of its members.
pub(crate) fn content_hash(request: &impl Serialize) -> [u8; 32] {
    sign::sha256(&serde_json::to_vec(request).unwrap_or_default())
}

impl Answer {
    /// Not done.
    pub(super) fn refuse(problem: impl Into<Problem>) -> Self {
        Self::Refused(Box::new(problem.into()))
    }

    /// Who is answered is alive: the call proves the shop's source up to now. What is refused proves nothing.
    pub(super) fn prove_source(&self, conn: &Connection) -> Result<(), LedgerError> {
        match self {
            Self::Made(_) | Self::Again(..) => state::heartbeat(conn, now()),
            Self::Refused(_) => Ok(()),
        }
    }

    /// What was said under an idempotency key, if it was about the same.
    pub(super) fn stored(stored: Stored, hash: [u8; 32]) -> Self {
        if stored.request == hash {
            return Self::Again(stored.status, stored.body);
        }
        let other = "this Idempotency-Key was used for another request";
        Self::refuse(
            Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "duplicate_key_mismatch",
                other,
            )
            .with("errors", json!([])),
        )
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let (status, body, is_again) = match self {
            Self::Made(body) => (StatusCode::CREATED, body, false),
            Self::Again(status, body) => (
                StatusCode::from_u16(status).unwrap_or(StatusCode::CREATED),
                body,
                true,
            ),
            Self::Refused(problem) => return problem.into_response(),
        };
        let mut response = (status, Bytes::from(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if is_again {
            headers.insert("idempotency-replayed", HeaderValue::from_static("true"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_content_has_the_same_hash_however_it_is_written() {
        let one: MovementRequest =
            serde_json::from_str(r#"{"type":"sale","barcode":"a","qty":1,"price":"5"}"#).unwrap();
        let other: MovementRequest = serde_json::from_str(
            r#"{ "qty": 1, "price": {"amount":"5.00","currency":"RUB"}, "barcode": "a", "type": "sale", "till": null }"#,
        )
        .unwrap();
        assert_eq!(content_hash(&one), content_hash(&other));
    }

    #[test]
    fn a_key_used_for_another_request_is_a_mistake() {
        let stored = || Stored {
            request: [1; 32],
            status: 201,
            body: b"{}".to_vec(),
        };
        assert!(matches!(
            Answer::stored(stored(), [1; 32]),
            Answer::Again(201, _)
        ));
        assert!(matches!(
            Answer::stored(stored(), [2; 32]),
            Answer::Refused(_)
        ));
    }
}
