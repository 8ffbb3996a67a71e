//! What a caller is told when a call fails: RFC 9457 `application/problem+json` with a stable code.
//!
//! Here alone errors become statuses. Nothing of the inside (a stack, a statement, a path) ever leaves it.

use std::borrow::Cow;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use vitrina_host::problem;
use vitrina_shared::wire::WireError;

use crate::exchange::ExchangeError;
use crate::keys::KeyError;
use crate::shops::ShopError;
use crate::store::StoreError;

/// When an agent that came with too many others comes again; its own waits are spread.
const BUSY_RETRY_S: u32 = 1;

/// The stable codes of the public interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Nobody knows the barcode.
    UnknownBarcode,
    /// No such shop.
    UnknownShop,
    /// No such article.
    UnknownArticle,
    /// No such hold.
    UnknownHold,
    /// There is not so much to promise.
    InsufficientStock,
    /// Nothing of the hold is open any more.
    HoldNotOpen,
    /// The hold's time is over.
    HoldExpired,
    /// What is written once needs a name under which it can be repeated.
    MissingIdempotencyKey,
    /// No key, or none that is known.
    Unauthorized,
    /// The key or the shop's credential was taken back.
    Revoked,
    /// The key is known and may not do this.
    Forbidden,
    /// The request is not as the interface asks.
    ValidationFailed,
    /// The same key came with other content.
    DuplicateKeyMismatch,
    /// The cursor belongs to another life of the hub, or to none.
    CursorExpired,
    /// More bytes than are taken here.
    PayloadTooLarge,
    /// Too often.
    RateLimited,
    /// The caller speaks a version that this hub is too old for.
    UpgradeRequired,
    /// The work item is resolved.
    AlertNotOpen,
    /// The disk is full.
    StorageFull,
    /// Not now; again later.
    NotReady,
    /// No such thing.
    NotFound,
    /// The path is there, the method is not.
    MethodNotAllowed,
    /// A fault of ours.
    InternalError,
}

impl Code {
    /// The word, the usual status, the sentence.
    #[expect(clippy::too_many_lines, reason = "one table")]
    fn parts(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::UnknownBarcode => (
                "unknown_barcode",
                StatusCode::NOT_FOUND,
                "Nobody knows this barcode",
            ),
            Self::UnknownShop => (
                "unknown_shop",
                StatusCode::NOT_FOUND,
                "There is no such shop",
            ),
            Self::UnknownArticle => (
                "unknown_article",
                StatusCode::NOT_FOUND,
                "There is no such article",
            ),
            Self::UnknownHold => (
                "unknown_hold",
                StatusCode::NOT_FOUND,
                "There is no such hold",
            ),
            Self::InsufficientStock => (
                "insufficient_stock",
                StatusCode::CONFLICT,
                "There is not so much to promise",
            ),
            Self::HoldNotOpen => (
                "hold_not_open",
                StatusCode::CONFLICT,
                "Nothing of this hold is open any more",
            ),
            Self::HoldExpired => (
                "hold_expired",
                StatusCode::CONFLICT,
                "The time of this hold is over",
            ),
            Self::MissingIdempotencyKey => (
                "missing_idempotency_key",
                StatusCode::BAD_REQUEST,
                "This call needs an Idempotency-Key",
            ),
            Self::Unauthorized => (
                "unauthorized",
                StatusCode::UNAUTHORIZED,
                "A valid key is needed",
            ),
            Self::Revoked => (
                "revoked",
                StatusCode::UNAUTHORIZED,
                "This credential was revoked",
            ),
            Self::Forbidden => (
                "forbidden",
                StatusCode::FORBIDDEN,
                "The key's role may not do this",
            ),
            Self::ValidationFailed => (
                "validation_failed",
                StatusCode::BAD_REQUEST,
                "The request is not as it should be",
            ),
            Self::DuplicateKeyMismatch => (
                "duplicate_key_mismatch",
                StatusCode::CONFLICT,
                "This is there already, with other content",
            ),
            Self::CursorExpired => (
                "cursor_expired",
                StatusCode::GONE,
                "The cursor is no longer valid: take a snapshot",
            ),
            Self::PayloadTooLarge => (
                "payload_too_large",
                StatusCode::PAYLOAD_TOO_LARGE,
                "The body is too large",
            ),
            Self::RateLimited => (
                "rate_limited",
                StatusCode::TOO_MANY_REQUESTS,
                "Too many requests",
            ),
            Self::UpgradeRequired => (
                "upgrade_required",
                StatusCode::UPGRADE_REQUIRED,
                "This hub is too old for what was sent: update the hub first",
            ),
            Self::AlertNotOpen => (
                "alert_not_open",
                StatusCode::CONFLICT,
                "This work item is resolved",
            ),
            Self::StorageFull => (
                "storage_full",
                StatusCode::INSUFFICIENT_STORAGE,
                "The hub's disk is full",
            ),
            Self::NotReady => (
                "not_ready",
                StatusCode::SERVICE_UNAVAILABLE,
                "The hub is not ready; try again",
            ),
            Self::NotFound => (
                "not_found",
                StatusCode::NOT_FOUND,
                "There is no such thing here",
            ),
            Self::MethodNotAllowed => (
                "method_not_allowed",
                StatusCode::METHOD_NOT_ALLOWED,
                "The path does not take this method",
            ),
            Self::InternalError => (
                "internal_error",
                StatusCode::INTERNAL_SERVER_ERROR,
                "The hub failed; this was logged",
            ),
        }
    }

    /// The word of the public interface.
    pub(crate) fn word(self) -> &'static str {
        self.parts().0
    }
}

