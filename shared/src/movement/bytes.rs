//! The canonical bytes of a movement: one movement, one byte string.

use crate::barcode::{BarcodeError, MAX_BARCODE_BYTES};
use crate::movement::{Condition, Key, KeyError, Kind, Movement};
use crate::qty::QtyError;
use crate::{Barcode, MovementId, Qty, TimeMs};

/// The most bytes of one movement, the rest included.
pub const MAX_MOVEMENT_BYTES: usize = 4096;

/// The units are not sellable.
const UNAVAILABLE: u8 = 1;
/// A scanned text follows the barcode.
const SCANNED: u8 = 2;

/// Why bytes are no movement. Nothing of it is kept.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MovementError {
    /// The bytes end inside the movement.
    #[error("a movement ends too early")]
    Short,
    /// A number is not in its shortest form, or a flag is unknown: the same movement would have two byte strings.
    #[error("a movement is not in its canonical form")]
    NotCanonical,
    /// More than [`MAX_MOVEMENT_BYTES`].
    #[error("a movement has {0} bytes, more than {MAX_MOVEMENT_BYTES}")]
    TooLong(usize),
    /// The barcode or the scanned text is none.
    #[error("a movement names no barcode")]
    Barcode(#[from] BarcodeError),
    /// The text is not UTF-8.
    #[error("a movement's text is not UTF-8")]
    Text,
    /// The quantity is beyond a movement's limit.
    #[error("a movement's quantity is out of range")]
    Qty(#[from] QtyError),
    /// The time is outside the years 1 to 9999.
    #[error("a movement's time is out of range")]
    Time,
    /// The key is malformed.
    #[error("a movement's key is malformed")]
    Key(#[from] KeyError),
}

impl Movement {
    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(96 + self.rest.len());
        self.write_to(&mut out);
        out
    }

    /// Appends the canonical bytes.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let mut flags = 0;
        if self.condition == Condition::Unavailable {
            flags |= UNAVAILABLE;
        }
        if self.scanned.is_some() {
            flags |= SCANNED;
        }
        let mut key = Vec::with_capacity(32);
        self.key.write_body(&mut key);
        out.extend_from_slice(&[self.kind.number(), flags, self.key.flags(), self.key.tag()]);
        write_bytes(out, &key);
        write_bytes(out, self.barcode.as_str().as_bytes());
        if let Some(scanned) = &self.scanned {
            write_bytes(out, scanned.as_str().as_bytes());
        }
        write_varint(out, zigzag(self.qty.units()));
        write_varint(out, zigzag(self.at.0));
        if self.kind == Kind::Void {
            out.extend_from_slice(&self.target.unwrap_or(MovementId([0; 16])).0);
        }
        out.extend_from_slice(&self.rest);
    }

    /// Reads canonical bytes; writing the result gives the same bytes.
    ///
    /// # Errors
    ///
    /// [`MovementError`]: what is malformed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MovementError> {
        if bytes.len() > MAX_MOVEMENT_BYTES {
            return Err(MovementError::TooLong(bytes.len()));
        }
        let ([kind, flags, key_flags, tag], mut rest) =
            bytes.split_first_chunk().ok_or(MovementError::Short)?;
        if flags & !(UNAVAILABLE | SCANNED) != 0 {
            return Err(MovementError::NotCanonical);
        }
        let input = &mut rest;
        let key = Key::read(*key_flags, *tag, read_bytes(input, MAX_MOVEMENT_BYTES)?)?;
        let barcode = read_barcode(input)?;
        let scanned = if flags & SCANNED == 0 {
            None
        } else {
            Some(read_barcode(input)?)
        };
        if scanned.as_ref() == Some(&barcode) {
            return Err(MovementError::NotCanonical);
        }
        let qty = Qty::new(unzigzag(read_varint(input)?))?;
        let at = TimeMs(unzigzag(read_varint(input)?));
        if !at.is_writable() {
            return Err(MovementError::Time);
        }
        let kind = Kind::of_number(*kind);
        let target = match kind {
            Kind::Void => Some(MovementId(*take_chunk(input)?)),
            _ => None,
        };
        if kind == Kind::Void && qty != Qty::ZERO {
            return Err(MovementError::NotCanonical);
        }
        let condition = Condition::of_number(flags & UNAVAILABLE);
        Ok(Self {
            kind,
            condition,
            key,
            barcode,
            scanned,
            qty,
            at,
            target,
            rest: (*input).into(),
        })
    }
}

fn read_barcode(input: &mut &[u8]) -> Result<Barcode, MovementError> {
    let text = std::str::from_utf8(read_bytes(input, MAX_BARCODE_BYTES)?)
        .map_err(|_| MovementError::Text)?;
    Ok(Barcode::from_key(text)?)
}

fn take_chunk<'a, const N: usize>(input: &mut &'a [u8]) -> Result<&'a [u8; N], MovementError> {
    let (chunk, rest) = input.split_first_chunk().ok_or(MovementError::Short)?;
    *input = rest;
    Ok(chunk)
}

/// Appends a length and the bytes.
pub(super) fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads a length of at most `most` and the bytes.
pub(super) fn read_bytes<'a>(input: &mut &'a [u8], most: usize) -> Result<&'a [u8], MovementError> {
    let length = usize::try_from(read_varint(input)?).map_err(|_| MovementError::Short)?;
    if length > most {
        return Err(MovementError::TooLong(length));
    }
    let (bytes, rest) = input.split_at_checked(length).ok_or(MovementError::Short)?;
    *input = rest;
    Ok(bytes)
}

/// Appends a number in 7-bit groups, lowest first (LEB128).
pub(super) fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7F) as u8);
}

/// Reads a number in its shortest LEB128 form.
pub(super) fn read_varint(input: &mut &[u8]) -> Result<u64, MovementError> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = input.split_first().ok_or(MovementError::Short)?;
        *input = rest;
        let group = u64::from(byte & 0x7F);
        if shift == 63 && group > 1 {
            return Err(MovementError::NotCanonical);
        }
        value |= group << shift;
        if byte & 0x80 == 0 {
            return if group == 0 && shift != 0 {
                Err(MovementError::NotCanonical)
            } else {
                Ok(value)
            };
        }
    }
    Err(MovementError::NotCanonical)
}

/// Small numbers of either sign as small numbers without one.
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// The inverse of [`zigzag`].
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}
