//! The agents' two calls. Their bodies are frames, and what they mean is decided elsewhere.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use vitrina_host::tally::TooMuch;
use vitrina_shared::wire::{CONTENT_TYPE, frame};

use crate::error::{ApiError, Code};
use crate::routes::{Ask, failed};
use crate::server::Hub;
use crate::{enrol as enrolment, exchange as exchanges};

/// A one-time code becomes a credential. An address whose codes were wrong too often is not listened to for a while;
/// however many shops are behind it, each with its own code, none of them waits.
pub(crate) async fn enrol(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    let peer = ask.peer.clone();
    let address = peer.as_ref().map(|peer| peer.address);
    let counted = address.filter(|address| !hub.core.config.limits.is_proxy(*address));
    if let Some(Err(TooMuch(seconds))) = counted.map(|of| hub.core.callers.may_enrol(of)) {
        let why = "too many enrolments that failed";
        return Err(ApiError::new(Code::RateLimited, why).retry_after(seconds));
    }
    let body = ask.bytes(frame::MAX_FRAME_BYTES).await?;
    match enrolment::answer(&hub.core, body).await {
        Ok(enrolled) => {
            if let Some(peer) = &peer {
                peer.pulse.prove();
            }
            Ok(frame_answer(enrolled))
        }
        Err(error) => {
            if let Some(address) = counted.filter(|_| error.is_of_the_sender()) {
                hub.core.callers.failed_to_enrol(address);
            }
            Err(failed(&hub, peer.as_ref(), error.into()))
        }
    }
}

/// What a shop has for what it lacks.
pub(crate) async fn exchange(State(hub): State<Arc<Hub>>, ask: Ask) -> Result<Response, ApiError> {
    let peer = ask.peer.clone();
    let mut is_proved = false;
    let prove = || {
        is_proved = true;
        if let Some(peer) = &peer {
            peer.pulse.prove();
        }
    };
    let body = ask.bytes(frame::MAX_FRAME_BYTES).await?;
    match exchanges::answer(&hub.core, body, prove).await {
        Ok(answer) => Ok(frame_answer(answer)),
        Err(error) if is_proved => Err(error.into()),
        Err(error) => Err(failed(&hub, peer.as_ref(), error.into())),
    }
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
