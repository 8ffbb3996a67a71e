//! A line as a till, a person or a file says it, made into a booking: which key it has, and what is wrong with it.

use jiff::tz::TimeZone;
use rusqlite::Connection;
use vitrina_host::when;
use vitrina_shared::hold::Way;
use vitrina_shared::movement::MAX_KEY_TEXT_BYTES;
use vitrina_shared::qty::MAX_MOVEMENT_UNITS;
use vitrina_shared::time::Day;
use vitrina_shared::{Barcode, Condition, Details, Key, Kind, ShopId, TimeMs};

use crate::core;
use crate::ledger::reply::ReplyKey;
use crate::ledger::{At, Booking, Cancel, Desk, Force, LedgerError, Outcome, state};

/// What is wrong with a line, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invalid {
    /// The stable code for the quarantine.
    pub(crate) code: &'static str,
    /// The field.
    pub(crate) field: &'static str,
    /// What a person reads.
    pub(crate) message: String,
}

impl Invalid {
    /// Something wrong with a field.
    pub(crate) fn new(code: &'static str, field: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            field,
            message: message.into(),
        }
    }
}

/// What a line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// A movement of this kind.
    Move(Kind),
    /// The line of the same till, receipt, line and day does not count.
    Cancel,
}

impl Verb {
    /// The verb of a word of the public interface.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        if word == "cancel" {
            Some(Self::Cancel)
        } else {
            Kind::of_word(word).map(Self::Move)
        }
    }
}

/// A line with every value of its type.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    /// What it asks for.
    pub(crate) verb: Verb,
    /// The text as scanned.
    pub(crate) code: Option<Barcode>,
    /// Sellable or not.
    pub(crate) condition: Condition,
    /// As people give it: positive; an adjustment signed; a count as observed.
    pub(crate) qty: i64,
    /// When it happened.
    pub(crate) at: Option<TimeMs>,
    /// The till.
    pub(crate) till: Option<String>,
    /// The receipt's number.
    pub(crate) receipt: Option<String>,
    /// The line on it.
    pub(crate) line: Option<u32>,
    /// All the rest.
    pub(crate) details: Details,
    /// Whether a person insists.
    pub(crate) force: Force,
}

/// Who a line without a receipt is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Otherwise<'a> {
    /// A call with this idempotency key.
    Call(&'a str),
    /// A line of a file, which alone protects it.
    FileLine {
        /// The first half of the file's SHA-256.
        file: [u8; 16],
        /// The line in it.
        line: u64,
    },
    /// Nobody: a receipt is asked for.
    Nobody,
}

/// What a line cannot say by itself.
pub(crate) struct Shop {
    /// The zone in which the shop's days begin.
    pub(crate) zone: TimeZone,
    /// The tills that receipts named so far.
    pub(crate) tills: Vec<String>,
    /// Its name.
    pub(crate) own: Option<ShopId>,
}

/// What to do at the desk.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Book a movement.
    Book(Booking),
    /// Void one.
    Cancel(Cancel),
}

impl Shop {
    /// The shop of this ledger.
    ///
    /// # Errors
    ///
    /// [`LedgerError`].
    pub(crate) fn of(conn: &Connection) -> Result<Self, LedgerError> {
        let mut tills = state::tills(conn)?;
        tills.retain(|till| !till.is_empty());
        Ok(Self {
            zone: core::shop_zone(conn)?,
            tills,
            own: state::shop(conn)?,
        })
    }

    /// The till meant by a line: the one it names, else the shop's only one. While none was named it is the unnamed one,
    /// which is no till of its own.
    fn till(&self, named: Option<&str>) -> Result<String, Invalid> {
        match (named, self.tills.as_slice()) {
            (Some(till), _) => Ok(till.to_owned()),
            (None, []) => Ok(String::new()),
            (None, [only]) => Ok(only.clone()),
            (None, several) => Err(Invalid::new(
                "till_missing",
                "till",
                format!(
                    "the shop has {} tills, so the line must say which one",
                    several.len()
                ),
            )),
        }
    }

    /// The calendar day of a moment in the shop.
    pub(crate) fn day(&self, at: TimeMs) -> Day {
        Day(u32::try_from(when::local_day(at.0, &self.zone)).unwrap_or(0))
    }
}

impl Said {
    /// Whether the receipt line itself is the identity.
    pub(crate) fn is_natural(&self) -> bool {
        self.receipt.is_some() && self.line.is_some() && self.at.is_some()
    }

