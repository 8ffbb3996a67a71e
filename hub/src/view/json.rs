//! JSON by hand: the website's bodies are written so often that a tree of values would cost more than the rest.

use vitrina_host::when;
use vitrina_shared::{Money, TimeMs};

/// Appends a JSON string.
pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(text.as_bytes().get(plain..at).unwrap_or_default());
        plain = at + 1;
        match byte {
            b'"' => out.extend_from_slice(br#"\""#),
            b'\\' => out.extend_from_slice(br"\\"),
            b'\n' => out.extend_from_slice(br"\n"),
            b'\r' => out.extend_from_slice(br"\r"),
            b'\t' => out.extend_from_slice(br"\t"),
            control => {
                out.extend_from_slice(br"\u00");
                out.extend_from_slice(&[hex_digit(control >> 4), hex_digit(control & 15)]);
            }
        }
    }
    out.extend_from_slice(text.as_bytes().get(plain..).unwrap_or_default());
    out.push(b'"');
}

fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 {
        b'0' + nibble
    } else {
        b'a' + nibble - 10
    }
}

/// Appends a JSON string, or `null`.
pub(crate) fn text_or_null(out: &mut Vec<u8>, value: Option<&str>) {
    match value {
        Some(value) => text(out, value),
        None => out.extend_from_slice(b"null"),
    }
}

/// Appends a number.
pub(crate) fn number(out: &mut Vec<u8>, number: i64) {
    // Nearly every quantity of a jewellery chain has one digit.
    if let Ok(small @ 0..=9) = u8::try_from(number) {
        out.push(b'0' + small);
        return;
    }
    if number < 0 {
        out.push(b'-');
    }
    digits(out, number.unsigned_abs(), 1);
}

/// Appends `"name":number` for each, with commas between.
pub(crate) fn members(out: &mut Vec<u8>, members: &[(&str, i64)]) {
    for (at, (name, value)) in members.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b"\"" } else { b",\"" });
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        number(out, *value);
    }
}

/// Appends a number with leading zeros up to `width`.
fn digits(out: &mut Vec<u8>, mut number: u64, width: usize) {
    let start = out.len();
    while number > 0 || out.len() - start < width {
        out.push(b'0' + u8::try_from(number % 10).unwrap_or(0));
        number /= 10;
    }
    if let Some(written) = out.get_mut(start..) {
        written.reverse();
    }
}

/// Appends `{"amount":"45900.00","currency":"RUB"}`, or `null`.
pub(crate) fn price(out: &mut Vec<u8>, price: Option<Money>) {
    let Some(price) = price else {
        out.extend_from_slice(b"null");
        return;
    };
    out.extend_from_slice(br#"{"amount":""#);
    amount(out, price);
    out.extend_from_slice(br#"","currency":""#);
    out.extend_from_slice(price.currency.as_str().as_bytes());
    out.extend_from_slice(br#""}"#);
}

/// Appends `45900.00`.
pub(crate) fn amount(out: &mut Vec<u8>, price: Money) {
    if price.hundredths < 0 {
        out.push(b'-');
    }
    let hundredths = price.hundredths.unsigned_abs();
    digits(out, hundredths / 100, 1);
    out.push(b'.');
    digits(out, hundredths % 100, 2);
}

/// Appends a moment as `"2026-11-22T09:14:03.120Z"`, or `null`.
pub(crate) fn time_or_null(out: &mut Vec<u8>, at: Option<TimeMs>) {
    let Some(at) = at else {
        out.extend_from_slice(b"null");
        return;
    };
    out.push(b'"');
    time(out, at);
    out.push(b'"');
}

/// Appends a moment as `2026-11-22T09:14:03.120Z`.
pub(crate) fn time(out: &mut Vec<u8>, at: TimeMs) {
    out.extend_from_slice(&when::rfc3339_ms_bytes(at.0));
}

/// The bytes of a moment in quotes.
pub(crate) const STAMP_BYTES: usize = 26;

/// Moments in quotes, of which the last is remembered: the shops of an item were mostly heard from in the same minute.
#[derive(Default)]
pub(crate) struct Stamp {
    at: Option<TimeMs>,
    text: [u8; STAMP_BYTES],
}

impl Stamp {
    /// `"2026-11-22T09:20:00.000Z"`.
    pub(crate) fn of(&mut self, at: TimeMs) -> &[u8; STAMP_BYTES] {
        if self.at != Some(at) {
            let [first, middle @ .., last] = &mut self.text;
            (*first, *last) = (b'"', b'"');
            middle.copy_from_slice(&when::rfc3339_ms_bytes(at.0));
            self.at = Some(at);
        }
        &self.text
    }
}

/// The same as a `String`.
pub(crate) fn time_text(at: TimeMs) -> String {
    when::rfc3339_ms(at.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_text_reads_back_whatever_is_in_it() {
        for sample in ["", "Кольцо \"Ирис\"", "a\\b\n\r\t\u{1}\u{1f}", "🜚"] {
            let json = written(|out| text(out, sample));
            assert_eq!(
                serde_json::from_str::<String>(&json).unwrap(),
                sample,
                "{json}"
            );
        }
    }

    #[test]
    fn numbers_and_money_are_exact() {
        for sample in [0, 9, 10, -3, i64::MAX, i64::MIN] {
            assert_eq!(written(|out| number(out, sample)), sample.to_string());
        }
        assert_eq!(
            written(|out| price(out, Some(Money::rub(4_590_005)))),
            r#"{"amount":"45900.05","currency":"RUB"}"#
        );
        assert_eq!(written(|out| price(out, None)), "null");
    }
}
