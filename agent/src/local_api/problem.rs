//! What the API answers when it does not do it: RFC 9457 with a stable code. The only place that turns errors into
//! statuses.

use std::error::Error;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use vitrina_host::{problem, when};

use crate::hold_json::{HoldJson, why_not_open};
use crate::ledger::hold::{HoldRow, No};
use crate::ledger::{LedgerError, Refusal};
use crate::receipt::Invalid;

/// An answer of the kind `application/problem+json`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Problem {
    #[serde(skip)]
    http: StatusCode,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    #[serde(flatten)]
    more: Map<String, Value>,
    #[serde(skip)]
    retry_after_s: Option<u32>,
}

/// What is wrong with one field.
#[derive(Clone, Debug, Serialize)]
struct FieldError {
    field: String,
    message: String,
}

impl Problem {
    /// A problem with its code.
    pub(crate) fn new(http: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            http,
            title: http.canonical_reason().unwrap_or("Error"),
            status: http.as_u16(),
            code,
            detail: detail.into(),
            errors: Vec::new(),
            more: Map::new(),
            retry_after_s: None,
        }
    }

    /// 422 about one field.
    pub(crate) fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        let (field, message) = (field.into(), message.into());
        let mut problem = Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "validation_failed",
            format!("{field}: {message}"),
        );
        problem.errors.push(FieldError { field, message });
        problem
    }

    /// Our bug, which the log names.
    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "the agent has a bug here; its log says more",
        )
    }

    /// Adds a member.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: Value) -> Self {
        self.more.insert(name.to_owned(), value);
        self
    }

    /// Tells the caller when to come again.
    #[must_use]
    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Code and words, for a command line.
    pub(crate) fn in_words(&self) -> String {
        format!("{}: {}", self.code, self.detail)
    }

    /// The options of the commands that say what is missing.
    pub(crate) fn options(&self) -> Option<&'static str> {
        let field = self.errors.first().map(|error| error.field.as_str());
        match (self.code, field) {
            ("not_awaited", _) => Some("--transfer ID --from SHOP"),
            ("which_transfer", _) => Some("--transfer ID"),
            (_, Some("till")) => Some("--till TILL"),
            (_, Some("from")) => Some("--from SHOP"),
            _ => None,
        }
    }

    /// The status.
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// Whether what was asked for is wrong in itself.
    pub(crate) fn is_of_fields(&self) -> bool {
        !self.errors.is_empty()
    }

    /// A refusal of the ledger.
    pub(crate) fn refused(refusal: &Refusal) -> Self {
        let conflict = |detail: &str| Self::new(StatusCode::CONFLICT, refusal.code(), detail);
        match refusal {
            Refusal::Conflict(existing) => conflict(&existing.to_string()).with(
                "existing",
                serde_json::json!({
                    "id": existing.id.to_string(),
                    "type": existing.kind.to_string(),
                    "barcode": existing.scanned.as_str(),
                    "qty": existing.qty,
                    "at": when::rfc3339_ms(existing.at.0),
                }),
            ),
            Refusal::VoidedBefore { .. } => conflict("this very movement was cancelled"),
            Refusal::BeforeOpening { opened } => {
                let at = when::rfc3339_ms(opened.0);
                conflict(&format!(
                    "it lies before the opening of {at} and is inside it; \"force\" books it all the same"
                ))
            }
            Refusal::SourceIsBalances => {
                conflict("the shop's 1C keeps the books of this shop; movements are not taken")
            }
            Refusal::NothingToCancel => conflict("there is no such receipt line to cancel"),
            Refusal::Qty => Self::field("qty", "no quantity that this type can have"),
            Refusal::Internal(kind) => {
                Self::field("type", format!("{kind} is not accepted from outside"))
            }
            Refusal::Time => Self::field("at", "outside the years 1 to 9999"),
            Refusal::TooLong => Self::field("receipt", "the texts are too long"),
            Refusal::Held(rows) => Self::held(rows),
            Refusal::HoldNotOpen(row) => Self::not_open(row),
            Refusal::OtherPiece(row) => Self::other_piece(row),
            Refusal::UnknownHold => Self::unknown_hold(),
        }
    }

    /// What a person said of a hold is not taken.
    pub(crate) fn no(no: &No) -> Self {
        match no {
            No::Unknown => Self::unknown_hold(),
            No::NotOpen(row) => Self::not_open(row),
            No::OtherPiece(row) => Self::other_piece(row),
            No::NotThere(row) => {
                let barcode = &row.leg.terms.barcode;
                let detail = format!(
                    "by the books no {barcode} is here that is not promised already: book what came in, or decline"
                );
                Self::new(StatusCode::CONFLICT, "insufficient_stock", detail).hold(row)
            }
            No::Which => Self::field("hold", "more than one order comes into question: say which"),
            No::Answered => Self::new(
                StatusCode::CONFLICT,
                "answered_before",
                "this question was answered differently",
            ),
            No::Sale(refusal) => Self::refused(refusal),
        }
    }

    fn unknown_hold() -> Self {
        let detail = "this shop was never asked for such a hold";
        Self::new(StatusCode::NOT_FOUND, "unknown_hold", detail)
    }

    fn not_open(row: &HoldRow) -> Self {
        Self::new(StatusCode::CONFLICT, "hold_not_open", why_not_open(row)).hold(row)
    }

    fn other_piece(row: &HoldRow) -> Self {
        let (terms, units) = (&row.leg.terms, row.leg.units());
        let (order, barcode) = (&terms.order, &terms.barcode);
        let detail = format!("order {order} is for {units} of {barcode}");
        Self::new(StatusCode::CONFLICT, "other_piece", detail).hold(row)
    }

    fn held(rows: &[HoldRow]) -> Self {
        let orders: Vec<&str> = rows.iter().map(|row| &*row.leg.terms.order).collect();
        let detail = format!(
            "it is held for order {}: \"hold\" says that its buyer takes it, \"force\" sells it all the same",
            orders.join(", ")
        );
        let all: Vec<HoldJson> = rows.iter().map(HoldJson::of).collect();
        let problem = Self::new(StatusCode::CONFLICT, "hold_conflict", detail);
        let problem = rows.iter().take(1).fold(problem, Self::hold);
        problem
            .with("holds", serde_json::json!(all))
            .with("actions", serde_json::json!(["fulfil", "decline", "force"]))
    }

    fn hold(self, row: &HoldRow) -> Self {
        self.with("hold", serde_json::json!(HoldJson::of(row)))
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        Self::field(invalid.field, invalid.message)
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        tracing::error!(
            error = &error as &dyn Error,
            "the ledger did not answer a terminal"
        );
        if error.is_disk_full() {
            let full = "there is no room on the disk: nothing was booked";
            return Self::new(StatusCode::INSUFFICIENT_STORAGE, "storage_full", full);
        }
        if matches!(error, LedgerError::NotEnrolled) {
            let first = "this agent belongs to no shop yet: enrol it first";
            return Self::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", first);
        }
        if error.is_transient() {
            let mut problem = Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "not_ready",
                "the ledger is busy: nothing was booked, try again",
            );
            problem.retry_after_s = Some(1);
            return problem;
        }
        Self::internal()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        problem::answer(self.http, body, self.retry_after_s)
    }
}
