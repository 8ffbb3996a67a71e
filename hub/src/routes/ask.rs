//! A call as the handlers read it: what is missing or wrong is said in words.

use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::RequestExt as _;
use axum::body::Body;
use axum::extract::{FromRequest, Query, RawPathParams, Request};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use vitrina_host::depth;
use vitrina_shared::TimeMs;
use vitrina_shared::stock::Channel;

use crate::audit::By;
use crate::error::{ApiError, Code};
use crate::feed::Cursor;
use crate::keys::{Principal, Role};
use crate::server::body::{PIECE_BYTES, made_while_taken};
use crate::server::{Hub, Peer};
use crate::view::json;
use crate::view::ready::{GZIP_LEVEL, gzip};

/// The most bytes of a body but an import's.
pub(crate) const MAX_BODY_BYTES: usize = 1 << 20;
/// A list's page when nothing is said, and at most.
const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1_000;
/// The longest wait.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(30);
/// A shorter body does not get smaller by packing.
const GZIP_FROM_BYTES: usize = 400;

/// A call.
pub(crate) struct Ask {
    /// What stands in the path's `{name}`.
    pub(crate) name: String,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// Who calls from where; nobody knows in a test without a connection.
    pub(crate) peer: Option<Peer>,
    /// Behind a lock that nobody shares: a body is not `Sync`, and a handler keeps the call while it waits.
    body: Mutex<Body>,
    hub: Arc<Hub>,
    query: Vec<(String, String)>,
    principal: Option<Principal>,
}

impl FromRequest<Arc<Hub>> for Ask {
    type Rejection = ApiError;

    async fn from_request(mut request: Request, hub: &Arc<Hub>) -> Result<Self, ApiError> {
        let names: RawPathParams = request
            .extract_parts()
            .await
            .map_err(|_| ApiError::malformed("the path is not UTF-8"))?;
        let name = names
            .iter()
            .next()
            .map(|(_, value)| value.to_owned())
            .unwrap_or_default();
        let Query(query) = Query::<Vec<(String, String)>>::try_from_uri(request.uri())
            .map_err(|_| ApiError::malformed("the query cannot be read"))?;
        let (mut parts, body) = request.into_parts();
        Ok(Self {
            name,
            principal: parts.extensions.get().cloned(),
            headers: parts.headers,
            peer: parts.extensions.remove(),
            body: Mutex::new(body),
            hub: Arc::clone(hub),
            query,
        })
    }
}

impl Ask {
    /// On whose word this is done, for the audit list.
    pub(crate) fn by(&self) -> By {
        match &self.principal {
            Some(principal) => By::Key(Arc::clone(&principal.name)),
            None => By::Hub,
        }
    }

    /// The same of what a person does. A website is none: its orders are holds, which name its key, and no records.
    pub(crate) fn by_person(&self) -> Option<By> {
        let caller = self.principal.as_ref()?;
        (caller.role != Role::Website).then(|| self.by())
    }

    /// The name of the key that calls; empty where none was needed.
    pub(crate) fn caller(&self) -> &str {
        self.principal.as_ref().map_or("", |caller| &caller.name)
    }

    /// What `available` means to the key that calls.
    pub(crate) fn channel(&self) -> Channel {
        let of = |caller: &Principal| caller.channel;
        self.principal.as_ref().map(of).unwrap_or_default()
    }

    /// A parameter of the query; an empty one is none.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().rev().find(|(known, _)| known == name)?;
        Some(found.1.as_str()).filter(|text| !text.is_empty())
    }

    /// The same, read.
    pub(crate) fn read<T: FromStr>(
        &self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, ApiError> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let read = text
            .parse()
            .map_err(|_| ApiError::malformed(format!("{name} is {expected}")))?;
        Ok(Some(read))
    }

    /// A moment: RFC 3339, UTC where nothing else is said.
    pub(crate) fn time(&self, name: &str) -> Result<Option<TimeMs>, ApiError> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let read = vitrina_host::when::parse_ms(text, &jiff::tz::TimeZone::UTC);
        let wrong =
            |_| ApiError::malformed(format!("{name} is a time such as 2026-11-22T09:14:03Z"));
        read.map(|ms| Some(TimeMs(ms))).map_err(wrong)
    }

    /// How many at most.
    pub(crate) fn limit(&self) -> Result<usize, ApiError> {
        let limit = self
            .read("limit", "a number from 1 to 1000")?
            .unwrap_or(DEFAULT_LIMIT);
        if (1..=MAX_LIMIT).contains(&limit) {
            Ok(limit)
        } else {
            Err(ApiError::malformed("limit is a number from 1 to 1000"))
        }
    }

    /// How long the caller waits for something new.
    pub(crate) fn wait(&self) -> Result<Duration, ApiError> {
        let seconds = self
            .read("wait", "a number of seconds, at most 30")?
            .unwrap_or(0_u64);
        Ok(Duration::from_secs(seconds).min(MAX_WAIT))
    }

    /// Waits until the view holds `min_cursor`.
    pub(crate) async fn wait_for_min_cursor(&self, hub: &Hub) -> Result<(), ApiError> {
        let Some(cursor) = self.read::<Cursor>("min_cursor", "a cursor that the hub gave out")?
        else {
            return Ok(());
        };
        if hub.view.head().life.ordinal != cursor.ordinal {
            return Err(crate::feed::expired());
        }
        if hub
            .wait_beyond(cursor.pos.saturating_sub(1), MAX_WAIT)
            .await
        {
            return Ok(());
        }
        Err(ApiError::new(
            Code::NotReady,
            "the position of min_cursor was not reached in 30 s",
        ))
    }

    /// The body as it comes, which must not be packed: what it unpacks to has no limit.
    pub(crate) fn body(self) -> Result<Body, ApiError> {
        if let Some(coding) = self
            .headers
            .get(header::CONTENT_ENCODING)
            .filter(|coding| *coding != "identity")
        {
            let coding = String::from_utf8_lossy(coding.as_bytes()).into_owned();
            return Err(ApiError::packed(format!(
                "send the body as it is, not packed as {coding}"
            )));
        }
        Ok(self
            .body
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner))
    }

    /// The body as JSON.
    pub(crate) async fn json<T: DeserializeOwned>(self) -> Result<T, ApiError> {
        let body = self.bytes(MAX_BODY_BYTES).await?;
        read_json(&body)
    }

    /// The body, of at most so many bytes.
    pub(crate) async fn bytes(self, most: usize) -> Result<Bytes, ApiError> {
        let hub = Arc::clone(&self.hub);
        let time = hub.core.config.limits.body.duration();
        let too_large = || {
            let words = format!("a body has at most {most} bytes here");
            ApiError::new(Code::PayloadTooLarge, words)
        };
        let whole = hub.core.callers.bodies.gather(self.body()?, most);
        match tokio::time::timeout(time, whole).await {
            Ok(Ok(Some(body))) => Ok(body),
            Ok(Ok(None)) => Err(too_large()),
            Ok(Err(_)) => Err(ApiError::malformed("the body ended early")),
            Err(_) => Err(ApiError::too_late("the body did not come in time")),
        }
    }
}

