//! Work items: what a person must look at, one entry for each cause, and whose it is.
//!
//! Two kinds of causes: those that stand (stock is negative, a shop is silent) are facts that can be looked up at any time,
//! so their entries end by themselves; those that happened (an order was cancelled and bought) end by a person's word, but
//! for those of which the order's leg itself shows that they are over.
//! What is to be done about facts is decided in [`decide`]; rows are the store's, delivery is `webhook`'s.

pub(crate) mod decide;
pub(crate) mod facts;
pub(crate) mod owner;
pub(crate) mod text;
pub(crate) mod watch;

use std::fmt;
use std::str::FromStr;

use serde_json::{Value, json};
use vitrina_host::output::Lang;
use vitrina_host::sign;
use vitrina_host::when;
use vitrina_shared::{ShopId, TimeMs};

use owner::Owner;

/// Makes the enum, its list and its words from one table, so that they cannot differ.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $word:literal;)*) => {
        /// What is to be looked at.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum Kind { $($(#[$doc])* $kind,)* }

        impl Kind {
            /// Every kind.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// The word of the public interface.
            pub(crate) fn word(self) -> &'static str {
                match self { $(Self::$kind => $word,)* }
            }
        }
    };
}

kinds! {
    /// A shop sold what it did not have.
    NegativeStock = "negative_stock";
    /// One receipt line says two things.
    ReceiptConflict = "receipt_conflict";
    /// A shop's 1C and its ledger differ about a barcode.
    Disagreement = "disagreement";
    /// Records wait for somebody's decision.
    Quarantine = "quarantine";
    /// A shop is not heard from while it is open.
    ShopSilent = "shop_silent";
    /// A shop is heard from, and its 1C is silent.
    SourceSilent = "source_silent";
    /// Two machines use one shop's key.
    TwoMachines = "two_machines";
    /// A shop's numbers here and there differ, though each side held its own against its log.
    BooksDiffer = "books_differ";
    /// Movements of a shop are known to have existed, and nobody has them.
    LostMovements = "lost_movements";
    /// A piece of which there is one is on hand in two places.
    UniqueInTwoPlaces = "unique_in_two_places";
    /// A piece of which there is one was sold twice.
    UniqueSoldTwice = "unique_sold_twice";
    /// A receiver of webhooks takes none.
    WebhookDead = "webhook_dead";
    /// A shop took nothing of a file.
    FilesRejected = "files_rejected";
    /// A shop came back that the hub's copy did not know.
    ShopFound = "shop_found";
    /// A web order waits for a shop's word.
    HoldUnanswered = "hold_unanswered";
    /// A web order waits for a shop that is not heard from.
    HoldOnSilentShop = "hold_on_silent_shop";
    /// A file sold what was promised to a web order.
    SoldOverHold = "sold_over_hold";
    /// An order was cancelled, and its buyer has the piece.
    CancelledAndBought = "cancelled_and_bought";
    /// An order was bought from a shop that was no longer asked.
    BoughtAfterEnd = "bought_after_end";
    /// A shop kept a piece that is not there after all.
    HoldBroken = "hold_broken";
    /// A shop keeps a piece that nobody wants any more.
    PutBack = "put_back";
    /// A piece travels for an order that does not want it there.
    TravelsUnwanted = "travels_unwanted";
    /// What was sent goes to a shop that the hub does not know.
    TransferToStranger = "transfer_to_unknown_shop";
    /// What was sent from shop to shop does not arrive.
    TransferStuck = "transfer_stuck";
    /// What came from another shop is not what was sent.
    TransferOther = "transfer_other_than_sent";
}

/// Of what many entries are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Many {
    /// Each stays its own.
    Apart,
    /// Those of one shop.
    OfShop,
    /// Those of all shops.
    OfChain,
}

impl Kind {
    /// Whether its causes are facts that can be looked up, so that an entry ends when its fact does.
    pub(crate) fn stands(self) -> bool {
        match self {
            Self::NegativeStock
            | Self::ReceiptConflict
            | Self::Disagreement
            | Self::Quarantine
            | Self::ShopSilent
            | Self::SourceSilent
            | Self::TwoMachines
            | Self::BooksDiffer
            | Self::LostMovements
            | Self::UniqueInTwoPlaces
            | Self::UniqueSoldTwice
            | Self::WebhookDead
            | Self::FilesRejected
            | Self::ShopFound
            | Self::HoldUnanswered
            | Self::HoldOnSilentShop
            | Self::TransferToStranger
            | Self::TransferStuck
            | Self::TransferOther => true,
            Self::SoldOverHold
            | Self::CancelledAndBought
            | Self::BoughtAfterEnd
            | Self::HoldBroken
            | Self::PutBack
            | Self::TravelsUnwanted => false,
        }
    }

