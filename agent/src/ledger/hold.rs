//! What people see of the web orders that ask this shop, and what they say to them.

use rusqlite::Connection;
use vitrina_shared::hold::{
    self, DeclineReason, Duty, Effect, Facts, HubState, Leg, ShopSide, Way, WorkKind,
};
use vitrina_shared::{Barcode, Details, HoldId, Key, LegId, MovementId, TimeMs};

use super::booking::{Booked, Booking, Outcome, Refusal};
use super::leg::{self, Kept};
use super::promise::{self, Asked};
use super::question::{self, Question};
use super::{Desk, LedgerError, found, over_hold, query, transfer};

/// So long a piece that an order let go stands among what is to be done.
const PUT_BACK_MS: i64 = 24 * 3_600_000;

/// A leg of a hold, as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HoldRow {
    /// The leg.
    pub(crate) leg: Leg,
    /// What the movements say about it.
    pub(crate) facts: Facts,
    /// When either side changed here.
    pub(crate) changed_at: TimeMs,
    /// The model.
    pub(crate) article: Option<String>,
    /// The name.
    pub(crate) name: Option<String>,
    /// The size.
    pub(crate) size: Option<String>,
    /// The other shop to which the hub wants the piece sent.
    pub(crate) send_to: Option<String>,
    /// The order let its piece go, and it is back in the window.
    is_back: bool,
}

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Those about which the shop has something to do.
    Open,
    /// Every one that ever was.
    All,
}

/// What a person may do about one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The piece is found and kept.
    Confirm,
    /// It is not, or not any more.
    Decline,
    /// The buyer takes it.
    Fulfil,
    /// It goes back into the window.
    PutBack,
}

impl Action {
    /// The word of the public interface.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::Decline => "decline",
            Self::Fulfil => "fulfil",
            Self::PutBack => "put_back",
        }
    }
}

/// How many wait for somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Not answered.
    pub(crate) requested: u64,
    /// Kept.
    pub(crate) confirmed: u64,
    /// Sales of a file of which nobody has said whose they were.
    pub(crate) questions: u64,
    /// Answers that the hub has not heard yet.
    pub(crate) unheard: u64,
}

/// A sale over a hold, and whose it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QuestionRow {
    /// The question.
    pub(crate) question: Question,
    /// The sale; none where its log went away.
    pub(crate) sale: Option<SaleOf>,
    /// What the piece is called.
    pub(crate) name: Option<String>,
    /// The orders whose buyer it may have been.
    pub(crate) holds: Vec<HoldRow>,
}

/// A sale as its receipt tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SaleOf {
    /// Where it comes from.
    pub(crate) key: Key,
    /// Signed units.
    pub(crate) qty: i64,
    /// When.
    pub(crate) at: TimeMs,
    /// What else was said.
    pub(crate) details: Details,
}

/// Whose a sale over a hold was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The order's; of this hold or leg, where more than one comes into question.
    Order(Option<[u8; 16]>),
    /// Somebody else's.
    Other,
}

/// Why something that a person says is not taken; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum No {
    /// This shop was never asked for it.
    Unknown,
    /// It is over, or something else was said of it before.
    NotOpen(Box<HoldRow>),
    /// What was scanned is another piece.
    OtherPiece(Box<HoldRow>),
    /// The ledger has none that is not promised already.
    NotThere(Box<HoldRow>),
    /// More than one order comes into question.
    Which,
    /// Something else was answered before.
    Answered,
    /// The sale is not booked.
    Sale(Refusal),
}

impl HoldRow {
    /// A leg with what is known of its piece.
    pub(super) fn of(conn: &Connection, kept: Kept) -> Result<Self, LedgerError> {
        let facts = leg::facts(conn, &kept.leg)?;
        let about = query::stock_one(conn, &kept.leg.terms.barcode)?;
        let about = about.map(|row| (row.article, row.name, row.attributes));
        let (article, name, attributes) = about.unwrap_or_default();
        let to = transfer::destination(conn, kept.leg.id)?;
        Ok(Self {
            is_back: leg::is_back(conn, kept.leg.id)?,
            send_to: to.filter(|to| to != kept.leg.terms.shop.as_str()),
            leg: kept.leg,
            facts,
            changed_at: kept.changed_at,
            article,
            name,
            size: attributes.get("size").cloned(),
        })
    }

    /// What it comes to.
    pub(crate) fn effect(&self) -> Effect {
        hold::effect(&self.leg, self.facts)
    }

