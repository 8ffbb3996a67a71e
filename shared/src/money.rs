//! Money as whole hundredths of a currency.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An amount in the currency's hundredths (kopecks, cents).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Money {
    /// Hundredths; never negative in a price.
    pub hundredths: i64,
    /// The currency.
    pub currency: Currency,
}

/// A currency by its ISO 4217 letters, such as `RUB`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency([u8; 3]);

/// The text is not three capital letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a currency is three capital letters, such as RUB")]
pub struct CurrencyError;

impl Currency {
    /// The rouble, the default everywhere.
    pub const RUB: Self = Self(*b"RUB");

    /// The three letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("RUB")
    }
}

impl std::str::FromStr for Currency {
    type Err = CurrencyError;

    fn from_str(text: &str) -> Result<Self, CurrencyError> {
        let letters: [u8; 3] = text.as_bytes().try_into().map_err(|_| CurrencyError)?;
        if letters.iter().all(u8::is_ascii_uppercase) {
            Ok(Self(letters))
        } else {
            Err(CurrencyError)
        }
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The amount alone, with a dot and two digits: `45900.00`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.hundredths < 0 { "-" } else { "" };
        let amount = self.hundredths.unsigned_abs();
        write!(f, "{sign}{}.{:02}", amount / 100, amount % 100)
    }
}

impl Money {
    /// So many kopecks.
    pub fn rub(hundredths: i64) -> Self {
        Self {
            hundredths,
            currency: Currency::RUB,
        }
    }
}

/// As the public interface says it: `{"amount":"45900.00","currency":"RUB"}`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MoneyJson {
    amount: String,
    currency: String,
}

impl Serialize for Money {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        MoneyJson {
            amount: self.to_string(),
            currency: self.currency.to_string(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = MoneyJson::deserialize(deserializer)?;
        let hundredths = parse_amount(&json.amount)
            .ok_or_else(|| serde::de::Error::custom("an amount looks like \"45900.00\""))?;
        let currency = json.currency.parse().map_err(serde::de::Error::custom)?;
        Ok(Self {
            hundredths,
            currency,
        })
    }
}

/// Reads the strict form of the public interface: digits, then nothing or a dot and one or two digits. (Amounts as
/// people write them are read by the host.)
pub fn parse_amount(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 2 {
        return None;
    }
    let hundredths: i64 = if fraction.len() == 1 {
        fraction.parse::<i64>().ok()? * 10
    } else {
        fraction.parse().ok()?
    };
    whole
        .parse::<i64>()
        .ok()?
        .checked_mul(100)?
        .checked_add(hundredths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_read_and_written_to_the_kopeck() {
        for (text, hundredths) in [
            ("45900.00", 4_590_000),
            ("45900", 4_590_000),
            ("0.5", 50),
            ("0.05", 5),
        ] {
            assert_eq!(parse_amount(text), Some(hundredths), "{text}");
        }
        for bad in [
            "",
            ".",
            "1.",
            "1.005",
            "-1",
            "1e3",
            "1 000",
            "99999999999999999999",
        ] {
            assert_eq!(parse_amount(bad), None, "{bad}");
        }
        assert_eq!(Money::rub(4_590_005).to_string(), "45900.05");
        assert_eq!(Money::rub(-5).to_string(), "-0.05");
    }
}
