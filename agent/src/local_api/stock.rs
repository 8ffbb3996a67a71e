//! `GET /v1/stock/{barcode}` and `GET /v1/stock?article=`: what is here, and where else it is.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use rusqlite::Connection;
use serde::Deserialize;
use serde_json::json;
use vitrina_shared::Barcode;

use super::{Api, Problem};
use crate::core::now;
use crate::ledger::{Desk, LedgerError, article, others, query};
use crate::stock_json::{OtherJson, StockJson};

/// The most barcodes of an article.
const MAX_ITEMS: usize = 100;

/// What is looked for.
#[derive(Deserialize)]
pub(super) struct Wanted {
    article: Option<String>,
}

/// The handler of one barcode.
pub(super) async fn get(
    State(api): State<Api>,
    Path(text): Path<String>,
) -> Result<Response, Problem> {
    let unknown = || {
        Problem::new(
            StatusCode::NOT_FOUND,
            "unknown_barcode",
            format!("nobody knows {text:?}"),
        )
    };
    let code: Barcode = text.parse().map_err(|_| unknown())?;
    let found = api
        .core
        .ledger()
        .db()
        .read(move |conn| {
            let barcode = Desk::open(conn, now())?.resolve(&code)?;
            one(conn, &barcode)
        })
        .await?;
    Ok(axum::Json(found.ok_or_else(unknown)?).into_response())
}

/// The handler of an article: an item for each barcode that the catalogue or this shop knows of it.
pub(super) async fn of_article(
    State(api): State<Api>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let Some(text) = wanted.article.filter(|text| !text.trim().is_empty()) else {
        return Err(Problem::field("article", "say which article"));
    };
    let article = text.clone();
    let items = api
        .core
        .ledger()
        .db()
        .read(move |conn| {
            let barcodes = article::barcodes(conn, &article, MAX_ITEMS)?;
            let items = barcodes.iter().map(|barcode| one(conn, barcode));
            items
                .filter_map(Result::transpose)
                .collect::<Result<Vec<_>, _>>()
        })
        .await?;
    if items.is_empty() {
        let nobody = format!("nobody knows the article {text:?}");
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            "unknown_article",
            nobody,
        ));
    }
    Ok(axum::Json(json!({"items": items, "next_cursor": null})).into_response())
}

/// What is known of a barcode; nothing where neither this shop, nor the catalogue, nor another shop does.
fn one(conn: &Connection, barcode: &Barcode) -> Result<Option<StockJson>, LedgerError> {
    let row = query::stock_one(conn, barcode)?;
    let elsewhere = others::of(conn, barcode)?;
    if row.is_none() && elsewhere.is_empty() {
        return Ok(None);
    }
    let others = elsewhere.iter().map(OtherJson::of).collect();
    Ok(Some(match row {
        Some(row) => StockJson::of(&row, Some(others)),
        None => StockJson::nothing(barcode, Some(others)),
    }))
}
