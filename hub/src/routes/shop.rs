//! The agents' two calls. Their bodies are frames, and what they mean is decided elsewhere.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use vitrina_shared::wire::{CONTENT_TYPE, frame};

use crate::error::ApiError;
use crate::routes::Ask;
use crate::server::Hub;
use crate::{enrol as enrolment, exchange as exchanges};

/// A one-time code becomes a credential.
pub(crate) async fn enrol(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    let body = ask.bytes(frame::MAX_FRAME_BYTES).await?;
    Ok(frame_answer(enrolment::answer(&hub.core, body).await?))
}

/// What a shop has for what it lacks.
pub(crate) async fn exchange(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    let body = ask.bytes(frame::MAX_FRAME_BYTES).await?;
    Ok(frame_answer(exchanges::answer(&hub.core, body).await?))
}

fn frame_answer(frame: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(frame));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
