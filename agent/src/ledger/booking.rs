//! Booking what a till, a file or a person brings. A refusal that the design expects is a value.

use std::fmt;

use vitrina_shared::delta::Entry;
use vitrina_shared::hold::Way;
use vitrina_shared::movement::{Direction, MAX_KEY_TEXT_BYTES, MAX_MOVEMENT_BYTES};
use vitrina_shared::registers::Source;
use vitrina_shared::stock::Level;
use vitrina_shared::{
    Barcode, Condition, Details, Key, Kind, Movement, MovementId, Qty, ReplicaId, Seq, TimeMs,
    planted,
};

use super::desk::Novelty;
use super::found::Found;
use super::hold::HoldRow;
use super::log::{self, Names};
use super::{Desk, LedgerError, other_name, over_hold, promise, standing};

/// One movement as it is brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Booking {
    /// What happened.
    pub(crate) kind: Kind,
    /// Sellable or not.
    pub(crate) condition: Condition,
    /// Where it comes from.
    pub(crate) key: Key,
    /// The code as scanned.
    pub(crate) code: Barcode,
    /// Units as people give them: positive, the kind gives the direction; of an adjustment signed; of a count what
    /// was observed.
    pub(crate) qty: i64,
    /// When it happened.
    pub(crate) at: At,
    /// What else was said.
    pub(crate) details: Details,
    /// Whether a person insists.
    pub(crate) force: Force,
    /// Whether it can be refused for the sake of a hold, or has happened.
    pub(crate) way: Way,
}

/// The time of a booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// As the record says: it may lie before the opening.
    Said(TimeMs),
    /// It happens now, so it is in no file that was taken before.
    Now(TimeMs),
}

impl At {
    fn time(self) -> TimeMs {
        match self {
            Self::Said(at) | Self::Now(at) => at,
        }
    }
}

/// Whether a person insists on what a rule holds back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Force {
    /// The rules hold.
    Rules,
    /// `before_opening` is booked all the same.
    Anyway,
}

/// What became of a booking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is written now.
    Booked(Booked),
    /// It was here already.
    Duplicate(Booked),
    /// It is not written.
    Refused(Refusal),
}

/// A movement that is in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Booked {
    /// Its identity.
    pub(crate) id: MovementId,
    /// Whose log it is in.
    pub(crate) replica: ReplicaId,
    /// The place there.
    pub(crate) seq: Seq,
    /// What happened.
    pub(crate) kind: Kind,
    /// What it counts for.
    pub(crate) barcode: Barcode,
    /// Sellable or not.
    pub(crate) condition: Condition,
    /// Signed units.
    pub(crate) qty: i64,
    /// When.
    pub(crate) at: TimeMs,
    /// Whether it counts.
    pub(crate) counts: bool,
    /// The barcode's numbers now.
    pub(crate) level: Level,
}

/// The movement that a contradicting record meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Existing {
    /// Its identity.
    pub(crate) id: MovementId,
    /// What happened.
    pub(crate) kind: Kind,
    /// The code as scanned then.
    pub(crate) scanned: Barcode,
    /// Signed units.
    pub(crate) qty: i64,
    /// When.
    pub(crate) at: TimeMs,
}

impl fmt::Display for Existing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind, scanned, qty, ..
        } = self;
        write!(
            f,
            "this receipt line is in the ledger as {kind} of {scanned}, quantity {qty}"
        )
    }
}

/// Why a record was not booked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The same key with another barcode or quantity.
    Conflict(Existing),
    /// A void names it; `held` when the very movement is here.
    VoidedBefore {
        /// The void movement itself.
        held: Option<Booked>,
    },
    /// It lies inside the opening.
    BeforeOpening {
        /// The opening's time.
        opened: TimeMs,
    },
    /// The shop's 1C keeps the books.
    SourceIsBalances,
    /// No quantity that this kind can have.
    Qty,
    /// The kind is not for people.
    Internal(Kind),
    /// A cancelled line that is not here.
    NothingToCancel,
    /// The time is no date of four digits.
    Time,
    /// Its texts are too long.
    TooLong,
    /// It takes what is held for these web orders.
    Held(Vec<HoldRow>),
    /// The hold that it names was cancelled, is kept elsewhere, or has been served.
    HoldNotOpen(Box<HoldRow>),
    /// The hold that it names is for another piece, or for another quantity.
    OtherPiece(Box<HoldRow>),
    /// This shop was never asked for the hold that it names.
    UnknownHold,
}

