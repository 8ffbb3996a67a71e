//! Moments as files write them, and as Vitrina writes them: UTC milliseconds since 1970 inside, RFC 3339 outside.
//!
//! A text without an offset is local time of the shop, in the zone the caller gives. Reads no clock.

use std::iter::Peekable;
use std::str::Bytes;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::text::trim;

const MS_PER_DAY: i64 = 86_400_000;

/// Why a text is not a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhenError {
    /// Nothing, or 1C's empty date `0001-01-01`.
    #[error("the date is missing")]
    Empty,
    /// None of the known forms.
    #[error(
        "this is not a date of a known form, such as 22.11.2026 09:14:03 or 2026-11-22T09:14:03Z"
    )]
    UnknownForm,
    /// The form is known; there is no such day or hour.
    #[error("there is no such day or time")]
    NoSuchMoment,
}

/// The parts of a date-time as written.
#[derive(Clone, Copy, Default)]
struct Written {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    ms: i64,
    /// Minutes east of Greenwich, where the text says so.
    offset_min: Option<i64>,
}

/// Reads a moment into UTC milliseconds.
///
/// The forms: RFC 3339 with any offset; `2026-11-22T9:14:03`, `2026-11-22 09:14`, `2026-11-22`; `22.11.2026 9:14:03`,
/// `22.11.2026 09:14`, `22.11.2026`; each with a fraction of a second (what is finer than a millisecond is cut off) and
/// an offset. Hours, days and months may have one digit. Without an offset the time is `zone`'s; an hour that the zone
/// skips or repeats is taken as its rules before the change say.
///
/// # Errors
///
/// [`WhenError`]; nothing is guessed, so a two-digit year is `UnknownForm`.
pub fn parse_ms(text: &str, zone: &TimeZone) -> Result<i64, WhenError> {
    let text = trim(text);
    if text.is_empty() {
        return Err(WhenError::Empty);
    }
    let written = scan(text).ok_or(WhenError::UnknownForm)?;
    if (written.year, written.month, written.day) == (1, 1, 1) {
        return Err(WhenError::Empty);
    }
    written.check()?;
    if let Some(offset_min) = written.offset_min {
        return Ok(written.as_if_utc_ms() - offset_min * 60_000);
    }
    in_zone(written, zone).ok_or(WhenError::NoSuchMoment)
}

fn in_zone(written: Written, zone: &TimeZone) -> Option<i64> {
    let civil = DateTime::new(
        i16::try_from(written.year).ok()?,
        i8::try_from(written.month).ok()?,
        i8::try_from(written.day).ok()?,
        i8::try_from(written.hour).ok()?,
        i8::try_from(written.minute).ok()?,
        i8::try_from(written.second).ok()?,
        i32::try_from(written.ms).ok()? * 1_000_000,
    );
    let moment = zone.to_ambiguous_timestamp(civil.ok()?).compatible();
    Some(moment.ok()?.as_millisecond())
}

impl Written {
    fn check(&self) -> Result<(), WhenError> {
        let leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        let days = match self.month {
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => 31,
        };
        let fits = (1..=9999).contains(&self.year)
            && (1..=12).contains(&self.month)
            && (1..=days).contains(&self.day)
            && (0..24).contains(&self.hour)
            && (0..60).contains(&self.minute)
            && (0..60).contains(&self.second);
        if fits {
            Ok(())
        } else {
            Err(WhenError::NoSuchMoment)
        }
    }

    fn as_if_utc_ms(&self) -> i64 {
        let minutes = self.hour * 60 + self.minute;
        days_from_civil(self.year, self.month, self.day) * MS_PER_DAY
            + (minutes * 60 + self.second) * 1_000
            + self.ms
    }
}

/// A text that is eaten from the left. `None` anywhere means that the form is unknown.
struct Cursor<'a>(Peekable<Bytes<'a>>);

