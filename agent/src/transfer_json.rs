//! A transfer as the shop's public interface shows it.

use serde::Serialize;
use vitrina_host::when;
use vitrina_shared::transfer::State;

use crate::hold_json::HoldJson;
use crate::ledger::hold::{Action, HoldRow};
use crate::ledger::transfer::{Line, TransferRow};

/// Pieces between this shop and another.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TransferJson {
    /// Its name; none of what is only asked for.
    pub(crate) id: Option<String>,
    /// out or in.
    pub(crate) direction: &'static str,
    pub(crate) document: Option<String>,
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    /// The other of the two, as people call it.
    pub(crate) with_name: Option<String>,
    /// requested, or how it stands.
    pub(crate) state: &'static str,
    pub(crate) since: String,
    /// The order that it is for.
    pub(crate) hold: Option<String>,
    pub(crate) order: Option<String>,
    pub(crate) lines: Vec<LineJson>,
    /// ship, receive or cancel; confirm and decline: the piece that is asked for is here or is not, which is said of its hold.
    pub(crate) actions: Vec<&'static str>,
}

/// One barcode of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LineJson {
    pub(crate) barcode: String,
    pub(crate) name: Option<String>,
    pub(crate) article: Option<String>,
    pub(crate) sent: i64,
    pub(crate) received: i64,
    /// Still on its way here.
    pub(crate) awaited: i64,
}

impl LineJson {
    fn of(line: &Line) -> Self {
        Self {
            barcode: line.barcode.to_string(),
            name: line.name.clone(),
            article: line.article.clone(),
            sent: line.sent,
            received: line.received,
            awaited: line.awaited,
        }
    }
}

impl TransferJson {
    /// What the hub told of it, and what was booked here since.
    pub(crate) fn of(row: &TransferRow, shop: &str) -> Self {
        let is_out = row.from.as_deref() == Some(shop);
        let (direction, state) = if is_out {
            ("out", row.state.word())
        } else {
            ("in", row.state_here().word())
        };
        let nothing_came = row.lines.iter().all(|line| line.received == 0);
        let actions = match (is_out, row.state) {
            (true, State::InTransit) if nothing_came => vec!["cancel"],
            // What came besides does not keep the rest from coming.
            (false, state) if state.is_open() && row.is_awaited() => vec!["receive"],
            _ => Vec::new(),
        };
        Self {
            id: Some(row.id.to_string()),
            direction,
            document: row.document.clone(),
            from: row.from.clone(),
            to: row.to.clone(),
            with_name: None,
            state,
            since: when::rfc3339_ms(row.since.0),
            hold: row.hold.map(|hold| hold.to_string()),
            order: None,
            lines: row.lines.iter().map(LineJson::of).collect(),
            actions,
        }
    }

    /// A piece that the hub asks this shop to send.
    pub(crate) fn asked(row: &HoldRow, to: &str) -> Self {
        let hold = HoldJson::of(row);
        let terms = &row.leg.terms;
        let answers = [Action::Confirm, Action::Decline].map(Action::word);
        let answers = answers
            .into_iter()
            .filter(|word| hold.actions.contains(word));
        Self {
            id: None,
            direction: "out",
            document: None,
            from: Some(terms.shop.to_string()),
            to: Some(to.to_owned()),
            with_name: None,
            state: "requested",
            since: hold.created_at,
            hold: Some(hold.id),
            order: Some(hold.order),
            lines: vec![LineJson {
                barcode: hold.barcode,
                name: hold.name,
                article: row.article.clone(),
                sent: hold.qty,
                received: 0,
                awaited: 0,
            }],
            actions: ["ship"].into_iter().chain(answers).collect(),
        }
    }
}