    /// Its state in the public interface.
    pub(crate) fn word(&self) -> &'static str {
        let word = self.effect().word;
        word.map_or(self.leg.hub.state.word(), hold::Word::as_str)
    }

    /// Its code as the till's file has it: one that only this shop numbers stands there without the shop.
    pub(crate) fn code(&self) -> Barcode {
        let own = &self.leg.terms.barcode;
        let bare = match own.split_local() {
            (code, Some(shop)) if shop == self.leg.terms.shop.as_str() => code.parse().ok(),
            _ => None,
        };
        bare.unwrap_or_else(|| own.clone())
    }

    /// Its piece is on its way here.
    pub(crate) fn waits_for_piece(&self) -> bool {
        self.leg.terms.comes_from.is_some() && !self.facts.has_arrived
    }

    /// What a person may do about it.
    pub(crate) fn actions(&self) -> Vec<Action> {
        let effect = self.effect();
        if effect.duties.contains(&Duty::Work(WorkKind::PutBack)) {
            let to_do = (!self.is_back).then_some(Action::PutBack);
            return to_do.into_iter().collect();
        }
        match (self.leg.hub.state, self.leg.shop) {
            (HubState::Requested, ShopSide::None) => {
                vec![Action::Confirm, Action::Decline, Action::Fulfil]
            }
            (HubState::Requested, ShopSide::Confirmed { .. }) => {
                vec![Action::Fulfil, Action::Decline]
            }
            _ => Vec::new(),
        }
    }
}

/// Rows after a place, the oldest first, at most `limit`.
pub(crate) fn list(
    conn: &Connection,
    which: Which,
    after: Option<(TimeMs, LegId)>,
    (limit, now): (usize, TimeMs),
) -> Result<Vec<HoldRow>, LedgerError> {
    let start = (TimeMs(i64::MIN), LegId([0; 16]));
    let after = after.unwrap_or(start);
    let legs = match which {
        Which::All => leg::all(conn, after, limit)?,
        Which::Open => {
            let mut legs = leg::open(conn)?;
            legs.extend(leg::let_go(conn, now.plus(-PUT_BACK_MS))?);
            legs.retain(|kept| kept.leg.rank() > after);
            legs.sort_by_key(|kept| kept.leg.rank());
            legs.truncate(limit);
            legs
        }
    };
    legs.into_iter()
        .map(|kept| HoldRow::of(conn, kept))
        .collect()
}

/// The pieces that the hub asks this shop to send, and where to.
pub(crate) fn to_ship(conn: &Connection) -> Result<Vec<(HoldRow, String)>, LedgerError> {
    let mut list = Vec::new();
    for kept in leg::open(conn)? {
        let row = HoldRow::of(conn, kept)?;
        if let Some(to) = row.send_to.clone() {
            list.push((row, to));
        }
    }
    Ok(list)
}

/// Where the piece of a hold is to go, by the hub's word.
pub(crate) fn destination(conn: &Connection, hold: &str) -> Result<Option<String>, LedgerError> {
    let Ok(HoldId(id)) = hold.parse() else {
        return Ok(None);
    };
    match find(conn, id)? {
        Some(kept) => transfer::destination(conn, kept.leg.id),
        None => Ok(None),
    }
}

/// How many wait for somebody.
pub(crate) fn counts(conn: &Connection) -> Result<Counts, LedgerError> {
    let (requested, confirmed) = leg::count_open(conn)?;
    Ok(Counts {
        requested,
        confirmed,
        questions: question::count(conn)?,
        unheard: leg::count_unheard(conn)?,
    })
}

/// The leg that a person means by a hold's id or a leg's: of several of one hold the one that is open, else the last.
fn find(conn: &Connection, id: [u8; 16]) -> Result<Option<Kept>, LedgerError> {
    let of_hold = leg::of_hold(conn, HoldId(id))?;
    let meant = of_hold.into_iter().min_by_key(|kept| {
        let leg = &kept.leg;
        (leg.hub.state, std::cmp::Reverse(leg.rank()))
    });
    match meant {
        Some(kept) => Ok(Some(kept)),
        None => leg::get(conn, LegId(id)),
    }
}

/// One of them.
pub(crate) fn one(conn: &Connection, id: [u8; 16]) -> Result<Option<HoldRow>, LedgerError> {
    let kept = find(conn, id)?;
    kept.map(|kept| HoldRow::of(conn, kept)).transpose()
}

