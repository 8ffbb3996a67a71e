//! What the command line does, over HTTP: shops, keys and the audit list.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use vitrina_shared::stock::{Channel, ChannelError};

use crate::error::ApiError;
use crate::keys::{NewKey, Role};
use crate::routes::Ask;
use crate::routes::ask::json_of;
use crate::server::Hub;
use crate::shops::{self, NewShop};
use crate::view::json::time_text;

/// A key to be made.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyBody {
    name: String,
    role: Role,
    stock: Option<String>,
}

/// Adds a shop; its one-time code is shown once.
pub(crate) async fn add_shop(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    let (headers, by) = (ask.headers.clone(), ask.by());
    let new: NewShop = ask.json().await?;
    let code = shops::add(&hub.core, by, new).await?;
    Ok(created(json_of(&headers, &code)?))
}

/// Makes a key; it is shown once.
pub(crate) async fn add_key(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    let (headers, by) = (ask.headers.clone(), ask.by());
    let KeyBody { name, role, stock } = ask.json().await?;
    let channel = stock.map_or(Ok(Channel::default()), |stock| stock.parse());
    let channel: Channel =
        channel.map_err(|error: ChannelError| ApiError::invalid(error.to_string()))?;
    let new = NewKey {
        name,
        role,
        channel,
    };
    let core = &hub.core;
    let key = core.keys.add(&core.store, by, new.clone()).await?;
    Ok(created(json_of(
        &headers,
        &json!({ "key": key, "name": new.name, "role": role, "stock": channel.word() }),
    )?))
}

/// The keys without their secrets.
pub(crate) async fn keys(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    let keys = hub.core.store.keys().await?;
    let items: Vec<Value> = keys
        .iter()
        .map(|key| {
            json!({
                "name": key.name,
                "role": key.role,
                "stock": key.channel.word(),
                "created_at": time_text(key.created_at),
                "revoked_at": key.revoked_at.map(time_text),
            })
        })
        .collect();
    json_of(
        &ask.headers,
        &json!({ "items": items, "next_cursor": null }),
    )
}

/// Ends a key.
pub(crate) async fn revoke_key(
    State(hub): State<Arc<Hub>>,
    ask: Ask,
) -> Result<Response, ApiError> {
    hub.core
        .keys
        .revoke(&hub.core.store, ask.by(), &ask.name)
        .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn created(mut response: Response) -> Response {
    *response.status_mut() = StatusCode::CREATED;
    response
}