    /// Makes the line into something to book at `now`.
    ///
    /// # Errors
    ///
    /// [`Invalid`]: the field and what is wrong with it.
    pub(crate) fn act(
        &self,
        shop: &Shop,
        now: TimeMs,
        otherwise: Otherwise<'_>,
    ) -> Result<Act, Invalid> {
        for (field, text) in [("till", &self.till), ("receipt", &self.receipt)] {
            check_key_text(field, text.as_deref())?;
        }
        let kind = match self.verb {
            Verb::Cancel => return self.cancel(shop).map(Act::Cancel),
            Verb::Move(kind) => kind,
        };
        self.check_qty(kind)?;
        let is_own = self.details.to.as_deref() == shop.own.as_ref().map(ShopId::as_str);
        if kind == Kind::TransferOut && shop.own.is_some() && is_own {
            let words = "that is this shop itself: name the shop that it goes to";
            return Err(Invalid::new("own_shop", "to", words));
        }
        let code = self
            .code
            .clone()
            .ok_or_else(|| Invalid::new("bad_barcode", "barcode", "the barcode is missing"))?;
        let key = match &self.receipt {
            Some(receipt) => self.receipt_key(shop, receipt)?,
            None => match otherwise {
                Otherwise::Call(key) => Key::call(key),
                Otherwise::FileLine { file, line } => Key::FileLine { file, line },
                Otherwise::Nobody => {
                    return Err(Invalid::new(
                        "receipt_missing",
                        "receipt",
                        "the receipt is missing",
                    ));
                }
            },
        };
        Ok(Act::Book(Booking {
            kind,
            condition: self.condition,
            key,
            code,
            qty: self.qty,
            at: self.at.map_or(At::Now(now), At::Said),
            details: self.details.clone(),
            force: self.force,
            way: match (otherwise, self.force) {
                (Otherwise::FileLine { .. }, _) => Way::File,
                (_, Force::Anyway) => Way::Forced,
                (_, Force::Rules) => Way::Call,
            },
        }))
    }

    fn receipt_key(&self, shop: &Shop, receipt: &str) -> Result<Key, Invalid> {
        let (till, line, day) = self.place(shop)?;
        Ok(Key::Receipt {
            till: till.into(),
            receipt: receipt.into(),
            line,
            day,
        })
    }

    /// Till, line and day of a receipt line.
    fn place(&self, shop: &Shop) -> Result<(String, u32, Day), Invalid> {
        let at = self.at.ok_or_else(|| {
            Invalid::new(
                "missing_at",
                "at",
                "where a receipt is given, at is required",
            )
        })?;
        let line = self.line.ok_or_else(|| {
            Invalid::new(
                "line_missing",
                "line",
                "a line of a receipt needs its number",
            )
        })?;
        Ok((shop.till(self.till.as_deref())?, line, shop.day(at)))
    }

    fn cancel(&self, shop: &Shop) -> Result<Cancel, Invalid> {
        let receipt = self.receipt.clone().ok_or_else(|| {
            Invalid::new(
                "receipt_missing",
                "receipt",
                "a cancel names the receipt it is about",
            )
        })?;
        let (till, line, day) = self.place(shop)?;
        let at = self.at.unwrap_or_default();
        Ok(Cancel {
            till: till.into(),
            receipt: receipt.into(),
            line,
            day,
            code: self.code.clone(),
            at,
            details: self.details.clone(),
        })
    }

    fn check_qty(&self, kind: Kind) -> Result<(), Invalid> {
        use vitrina_shared::movement::Direction;
        let wrong = |message: &str| Err(Invalid::new("bad_quantity", "qty", message));
        if self.qty.abs() > MAX_MOVEMENT_UNITS {
            return wrong(&format!(
                "one movement carries at most {MAX_MOVEMENT_UNITS} units"
            ));
        }
        match kind.direction() {
            Direction::In | Direction::Out if self.qty <= 0 => {
                wrong("must be positive: the type gives the direction")
            }
            Direction::Signed if self.qty == 0 => wrong("must not be 0"),
            Direction::Observed if self.qty < 0 => wrong("a count is what was seen: 0 or more"),
            Direction::Internal => Err(Invalid::new(
                "invalid_type",
                "type",
                format!("{kind} is not accepted from outside"),
            )),
            _ => Ok(()),
        }
    }