/// A person has the piece in his hand and keeps it for the order; `scanned` is the code on it, where it was scanned.
pub(crate) fn confirm(
    desk: &Desk<'_>,
    id: [u8; 16],
    scanned: Option<&Barcode>,
) -> Result<Result<HoldRow, No>, LedgerError> {
    let (conn, now) = (desk.conn, desk.now);
    let Some(kept) = find(conn, id)? else {
        return Ok(Err(No::Unknown));
    };
    let leg = kept.leg.clone();
    let row = HoldRow::of(conn, kept)?;
    if let Some(code) = scanned
        && desk.resolve(code)? != leg.terms.barcode
    {
        return Ok(Err(No::OtherPiece(Box::new(row))));
    }
    if leg.is_requested() && matches!(leg.shop, ShopSide::Confirmed { .. }) {
        return Ok(Ok(row));
    }
    let Some(side) = hold::confirmed(&leg, now) else {
        return Ok(Err(No::NotOpen(Box::new(row))));
    };
    let stock = promise::stock(conn, &leg)?;
    if stock.sellable.saturating_sub(stock.promised) < leg.units() {
        return Ok(Err(No::NotThere(Box::new(row))));
    }
    leg::say(conn, leg.id, side, now)?;
    again(conn, leg.id)
}

/// A person says no; who had said yes breaks his word.
pub(crate) fn decline(
    conn: &Connection,
    id: [u8; 16],
    reason: DeclineReason,
    now: TimeMs,
) -> Result<Result<HoldRow, No>, LedgerError> {
    let Some(kept) = find(conn, id)? else {
        return Ok(Err(No::Unknown));
    };
    let leg = kept.leg.clone();
    let row = HoldRow::of(conn, kept)?;
    if matches!(
        leg.shop,
        ShopSide::Declined { .. } | ShopSide::Broken { .. }
    ) {
        return Ok(Ok(row));
    }
    let Some(side) = hold::declined(&leg, reason, now) else {
        return Ok(Err(No::NotOpen(Box::new(row))));
    };
    leg::say(conn, leg.id, side, now)?;
    again(conn, leg.id)
}

/// A person has put the piece back into the window.
pub(crate) fn put_back(
    conn: &Connection,
    id: [u8; 16],
    now: TimeMs,
) -> Result<Result<HoldRow, No>, LedgerError> {
    let Some(row) = one(conn, id)? else {
        return Ok(Err(No::Unknown));
    };
    if row.actions() == [Action::PutBack] {
        leg::put_back(conn, row.leg.id, now)?;
        return again(conn, row.leg.id);
    }
    Ok(if row.is_back {
        Ok(row)
    } else {
        Err(No::NotOpen(Box::new(row)))
    })
}

/// The order's buyer takes the piece: books this sale, or links the one that is here.
pub(crate) fn fulfil(
    desk: &mut Desk<'_>,
    id: [u8; 16],
    sale: &Booking,
) -> Result<Result<(HoldRow, Option<Booked>), No>, LedgerError> {
    let (conn, now) = (desk.conn, desk.now);
    let Some(kept) = find(conn, id)? else {
        return Ok(Err(No::Unknown));
    };
    let leg = kept.leg.clone();
    if let ShopSide::Fulfilled { movement, .. } = leg.shop {
        let dots = found::by_id(conn, movement)?;
        let is_its = dots
            .first()
            .map_or(Ok(true), |held| desk.is_its_sale(sale, held))?;
        let row = HoldRow::of(conn, kept)?;
        return if is_its {
            Ok(Ok((row, booked(conn, movement)?)))
        } else {
            Ok(Err(No::NotOpen(Box::new(row))))
        };
    }
    if matches!(sale.key, Key::Call(_))
        && let Some(asked) = questioned(conn, &leg)?
    {
        let is_over = matches!(leg.hub.state, HubState::Ended | HubState::Released);
        if is_over && sale.way == Way::Call {
            let row = HoldRow::of(conn, kept)?;
            return Ok(Err(No::NotOpen(Box::new(row))));
        }
        over_hold::fulfil(conn, leg.id, asked, now)?;
        promise::break_uncovered(conn, &leg.terms.barcode, now)?;
        let booked = booked(conn, asked)?;
        return linked(conn, &leg, asked, booked);
    }
    match desk.book(sale)? {
        Outcome::Booked(booked) | Outcome::Duplicate(booked) => {
            linked(conn, &leg, booked.id, Some(booked))
        }
        Outcome::Refused(refusal) => Ok(Err(No::Sale(refusal))),
    }
}