/// What is said of a failure: of this one, else of its code.
fn sentence(code: Code, detail: &str) -> &str {
    if detail.is_empty() {
        code.parts().2
    } else {
        detail
    }
}

/// A failed call.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}", code.word(), sentence(*code, detail))]
pub(crate) struct ApiError {
    code: Code,
    status: StatusCode,
    detail: Cow<'static, str>,
    members: Map<String, Value>,
    retry_after_s: Option<u32>,
}

impl ApiError {
    /// A failure with the code's usual status.
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        let retry_after_s = match code {
            Code::NotReady | Code::RateLimited => Some(1),
            // Somebody has to make room first.
            Code::StorageFull => Some(30),
            _ => None,
        };
        Self {
            code,
            status: code.parts().1,
            detail: detail.into(),
            members: Map::new(),
            retry_after_s,
        }
    }

    /// The request cannot be read, or lacks something: 400.
    pub(crate) fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::ValidationFailed, detail)
    }

    /// The request was read and says something that cannot be: 422.
    pub(crate) fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            ..Self::new(Code::ValidationFailed, detail)
        }
    }

    /// The same key was used for something else: 422.
    pub(crate) fn mismatch(detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            ..Self::new(Code::DuplicateKeyMismatch, detail)
        }
    }

    /// A fault of ours: logged here, once, with its causes; the caller learns only that it happened.
    pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "a request failed");
        Self::new(Code::InternalError, "")
    }

    /// The body is packed or of another kind: 415.
    pub(crate) fn packed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ..Self::new(Code::ValidationFailed, detail)
        }
    }

    /// The request did not come to its end: 408.
    pub(crate) fn too_late(detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status: StatusCode::REQUEST_TIMEOUT,
            ..Self::new(Code::ValidationFailed, detail)
        }
    }

    /// Adds a member to the answer, such as `candidates`.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// Tells the caller when to come again.
    #[must_use]
    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Whether the answer has a member of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// The member of this name.
    pub(crate) fn member(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    /// The code.
    pub(crate) fn code(&self) -> Code {
        self.code
    }

    fn body(&self) -> String {
        let (word, _, title) = self.code.parts();
        let mut body = self.members.clone();
        body.insert("type".into(), format!("urn:vitrina:problem:{word}").into());
        body.insert("title".into(), title.into());
        body.insert("status".into(), self.status.as_u16().into());
        body.insert("code".into(), word.into());
        if !self.detail.is_empty() {
            body.insert("detail".into(), self.detail.as_ref().into());
        }
        Value::Object(body).to_string()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        problem::answer(self.status, self.body(), self.retry_after_s)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if error.is_disk_full() {
            tracing::error!(error = &error as &dyn std::error::Error, "the disk is full");
            return Self::new(Code::StorageFull, "");
        }
        if error.is_transient() {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the store did not answer in time"
            );
            return Self::new(Code::NotReady, "");
        }
        Self::internal(&error)
    }
}

