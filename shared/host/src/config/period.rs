//! Durations as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A duration written as text: `500ms`, `2s`, `30m`, `1h`, `7d`, `1h30m`. Whole milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(Duration);

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no duration: write it like 500ms, 2s, 30m, 1h or 7d")]
pub struct PeriodError {
    text: String,
}

/// Longest first, so that the text is as short as it can be.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

impl Period {
    /// So many milliseconds.
    pub const fn from_millis(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    /// So many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// As the standard library's type.
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// In milliseconds; the longest there are for what does not fit.
    pub fn as_millis(self) -> i64 {
        i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX)
    }
}

impl From<Period> for Duration {
    fn from(period: Period) -> Self {
        period.0
    }
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let ms = parse_ms(text.trim()).ok_or_else(|| PeriodError {
            text: text.to_owned(),
        })?;
        Ok(Self::from_millis(ms))
    }
}

fn parse_ms(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let (_, unit_ms) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let part = number.parse::<u64>().ok()?.checked_mul(*unit_ms)?;
        total = total.checked_add(part)?;
        rest = tail;
    }
    // More than that does not fit where we keep times.
    (!text.is_empty() && i64::try_from(total).is_ok()).then_some(total)
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if left == 0 {
            return f.write_str("0s");
        }
        for (name, unit_ms) in UNITS {
            if left >= unit_ms {
                write!(f, "{}{name}", left / unit_ms)?;
                left %= unit_ms;
            }
        }
        Ok(())
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Period;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration in quotes, like \"2s\" or \"30m\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Period, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let ms = |text: &str| text.parse::<Period>().map(Period::as_millis).ok();
        assert_eq!(ms("500ms"), Some(500));
        assert_eq!(ms("2s"), Some(2_000));
        assert_eq!(ms("30m"), Some(1_800_000));
        assert_eq!(ms("1h30m"), Some(5_400_000));
        assert_eq!(ms("0"), Some(0));
        for wrong in [
            "",
            "2",
            "s",
            "2 s",
            "-2s",
            "2x",
            "99999999999999999999d",
            "1.5h",
        ] {
            assert_eq!(ms(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(ms in 0..=u64::try_from(i64::MAX).unwrap()) {
            let period = Period::from_millis(ms);
            prop_assert_eq!(period.to_string().parse(), Ok(period));
        }
    }
}