/// The one sale of a leg's piece that a file brought and that is nobody's yet.
fn questioned(conn: &Connection, leg: &Leg) -> Result<Option<MovementId>, LedgerError> {
    let questions = question::of_barcode(conn, &leg.terms.barcode)?;
    let [question] = questions.as_slice() else {
        return Ok(None);
    };
    let sale = found::by_id(conn, question.sale)?;
    let fits = sale
        .first()
        .is_some_and(|sale| -sale.movement.qty.units() == leg.units());
    Ok(fits.then_some(question.sale))
}

fn booked(conn: &Connection, sale: MovementId) -> Result<Option<Booked>, LedgerError> {
    let found = found::by_id(conn, sale)?;
    found.first().map(|sale| sale.booked(conn)).transpose()
}

/// The leg of a hold that stands on this sale now; a sale is of one order at most.
fn linked(
    conn: &Connection,
    meant: &Leg,
    sale: MovementId,
    booked: Option<Booked>,
) -> Result<Result<(HoldRow, Option<Booked>), No>, LedgerError> {
    let legs = leg::of_hold(conn, meant.terms.hold)?;
    let stands = |kept: &Kept| kept.leg.shop.movement() == Some(sale);
    if let Some(kept) = legs.into_iter().find(stands) {
        return Ok(Ok((HoldRow::of(conn, kept)?, booked)));
    }
    let row = again(conn, meant.id)?;
    Ok(row.and_then(|row| Err(No::NotOpen(Box::new(row)))))
}

/// What the leg says now.
fn again(conn: &Connection, id: LegId) -> Result<Result<HoldRow, No>, LedgerError> {
    Ok(match leg::get(conn, id)? {
        Some(kept) => Ok(HoldRow::of(conn, kept)?),
        None => Err(No::Unknown),
    })
}

/// What is asked about sales of files, the oldest first.
pub(crate) fn questions(conn: &Connection) -> Result<Vec<QuestionRow>, LedgerError> {
    let open = question::open(conn)?.into_iter();
    open.map(|question| row_of(conn, question)).collect()
}

fn row_of(conn: &Connection, question: Question) -> Result<QuestionRow, LedgerError> {
    let sale = found::by_id(conn, question.sale)?;
    let sale = sale.into_iter().next().map(|found| SaleOf {
        qty: found.movement.qty.units(),
        at: found.movement.at,
        details: found.movement.details(),
        key: found.movement.key,
    });
    let units = sale.as_ref().map(|sale| -sale.qty);
    let legs = promise::of_barcode(conn, &question.barcode)?.into_iter();
    let is_candidate = |asked: &Asked| {
        let leg = &asked.kept.leg;
        let fits = Some(leg.units()) == units && over_hold::comes_into_question(asked);
        question.leg.map_or(fits, |answered| leg.id == answered)
    };
    let holds = legs
        .filter(is_candidate)
        .map(|asked| HoldRow::of(conn, asked.kept));
    Ok(QuestionRow {
        name: query::stock_one(conn, &question.barcode)?.and_then(|about| about.name),
        sale,
        holds: holds.collect::<Result<_, _>>()?,
        question,
    })
}

/// A person says whose a sale over a hold was.
pub(crate) fn settle(
    conn: &Connection,
    sale: MovementId,
    whose: Whose,
    now: TimeMs,
) -> Result<Result<QuestionRow, No>, LedgerError> {
    let Some(question) = question::get(conn, sale)? else {
        return Ok(Err(No::Unknown));
    };
    let row = row_of(conn, question)?;
    let is_answered = row.question.answered_at.is_some();
    let leg = match whose {
        Whose::Other => None,
        Whose::Order(id) => {
            let is_meant = |row: &&HoldRow| {
                id.is_none_or(|id| row.leg.terms.hold.0 == id || row.leg.id.0 == id)
            };
            let meant: Vec<&HoldRow> = row.holds.iter().filter(is_meant).collect();
            match meant.as_slice() {
                [one] => Some(one.leg.id),
                [] => return Ok(Err(No::Unknown)),
                [..] => return Ok(Err(No::Which)),
            }
        }
    };
    if is_answered {
        return Ok(if row.question.leg == leg {
            Ok(row)
        } else {
            Err(No::Answered)
        });
    }
    match leg {
        Some(leg) => over_hold::fulfil(conn, leg, sale, now)?,
        None => drop(question::close(conn, sale, None, now)?),
    }
    promise::break_uncovered(conn, &row.question.barcode, now)?;
    let question = question::get(conn, sale)?.unwrap_or(row.question);
    Ok(Ok(row_of(conn, question)?))
}
