//! Transfers: what the movements that belong to one say together.
//!
//! A transfer is no record of its own. It is the set of the `transfer_out` and `transfer_in` movements that bear its
//! [`TransferId`], wherever they were booked, and [`Transfer::of`] says what that set means: a pure function of the set,
//! whatever the order in which it was merged. Nothing is guessed: what does not match is said, never set right.
//!
//! The id is derived from the shop that sent and what names the parcel there. Numbers of documents are a shop's own, so
//! two shops that both write a document 12 write two transfers.

use std::collections::{BTreeMap, BTreeSet};

use crate::hash::Hash;
use crate::movement::{Condition, Kind, Movement};
use crate::{Barcode, HoldId, ShopId, TimeMs, TransferId, planted};

/// Which end of a transfer a movement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// It left.
    Out,
    /// It came.
    In,
}

/// What a movement's transfer is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Its id.
    pub id: TransferId,
    /// The sending shop, as the movement names it.
    pub from: Option<Box<str>>,
    /// The document, where there is one.
    pub document: Option<Box<str>>,
}

/// The transfer that a movement belongs to; none for a movement that is no transfer.
///
/// What names it is the transfer's document (`transfer`; 32 hexadecimal digits are the id itself); where none is given the
/// hold whose piece travels, else the document in the shop's 1C (`doc`). A movement with none of these is a transfer of its
/// own, which is received by its id.
pub fn name(shop: &ShopId, movement: &Movement) -> Option<Name> {
    let way = way(movement.kind)?;
    let details = movement.details();
    let from = match way {
        Way::Out => Some(shop.as_str().into()),
        Way::In => details.from,
    };
    let hold = details.hold.map(|hold| hold.to_string().into_boxed_str());
    let named: [(u8, &Option<Box<str>>); 3] =
        [(1, &details.transfer), (2, &hold), (3, &details.document)];
    let found = named
        .into_iter()
        .find_map(|(form, text)| Some((form, text.as_ref()?)));
    let said = details.transfer.as_deref();
    let id = match (said.and_then(|text| text.parse().ok()), &from, found) {
        (Some(id), ..) => id,
        (None, Some(from), Some((form, text))) => of_document(from, form, text),
        (None, ..) => {
            let hash = Hash::of("vitrina.transfer.1").with(&[0]);
            TransferId(hash.with(&movement.id(shop).0).half())
        }
    };
    let document = details.transfer.or(details.document);
    Some(Name { id, from, document })
}

/// The id of the transfer that `from` sent under a document of its own.
pub fn id_of_document(from: &ShopId, document: &str) -> TransferId {
    of_document(from.as_str(), 1, document)
}

/// What a movement says in `transfer` to belong to a transfer that is known.
pub fn text_of(id: TransferId, from: Option<&str>, document: Option<&str>) -> String {
    match (from, document) {
        (Some(from), Some(document)) if of_document(from, 1, document) == id => document.to_owned(),
        _ => id.to_string(),
    }
}

fn of_document(from: &str, form: u8, text: &str) -> TransferId {
    let hash = Hash::of("vitrina.transfer.1").with(&[form]);
    TransferId(hash.with(from.as_bytes()).with(text.as_bytes()).half())
}

fn way(kind: Kind) -> Option<Way> {
    match kind {
        Kind::TransferOut => Some(Way::Out),
        Kind::TransferIn => Some(Way::In),
        _ => None,
    }
}

/// One movement of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it was booked.
    pub shop: ShopId,
    /// Which end it is.
    pub way: Way,
    /// What moved.
    pub barcode: Barcode,
    /// Whether it could be sold there.
    pub condition: Condition,
    /// How many.
    pub units: i64,
    /// When, by the shop's word.
    pub at: TimeMs,
    /// Of a [`Way::Out`]: where it goes.
    pub to: Option<ShopId>,
    /// The order whose piece it is.
    pub hold: Option<HoldId>,
    /// Whether it counts: not void, and no twin of another.
    pub counts: bool,
}

impl Part {
    /// The part that a movement of `shop` is; none for one that is no transfer.
    pub fn of(shop: &ShopId, movement: &Movement, counts: bool) -> Option<Self> {
        let way = way(movement.kind)?;
        let details = movement.details();
        let units = movement.qty.units();
        Some(Self {
            shop: shop.clone(),
            way,
            barcode: movement.barcode.clone(),
            condition: movement.condition,
            units: match way {
                Way::Out => units.saturating_neg(),
                Way::In => units,
            },
            at: movement.at,
            to: details.to.and_then(|to| to.parse().ok()),
            hold: details.hold,
            counts: counts || planted::is("transfers_count_voids"),
        })
    }
}

