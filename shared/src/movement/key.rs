//! Where a movement comes from, and the identity that follows from it.

use crate::hash::Hash;
use crate::movement::Movement;
use crate::time::Day;
use crate::{MovementId, ShopId, planted};

/// The most bytes of a till, a receipt number or an idempotency key.
pub const MAX_KEY_TEXT_BYTES: usize = 128;

/// The source of a movement.
///
/// A receipt line is the same line whichever file, call, replica or life brings it; a call is known by its
/// idempotency key; what the agent derives by itself is known by what it was derived from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A line of a receipt. Receipt numbers restart yearly and per till, and a return may carry the sale's number:
    /// so the till, the day and the kind belong to it.
    Receipt {
        /// The till's name.
        till: Box<str>,
        /// The receipt's number as printed.
        receipt: Box<str>,
        /// The line on it.
        line: u32,
        /// The shop-local day of the movement's time.
        day: Day,
    },
    /// A call without a receipt: its idempotency key.
    Call(Box<str>),
    /// The same, where the key is a UUID in lower-case letters: 16 bytes instead of 36.
    CallUuid([u8; 16]),
    /// A line without a receipt, protected by its file only.
    FileLine {
        /// The first half of the file's SHA-256.
        file: [u8; 16],
        /// The line in it, from 1.
        line: u64,
    },
    /// The opening of a barcode: one for ever.
    Opening,
    /// A disagreement of the stated time, adopted.
    Adopted,
    /// A statement of the shop's own ledger at its time.
    Statement,
    /// The difference that a count found.
    Counted([u8; 16]),
    /// The void of a movement.
    Void(MovementId),
    /// What a change of the shop's source books so that on hand stays.
    SourceChanged,
    /// A form that this version does not know: chained, counted, identified by its own flags.
    Unknown {
        /// What belongs to the identity.
        flags: u8,
        /// The form.
        tag: u8,
        /// The form's own bytes.
        body: Box<[u8]>,
    },
}

/// The hash of a key (with what its form counts to it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash(pub [u8; 16]);

/// Why bytes are no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A known form with other flags, or a body that is not of its form.
    #[error("a key of form {0} is malformed")]
    Malformed(u8),
}

/// The kind belongs to the key.
const KIND: u8 = 1;
/// Barcode and condition belong to the key.
const BARCODE: u8 = 2;
/// The time belongs to the key.
const AT: u8 = 4;
/// The scanned text belongs to the id.
const SCANNED: u8 = 8;
/// The signed quantity belongs to the id.
const QTY: u8 = 16;
/// What belongs to the identity of a receipt line.
pub(crate) const RECEIPT_FLAGS: u8 = KIND | SCANNED | QTY;

impl Key {
    /// The key of a call; a UUID is kept in its short form.
    pub fn call(idempotency_key: &str) -> Self {
        match uuid_bytes(idempotency_key) {
            Some(bytes) => Self::CallUuid(bytes),
            None => Self::Call(idempotency_key.into()),
        }
    }

    /// Which parts of the movement belong to the identity.
    pub(crate) fn flags(&self) -> u8 {
        match self {
            Self::Receipt { .. } => RECEIPT_FLAGS,
            Self::Call(_) | Self::CallUuid(_) | Self::FileLine { .. } => SCANNED | QTY,
            Self::Opening | Self::Counted(_) => BARCODE,
            Self::Adopted | Self::SourceChanged => BARCODE | AT,
            Self::Statement => BARCODE | AT | QTY,
            Self::Void(_) => 0,
            Self::Unknown { flags, .. } => *flags,
        }
    }

    /// The form's number.
    pub(crate) fn tag(&self) -> u8 {
        match self {
            Self::Receipt { .. } => 1,
            Self::Call(_) => 2,
            Self::CallUuid(_) => 3,
            Self::FileLine { .. } => 4,
            Self::Opening => 5,
            Self::Adopted => 6,
            Self::Statement => 7,
            Self::Counted(_) => 8,
            Self::Void(_) => 9,
            Self::SourceChanged => 10,
            Self::Unknown { tag, .. } => *tag,
        }
    }

    /// Two movements with this key and different ids contradict each other: a person must look.
    pub fn can_conflict(&self) -> bool {
        self.flags() & (SCANNED | QTY) != 0 && !matches!(self, Self::Statement)
    }

    /// The hash of the key within `shop`.
    pub(crate) fn hash(&self, shop: &ShopId, movement: &Movement) -> KeyHash {
        let flags = self.flags();
        let mut body = Vec::with_capacity(64);
        self.planted()
            .as_ref()
            .unwrap_or(self)
            .write_body(&mut body);
        let mut hash = Hash::of("vitrina.key.1")
            .with(shop.as_str().as_bytes())
            .with(&[flags, self.tag()])
            .with(&body);
        if flags & KIND != 0 && !planted::is("receipts_have_no_kind") {
            hash = hash.with(&[movement.kind.number()]);
        }
        if flags & BARCODE != 0 {
            hash = hash
                .with(movement.barcode.as_str().as_bytes())
                .with(&[movement.condition.number()]);
        }
        if flags & AT != 0 {
            hash = hash.with(&movement.at.0.to_le_bytes());
        }
        KeyHash(hash.half())
    }

    /// What a planted bug takes for this key.
    fn planted(&self) -> Option<Self> {
        let (no_day, no_till) = ("receipts_have_no_day", "receipts_have_no_till");
        if !planted::is(no_day) && !planted::is(no_till) {
            return None;
        }
        let mut key = self.clone();
        if let Self::Receipt { till, day, .. } = &mut key {
            if planted::is(no_day) {
                day.0 = 0;
            } else {
                *till = Box::default();
            }
        }
        Some(key)
    }

