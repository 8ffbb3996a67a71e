//! Amounts and quantities as people, tills, Excel and 1C write them.
//!
//! What is not clearly one number is refused: a wrong price or quantity is worse than a line in quarantine.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Why a text is not the number that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Nothing but blanks.
    #[error("the number is missing")]
    Empty,
    /// Letters, two separators, or digits grouped other than by three.
    #[error("this is not a number")]
    NotANumber,
    /// `1E+3`: Excel has rounded it, the digits are lost.
    #[error("a number with an exponent was damaged by a spreadsheet")]
    Exponent,
    /// An amount finer than a kopeck.
    #[error("an amount has at most two decimals")]
    TooManyDecimals,
    /// A quantity that is not whole.
    #[error("a quantity must be whole")]
    Fractional,
    /// Below zero where that makes no sense.
    #[error("the number must not be negative")]
    Negative,
    /// Beyond 64 bits.
    #[error("the number is too large")]
    Overflow,
}

/// A number as it was written, before anybody decides what it counts.
struct Written<'a> {
    negative: bool,
    whole: u64,
    /// The digits behind the separator.
    fraction: &'a str,
}

/// Space, and the blanks that group digits: U+00A0 (1C, Excel), U+202F, U+2009, U+2007.
fn is_blank(letter: char) -> bool {
    matches!(
        letter,
        ' ' | '\t' | '\u{a0}' | '\u{202f}' | '\u{2009}' | '\u{2007}'
    )
}

fn is_sign_of_exponent(letter: char) -> bool {
    // The Cyrillic letter looks the same and is met in re-typed lists.
    matches!(letter, 'e' | 'E' | 'е' | 'Е')
}

/// Splits the text into sign, whole part and decimals. `.` and `,` both separate decimals, blanks group by three.
fn scan(text: &str) -> Result<Written<'_>, NumberError> {
    let text = text.trim_matches(is_blank);
    if text.is_empty() {
        return Err(NumberError::Empty);
    }
    let (negative, digits) = match text.strip_prefix(['-', '\u{2212}']) {
        Some(rest) => (true, rest.trim_start_matches(is_blank)),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole_text, fraction) = digits.split_once(['.', ',']).unwrap_or((digits, ""));
    if whole_text.is_empty() && fraction.is_empty() {
        return Err(NumberError::NotANumber);
    }
    if let Some(stranger) = fraction.chars().find(|letter| !letter.is_ascii_digit()) {
        return Err(refusal(stranger));
    }
    Ok(Written {
        negative,
        whole: whole(whole_text)?,
        fraction,
    })
}

fn refusal(stranger: char) -> NumberError {
    if is_sign_of_exponent(stranger) {
        NumberError::Exponent
    } else {
        NumberError::NotANumber
    }
}

fn whole(text: &str) -> Result<u64, NumberError> {
    let mut value = 0_u64;
    let mut group: Option<u32> = None;
    let mut digits = 0_u32;
    for letter in text.chars() {
        if let Some(digit) = letter.to_digit(10) {
            value = value
                .checked_mul(10)
                .and_then(|value| value.checked_add(u64::from(digit)))
                .ok_or(NumberError::Overflow)?;
            digits += 1;
            continue;
        }
        if !is_blank(letter) {
            return Err(refusal(letter));
        }
        // `4 5900` is rather two columns run together than a number.
        let whole_group = group.map_or((1..=3).contains(&digits), |_| digits == 3);
        if !whole_group {
            return Err(NumberError::NotANumber);
        }
        group = Some(digits);
        digits = 0;
    }
    if group.is_some() && digits != 3 {
        return Err(NumberError::NotANumber);
    }
    Ok(value)
}

fn signed(value: u64, negative: bool) -> Result<i64, NumberError> {
    let value = i64::try_from(value).map_err(|_| NumberError::Overflow)?;
    Ok(if negative { -value } else { value })
}

/// Reads an amount of money into kopecks: `45900`, `45 900,00`, `45900.5`, `-1 719,00 руб.`
///
/// More than two decimals are accepted only as zeros. A rouble sign or word behind the number is ignored, since Excel
/// exports what the cell shows.
///
/// # Errors
///
/// Any [`NumberError`] but `Fractional` and `Negative`.
pub fn kopecks(text: &str) -> Result<i64, NumberError> {
    let written = scan(without_roubles(text))?;
    let (cents, rest) = written
        .fraction
        .split_at_checked(2)
        .unwrap_or((written.fraction, ""));
    if rest.bytes().any(|digit| digit != b'0') {
        return Err(NumberError::TooManyDecimals);
    }
    let scale = if cents.len() == 1 { 10 } else { 1 };
    let cents = whole(cents)? * scale;
    let value = written
        .whole
        .checked_mul(100)
        .and_then(|value| value.checked_add(cents))
        .ok_or(NumberError::Overflow)?;
    signed(value, written.negative)
}