impl Refusal {
    /// The stable code of the public interface.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Conflict(_) => "receipt_conflict",
            Self::VoidedBefore { .. } => "voided_before",
            Self::BeforeOpening { .. } => "before_opening",
            Self::SourceIsBalances => "source_is_balances",
            Self::Qty => "invalid_qty",
            Self::Internal(_) => "invalid_type",
            Self::NothingToCancel => "nothing_to_cancel",
            Self::Time => "invalid_time",
            Self::TooLong => "too_long",
            Self::Held(_) => "hold_conflict",
            Self::HoldNotOpen(_) => "hold_not_open",
            Self::OtherPiece(_) => "other_piece",
            Self::UnknownHold => "unknown_hold",
        }
    }
}

/// What became of several bookings that stand together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AllOrNone {
    /// All are in the ledger, in their order.
    Booked(Vec<Outcome>),
    /// None is, because of this one.
    Refused {
        /// Its index.
        line: usize,
        /// Why.
        refusal: Refusal,
    },
}

impl Desk<'_> {
    /// Books one movement.
    ///
    /// # Errors
    ///
    /// [`LedgerError`]; the job is to be rolled back. What the design expects is in [`Outcome`].
    pub(crate) fn book(&mut self, booking: &Booking) -> Result<Outcome, LedgerError> {
        if let Some(refusal) = self.refused_at_once(booking) {
            return Ok(Outcome::Refused(refusal));
        }
        let Some(movement) = self.movement(booking)? else {
            return Ok(Outcome::Refused(Refusal::Qty));
        };
        self.book_movement(booking, movement)
    }

    /// Books all of them, or none.
    ///
    /// # Errors
    ///
    /// [`LedgerError`]; the job is to be rolled back.
    pub(crate) fn book_all(&mut self, bookings: &[Booking]) -> Result<AllOrNone, LedgerError> {
        self.conn.execute_batch("SAVEPOINT together")?;
        let mut outcomes = Vec::with_capacity(bookings.len());
        for (line, booking) in bookings.iter().enumerate() {
            match self.book(booking)? {
                Outcome::Refused(refusal) => {
                    self.conn
                        .execute_batch("ROLLBACK TO together; RELEASE together")?;
                    self.look_again();
                    return Ok(AllOrNone::Refused { line, refusal });
                }
                outcome => outcomes.push(outcome),
            }
        }
        self.conn.execute_batch("RELEASE together")?;
        Ok(AllOrNone::Booked(outcomes))
    }

    /// The identity that a booking has or would have: the name of its quarantine entry.
    pub(crate) fn movement_id(&self, booking: &Booking) -> Result<Option<MovementId>, LedgerError> {
        Ok(self
            .movement(booking)?
            .map(|movement| movement.id(&self.shop)))
    }

    fn refused_at_once(&self, booking: &Booking) -> Option<Refusal> {
        if booking.kind.direction() == Direction::Internal {
            return Some(Refusal::Internal(booking.kind));
        }
        if self.source == Source::Balances {
            return Some(Refusal::SourceIsBalances);
        }
        if !booking.at.time().is_writable() {
            return Some(Refusal::Time);
        }
        let fits = |text: &str| !text.is_empty() && text.len() <= MAX_KEY_TEXT_BYTES;
        let key_fits = match &booking.key {
            Key::Receipt { till, receipt, .. } => till.len() <= MAX_KEY_TEXT_BYTES && fits(receipt),
            Key::Call(text) => fits(text),
            _ => true,
        };
        (!key_fits).then_some(Refusal::TooLong)
    }

    /// The movement of a booking; none when its quantity is none that its kind can have. A count's units are worked
    /// out here.
    pub(super) fn movement(&self, booking: &Booking) -> Result<Option<Movement>, LedgerError> {
        let barcode = self.resolve(&booking.code)?;
        let at = booking.at.time();
        let mut details = booking.details.clone();
        let units = match booking.kind.direction() {
            Direction::In if booking.qty > 0 => booking.qty,
            Direction::Out if booking.qty > 0 => -booking.qty,
            Direction::Signed if booking.qty != 0 => booking.qty,
            Direction::Observed if booking.qty >= 0 => {
                details.observed = Some(booking.qty);
                booking.qty - log::on_hand_at(self.conn, &barcode, booking.condition, at)?
            }
            _ => return Ok(None),
        };
        let Ok(qty) = Qty::new(units) else {
            return Ok(None);
        };
        Ok(Some(Movement {
            kind: booking.kind,
            condition: booking.condition,
            key: booking.key.clone(),
            scanned: Some(&booking.code)
                .filter(|code| **code != barcode)
                .cloned(),
            barcode,
            qty,
            at,
            target: None,
            rest: details.to_bytes(),
        }))
    }

    fn book_movement(
        &mut self,
        booking: &Booking,
        movement: Movement,
    ) -> Result<Outcome, LedgerError> {
        let legs = promise::of_barcode(self.conn, &movement.barcode)?;
        let movement = over_hold::named(movement, &legs, booking.way);
        let names = Names::of(&self.shop, &movement);
        let same_key = self.known((&movement, &names), (booking.way, &legs))?;
        let is_same = |found: &&Found| {
            let held = &found.movement;
            found.id == names.id
                || is_same_count(held, &movement)
                || other_name::is_like(held, &movement)
        };
        let is_same = |found: &&Found| {
            let contradicts = planted::is("agent_takes_a_contradiction_for_a_repeat");
            (is_same(found) || contradicts) && !planted::is("agent_books_a_repeat")
        };
        if let Some(same) = same_key.iter().find(is_same) {
            let is_named = !same.counts && standing::is_targeted(self.conn, same.id)?;
            return Ok(if is_named {
                let held = Some(same.booked(self.conn)?);
                Outcome::Refused(Refusal::VoidedBefore { held })
            } else {
                over_hold::link(self, &movement, same.id, &legs)?;
                other_name::keep(self.conn, (&movement, names.key), same)?;
                Outcome::Duplicate(same.booked(self.conn)?)
            });
        }
        if standing::is_targeted(self.conn, names.id)? {
            return Ok(Outcome::Refused(Refusal::VoidedBefore { held: None }));
        }
        let contradicts = |found: &&Found| found.id != names.id;
        if let Some(existing) = same_key.iter().find(contradicts) {
            return Ok(Outcome::Refused(Refusal::Conflict(existing.existing())));
        }
        let is_inside = |opened: &TimeMs| matches!(booking.at, At::Said(at) if at <= *opened);
        if let (Force::Rules, Some(opened)) = (booking.force, self.opened_at.filter(is_inside)) {
            return Ok(Outcome::Refused(Refusal::BeforeOpening { opened }));
        }
        let plan = match over_hold::plan(self, booking, &movement, &legs)? {
            Ok(plan) => plan,
            Err(refusal) => return Ok(Outcome::Refused(refusal)),
        };
        let entry = Entry::new(movement);
        if entry.bytes.len() > MAX_MOVEMENT_BYTES {
            return Ok(Outcome::Refused(Refusal::TooLong));
        }
        let mut booked = self.write_entry(&entry, names, Novelty::New)?;
        if !legs.is_empty() {
            over_hold::carry_out(self.conn, &plan, (booked.id, &booked.barcode), self.now)?;
            booked.level = promise::level(self.conn, &booked.barcode)?;
        }
        Ok(Outcome::Booked(booked))
    }

    /// Writes a movement that the agent worked out.
    pub(super) fn write(&mut self, movement: Movement) -> Result<Booked, LedgerError> {
        let names = Names::of(&self.shop, &movement);
        let booked = self.write_entry(&Entry::new(movement), names, Novelty::Unknown)?;
        promise::break_uncovered(self.conn, &booked.barcode, self.now)?;
        let level = promise::level(self.conn, &booked.barcode)?;
        Ok(Booked { level, ..booked })
    }

    fn write_entry(
        &mut self,
        entry: &Entry,
        names: Names,
        novelty: Novelty,
    ) -> Result<Booked, LedgerError> {
        let (id, movement) = (names.id, &entry.movement);
        let (kind, condition) = (movement.kind, movement.condition);
        let (barcode, qty, at) = (movement.barcode.clone(), movement.qty.units(), movement.at);
        let (dot, counts) = self.append_line(entry, names, novelty)?;
        let level = log::level(self.conn, &barcode)?;
        Ok(Booked {
            id,
            replica: dot.replica,
            seq: dot.seq,
            kind,
            barcode,
            condition,
            qty,
            at,
            counts,
            level,
        })
    }
}

/// The same observation brought again: what it differs by was worked out when it was booked.
pub(super) fn is_same_count(held: &Movement, brought: &Movement) -> bool {
    held.kind == Kind::Count
        && brought.kind == Kind::Count
        && held.scanned_text() == brought.scanned_text()
        && held.details().observed.is_some()
        && held.details().observed == brought.details().observed
}