/// How a transfer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Sent, and nothing of it has come.
    InTransit,
    /// Some of it has come.
    Partial,
    /// All of it has come, as it was sent.
    Received,
    /// All of it has come, and some of it cannot be sold.
    Damaged,
    /// More has come than was sent, or something else, or to another shop.
    OtherThanSent,
    /// It has come, and nobody has sent it: the sender's word is on its way, or the document is another one.
    NotSent,
    /// It was taken back before any of it came.
    Cancelled,
}

impl State {
    /// All of them, by number.
    pub const ALL: [Self; 7] = [
        Self::InTransit,
        Self::Partial,
        Self::Received,
        Self::Damaged,
        Self::OtherThanSent,
        Self::NotSent,
        Self::Cancelled,
    ];

    /// The word of the public interface.
    pub fn word(self) -> &'static str {
        match self {
            Self::InTransit => "in_transit",
            Self::Partial => "partial",
            Self::Received => "received",
            Self::Damaged => "damaged",
            Self::OtherThanSent => "other_than_sent",
            Self::NotSent => "not_sent",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of a word of the public interface.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// 0 to 6, as stored and on the wire.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The state of a number; none for one that a later version added.
    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Whether somebody still waits for something, or must look.
    pub fn is_open(self) -> bool {
        match self {
            Self::InTransit | Self::Partial | Self::OtherThanSent | Self::NotSent => true,
            Self::Received | Self::Damaged | Self::Cancelled => false,
        }
    }
}

/// One barcode of a transfer, in units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Sent.
    pub sent: i64,
    /// Come, anywhere.
    pub received: i64,
    /// Of these, what could be sold when it left and cannot now.
    pub damaged: i64,
    /// Sent and not come.
    pub outstanding: i64,
    /// Come and not sent.
    pub over: i64,
    /// Of what has come, what came to a shop that nobody sent it to.
    pub astray: i64,
}

/// What a set of movements with one id means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// How it stands.
    pub state: State,
    /// Where what was sent goes, ascending; mostly one shop.
    pub to: BTreeSet<ShopId>,
    /// Where something came.
    pub received_by: BTreeSet<ShopId>,
    /// When the first of it left, by the shop's word.
    pub sent_at: Option<TimeMs>,
    /// When the last of it came.
    pub received_at: Option<TimeMs>,
    /// The orders whose pieces it carries.
    pub holds: BTreeSet<HoldId>,
    /// By barcode.
    pub lines: BTreeMap<Barcode, Line>,
    /// Units on their way, by the shop that waits for them; what was sent to nobody in particular is in no row.
    pub incoming: BTreeMap<(ShopId, Barcode), i64>,
}

/// The units of one barcode.
#[derive(Default)]
struct Sums {
    sent: BTreeMap<Option<ShopId>, i64>,
    received: BTreeMap<ShopId, i64>,
    unfit_sent: i64,
    unfit_received: i64,
}

impl Transfer {
    /// What the parts mean, in whatever order they are.
    pub fn of(parts: &[Part]) -> Self {
        let mut transfer = Self {
            state: State::Cancelled,
            to: BTreeSet::new(),
            received_by: BTreeSet::new(),
            sent_at: None,
            received_at: None,
            holds: BTreeSet::new(),
            lines: BTreeMap::new(),
            incoming: BTreeMap::new(),
        };
        let mut sums: BTreeMap<&Barcode, Sums> = BTreeMap::new();
        for part in parts.iter().filter(|part| part.counts) {
            transfer.holds.extend(part.hold);
            sums.entry(&part.barcode).or_default().add(part);
            match part.way {
                Way::Out => {
                    transfer.to.extend(part.to.clone());
                    let first = transfer.sent_at.map_or(part.at, |at| at.min(part.at));
                    transfer.sent_at = Some(first);
                }
                Way::In => {
                    transfer.received_by.insert(part.shop.clone());
                    let last = transfer.received_at.map_or(part.at, |at| at.max(part.at));
                    transfer.received_at = Some(last);
                }
            }
        }
        for (barcode, sums) in sums {
            let (line, waiting) = sums.line();
            let waiting = waiting.into_iter().filter(|(_, units)| *units > 0);
            let named = waiting.filter_map(|(to, units)| Some(((to?, barcode.clone()), units)));
            transfer.incoming.extend(named);
            transfer.lines.insert(barcode.clone(), line);
        }
        transfer.state = transfer.judge();
        transfer
    }