/// Reads a body of JSON; a byte order mark before it is fine.
pub(crate) fn read_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    if depth::is_packed(body) {
        return Err(ApiError::packed("send the JSON as it is, not packed"));
    }
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if depth::is_too_deep(text) {
        return Err(ApiError::malformed(depth::TOO_DEEP));
    }
    serde_json::from_slice(text).map_err(|error| {
        let detail = error.to_string();
        if error.is_data() {
            ApiError::invalid(detail)
        } else {
            ApiError::malformed(detail)
        }
    })
}

/// Whether the caller takes gzip.
pub(crate) fn takes_gzip(headers: &HeaderMap) -> bool {
    let Some(codings) = headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    codings.split(',').any(|coding| {
        let (name, quality) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = quality
            .split_once('=')
            .is_some_and(|(_, q)| q.trim().parse::<f32>().is_ok_and(|q| q <= 0.0));
        matches!(name.trim(), "gzip" | "x-gzip" | "*") && !refused
    })
}

/// An answer of JSON bytes, packed where the caller takes it. Answers are of one moment and belong to one key.
pub(crate) fn json_answer(headers: &HeaderMap, body: impl Into<Bytes>) -> Response {
    let body: Bytes = body.into();
    let is_gzip = body.len() >= GZIP_FROM_BYTES && takes_gzip(headers);
    let body = if is_gzip { gzip(&body) } else { body };
    json_response(Body::from(body), is_gzip)
}

fn json_response(body: Body, is_gzip: bool) -> Response {
    let mut response = Response::new(body);
    mark(response.headers_mut(), is_gzip);
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

/// An answer of JSON in parts. A short one is sent as one; a long one is made while it is taken, so that nobody has much of
/// it who does not take it.
pub(crate) fn json_in_parts(
    headers: &HeaderMap,
    mut parts: impl Iterator<Item = Bytes> + Send + Unpin + 'static,
) -> Response {
    let mut first = Vec::new();
    while first.len() < PIECE_BYTES {
        let Some(part) = parts.next() else {
            return json_answer(headers, first);
        };
        first.extend_from_slice(&part);
    }
    let is_gzip = takes_gzip(headers);
    let parts = std::iter::once(Bytes::from(first)).chain(parts);
    let body = made_while_taken(parts, is_gzip.then_some(GZIP_LEVEL));
    json_response(body, is_gzip)
}

/// An answer of something that writes itself as JSON.
pub(crate) fn json_of(
    headers: &HeaderMap,
    value: &impl serde::Serialize,
) -> Result<Response, ApiError> {
    let body = serde_json::to_vec(value).map_err(|error| ApiError::internal(&error))?;
    Ok(json_answer(headers, body))
}

/// Sets what every answer says of its keeping and packing.
pub(crate) fn mark(headers: &mut HeaderMap, is_gzip: bool) {
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-cache"),
    );
    headers.insert(
        header::VARY,
        HeaderValue::from_static("accept-encoding, authorization"),
    );
    if is_gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
}

/// Sets the moment up to which the answer's shops are known.
pub(crate) fn mark_as_of(headers: &mut HeaderMap, as_of: Option<TimeMs>) {
    let Some(as_of) = as_of else { return };
    let mut text = Vec::with_capacity(24);
    json::time(&mut text, as_of);
    if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(text)) {
        headers.insert("vitrina-as-of", value);
    }
}

/// A cursor as a header.
pub(crate) fn mark_cursor(response: &mut Response, cursor: Cursor) {
    if let Ok(value) = HeaderValue::try_from(cursor.to_string()) {
        response.headers_mut().insert("vitrina-cursor", value);
    }
}

/// 404 with words.
pub(crate) fn not_found(detail: &'static str) -> Response {
    ApiError::new(Code::NotFound, detail).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_taken_where_it_is_asked_for() {
        let asks = |value: &'static str| {
            takes_gzip(&HeaderMap::from_iter([(
                header::ACCEPT_ENCODING,
                HeaderValue::from_static(value),
            )]))
        };

        assert!(asks("gzip") && asks("br, gzip;q=0.5") && asks("*"));
        assert!(!asks("br") && !asks("gzip;q=0") && !asks("gzip; q=0.0"));
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
