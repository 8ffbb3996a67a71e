//! The shop's local API for terminals: book a movement or a receipt, look a barcode up, answer web orders, prove that
//! the 1C is alive; and the page, which is a terminal too.
//!
//! Thin: decode, admit, call the ledger, encode. Loopback unless the admin says otherwise; behind a terminal's token;
//! no CORS, and foreign `Host` and `Origin` are refused, so that a web page on the shop PC cannot sell.

mod admit;
pub(crate) mod body;
mod cookie;
pub(crate) mod holds;
mod metrics;
pub(crate) mod movements;
mod page;
mod pairing;
pub(crate) mod problem;
pub(crate) mod receipts;
pub(crate) mod request;
mod serve;
mod stock;
pub(crate) mod transfers;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use vitrina_host::bodies::Bodies;
use vitrina_host::output::Lang;

use crate::core::{Core, now};
use crate::ledger::state;
use crate::status;

pub(crate) use admit::Gate;
pub(crate) use problem::Problem;
pub(crate) use serve::serve;

/// What every handler is given.
#[derive(Clone)]
pub(crate) struct Api {
    core: Core,
    gate: Arc<Gate>,
    bodies: Arc<Bodies>,
    lang: Lang,
}

/// The routes; the page is in `lang` until somebody there chooses another.
pub(crate) fn router(core: Core, gate: Gate, lang: Lang) -> Router {
    let api = Api {
        bodies: Arc::new(Bodies::new(core.config().limits.bodies_mib)),
        core,
        gate: Arc::new(gate),
        lang,
    };
    let behind_token = Router::new()
        .route("/v1/movements", post(movements::post))
        .route("/v1/receipts", post(receipts::post))
        .route("/v1/source/heartbeat", post(heartbeat))
        .route("/v1/stock", get(stock::of_article))
        .route("/v1/stock/{barcode}", get(stock::get))
        .route("/v1/holds", get(holds::list))
        .route("/v1/holds/{id}", get(holds::get))
        .route("/v1/holds/{id}/{action}", post(holds::act))
        .route("/v1/transfers", get(transfers::list))
        .route("/v1/transfers/{action}", post(transfers::act))
        .route("/v1/questions", get(holds::questions))
        .route("/v1/questions/{id}", post(holds::settle))
        .route("/v1/status", get(status_of))
        .route("/metrics", get(metrics::get))
        .route_layer(middleware::from_fn_with_state(api.clone(), admit::token));
    Router::new()
        .merge(behind_token)
        .route(
            "/healthz",
            get(async || axum::Json(json!({"status": "ok"}))),
        )
        .route("/", get(page::get))
        .route("/page/{file}", get(page::file))
        .route("/v1/pairing", post(pairing::post))
        .fallback(async || nothing_here())
        .method_not_allowed_fallback(async || {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "this path has other methods",
            )
        })
        .layer(middleware::from_fn_with_state(
            api.clone(),
            admit::neighbour,
        ))
        .with_state(api)
}

fn nothing_here() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here")
}

/// `POST /v1/source/heartbeat`: the shop's 1C is alive and has nothing new.
async fn heartbeat(State(api): State<Api>) -> Result<Response, Problem> {
    let at = now();
    let as_of = api
        .core
        .write(move |conn| {
            state::heartbeat(conn, at)?;
            state::source(conn)
        })
        .await?;
    let text = as_of
        .as_of
        .map(|as_of| vitrina_host::when::rfc3339_ms(as_of.0));
    Ok(axum::Json(json!({"source_as_of": text})).into_response())
}

/// `GET /v1/status`.
async fn status_of(State(api): State<Api>) -> Result<Response, Problem> {
    let core = api.core.clone();
    let status = tokio::task::spawn_blocking(move || status::of(&core)).await;
    let status = status.map_err(|_| Problem::internal())??;
    Ok(axum::Json(status).into_response())
}