    fn judge(&self) -> State {
        let any = |is: fn(&Line) -> bool| self.lines.values().any(is);
        match (self.sent_at, self.received_at) {
            (None, None) => State::Cancelled,
            (None, Some(_)) => State::NotSent,
            (Some(_), None) => State::InTransit,
            (Some(_), Some(_)) if any(|line| line.over > 0 || line.astray > 0) => {
                State::OtherThanSent
            }
            (Some(_), Some(_)) if any(|line| line.outstanding > 0) => State::Partial,
            (Some(_), Some(_)) if any(|line| line.damaged > 0) => State::Damaged,
            (Some(_), Some(_)) => State::Received,
        }
    }
}

impl Sums {
    fn add(&mut self, part: &Part) {
        let is_unfit = part.condition == Condition::Unavailable;
        let (sum, unfit) = match part.way {
            Way::Out => (
                self.sent.entry(part.to.clone()).or_default(),
                &mut self.unfit_sent,
            ),
            Way::In => (
                self.received.entry(part.shop.clone()).or_default(),
                &mut self.unfit_received,
            ),
        };
        *sum = sum.saturating_add(part.units);
        if is_unfit {
            *unfit = unfit.saturating_add(part.units);
        }
    }

    /// The line, and what each destination still waits for: what came to a shop is taken from what was sent to it, then
    /// from what was sent to nobody in particular, then from the others in their order.
    fn line(self) -> (Line, BTreeMap<Option<ShopId>, i64>) {
        let (sent, received) = (total(self.sent.values()), total(self.received.values()));
        let mut waiting = self.sent;
        let is_open = waiting.contains_key(&None);
        let (mut rest, mut astray) = (0_i64, 0_i64);
        for (shop, units) in self.received {
            let place = Some(shop);
            if !is_open && !waiting.contains_key(&place) {
                astray = astray.saturating_add(units);
            }
            let own = waiting.get_mut(&place);
            let left = own.map_or(units, |own| take(own, units));
            rest = rest.saturating_add(left);
        }
        for units in waiting.values_mut() {
            rest = take(units, rest);
        }
        if planted::is("what_has_come_is_still_awaited") {
            for units in waiting.values_mut() {
                *units = sent;
            }
        }
        let over = if planted::is("a_parcel_is_received_twice") {
            0
        } else {
            received.saturating_sub(sent).max(0)
        };
        let damaged = self.unfit_received.saturating_sub(self.unfit_sent);
        let line = Line {
            sent,
            received,
            damaged: damaged.clamp(0, received.max(0)),
            outstanding: sent.saturating_sub(received).max(0),
            over,
            astray: if sent == 0 { 0 } else { astray },
        };
        (line, waiting)
    }
}

fn total<'a>(units: impl Iterator<Item = &'a i64>) -> i64 {
    units.fold(0, |sum, units| sum.saturating_add(*units))
}

/// Takes so many of `from`, and not more than there are; what is left to be taken.
fn take(from: &mut i64, units: i64) -> i64 {
    let taken = units.min(*from).max(0);
    *from -= taken;
    units - taken
}

/// What a scan at the receiving shop meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receiving {
    /// This transfer waits for it.
    Of(TransferId),
    /// This transfer waits for fewer of it.
    TooMany {
        /// The transfer.
        of: TransferId,
        /// For so many.
        awaited: i64,
    },
    /// None of them waits for it.
    NotAwaited,
    /// Several do: a person says which.
    Which(Vec<TransferId>),
}

/// Which of the transfers on their way to a shop a piece belongs to that comes in, where nobody says; `awaited` are those
/// that have its barcode, with the units that they still wait for.
pub fn receiving(awaited: &[(TransferId, i64)], units: i64) -> Receiving {
    let waiting: Vec<_> = awaited.iter().filter(|(_, left)| *left > 0).collect();
    match waiting.as_slice() {
        [] => Receiving::NotAwaited,
        [(of, left)] if *left >= units => Receiving::Of(*of),
        [(of, left)] => Receiving::TooMany {
            of: *of,
            awaited: *left,
        },
        several => Receiving::Which(several.iter().map(|(of, _)| *of).collect()),
    }
}