    /// The name under which the answer about this line is kept, where the line is its own identity.
    ///
    /// # Errors
    ///
    /// [`Invalid`] as [`Self::act`].
    pub(crate) fn reply_key(&self, shop: &Shop) -> Result<ReplyKey, Invalid> {
        let (till, line, day) = self.place(shop)?;
        let verb = match self.verb {
            Verb::Cancel => "cancel".to_owned(),
            Verb::Move(kind) => kind.to_string(),
        };
        let receipt = self.receipt.clone().unwrap_or_default();
        Ok(ReplyKey::natural(&[
            &verb,
            &till,
            &receipt,
            &line.to_string(),
            &day.0.to_string(),
        ]))
    }
}

impl Act {
    /// Does it.
    ///
    /// # Errors
    ///
    /// [`LedgerError`]; then nothing of it is kept. A refusal is a value.
    pub(crate) fn perform(&self, desk: &mut Desk<'_>) -> Result<Outcome, LedgerError> {
        match self {
            Self::Book(booking) => desk.book(booking),
            Self::Cancel(cancel) => desk.cancel(cancel),
        }
    }
}

fn check_key_text(field: &'static str, text: Option<&str>) -> Result<(), Invalid> {
    let Some(text) = text else { return Ok(()) };
    if text.is_empty() {
        return Err(Invalid::new("bad_text", field, "must not be empty"));
    }
    if text.len() > MAX_KEY_TEXT_BYTES {
        return Err(Invalid::new(
            "bad_text",
            field,
            format!("has more than {MAX_KEY_TEXT_BYTES} bytes"),
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(Invalid::new("bad_text", field, "has a control character"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop(tills: &[&str]) -> Shop {
        Shop {
            zone: core::zone("Europe/Moscow"),
            tills: tills.iter().map(|till| (*till).to_owned()).collect(),
            own: None,
        }
    }

    fn sale() -> Said {
        Said {
            verb: Verb::Move(Kind::Sale),
            code: Some("2000018987155".parse().unwrap()),
            condition: Condition::Sellable,
            qty: 1,
            at: Some(TimeMs(1_795_377_600_000)), // 2026-11-22 20:00 UTC
            till: None,
            receipt: Some("17".into()),
            line: Some(1),
            details: Details::default(),
            force: Force::Rules,
        }
    }

    fn key(act: &Act) -> &Key {
        match act {
            Act::Book(booking) => &booking.key,
            Act::Cancel(_) => panic!("a cancel"),
        }
    }

    #[test]
    fn the_key_of_a_receipt_line_has_the_shops_own_day() {
        let late = Said {
            at: Some(TimeMs(1_795_383_000_000)),
            ..sale()
        }; // 21:30 UTC, 00:30 in Moscow

        let act = late
            .act(&shop(&["1"]), TimeMs(0), Otherwise::Nobody)
            .unwrap();

        let expected = Key::Receipt {
            till: "1".into(),
            receipt: "17".into(),
            line: 1,
            day: Day(20_261_123),
        };
        assert_eq!(*key(&act), expected);
    }

    #[test]
    fn a_till_is_guessed_only_where_there_is_one() {
        assert!(sale().act(&shop(&[]), TimeMs(0), Otherwise::Nobody).is_ok());
        let refused = sale()
            .act(&shop(&["1", "2"]), TimeMs(0), Otherwise::Nobody)
            .unwrap_err();
        assert_eq!((refused.code, refused.field), ("till_missing", "till"));
    }

    #[test]
    fn a_receipt_needs_its_time_and_a_call_its_key() {
        let timeless = Said { at: None, ..sale() };
        assert_eq!(
            timeless
                .act(&shop(&[]), TimeMs(0), Otherwise::Call("k"))
                .unwrap_err()
                .field,
            "at"
        );

        let call = Said {
            receipt: None,
            at: None,
            ..sale()
        };
        let act = call
            .act(&shop(&[]), TimeMs(0), Otherwise::Call("k"))
            .unwrap();
        assert_eq!(*key(&act), Key::call("k"));
    }

    #[test]
    fn quantities_are_what_the_type_says() {
        let refused = |word: &str, qty: i64| {
            let verb = Verb::of_word(word).unwrap();
            Said {
                verb,
                qty,
                ..sale()
            }
            .act(&shop(&[]), TimeMs(0), Otherwise::Nobody)
            .is_err()
        };
        assert!(refused("sale", 0) && refused("sale", -1) && refused("sale", 1_000_001));
        assert!(refused("adjustment", 0) && !refused("adjustment", -2));
        assert!(refused("count", -1) && !refused("count", 0));
        assert!(refused("balance", 1) && refused("opening", 1) && refused("void", 1));
    }
}
