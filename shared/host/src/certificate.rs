//! What a person wants to know of a server's certificate: whose it is, who issued it, until when it is good.
//!
//! Only for showing: whether it is trusted is decided elsewhere. Nothing here takes a stranger's length for granted.

use jiff::tz::TimeZone;

use crate::when::{parse_ms, rfc3339_ms};

/// The object identifier of a common name.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// The object identifier of an organization.
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// A text of two bytes a letter; all others that occur are ASCII or UTF-8.
const BMP_STRING: u8 = 0x1e;

/// A certificate, as people know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Whose it is.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// From when it is good, in UTC milliseconds.
    pub since_ms: i64,
    /// Until when, in UTC milliseconds.
    pub until_ms: i64,
}

impl Certificate {
    /// Reads an X.509 certificate in DER; `None` where it is none.
    pub fn read(der: &[u8]) -> Option<Self> {
        let mut whole = Der(der).inside(SEQUENCE)?;
        let mut fields = whole.inside(SEQUENCE)?;
        if fields.0.first() == Some(&VERSION) {
            fields.next()?;
        }
        let _serial = fields.next()?;
        let _algorithm = fields.next()?;
        let issuer = name(fields.inside(SEQUENCE)?);
        let mut validity = fields.inside(SEQUENCE)?;
        let since_ms = moment(validity.next()?)?;
        let until_ms = moment(validity.next()?)?;
        let subject = name(fields.inside(SEQUENCE)?);
        Some(Self {
            subject,
            issuer,
            since_ms,
            until_ms,
        })
    }

    /// Whether it is good at this moment, in UTC milliseconds.
    pub fn is_good_at(&self, ms: i64) -> bool {
        (self.since_ms..=self.until_ms).contains(&ms)
    }
}

/// The day of a moment, such as `2027-01-31`, as a certificate's ends are told to people.
pub fn day(ms: i64) -> String {
    let mut text = rfc3339_ms(ms);
    text.truncate("2027-01-31".len());
    text
}

/// Values one after the other: tag, length, content.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next value's tag and content.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = if *first < 0x80 {
            (usize::from(*first), rest)
        } else {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            if bytes.len() > 4 {
                return None;
            }
            let length = bytes
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte));
            (length, rest)
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, content))
    }

    /// What lies in the next value, which must have this tag.
    fn inside(&mut self, tag: u8) -> Option<Self> {
        self.next()
            .filter(|(found, _)| *found == tag)
            .map(|(_, content)| Self(content))
    }
}

/// Common name and organization of a name; what it has of them.
fn name(mut parts: Der<'_>) -> String {
    let (mut common, mut organization) = (None, None);
    while let Some((_, set)) = parts.next() {
        let Some(mut pair) = Der(set).inside(SEQUENCE) else {
            continue;
        };
        let (Some((_, kind)), Some((tag, value))) = (pair.next(), pair.next()) else {
            continue;
        };
        if kind == COMMON_NAME {
            common = Some(text(tag, value));
        } else if kind == ORGANIZATION {
            organization = Some(text(tag, value));
        }
    }
    match (common, organization) {
        (Some(common), Some(organization)) => format!("{common} ({organization})"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => "?".to_owned(),
    }
}

/// A stranger's text, fit for a line on a screen.
fn text(tag: u8, bytes: &[u8]) -> String {
    let text = if tag == BMP_STRING {
        let (letters, _) = bytes.as_chunks();
        String::from_utf16_lossy(
            &letters
                .iter()
                .map(|letter| u16::from_be_bytes(*letter))
                .collect::<Vec<_>>(),
        )
    } else {
        String::from_utf8_lossy(bytes).into_owned()
    };
    text.chars().filter(|letter| !letter.is_control()).collect()
}

/// A time of a certificate, in UTC milliseconds: `yymmddhhmmssZ`, or with four digits of the year.
fn moment((tag, digits): (u8, &[u8])) -> Option<i64> {
    let digits = std::str::from_utf8(digits).ok()?;
    let (century, rest) = match tag {
        // Two digits of a year are of 1950 to 2049.
        UTC_TIME if digits < "5" => ("20", digits),
        UTC_TIME => ("19", digits),
        GENERALIZED_TIME => digits.split_at_checked(2)?,
        _ => return None,
    };
    let part = |from: usize| rest.get(from..from + 2);
    let text = format!(
        "{century}{}-{}-{}T{}:{}:{}Z",
        part(0)?,
        part(2)?,
        part(4)?,
        part(6)?,
        part(8)?,
        part(10)?
    );
    parse_ms(&text, &TimeZone::UTC).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Self-signed: `CN=hub.example, O=Ромашка`, good until 2036-11-19.
    const HUB: &[u8] = include_bytes!("../../../fixtures/tls/hub.der");

    #[test]
    fn a_certificate_says_whose_it_is_who_issued_it_and_until_when_it_is_good() {
        let read = Certificate::read(HUB).unwrap();

        assert_eq!(read.issuer, "Test Authority (Ромашка)");
        assert_eq!(read.subject, "hub.example");
        assert_eq!(day(read.until_ms), "2036-11-19");
        assert!(read.is_good_at(read.since_ms) && read.is_good_at(read.until_ms));
        assert!(!read.is_good_at(read.since_ms - 1) && !read.is_good_at(read.until_ms + 1));
    }

    #[test]
    fn a_strangers_bytes_are_no_certificate_and_no_panic() {
        for length in 0..HUB.len() {
            assert_eq!(Certificate::read(&HUB[..length]), None, "{length}");
        }
        for place in 0..HUB.len() {
            let mut bytes = HUB.to_vec();
            bytes[place] ^= 0x80;
            let _ = Certificate::read(&bytes);
        }
        assert_eq!(Certificate::read(&[0x30, 0xff, 1, 2, 3]), None);
    }
}
