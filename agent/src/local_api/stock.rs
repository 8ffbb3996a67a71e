//! `GET /v1/stock/{barcode}`: what is here, and where else it is.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use vitrina_shared::Barcode;

use super::{Api, Problem};
use crate::core::now;
use crate::ledger::{Desk, others, query};
use crate::stock_json::{OtherJson, StockJson};

/// The handler.
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
            let row = query::stock_one(conn, &barcode)?;
            let elsewhere = others::of(conn, &barcode)?;
            if row.is_none() && elsewhere.is_empty() {
                return Ok::<_, crate::ledger::LedgerError>(None);
            }
            let others = elsewhere.iter().map(OtherJson::of).collect();
            Ok(Some(match row {
                Some(row) => StockJson::of(&row, Some(others)),
                None => StockJson::nothing(&barcode, Some(others)),
            }))
        })
        .await?;
    Ok(axum::Json(found.ok_or_else(unknown)?).into_response())
}
