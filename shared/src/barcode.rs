//! The printed identifier of an item, kept as text, leading zeros and all.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ShopId;

/// The most characters a scanned or printed code may have.
pub const MAX_CODE_CHARS: usize = 64;

/// The most bytes a [`Barcode`] can take: a code of 64 four-byte characters, `@` and a shop id.
pub const MAX_BARCODE_BYTES: usize = MAX_CODE_CHARS * 4 + 1 + crate::ids::MAX_SHOP_ID_BYTES;

/// A code as scanned or printed, or the key `CODE@SHOP` of a code that one shop's database numbered for itself.
///
/// Case and leading zeros are identity. A code is 1–64 visible characters; a scanner's AIM prefix and blanks around
/// it are not part of it. Clones share the text: a movement, its row, its level and the feed all name it.
///
/// ```
/// use vitrina_shared::Barcode;
///
/// let ring: Barcode = " ]E02000018987155 ".parse()?;
/// assert_eq!(ring.as_str(), "2000018987155");
/// # Ok::<(), vitrina_shared::barcode::BarcodeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Barcode(Arc<str>);

/// Why a text is no barcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BarcodeError {
    /// Nothing is left after trimming.
    #[error("the barcode is empty")]
    Empty,
    /// More than [`MAX_CODE_CHARS`] characters.
    #[error("the barcode has more than {MAX_CODE_CHARS} characters")]
    TooLong,
    /// A blank, a control character or another invisible one inside.
    #[error("the barcode has an invisible character (U+{:04X})", *.0 as u32)]
    Invisible(char),
}

/// What the last digit of a GS1 code says (EAN-8, UPC-A, EAN-13, GTIN-14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckDigit {
    /// The code is not of a GS1 form: nothing to check.
    NotGs1,
    /// The digit is right.
    Valid,
    /// The digit is wrong: a warning, never a refusal, because shops print such codes.
    Wrong {
        /// The digit it should be, 0–9.
        expected: u8,
    },
}

impl Barcode {
    /// The key of a code under one of `shop`'s local prefixes: `CODE@SHOP`.
    #[must_use]
    pub fn local_to(&self, shop: &ShopId) -> Self {
        Self(format!("{}@{shop}", self.0).into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The code without `@SHOP`, and that shop's text where it is a local key.
    pub fn split_local(&self) -> (&str, Option<&str>) {
        match self.0.rsplit_once('@') {
            Some((code, shop)) if !code.is_empty() && !shop.is_empty() => (code, Some(shop)),
            _ => (&self.0, None),
        }
    }

    /// Whether the code starts with one of a shop's local prefixes (those that its own database numbers).
    pub fn has_prefix_of<'a>(&self, mut prefixes: impl Iterator<Item = &'a str>) -> bool {
        prefixes.any(|prefix| !prefix.is_empty() && self.0.starts_with(prefix))
    }

    /// Checks the last digit by GS1's rule: weights 3 and 1 in turn from the right, sum to a multiple of ten
    /// (GS1 General Specifications, 7.9).
    pub fn check_digit(&self) -> CheckDigit {
        let text = self.split_local().0;
        if !matches!(text.len(), 8 | 12 | 13 | 14) || !text.bytes().all(|b| b.is_ascii_digit()) {
            return CheckDigit::NotGs1;
        }
        let mut digits = text.bytes().rev().map(|b| b - b'0');
        let last = digits.next().unwrap_or(0);
        let sum: u32 = digits
            .enumerate()
            .map(|(i, d)| u32::from(d) * if i % 2 == 0 { 3 } else { 1 })
            .sum();
        let expected = u8::try_from((10 - sum % 10) % 10).unwrap_or(0);
        if last == expected {
            CheckDigit::Valid
        } else {
            CheckDigit::Wrong { expected }
        }
    }

    /// Takes a key that a peer wrote: as [`FromStr`], but `CODE@SHOP` may be longer than a code.
    ///
    /// # Errors
    ///
    /// [`BarcodeError`] when the text is empty, too long or has an invisible character.
    pub fn from_key(text: &str) -> Result<Self, BarcodeError> {
        if text.is_empty() {
            return Err(BarcodeError::Empty);
        }
        if text.len() > MAX_BARCODE_BYTES {
            return Err(BarcodeError::TooLong);
        }
        match text.chars().find(|c| !is_visible(*c)) {
            Some(hidden) => Err(BarcodeError::Invisible(hidden)),
            None => Ok(Self(text.into())),
        }
    }
}

/// Visible: no blank, no control character, none of the marks that change how a text looks without being seen.
fn is_visible(c: char) -> bool {
    !(c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFFD}'))
}

impl FromStr for Barcode {
    type Err = BarcodeError;

    fn from_str(text: &str) -> Result<Self, BarcodeError> {
        let trimmed = text.trim();
        let code = ["]E0", "]C1", "]d2"]
            .iter()
            .find_map(|aim| trimmed.strip_prefix(aim))
            .unwrap_or(trimmed);
        if code.chars().count() > MAX_CODE_CHARS {
            return Err(BarcodeError::TooLong);
        }
        Self::from_key(code)
    }
}

impl TryFrom<String> for Barcode {
    type Error = BarcodeError;

    fn try_from(text: String) -> Result<Self, BarcodeError> {
        Self::from_key(&text)
    }
}

impl From<Barcode> for String {
    fn from(barcode: Barcode) -> Self {
        (*barcode.0).to_owned()
    }
}

/// It is compared and hashed as its text.
impl Borrow<str> for Barcode {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Barcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_zeros_and_case_are_identity() {
        let zeros: Barcode = "0042".parse().unwrap();
        let lower: Barcode = "ab".parse().unwrap();

        assert_eq!(zeros.as_str(), "0042");
        assert_ne!(zeros, "42".parse().unwrap());
        assert_ne!(lower, "AB".parse().unwrap());
    }

    #[test]
    fn the_check_digit_of_every_gs1_length_is_found() {
        for good in [
            "2000018987155",
            "96385074",
            "036000291452",
            "00012345600012",
        ] {
            assert_eq!(
                good.parse::<Barcode>().unwrap().check_digit(),
                CheckDigit::Valid,
                "{good}"
            );
        }
        let wrong: Barcode = "2000018987154".parse().unwrap();
        assert_eq!(wrong.check_digit(), CheckDigit::Wrong { expected: 5 });
        assert_eq!(
            "1234567890123456".parse::<Barcode>().unwrap().check_digit(),
            CheckDigit::NotGs1
        );
    }

    #[test]
    fn invisible_characters_are_refused_by_name() {
        assert_eq!(
            "20 00".parse::<Barcode>(),
            Err(BarcodeError::Invisible(' '))
        );
        assert_eq!(
            "20\u{202E}00".parse::<Barcode>(),
            Err(BarcodeError::Invisible('\u{202E}'))
        );
        assert_eq!("  ".parse::<Barcode>(), Err(BarcodeError::Empty));
        assert_eq!(
            "9".repeat(65).parse::<Barcode>(),
            Err(BarcodeError::TooLong)
        );
    }

    #[test]
    fn a_local_code_belongs_to_its_shop() {
        let code: Barcode = "2000000000015".parse().unwrap();
        let key = code.local_to(&"S017".parse().unwrap());

        assert_eq!(key.as_str(), "2000000000015@S017");
        assert_eq!(key.split_local(), ("2000000000015", Some("S017")));
        assert!(code.has_prefix_of(["29", "20"].into_iter()));
        assert!(!code.has_prefix_of(["29", ""].into_iter()));
    }
}
