//! A web order's hold as the shop's public interface shows it.

use serde::Serialize;
use serde_json::{Value, json};
use vitrina_host::when;
use vitrina_shared::hold::{DeclineReason, HubState, ShopSide};
use vitrina_shared::{Key, TimeMs};

use crate::ledger::hold::{Action, HoldRow, QuestionRow};

/// What a web order asks of this shop.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct HoldJson {
    /// The hold, as the website knows it.
    pub(crate) id: String,
    /// The one request to this shop within it.
    leg: String,
    pub(crate) barcode: String,
    /// What was ordered, where this is another barcode of the same article and size.
    ordered: Option<String>,
    article: Option<String>,
    pub(crate) name: Option<String>,
    size: Option<String>,
    pub(crate) qty: i64,
    pub(crate) order: String,
    purpose: &'static str,
    /// What it comes to.
    pub(crate) state: &'static str,
    hub: &'static str,
    shop_side: &'static str,
    reason: Option<&'static str>,
    movement: Option<String>,
    pub(crate) created_at: String,
    pub(crate) expires_at: String,
    answered_at: Option<String>,
    changed_at: String,
    /// The piece is on its way here.
    waits_for_piece: bool,
    /// The other shop to which it is to be sent: `/v1/transfers` has it too.
    transfer_to: Option<String>,
    pub(crate) actions: Vec<&'static str>,
}

impl HoldJson {
    /// What the ledger says.
    pub(crate) fn of(row: &HoldRow) -> Self {
        let (leg, time) = (&row.leg, |at: TimeMs| when::rfc3339_ms(at.0));
        let terms = &leg.terms;
        Self {
            id: terms.hold.to_string(),
            leg: leg.id.to_string(),
            barcode: terms.barcode.to_string(),
            ordered: terms.ordered.as_ref().map(ToString::to_string),
            article: row.article.clone(),
            name: row.name.clone(),
            size: row.size.clone(),
            qty: leg.units(),
            order: terms.order.to_string(),
            purpose: terms.purpose.word(),
            state: row.word(),
            hub: leg.hub.state.word(),
            shop_side: leg.shop.word(),
            reason: leg.shop.reason().map(DeclineReason::word),
            movement: leg.shop.movement().map(|movement| movement.to_string()),
            created_at: time(terms.created_at),
            expires_at: time(leg.hub.expires_at),
            answered_at: leg.shop.at().map(time),
            changed_at: time(row.changed_at),
            waits_for_piece: row.waits_for_piece(),
            transfer_to: row.send_to.clone(),
            actions: row.actions().into_iter().map(Action::word).collect(),
        }
    }
}

/// Why a hold is not open any more, for people.
pub(crate) fn why_not_open(row: &HoldRow) -> String {
    let order = &row.leg.terms.order;
    match (row.leg.hub.state, row.leg.shop) {
        (_, ShopSide::Fulfilled { .. }) => format!("the buyer of order {order} has it already"),
        (HubState::Released, _) => format!("order {order} was cancelled"),
        (HubState::Expired, _) => format!("the time of order {order} is over"),
        (HubState::Ended, _) => format!("order {order} is kept elsewhere"),
        (HubState::Requested, side) => {
            let word = side.word();
            format!("this shop has said {word} to order {order}")
        }
    }
}

/// A sale over a hold.
pub(crate) fn question(row: &QuestionRow) -> Value {
    let sale = row.sale.as_ref();
    let (receipt, line, till) = match sale.map(|sale| &sale.key) {
        Some(Key::Receipt {
            receipt,
            line,
            till,
            ..
        }) => (Some(receipt.clone()), Some(*line), Some(till.clone())),
        _ => (None, None, None),
    };
    let holds: Vec<HoldJson> = row.holds.iter().map(HoldJson::of).collect();
    let time = |at: TimeMs| when::rfc3339_ms(at.0);
    json!({
        "id": row.question.sale.to_string(),
        "barcode": row.question.barcode.as_str(),
        "name": row.name,
        "qty": sale.map(|sale| -sale.qty),
        "sold_at": sale.map(|sale| time(sale.at)),
        "receipt": receipt,
        "line": line,
        "till": till,
        "price": sale.and_then(|sale| sale.details.price),
        "cashier": sale.and_then(|sale| sale.details.cashier.clone()),
        "file": sale.and_then(|sale| sale.details.file.clone()),
        "asked_at": time(row.question.at),
        "answered_at": row.question.answered_at.map(time),
        "whose": row.question.answered_at.map(|_| match row.question.leg {
            Some(_) => "order",
            None => "other",
        }),
        "holds": holds,
    })
}