/// Reads a price into kopecks: as [`kopecks`], but not below zero.
///
/// # Errors
///
/// Any [`NumberError`] but `Fractional`.
pub fn price(text: &str) -> Result<i64, NumberError> {
    match kopecks(text)? {
        negative if negative < 0 => Err(NumberError::Negative),
        price => Ok(price),
    }
}

fn without_roubles(text: &str) -> &str {
    let Some(last) = text.rfind(|letter: char| letter.is_ascii_digit()) else {
        return text;
    };
    match text.split_at_checked(last + 1) {
        Some((number, unit)) if !unit.is_empty() && currency(unit) == "RUB" => number,
        _ => text,
    }
}

/// Reads a whole quantity, possibly negative: `5`, `5.000`, `-1`, `1 000`. No unit, no exponent.
///
/// # Errors
///
/// [`NumberError::Fractional`] when the decimals are not all zero, else `Empty`, `NotANumber`, `Exponent`, `Overflow`.
pub fn quantity(text: &str) -> Result<i64, NumberError> {
    let written = scan(text)?;
    if written.fraction.bytes().any(|digit| digit != b'0') {
        return Err(NumberError::Fractional);
    }
    signed(written.whole, written.negative)
}

/// Whether a spreadsheet has made a number or a formula of this barcode: `2,00002E+12`, `2000018987155,00`, `="2000018987155"`.
///
/// The digits are lost or the text is not what is printed on the tag, so such a line must not be booked. Lost leading
/// zeros cannot be seen here.
pub fn is_excel_damaged(barcode: &str) -> bool {
    let text = barcode.trim();
    if text.starts_with("=\"") {
        return true;
    }
    if let Some((mantissa, exponent)) = text.split_once(is_sign_of_exponent) {
        // Excel always shows one digit before the separator and a signed exponent of two digits or more, which tells
        // it from a true code such as `12E5`.
        let mut parts = mantissa.splitn(2, ['.', ',']);
        let head = parts.next().unwrap_or_default();
        let tail = parts.next().unwrap_or("0");
        let power = exponent.strip_prefix(['+', '-']).unwrap_or_default();
        return head.len() == 1
            && is_digits(head)
            && is_digits(tail)
            && power.len() >= 2
            && is_digits(power);
    }
    let Some((head, tail)) = text.split_once(['.', ',']) else {
        return false;
    };
    is_digits(head) && !tail.is_empty() && tail.bytes().all(|digit| digit == b'0')
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The ISO 4217 code of a currency as 1C and people write it: `RUR`, `руб`, `руб.`, `₽`, `643` are `RUB`.
///
/// Three Latin letters are put in upper case; what is not known stays as it is, trimmed.
pub fn currency(text: &str) -> Cow<'_, str> {
    let text = text.trim_matches(|letter| is_blank(letter) || matches!(letter, '\r' | '\n'));
    if matches!(text, "RUB" | "RUR" | "руб" | "руб." | "₽") {
        return Cow::Borrowed("RUB");
    }
    if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Cow::Borrowed(text);
    }
    let lower = text.to_lowercase();
    match lower.trim_end_matches('.') {
        "rub"
        | "rur"
        | "руб"
        | "р"
        | "рубль"
        | "рубли"
        | "рублей"
        | "российский рубль"
        | "643"
        | "810" => Cow::Borrowed("RUB"),
        "usd" | "$" | "840" | "долл" => Cow::Borrowed("USD"),
        "eur" | "€" | "978" | "евро" => Cow::Borrowed("EUR"),
        "грн" | "980" => Cow::Borrowed("UAH"),
        "тг" | "тенге" | "398" => Cow::Borrowed("KZT"),
        "933" => Cow::Borrowed("BYN"),
        code if code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
            Cow::Owned(code.to_ascii_uppercase())
        }
        _ => Cow::Borrowed(text),
    }
}

/// Appends an amount in kopecks as `45900.00`: a dot, always two decimals, no grouping.
pub fn write_kopecks(out: &mut String, kopecks: i64) {
    let sign = if kopecks < 0 { "-" } else { "" };
    let value = kopecks.unsigned_abs();
    // Writing into a `String` cannot fail.
    let _ = write!(out, "{sign}{}.{:02}", value / 100, value % 100);
}

