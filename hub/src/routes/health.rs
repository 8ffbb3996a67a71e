//! Whether the hub lives and answers, what it counts, and what it offers.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::auth::Access;
use crate::error::{ApiError, Code};
use crate::keys::Role;
use crate::metrics;
use crate::routes::ask::json_of;
use crate::routes::{Ask, Route};
use crate::server::Hub;

/// The program runs.
pub(crate) async fn alive(ask: Ask) -> Result<Response, ApiError> {
    json_of(
        &ask.headers,
        &json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }),
    )
}

/// The program answers from a view that follows its store.
pub(crate) async fn ready(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    if hub.stop.is_cancelled() {
        return Err(ApiError::new(Code::NotReady, "the hub stops"));
    }
    let head = hub.view.head();
    json_of(
        &ask.headers,
        &json!({ "status": "ready", "cursor": hub.view.cursor(head.pos).to_string() }),
    )
}

/// What is counted.
pub(crate) async fn metrics(State(hub): State<Arc<Hub>>) -> Response {
    let text = hub.core.metrics.text(&hub.view, hub.core.now());
    let mut response = text.into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(metrics::CONTENT_TYPE),
    );
    response
}

/// The description of every route.
pub(crate) async fn openapi(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    Ok(crate::routes::ask::json_answer(
        &ask.headers,
        hub.openapi.clone(),
    ))
}

/// Describes the routes by OpenAPI 3.1.
pub(crate) fn describe(routes: &[Route]) -> Value {
    let mut paths = Map::new();
    for route in routes {
        let entry = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(methods) = entry.as_object_mut() {
            methods.insert(route.method.as_str().to_ascii_lowercase(), operation(route));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Vitrina hub", "version": env!("CARGO_PKG_VERSION") },
        "paths": paths,
        "components": {
            "securitySchemes": { "key": { "type": "http", "scheme": "bearer" } },
            "schemas": { "Problem": {
                "type": "object",
                "description": "RFC 9457; the code is stable",
                "required": ["type", "title", "status", "code"],
                "properties": {
                    "type": { "type": "string" },
                    "title": { "type": "string" },
                    "status": { "type": "integer" },
                    "code": { "type": "string" },
                    "detail": { "type": "string" },
                },
            } },
        },
    })
}

fn operation(route: &Route) -> Value {
    let in_path = route.path.split('{').skip(1).filter_map(|part| part.split_once('}')).map(|(name, _)| {
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
    });
    let in_query = route.query.iter().map(|(name, meaning)| {
        json!({ "name": name, "in": "query", "description": meaning, "schema": { "type": "string" } })
    });
    let parameters: Vec<Value> = in_path.chain(in_query).collect();
    let roles: Vec<&str> = match route.access {
        Access::Open => Vec::new(),
        Access::Shop => vec!["shop"],
        access @ Access::Roles(_) => Role::ALL
            .into_iter()
            .filter(|role| access.allows(*role))
            .map(Role::word)
            .collect(),
    };
    let security = if matches!(route.access, Access::Roles(_)) {
        json!([{ "key": [] }])
    } else {
        json!([])
    };
    let mut operation = json!({
        "summary": route.summary,
        "x-roles": roles,
        "security": security,
        "parameters": parameters,
        "responses": {
            "2XX": { "description": "Done" },
            "default": {
                "description": "A problem",
                "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
            },
        },
    });
    if let (Some(media_type), Some(members)) = (route.body, operation.as_object_mut()) {
        members.insert(
            "requestBody".into(),
            json!({ "required": true, "content": { media_type: {} } }),
        );
    }
    operation
}