impl Cursor<'_> {
    fn digits(&mut self, least: u32, most: u32) -> Option<i64> {
        let mut value = 0;
        let mut count = 0;
        while count < most
            && let Some(digit) = self.0.next_if(u8::is_ascii_digit)
        {
            value = value * 10 + i64::from(digit - b'0');
            count += 1;
        }
        (count >= least).then_some(value)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.0.next_if_eq(&byte).map(drop)
    }

    fn skip_blanks(&mut self) -> bool {
        let mut any = false;
        while self.0.next_if_eq(&b' ').is_some() {
            any = true;
        }
        any
    }
}

fn scan(text: &str) -> Option<Written> {
    let mut cursor = Cursor(text.bytes().peekable());
    let mut written = Written::default();
    let first = cursor.digits(1, 4)?;
    if cursor.expect(b'.').is_some() {
        written.day = first;
        written.month = cursor.digits(1, 2)?;
        cursor.expect(b'.')?;
        written.year = cursor.digits(4, 4)?;
    } else {
        // A year below 1000 is written with zeros, so the number of digits does not show in the value.
        if text.as_bytes().get(4) != Some(&b'-') {
            return None;
        }
        written.year = first;
        cursor.expect(b'-')?;
        written.month = cursor.digits(1, 2)?;
        cursor.expect(b'-')?;
        written.day = cursor.digits(1, 2)?;
    }
    let joined = cursor
        .0
        .next_if(|byte| matches!(byte, b'T' | b't'))
        .is_some();
    if !joined && !cursor.skip_blanks() {
        return cursor.0.next().is_none().then_some(written);
    }
    scan_time(&mut cursor, &mut written)?;
    Some(written)
}

fn scan_time(cursor: &mut Cursor<'_>, written: &mut Written) -> Option<()> {
    written.hour = cursor.digits(1, 2)?;
    cursor.expect(b':')?;
    written.minute = cursor.digits(2, 2)?;
    if cursor.expect(b':').is_some() {
        // A leap second is the last one of its minute.
        written.second = match cursor.digits(2, 2)? {
            60 => 59,
            second => second,
        };
        if cursor
            .0
            .next_if(|byte| matches!(byte, b'.' | b','))
            .is_some()
        {
            written.ms = scan_fraction(cursor)?;
        }
    }
    cursor.skip_blanks();
    if cursor.0.peek().is_some() {
        written.offset_min = Some(scan_offset(cursor)?);
    }
    cursor.0.next().is_none().then_some(())
}

fn scan_fraction(cursor: &mut Cursor<'_>) -> Option<i64> {
    let mut ms = 0;
    let mut weight = 100;
    let mut any = false;
    while let Some(digit) = cursor.0.next_if(u8::is_ascii_digit) {
        ms += i64::from(digit - b'0') * weight;
        weight /= 10;
        any = true;
    }
    any.then_some(ms)
}

