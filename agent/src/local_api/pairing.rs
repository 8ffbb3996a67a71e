//! `POST /v1/pairing`: a page shows the six digits that `terminal add` printed, once, and is a terminal from then on.

use std::time::Instant;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use vitrina_host::sign;

use super::serve::Peer;
use super::{Api, Problem, body, cookie};
use crate::core::now;
use crate::identity::new_token;
use crate::ledger::terminal;

/// How many digits a code has.
const DIGITS: usize = 6;

/// What a page sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PairingRequest {
    code: String,
}

/// The handler. The token goes into the cookie and nowhere else: the page's scripts need not know it.
pub(super) async fn post(
    State(api): State<Api>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let bytes = body::read(&api, &headers, body).await?;
    let PairingRequest { code } = body::json(&bytes)?;
    if code.len() != DIGITS || !code.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Problem::field("code", "a code has six digits"));
    }
    // Counted before it is looked at: so many guesses at once are so many guesses.
    api.gate.guess(peer.address, Instant::now())?;
    let code = sign::sha256(code.as_bytes());
    let (token, hash) = new_token().map_err(|_| Problem::internal())?;
    let paired = api
        .core
        .write(move |conn| {
            let name = terminal::take_pairing(conn, &code, now())?;
            if let Some(name) = &name {
                terminal::add(conn, name, &hash, now())?;
            }
            Ok(name)
        })
        .await?;
    let name = paired.ok_or_else(no_such_code)?;
    tracing::info!(terminal.name = name, "a page signed in with a pairing code");
    peer.pulse.prove();
    let mut response = axum::Json(json!({"name": name})).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(kept) = cookie::keep(api.gate.port(), &token) {
        headers.insert(header::SET_COOKIE, kept);
    }
    Ok(response)
}

/// Not 401: that says a token is missing.
fn no_such_code() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "forbidden",
        "there is no such code, it was used, or its ten minutes are over: vitrina-agent terminal add NAME makes another",
    )
}