/// An amount in kopecks as `45900.00`.
pub fn kopecks_text(kopecks: i64) -> String {
    let mut out = String::with_capacity(12);
    write_kopecks(&mut out, kopecks);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for (text, expected) in [
            ("45900", 4_590_000),
            ("45 900,00", 4_590_000),
            ("45\u{a0}900,00", 4_590_000),
            ("1\u{202f}045\u{2009}900.50", 104_590_050),
            ("45900.5", 4_590_050),
            ("45900.000", 4_590_000),
            (" 0,07 ", 7),
            (",5", 50),
            ("5.", 500),
            ("-1 719,00", -171_900),
            ("\u{2212}1,00", -100),
            ("+3", 300),
            ("2 042,66 руб.", 204_266),
            ("2042.66₽", 204_266),
            ("92233720368547758.07", i64::MAX),
        ] {
            assert_eq!(kopecks(text), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn an_amount_that_could_mean_two_things_is_refused() {
        for (text, expected) in [
            ("", NumberError::Empty),
            (" \u{a0} ", NumberError::Empty),
            ("-", NumberError::NotANumber),
            (".", NumberError::NotANumber),
            ("4 5900", NumberError::NotANumber),
            ("1234 567", NumberError::NotANumber),
            ("1,234.50", NumberError::NotANumber),
            ("45900.005", NumberError::TooManyDecimals),
            ("4,59E+04", NumberError::Exponent),
            ("45900 USD", NumberError::NotANumber),
            ("92233720368547758.08", NumberError::Overflow),
            ("99999999999999999999999", NumberError::Overflow),
            ("٣", NumberError::NotANumber),
        ] {
            assert_eq!(kopecks(text), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn a_price_below_zero_is_refused() {
        assert_eq!(price("-0.01"), Err(NumberError::Negative));
        assert_eq!(price("-0"), Ok(0));
    }

    #[test]
    fn a_quantity_is_whole_or_refused() {
        for (text, expected) in [
            ("5", Ok(5)),
            ("5.000", Ok(5)),
            ("1.0", Ok(1)),
            ("-1", Ok(-1)),
            ("1 000", Ok(1_000)),
            ("2,5", Err(NumberError::Fractional)),
            ("1E+3", Err(NumberError::Exponent)),
            ("1е3", Err(NumberError::Exponent)),
            ("5 шт", Err(NumberError::NotANumber)),
            ("9223372036854775808", Err(NumberError::Overflow)),
        ] {
            assert_eq!(quantity(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_barcode_that_excel_has_rounded_is_recognised() {
        for damaged in [
            "2,00002E+12",
            "2.00002e+12",
            "2E+12",
            "4,6Е+12",
            "2000018987155,00",
        ] {
            assert!(is_excel_damaged(damaged), "{damaged}");
        }
        for fine in [
            "2000018987155",
            "12E5",
            "2E12",
            "K-1.0",
            "0",
            "",
            "E+12",
            "AE+12",
        ] {
            assert!(!is_excel_damaged(fine), "{fine}");
        }
    }

    #[test]
    fn currencies_get_their_code() {
        for (text, expected) in [
            ("RUR", "RUB"),
            ("руб", "RUB"),
            ("Руб.", "RUB"),
            (" р. ", "RUB"),
            ("643", "RUB"),
            ("грн", "UAH"),
            ("usd", "USD"),
            ("CNY", "CNY"),
            ("у.е.", "у.е."),
        ] {
            assert_eq!(currency(text), expected, "{text:?}");
        }
    }

    #[test]
    fn kopecks_are_written_with_two_decimals() {
        assert_eq!(kopecks_text(4_590_000), "45900.00");
        assert_eq!(kopecks_text(-7), "-0.07");
        assert_eq!(kopecks_text(i64::MIN), "-92233720368547758.08");
    }

    proptest! {
        #[test]
        fn an_amount_survives_writing_and_reading(value in -i64::MAX..=i64::MAX) {
            prop_assert_eq!(kopecks(&kopecks_text(value)), Ok(value));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = (kopecks(&text), price(&text), quantity(&text), currency(&text).len());
            let _ = is_excel_damaged(&text);
        }

        #[test]
        fn nothing_that_looks_like_a_number_panics(text in "[-+0-9 .,eE\u{a0}]{0,30}") {
            let _ = (kopecks(&text), quantity(&text), is_excel_damaged(&text));
        }
    }
}
