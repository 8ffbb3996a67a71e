//! The words of the audit list: who changed what. It knows nothing of people but the names of their keys.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};
use vitrina_shared::{ShopId, TimeMs};

/// On whose word something was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// Whoever has the hub's data folder: a command.
    CommandLine,
    /// A call with this key.
    Key(Arc<str>),
    /// A shop, by its device.
    Shop(ShopId),
    /// A file in a drop folder.
    DropFolder,
    /// The hub itself.
    Hub,
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine => f.write_str("command line"),
            Self::Key(name) => write!(f, "key {name}"),
            Self::Shop(shop) => write!(f, "shop {shop}"),
            Self::DropFolder => f.write_str("drop folder"),
            Self::Hub => f.write_str("hub"),
        }
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A shop was added.
    ShopAdd,
    /// Something was set of a shop.
    ShopSet,
    /// A shop got a new code.
    ShopRecode,
    /// A shop's credentials were ended.
    ShopRevoke,
    /// A shop that this database had forgotten was heard from.
    ShopFound,
    /// A device was enrolled.
    Enrol,
    /// A key was made.
    KeyAdd,
    /// A key was ended.
    KeyRevoke,
    /// So many failed to prove who they are.
    LoginFailures,
    /// A life of the hub began.
    Life,
    /// A ledger wrote for the first time.
    Replica,
    /// Two histories of one ledger parted.
    Fork,
    /// A record that a shop holds back was decided about.
    Decision,
    /// Totals were written anew from their movements.
    Repair,
    /// A file of the catalogue was imported.
    Import,
    /// A copy of the database was written.
    Backup,
    /// Stock left the hub as a file.
    Export,
    /// The settings of the hub are others than at the last start.
    Config,
    /// Other units are kept back from web orders.
    SafetySet,
    /// A rule of what is kept back was taken away.
    SafetyRemove,
    /// Somebody is at a work item.
    AlertAcknowledge,
    /// Somebody put a work item off.
    AlertSnooze,
    /// Somebody resolved a work item.
    AlertResolve,
    /// A rule of responsibility was added.
    AlertOwnerAdd,
    /// A rule of responsibility was taken away.
    AlertOwnerRemove,
    /// A receiver of webhooks was added.
    WebhookAdd,
    /// A receiver of webhooks was taken away.
    WebhookRemove,
    /// A piece is held because somebody other than a website said so.
    HoldPlace,
    /// Somebody let a hold go.
    HoldRelease,
    /// Somebody keeps a hold longer.
    HoldExtend,
    /// Somebody had an order's piece sent to another shop.
    HoldTransfer,
    /// A shop was asked to send a piece to another.
    TransferRequest,
}

impl What {
    /// The word of the list.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::ShopAdd => "shop_add",
            Self::ShopSet => "shop_set",
            Self::ShopRecode => "shop_recode",
            Self::ShopRevoke => "shop_revoke",
            Self::ShopFound => "shop_found",
            Self::Enrol => "enrol",
            Self::KeyAdd => "key_add",
            Self::KeyRevoke => "key_revoke",
            Self::LoginFailures => "login_failures",
            Self::Life => "life",
            Self::Replica => "replica",
            Self::Fork => "fork",
            Self::Decision => "decision",
            Self::Repair => "repair",
            Self::Import => "import",
            Self::Backup => "backup",
            Self::Export => "export",
            Self::Config => "config",
            Self::SafetySet => "safety_set",
            Self::SafetyRemove => "safety_remove",
            Self::AlertAcknowledge => "alert_acknowledge",
            Self::AlertSnooze => "alert_snooze",
            Self::AlertResolve => "alert_resolve",
            Self::AlertOwnerAdd => "alert_owner_add",
            Self::AlertOwnerRemove => "alert_owner_remove",
            Self::WebhookAdd => "webhook_add",
            Self::WebhookRemove => "webhook_remove",
            Self::HoldPlace => "hold_place",
            Self::HoldRelease => "hold_release",
            Self::HoldExtend => "hold_extend",
            Self::HoldTransfer => "hold_transfer",
            Self::TransferRequest => "transfer_request",
        }
    }
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct AuditRow {
    /// Its number.
    pub(crate) n: u64,
    /// When, by the hub's clock.
    #[serde(serialize_with = "crate::store::rfc3339")]
    pub(crate) at: TimeMs,
    /// In which life of the hub.
    pub(crate) life: u64,
    /// On whose word.
    pub(crate) by: String,
    /// What was done.
    pub(crate) what: String,
    /// With which shop.
    pub(crate) shop: Option<ShopId>,
    /// What else there is to say.
    pub(crate) detail: Value,
}

/// Which records are asked for, the latest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct AuditFilter {
    /// Not before.
    pub(crate) since: Option<TimeMs>,
    /// Only of this shop.
    pub(crate) shop: Option<ShopId>,
    /// Only before this number: where the last page ended.
    pub(crate) before: Option<u64>,
    /// At most so many.
    pub(crate) limit: usize,
}

/// What `audit verify` found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AuditChecked {
    /// So many records there are.
    pub(crate) records: u64,
    /// What is wrong, in words behind a code.
    pub(crate) problems: Vec<(&'static str, String)>,
}

/// What differs between two states of a thing, as `{"field": [before, after]}`.
pub(crate) fn changed(before: &impl Serialize, after: &impl Serialize) -> Value {
    let fields = |value: Value| match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    let of = |thing: Result<Value, _>| fields(thing.unwrap_or_default());
    let before = of(serde_json::to_value(before));
    let differs = of(serde_json::to_value(after))
        .into_iter()
        .filter_map(|(name, after)| {
            let before = before.get(&name).cloned().unwrap_or_default();
            (before != after).then(|| (name, Value::Array(vec![before, after])))
        });
    Value::Object(differs.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_told_with_both_states() {
        let before = json!({"name": "T", "publish": true, "city": null});
        let after = json!({"name": "T", "publish": false, "city": "Moscow"});

        assert_eq!(
            changed(&before, &after),
            json!({"publish": [true, false], "city": [null, "Moscow"]})
        );
        assert_eq!(changed(&after, &after), json!({}));
    }
}
