//! `POST /v1/receipts`: all lines of a receipt in one commit, or none.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use rusqlite::Connection;
use serde::Serialize;

use super::movements::{Answer, BookedJson, content_hash, idempotency_key, tillless};
use super::request::ReceiptRequest;
use super::{Api, Problem, body};
use crate::core::now;
use crate::ledger::reply::{self, ReplyKey, Stored};
use crate::ledger::{AllOrNone, Booking, Desk, LedgerError, Outcome};
use crate::receipt::{Act, Invalid, Otherwise, Said, Shop};

/// The most lines of one receipt.
const MAX_LINES: usize = 1_000;

#[derive(Serialize)]
struct ReceiptJson<'a> {
    receipt: &'a str,
    lines: Vec<LineJson>,
}

#[derive(Serialize)]
struct LineJson {
    line: u32,
    #[serde(flatten)]
    booked: BookedJson,
}

/// The handler.
pub(super) async fn post(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let bytes = body::read(&api, &headers, body).await?;
    let request: ReceiptRequest = body::json(&bytes)?;
    if request.lines.is_empty() || request.lines.len() > MAX_LINES {
        return Err(Problem::field(
            "lines",
            format!("a receipt has 1 to {MAX_LINES} lines"),
        ));
    }
    let key = idempotency_key(&headers)?;
    let answer = api
        .core
        .write(move |conn| book(conn, &request, key.as_deref()))
        .await?;
    Ok(answer.into_response())
}

/// Books all lines of a receipt, or none; the answer is kept with them.
///
/// # Errors
///
/// [`LedgerError`]; then nothing of it is kept. A refusal is an answer.
pub(crate) fn book(
    conn: &Connection,
    request: &ReceiptRequest,
    key: Option<&str>,
) -> Result<Answer, LedgerError> {
    let answer = booked(conn, request, key)?;
    answer.prove_source(conn)?;
    Ok(answer)
}

fn booked(
    conn: &Connection,
    request: &ReceiptRequest,
    key: Option<&str>,
) -> Result<Answer, LedgerError> {
    let shop = Shop::of(conn)?;
    let hash = content_hash(request);
    if let Some(key) = key
        && let Some(stored) = reply::find(conn, &ReplyKey::call(key))?
    {
        return Ok(Answer::stored(stored, hash));
    }
    let prepared = request
        .said(&shop)
        .and_then(|lines| bookings(&lines, &shop).map(|bookings| (lines, bookings)));
    let (lines, bookings) = match prepared {
        Ok(prepared) => prepared,
        Err((line, invalid)) => return Ok(Answer::refuse(of_line(line, invalid))),
    };
    let named = whole(&lines).and_then(|whole| {
        let key = whole.reply_key(&shop);
        key.map(|key| (whole, key))
            .map_err(|invalid| (usize::MAX, invalid))
    });
    let (whole, natural) = match named {
        Ok(named) => named,
        Err((line, invalid)) => return Ok(Answer::refuse(of_line(line, invalid))),
    };
    if let Some(stored) = reply::find(conn, &natural)?.filter(|stored| stored.request == hash) {
        return Ok(Answer::Again(stored.status, stored.body));
    }
    let outcomes = match Desk::open(conn, now())?.book_all(&bookings)? {
        AllOrNone::Booked(outcomes) => outcomes,
        AllOrNone::Refused { line, refusal } => {
            return Ok(Answer::refuse(
                Problem::refused(&refusal).with("line", number(&lines, line).into()),
            ));
        }
    };
    let is_new = outcomes
        .iter()
        .any(|outcome| matches!(outcome, Outcome::Booked(_)));
    let answer = ReceiptJson {
        receipt: &request.receipt,
        lines: lines.iter().zip(&outcomes).filter_map(line_json).collect(),
    };
    let mut body = serde_json::to_vec(&answer).unwrap_or_default();
    if !is_new {
        body = tillless(conn, &whole, &shop, hash)?.unwrap_or(body);
    }
    let stored = Stored {
        request: hash,
        status: 201,
        body: body.clone(),
    };
    reply::keep(conn, &natural, &stored)?;
    if let Some(key) = key {
        reply::keep(conn, &ReplyKey::call(key), &stored)?;
    }
    Ok(if is_new {
        Answer::Made(body)
    } else {
        Answer::Again(201, body)
    })
}

fn line_json((said, outcome): (&Said, &Outcome)) -> Option<LineJson> {
    match outcome {
        Outcome::Booked(booked) | Outcome::Duplicate(booked) => Some(LineJson {
            line: said.line.unwrap_or(0),
            booked: BookedJson::of(booked),
        }),
        Outcome::Refused(_) => None,
    }
}

/// The bookings of the lines; each line of a receipt has a number of its own per type.
fn bookings(lines: &[Said], shop: &Shop) -> Result<Vec<Booking>, (usize, Invalid)> {
    let mut seen = BTreeSet::new();
    let mut bookings = Vec::with_capacity(lines.len());
    for (index, said) in lines.iter().enumerate() {
        match said
            .act(shop, now(), Otherwise::Nobody)
            .map_err(|invalid| (index, invalid))?
        {
            Act::Book(booking) if seen.insert((booking.kind, said.line)) => bookings.push(booking),
            Act::Book(_) => {
                return Err((
                    index,
                    Invalid::new("bad_line_number", "line", "two lines have this number"),
                ));
            }
            Act::Cancel(_) => {
                let one = "a line is cancelled by POST /v1/movements";
                return Err((index, Invalid::new("unknown_type", "type", one)));
            }
        }
    }
    Ok(bookings)
}

/// What stands for the receipt itself: till, number and day.
fn whole(lines: &[Said]) -> Result<Said, (usize, Invalid)> {
    let first = lines.first().ok_or((
        usize::MAX,
        Invalid::new("receipt_missing", "lines", "a receipt has lines"),
    ))?;
    Ok(Said {
        verb: crate::receipt::Verb::Cancel,
        line: Some(u32::MAX),
        ..first.clone()
    })
}

fn number(lines: &[Said], index: usize) -> u32 {
    lines.get(index).and_then(|said| said.line).unwrap_or(0)
}

fn of_line(index: usize, invalid: Invalid) -> Problem {
    if index == usize::MAX || matches!(invalid.field, "till" | "receipt" | "at") {
        return Problem::field(invalid.field, invalid.message);
    }
    Problem::field(format!("lines[{index}].{}", invalid.field), invalid.message)
}
