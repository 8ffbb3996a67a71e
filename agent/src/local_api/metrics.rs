//! `GET /metrics`: a few numbers in Prometheus' text form.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::{Api, Problem};
use crate::status;

/// The handler.
pub(super) async fn get(State(api): State<Api>) -> Result<Response, Problem> {
    let core = api.core.clone();
    let status = tokio::task::spawn_blocking(move || status::of(&core)).await;
    let status = status.map_err(|_| Problem::internal())??;
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, value: i64| {
        // Writing into a `String` cannot fail.
        let _ = write!(
            text,
            "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n"
        );
    };
    let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    gauge(
        "vitrina_agent_pending_movements",
        "Movements that the hub has not acknowledged.",
        count(status.pending),
    );
    gauge(
        "vitrina_agent_quarantined",
        "Open records in quarantine.",
        count(status.quarantined),
    );
    gauge(
        "vitrina_agent_disagreements",
        "Barcodes on which 1C and ledger disagree.",
        count(status.disagreements),
    );
    gauge(
        "vitrina_agent_connected",
        "1 while the hub answers.",
        i64::from(status.hub.is_connected()),
    );
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}