    /// What many of them together are one entry of: a shop that was never opened is one cause, not one for each of its
    /// barcodes, and so is a line that cuts off every shop.
    pub(crate) fn many(self) -> Many {
        match self {
            Self::NegativeStock
            | Self::ReceiptConflict
            | Self::Disagreement
            | Self::HoldUnanswered
            | Self::TransferStuck => Many::OfShop,
            Self::ShopSilent | Self::SourceSilent | Self::ShopFound => Many::OfChain,
            _ => Many::Apart,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// No such word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UnknownWord(&'static str);

impl FromStr for Kind {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let known = Self::ALL.iter().find(|kind| kind.word() == text);
        known.copied().ok_or(UnknownWord(
            "there is no such kind of work item, such as negative_stock or shop_silent",
        ))
    }
}

/// How far an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nobody has looked.
    Open,
    /// Somebody is at it.
    Acknowledged,
    /// Not now: it comes back at a time.
    Snoozed,
    /// Done.
    Resolved,
}

impl State {
    const ALL: [Self; 4] = [
        Self::Open,
        Self::Acknowledged,
        Self::Snoozed,
        Self::Resolved,
    ];

    /// The word of the public interface.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Snoozed => "snoozed",
            Self::Resolved => "resolved",
        }
    }
}

impl FromStr for State {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let known = Self::ALL.into_iter().find(|state| state.word() == text);
        known.ok_or(UnknownWord(
            "a state is open, acknowledged, snoozed or resolved",
        ))
    }
}

/// Whom it is taken to. Ordered: what is later goes higher.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, serde::Serialize,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// Whoever minds the goods or the shop.
    #[default]
    Manager,
    /// Whoever minds the managers.
    Director,
}

impl Level {
    /// 0 or 1, as stored.
    pub(crate) fn number(self) -> u8 {
        self as u8
    }

    /// The level of a number.
    pub(crate) fn of_number(number: u8) -> Self {
        if number == 0 {
            Self::Manager
        } else {
            Self::Director
        }
    }

    /// The word of the public interface.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Manager => "manager",
            Self::Director => "director",
        }
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WorkItem {
    /// Its name for ever.
    pub(crate) id: [u8; 16],
    /// What is to be looked at.
    pub(crate) kind: Kind,
    /// What makes it one and the same.
    pub(crate) cause: String,
    /// In which shop.
    pub(crate) shop: Option<ShopId>,
    /// Of which barcode.
    pub(crate) barcode: Option<String>,
    /// How far it is.
    pub(crate) state: State,
    /// Whom it is taken to.
    pub(crate) level: Level,
    /// Whose it is, where the responsibility map says so.
    pub(crate) owner: Option<Owner>,
    /// What is known, as a JSON object.
    pub(crate) evidence: Value,
    /// When it was first opened.
    pub(crate) opened_at: TimeMs,
    /// When it last changed.
    pub(crate) updated_at: TimeMs,
    /// When it comes back.
    pub(crate) snoozed_until: Option<TimeMs>,
    /// How often it was opened: 1, and one more for each time that its cause came back.
    pub(crate) times: u64,
}

/// One thing that happened to an entry.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    /// When.
    pub(crate) at: TimeMs,
    /// On whose word.
    pub(crate) by: String,
    /// What: `opened`, `acknowledged` and so on.
    pub(crate) what: String,
    /// What was said with it.
    pub(crate) detail: Value,
}

impl WorkItem {
    /// The name as people and the interface have it.
    pub(crate) fn name(&self) -> String {
        sign::hex(&self.id)
    }

    /// The object of the interface.
    pub(crate) fn json(&self, lang: Lang) -> Value {
        json!({
            "id": self.name(),
            "kind": self.kind.word(),
            "state": self.state.word(),
            "level": self.level.word(),
            "shop": self.shop.as_ref().map(ShopId::as_str),
            "barcode": self.barcode,
            "text": text::of(self, lang),
            "owner": self.owner.as_ref().map(Owner::json),
            "evidence": self.evidence,
            "opened_at": when::rfc3339_ms(self.opened_at.0),
            "updated_at": when::rfc3339_ms(self.updated_at.0),
            "snoozed_until": self.snoozed_until.map(|at| when::rfc3339_ms(at.0)),
            "times": self.times,
        })
    }

    /// The same with all that happened to it.
    pub(crate) fn json_with(&self, history: &[Told], lang: Lang) -> Value {
        let mut object = self.json(lang);
        let history: Vec<Value> = history
            .iter()
            .map(|told| {
                json!({
                    "at": when::rfc3339_ms(told.at.0),
                    "by": told.by,
                    "what": told.what,
                    "detail": told.detail,
                })
            })
            .collect();
        if let Some(members) = object.as_object_mut() {
            members.insert("history".into(), history.into());
        }
        object
    }
}

/// What a person does with an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Is at it.
    Acknowledge,
    /// Does not want to see it before this moment.
    Snooze(TimeMs),
    /// Is done with it.
    Resolve,
}

/// What became of a deed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Done {
    /// The entry as it is now; a repeat changes nothing.
    Is(Box<WorkItem>),
    /// It is resolved already.
    Over,
    /// There is no such entry.
    Unknown,
}

/// The longest note of a person, in characters.
pub(crate) const MAX_NOTE_CHARS: usize = 500;

/// How long one may snooze: what is put off for longer is forgotten.
pub(crate) const MAX_SNOOZE_MS: i64 = 30 * 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_as_it_is_written() {
        for kind in Kind::ALL {
            assert_eq!(kind.word().parse(), Ok(*kind));
        }
        for state in State::ALL {
            assert_eq!(state.word().parse(), Ok(state));
        }
        assert!("silence".parse::<Kind>().is_err() && "closed".parse::<State>().is_err());
    }
}