impl From<ExchangeError> for ApiError {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Wire(error) => error.into(),
            ExchangeError::Unauthorized(why) => Self::new(Code::Unauthorized, why),
            ExchangeError::Revoked => Self::new(Code::Revoked, ""),
            ExchangeError::Forbidden(why) => Self::new(Code::Forbidden, why),
            ExchangeError::TooMuch(seconds) => {
                Self::new(Code::RateLimited, "this shop's exchanges").retry_after(seconds)
            }
            ExchangeError::Busy => {
                Self::new(Code::NotReady, "too many exchanges at once").retry_after(BUSY_RETRY_S)
            }
            // The agent tries again whatever it is; what is broken here was logged.
            ExchangeError::Store(error) if error.is_disk_full() => error.into(),
            ExchangeError::Store(error) => {
                let inner = Self::from(error);
                Self {
                    retry_after_s: Some(5),
                    ..Self::new(Code::NotReady, inner.detail)
                }
            }
        }
    }
}

impl From<WireError> for ApiError {
    fn from(error: WireError) -> Self {
        let code = match &error {
            WireError::TooLarge => Code::PayloadTooLarge,
            WireError::Version(_) | WireError::Codec(_) | WireError::UnknownSection(_) => {
                Code::UpgradeRequired
            }
            _ => Code::ValidationFailed,
        };
        Self::new(code, error.to_string())
    }
}

impl From<ShopError> for ApiError {
    fn from(error: ShopError) -> Self {
        match error {
            ShopError::Field { .. } | ShopError::TooMany | ShopError::Twice(_) => {
                Self::invalid(error.to_string())
            }
            ShopError::Exists(_) => Self::new(Code::DuplicateKeyMismatch, error.to_string()),
            ShopError::Unknown(_) => Self::new(Code::UnknownShop, error.to_string()),
            ShopError::Store(error) => error.into(),
            ShopError::Random(error) => Self::internal(&error),
        }
    }
}

impl From<KeyError> for ApiError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Name => Self::invalid(error.to_string()),
            KeyError::Taken(_) => Self::new(Code::DuplicateKeyMismatch, error.to_string()),
            KeyError::Unknown(_) => Self::new(Code::NotFound, error.to_string()),
            KeyError::Store(error) => error.into(),
            KeyError::Random(error) => Self::internal(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::*;

    #[test]
    fn a_failure_says_its_stable_code_and_nothing_of_the_inside() {
        let secret = std::io::Error::other("no such table: key");

        let body = ApiError::internal(&secret).body();

        assert!(
            body.contains(r#""code":"internal_error""#) && body.contains(r#""status":500"#),
            "{body}"
        );
        assert!(!body.contains("table"));
    }

    #[test]
    fn a_failure_of_which_nothing_more_is_known_is_said_in_the_words_of_its_code() {
        let bare = ApiError::new(Code::UnknownHold, "");
        let told = ApiError::new(Code::UnknownHold, "it is another hub's");

        assert_eq!(bare.to_string(), "unknown_hold: There is no such hold");
        assert_eq!(told.to_string(), "unknown_hold: it is another hub's");
    }

    #[test]
    fn a_member_and_a_status_of_ones_own_are_told() {
        let error = ApiError::invalid("say \"45900.00\"").with("candidates", vec!["1@S1"]);

        let response = error.into_response();

        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "application/problem+json"
        );
    }
}