    /// The identity that follows from the key.
    pub(crate) fn id(&self, shop: &ShopId, movement: &Movement) -> MovementId {
        let flags = self.flags();
        let mut hash = Hash::of("vitrina.movement.1").with(&self.hash(shop, movement).0);
        if flags & SCANNED != 0 && !planted::is("ids_have_no_text") {
            hash = hash.with(movement.scanned_text().as_str().as_bytes());
        }
        if flags & QTY != 0 && !planted::is("ids_have_no_quantity") {
            hash = hash.with(&movement.qty.units().to_le_bytes());
        }
        MovementId(hash.half())
    }

    /// Appends the form's own bytes.
    pub(crate) fn write_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Receipt {
                till,
                receipt,
                line,
                day,
            } => {
                out.extend_from_slice(&day.0.to_le_bytes());
                out.extend_from_slice(&line.to_le_bytes());
                out.push(u8::try_from(till.len()).unwrap_or(u8::MAX));
                out.extend_from_slice(till.as_bytes());
                out.extend_from_slice(receipt.as_bytes());
            }
            Self::Call(key) => out.extend_from_slice(key.as_bytes()),
            Self::CallUuid(bytes) | Self::Counted(bytes) => out.extend_from_slice(bytes),
            Self::FileLine { file, line } => {
                out.extend_from_slice(file);
                out.extend_from_slice(&line.to_le_bytes());
            }
            Self::Opening | Self::Adopted | Self::Statement | Self::SourceChanged => {}
            Self::Void(target) => out.extend_from_slice(&target.0),
            Self::Unknown { body, .. } => out.extend_from_slice(body),
        }
    }

    /// Reads what [`Self::write_body`] wrote.
    ///
    /// # Errors
    ///
    /// [`KeyError`] when a known form has other flags or a body that is not of its form.
    pub(crate) fn read(flags: u8, tag: u8, body: &[u8]) -> Result<Self, KeyError> {
        let malformed = KeyError::Malformed(tag);
        let key = match tag {
            1 => read_receipt(body).ok_or(malformed)?,
            2 => Self::Call(text(body).ok_or(malformed)?),
            3 => Self::CallUuid(body.try_into().map_err(|_| malformed)?),
            4 => {
                let (file, line) = body.split_first_chunk().ok_or(malformed)?;
                Self::FileLine {
                    file: *file,
                    line: u64::from_le_bytes(line.try_into().map_err(|_| malformed)?),
                }
            }
            5 => Self::Opening,
            6 => Self::Adopted,
            7 => Self::Statement,
            8 => Self::Counted(body.try_into().map_err(|_| malformed)?),
            9 => Self::Void(MovementId(body.try_into().map_err(|_| malformed)?)),
            10 => Self::SourceChanged,
            _ => Self::Unknown {
                flags,
                tag,
                body: body.into(),
            },
        };
        let empty = matches!(
            key,
            Self::Opening | Self::Adopted | Self::Statement | Self::SourceChanged
        );
        if key.flags() != flags || (empty && !body.is_empty()) {
            return Err(malformed);
        }
        Ok(key)
    }
}

fn text(bytes: &[u8]) -> Option<Box<str>> {
    let text = std::str::from_utf8(bytes).ok()?;
    (!text.is_empty() && text.len() <= MAX_KEY_TEXT_BYTES && uuid_bytes(text).is_none())
        .then(|| text.into())
}

fn read_receipt(body: &[u8]) -> Option<Key> {
    let (day, body) = body.split_first_chunk()?;
    let (line, body) = body.split_first_chunk()?;
    let (till_len, body) = body.split_first()?;
    let (till, receipt) = body.split_at_checked(usize::from(*till_len))?;
    if till.len() > MAX_KEY_TEXT_BYTES || receipt.is_empty() || receipt.len() > MAX_KEY_TEXT_BYTES {
        return None;
    }
    Some(Key::Receipt {
        till: std::str::from_utf8(till).ok()?.into(),
        receipt: std::str::from_utf8(receipt).ok()?.into(),
        line: u32::from_le_bytes(*line),
        day: Day(u32::from_le_bytes(*day)),
    })
}

/// The bytes of a UUID written as 8-4-4-4-12 lower-case hexadecimal digits; anything else keeps its own text.
fn uuid_bytes(text: &str) -> Option<[u8; 16]> {
    let mut digits = String::with_capacity(32);
    for (i, c) in text.char_indices() {
        match (i, c) {
            (8 | 13 | 18 | 23, '-') => {}
            (8 | 13 | 18 | 23, _) => return None,
            (_, '0'..='9' | 'a'..='f') => digits.push(c),
            _ => return None,
        }
    }
    if text.len() != 36 {
        return None;
    }
    u128::from_str_radix(&digits, 16)
        .ok()
        .map(u128::to_be_bytes)
}

/// A UUID as people write it.
pub(crate) fn uuid_text(bytes: &[u8; 16]) -> String {
    let hex = MovementId(*bytes).to_string();
    let mut text = String::with_capacity(36);
    for (i, c) in hex.chars().enumerate() {
        if matches!(i, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(c);
    }
    text
}

impl Key {
    /// The idempotency key as the caller gave it, of a call.
    pub fn idempotency_key(&self) -> Option<String> {
        match self {
            Self::Call(text) => Some(text.to_string()),
            Self::CallUuid(bytes) => Some(uuid_text(bytes)),
            _ => None,
        }
    }
}
