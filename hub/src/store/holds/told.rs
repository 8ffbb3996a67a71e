//! What people do with holds, as records of the audit list.

use serde_json::{Value, json};
use vitrina_host::when;

use super::tell::HoldRow;
use crate::audit::{By, What};
use crate::store::sqlite::Txn;
use crate::store::{StoreError, audit, shops};

/// Appends what was done with a hold, as it stands now. Nobody is a website: of its orders there are too many for a list
/// that people read, and the hold itself names its key.
pub(super) fn add(
    txn: &Txn<'_>,
    by: Option<&By>,
    what: What,
    hold: &HoldRow,
) -> Result<(), StoreError> {
    let (Some(by), Some(current)) = (by, hold.leg()) else {
        return Ok(());
    };
    let terms = &current.leg.terms;
    let shop = shops::find(txn.conn, &terms.shop)?.map(|shop| shop.index);
    let mut detail = json!({
        "hold": hold.id.to_string(),
        "order": terms.order,
        "barcode": terms.ordered().as_str(),
        "qty": current.leg.units(),
    });
    let more: Option<(&str, Value)> = match what {
        What::HoldExtend => {
            let until = when::rfc3339_ms(current.leg.hub.expires_at.0);
            Some(("until", until.into()))
        }
        _ => hold
            .destination
            .as_ref()
            .map(|to| ("to", to.to.as_str().into())),
    };
    if let (Some((name, value)), Some(members)) = (more, detail.as_object_mut()) {
        members.insert(name.to_owned(), value);
    }
    audit::add(txn, by, (what, shop), &detail)
}
