//! A cancelled receipt line: a void of whatever was booked from it.

use vitrina_shared::registers::Source;
use vitrina_shared::time::Day;
use vitrina_shared::{Barcode, Condition, Details, Key, Kind, Movement, Qty, TimeMs};

use super::booking::{Booked, Outcome, Refusal};
use super::found::{self, Found};
use super::{Desk, LedgerError, other_name};

/// What a receipt line can be booked as.
const OF_RECEIPTS: [Kind; 9] = [
    Kind::Sale,
    Kind::Return,
    Kind::Receipt,
    Kind::TransferOut,
    Kind::TransferIn,
    Kind::WriteOff,
    Kind::Surplus,
    Kind::Adjustment,
    Kind::Count,
];

/// A line that its till took back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cancel {
    /// The till's name.
    pub(crate) till: Box<str>,
    /// The receipt's number.
    pub(crate) receipt: Box<str>,
    /// The line on it.
    pub(crate) line: u32,
    /// The shop-local day of the line.
    pub(crate) day: Day,
    /// The code of what is taken back, where it is said.
    pub(crate) code: Option<Barcode>,
    /// When it was taken back.
    pub(crate) at: TimeMs,
    /// What else was said.
    pub(crate) details: Details,
}

impl Desk<'_> {
    /// Voids what was booked from the line, whatever kind it was. Of several the last one that counts. Nothing but the named
    /// barcode is taken back.
    ///
    /// # Errors
    ///
    /// [`LedgerError`]; the job is to be rolled back.
    pub(crate) fn cancel(&mut self, cancel: &Cancel) -> Result<Outcome, LedgerError> {
        if self.source == Source::Balances {
            return Ok(Outcome::Refused(Refusal::SourceIsBalances));
        }
        if !cancel.at.is_writable() {
            return Ok(Outcome::Refused(Refusal::Time));
        }
        let code = cancel.code.as_ref();
        let barcode = code.map(|code| self.resolve(code)).transpose()?;
        let is_named = |of: &Movement| {
            barcode.as_ref() == Some(&of.barcode) || code == Some(of.scanned_text())
        };
        let mut lines = self.lines(cancel, is_named)?;
        if code.is_some() {
            let others = lines.extract_if(.., |line| !is_named(&line.movement));
            let other = others.max_by_key(|line| line.counts);
            if let Some(other) = other.filter(|_| lines.is_empty()) {
                return Ok(Outcome::Refused(Refusal::Conflict(other.existing())));
            }
        }
        if let Some(void) = self.void_of(&lines, Some(cancel.at))? {
            return Ok(Outcome::Duplicate(void));
        }
        let rank = |found: &&Found| (found.movement.at, found.seq, found.id);
        let Some(line) = lines.iter().filter(|found| found.counts).max_by_key(rank) else {
            let void = self.void_of(&lines, None)?;
            return Ok(void.map_or(
                Outcome::Refused(Refusal::NothingToCancel),
                Outcome::Duplicate,
            ));
        };
        let of = &line.movement;
        let void = Movement::void(
            of.barcode.clone(),
            of.condition,
            line.id,
            cancel.at,
            &cancel.details,
        );
        Ok(Outcome::Booked(self.write(void)?))
    }

    /// The void that a line already has; with `at`, the one of this very cancellation.
    fn void_of(&self, lines: &[Found], at: Option<TimeMs>) -> Result<Option<Booked>, LedgerError> {
        for line in lines.iter().filter(|line| !line.counts) {
            let of = &line.movement;
            let void = Movement::void(
                of.barcode.clone(),
                of.condition,
                line.id,
                of.at,
                &Details::default(),
            );
            let voids = found::by_id(self.conn, void.id(&self.shop))?;
            if let Some(void) = voids
                .iter()
                .find(|void| at.is_none_or(|at| void.movement.at == at))
            {
                return Ok(Some(void.booked(self.conn)?));
            }
        }
        Ok(None)
    }

    fn lines(
        &self,
        cancel: &Cancel,
        is_named: impl Fn(&Movement) -> bool,
    ) -> Result<Vec<Found>, LedgerError> {
        let Cancel {
            till,
            receipt,
            line,
            day,
            ..
        } = cancel.clone();
        let key = Key::Receipt {
            till,
            receipt,
            line,
            day,
        };
        // Only key and kind belong to the key's hash: any barcode will do.
        let any = Barcode::from_key("0").map_err(|_| LedgerError::Damaged { what: "a barcode" })?;
        let mut lines = Vec::new();
        for kind in OF_RECEIPTS {
            let line = Movement {
                kind,
                condition: Condition::Sellable,
                key: key.clone(),
                barcode: any.clone(),
                scanned: None,
                qty: Qty::ZERO,
                at: cancel.at,
                target: None,
                rest: Box::default(),
            };
            lines.extend(found::by_key(self.conn, line.key_hash(&self.shop))?);
            lines.extend(other_name::find(self.conn, &self.shop, &line, &is_named)?);
        }
        Ok(lines)
    }
}