/// Minutes east of Greenwich.
fn scan_offset(cursor: &mut Cursor<'_>) -> Option<i64> {
    let sign = match cursor.0.next()? {
        b'Z' | b'z' => return Some(0),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let hours = cursor.digits(2, 2)?;
    let minutes = if cursor.expect(b':').is_some() {
        cursor.digits(2, 2)?
    } else {
        cursor.digits(2, 2).unwrap_or(0)
    };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

/// Days from 1970-01-01 to a day of the Gregorian calendar. Counts in eras of 400 years that begin with March, so that
/// the leap day is the last one of its year.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The calendar day that lies `days` after 1970-01-01, as year, month, day.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// 0000-01-01T00:00:00.000Z, the first moment that RFC 3339 can write.
const FIRST_MS: i64 = -62_167_219_200_000;
/// 9999-12-31T23:59:59.999Z, the last one.
const LAST_MS: i64 = 253_402_300_799_999;

/// The calendar day of a moment in a shop's zone, as the number `yyyymmdd` (20261122). It is part of a receipt's key.
///
/// Moments outside the years 0 to 9999 are taken as the first or last of them.
pub fn local_day(ms: i64, zone: &TimeZone) -> i32 {
    let ms = ms.clamp(FIRST_MS, LAST_MS);
    let offset_s = Timestamp::from_millisecond(ms)
        .map_or(0, |moment| i64::from(zone.to_offset(moment).seconds()));
    let local = (ms + offset_s * 1_000).clamp(FIRST_MS, LAST_MS);
    let (year, month, day) = civil_from_days(local.div_euclid(MS_PER_DAY));
    i32::try_from(year * 10_000 + month * 100 + day).unwrap_or(0)
}

/// A moment as the 24 ASCII characters `2026-11-22T09:14:03.120Z`, without allocation.
///
/// Moments outside the years 0 to 9999 are written as the first or last of them.
pub fn rfc3339_ms_bytes(ms: i64) -> [u8; 24] {
    let ms = ms.clamp(FIRST_MS, LAST_MS);
    let (year, month, day) = civil_from_days(ms.div_euclid(MS_PER_DAY));
    let in_day = ms.rem_euclid(MS_PER_DAY);
    let digit = |value: i64, weight: i64| {
        let digit = (value / weight) % 10;
        b'0' + u8::try_from(digit).unwrap_or(0)
    };
    let (hour, minute) = (in_day / 3_600_000, in_day / 60_000 % 60);
    let (second, fraction) = (in_day / 1_000 % 60, in_day % 1_000);
    [
        digit(year, 1_000),
        digit(year, 100),
        digit(year, 10),
        digit(year, 1),
        b'-',
        digit(month, 10),
        digit(month, 1),
        b'-',
        digit(day, 10),
        digit(day, 1),
        b'T',
        digit(hour, 10),
        digit(hour, 1),
        b':',
        digit(minute, 10),
        digit(minute, 1),
        b':',
        digit(second, 10),
        digit(second, 1),
        b'.',
        digit(fraction, 100),
        digit(fraction, 10),
        digit(fraction, 1),
        b'Z',
    ]
}

/// Appends a moment as `2026-11-22T09:14:03.120Z`; see [`rfc3339_ms_bytes`].
pub fn write_rfc3339_ms(out: &mut String, ms: i64) {
    out.extend(rfc3339_ms_bytes(ms).map(char::from));
}

/// A moment as `2026-11-22T09:14:03.120Z`; see [`rfc3339_ms_bytes`].
pub fn rfc3339_ms(ms: i64) -> String {
    let mut out = String::with_capacity(24);
    write_rfc3339_ms(&mut out, ms);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    /// The text as Vitrina would write it back.
    fn utc(text: &str, zone_name: &str) -> Result<String, WhenError> {
        parse_ms(text, &zone(zone_name)).map(rfc3339_ms)
    }

    #[test]
    fn every_known_form_is_read_in_shop_time() {
        for (text, expected) in [
            ("22.11.2026 12:14:03", "2026-11-22T09:14:03.000Z"),
            ("22.11.2026 9:14:03", "2026-11-22T06:14:03.000Z"),
            ("2.1.2026 09:05", "2026-01-02T06:05:00.000Z"),
            ("22.11.2026", "2026-11-21T21:00:00.000Z"),
            ("2014-06-01T0:36:33", "2014-05-31T20:36:33.000Z"),
            ("2026-11-22 12:14:03", "2026-11-22T09:14:03.000Z"),
            ("2020-08-11", "2020-08-10T21:00:00.000Z"),
            ("2026-11-22T12:14:03.12", "2026-11-22T09:14:03.120Z"),
        ] {
            assert_eq!(
                utc(text, "Europe/Moscow").as_deref(),
                Ok(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn an_offset_in_the_text_wins_over_the_zone() {
        for text in [
            "2026-11-22T09:14:03.120Z",
            "2026-11-22t09:14:03.1209999z",
            "2026-11-22T12:14:03.120+03:00",
            "2026-11-22T12:14:03,120+0300",
            "2026-11-22T12:14:03.120 +03",
            "2026-11-21T23:14:03.120-10:00",
            "22.11.2026 12:14:03.120+03:00",
        ] {
            let read = utc(text, "Asia/Vladivostok");
            assert_eq!(read.as_deref(), Ok("2026-11-22T09:14:03.120Z"), "{text}");
        }
    }

    #[test]
    fn a_skipped_and_a_repeated_hour_are_taken_as_compatible() {
        // Moscow went from 03:00 back to 02:00... in 2010 on 31 October, and forward on 28 March.
        let gap = utc("2010-03-28T02:30:00", "Europe/Moscow");
        let fold = utc("2010-10-31T02:30:00", "Europe/Moscow");
        assert_eq!(gap.as_deref(), Ok("2010-03-27T23:30:00.000Z"));
        assert_eq!(fold.as_deref(), Ok("2010-10-30T22:30:00.000Z"));
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for (text, expected) in [
            ("", WhenError::Empty),
            ("0001-01-01T00:00:00", WhenError::Empty),
            ("01.01.0001 0:00:00", WhenError::Empty),
            ("31.02.2026", WhenError::NoSuchMoment),
            ("2026-02-29", WhenError::NoSuchMoment),
            ("2026-11-22T24:00:00", WhenError::NoSuchMoment),
            ("00.11.2026", WhenError::NoSuchMoment),
            ("22.11.26", WhenError::UnknownForm),
            ("22/11/2026", WhenError::UnknownForm),
            ("11-22-2026", WhenError::UnknownForm),
            ("2026-11-22T", WhenError::UnknownForm),
            ("2026-11-22T12:14:03x", WhenError::UnknownForm),
            ("2026-11-22T12:14:03+99:00", WhenError::UnknownForm),
            ("46342", WhenError::UnknownForm),
            ("22.11.2026 12:14:03.", WhenError::UnknownForm),
        ] {
            assert_eq!(utc(text, "Europe/Moscow"), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn a_leap_second_is_the_last_of_its_minute() {
        let read = utc("2016-12-31T23:59:60Z", "UTC");
        assert_eq!(read.as_deref(), Ok("2016-12-31T23:59:59.000Z"));
    }

    #[test]
    fn the_day_is_the_shops_own() {
        let ms = parse_ms("2026-11-22T21:30:00Z", &TimeZone::UTC).unwrap();
        assert_eq!(local_day(ms, &TimeZone::UTC), 20_261_122);
        assert_eq!(local_day(ms, &zone("Europe/Moscow")), 20_261_123);
        assert_eq!(local_day(i64::MIN, &zone("Asia/Kamchatka")), 101);
        assert_eq!(local_day(i64::MAX, &zone("Asia/Kamchatka")), 99_991_231);
    }

    #[test]
    fn moments_beyond_four_digit_years_are_held_at_the_edge() {
        assert_eq!(rfc3339_ms(i64::MIN), "0000-01-01T00:00:00.000Z");
        assert_eq!(rfc3339_ms(i64::MAX), "9999-12-31T23:59:59.999Z");
    }

    proptest! {
        #[test]
        fn a_moment_survives_writing_and_reading(ms in -62_135_510_400_000..=LAST_MS) {
            let text = rfc3339_ms(ms);
            prop_assert_eq!(parse_ms(&text, &TimeZone::UTC), Ok(ms));
            let jiff: Timestamp = text.parse().unwrap();
            prop_assert_eq!(jiff.as_millisecond(), ms);
        }

        #[test]
        fn the_day_agrees_with_the_calendar_library(ms in -62_135_510_400_000..=LAST_MS - MS_PER_DAY) {
            let zone = zone("Asia/Vladivostok");
            let date = Timestamp::from_millisecond(ms).unwrap().to_zoned(zone.clone()).date();
            let expected = i32::from(date.year()) * 10_000
                + i32::from(date.month()) * 100
                + i32::from(date.day());
            prop_assert_eq!(local_day(ms, &zone), expected);
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = parse_ms(&text, &TimeZone::UTC);
        }

        #[test]
        fn nothing_that_looks_like_a_date_panics(text in "[0-9]{1,5}[-.][0-9]{1,3}[-.][0-9]{1,5}[ T]?[0-9:.,+Z-]{0,20}") {
            let _ = parse_ms(&text, &zone("Europe/Moscow"));
        }
    }
}
