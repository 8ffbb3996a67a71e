//! One line of a movements file: its texts, and what they mean.

use serde::{Deserialize, Serialize};
use vitrina_host::csv::{Column, Row, movement_type};
use vitrina_host::number::{self, NumberError};
use vitrina_host::when::{self, WhenError};
use vitrina_shared::money::Money;
use vitrina_shared::movement::Details;
use vitrina_shared::{Barcode, Condition, Kind, TimeMs};

use crate::ledger::Force;
use crate::receipt::{Invalid, Said, Shop, Verb};

/// The texts of a line, so that it can be tried again from the quarantine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LineText {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) verb: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) receipt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) barcode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) qty: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) price: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) currency: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) till: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) transfer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) document: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cashier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) condition: Option<String>,
}

impl LineText {
    /// The texts of a row.
    pub(crate) fn of(row: &Row<'_>) -> Self {
        let text = |column| row.get(column).map(str::to_owned);
        Self {
            verb: text(Column::Type),
            receipt: text(Column::Receipt),
            line: text(Column::Line),
            barcode: text(Column::Barcode),
            qty: text(Column::Qty),
            price: text(Column::Price),
            currency: text(Column::Currency),
            at: text(Column::At),
            till: text(Column::Till),
            to: text(Column::To),
            from: text(Column::From),
            transfer: text(Column::Transfer),
            reference: text(Column::Ref),
            document: text(Column::Doc),
            cashier: text(Column::Cashier),
            condition: text(Column::Condition),
        }
    }

    /// What the texts mean in this shop; `file` is kept with the movement for people.
    ///
    /// # Errors
    ///
    /// [`Invalid`]: the first text that means nothing.
    pub(crate) fn said(&self, shop: &Shop, file: &str, force: Force) -> Result<Said, Invalid> {
        let verb = self.verb()?;
        let at = self
            .at
            .as_deref()
            .ok_or_else(|| Invalid::new("missing_at", "at", "the time is missing"))?;
        let at = when::parse_ms(at, &shop.zone).map_err(|error| bad_time(error, at))?;
        let code = match (&self.barcode, verb) {
            (None, Verb::Cancel) => None,
            (text, _) => Some(barcode(text.as_deref().unwrap_or_default())?),
        };
        let qty = match (&self.qty, verb) {
            (_, Verb::Cancel) => 1,
            (text, _) => quantity(text.as_deref().unwrap_or_default())?,
        };
        let line = self.line.as_deref().map(line_number).transpose()?;
        let condition = self
            .condition
            .as_deref()
            .map_or(Ok(Condition::Sellable), condition)?;
        let boxed = |text: &Option<String>| text.as_deref().map(Into::into);
        let details = Details {
            price: self
                .price
                .as_deref()
                .map(|text| price(text, self.currency.as_deref()))
                .transpose()?,
            cashier: boxed(&self.cashier),
            reference: boxed(&self.reference),
            to: boxed(&self.to),
            from: boxed(&self.from),
            transfer: boxed(&self.transfer),
            document: boxed(&self.document),
            file: Some(file.into()),
            ..Details::default()
        };
        Ok(Said {
            verb,
            code,
            condition,
            qty,
            at: Some(TimeMs(at)),
            till: self.till.clone(),
            receipt: self.receipt.clone(),
            line,
            details,
            force,
        })
    }

    fn verb(&self) -> Result<Verb, Invalid> {
        let word = self.verb.as_deref().unwrap_or_default();
        let unknown = || {
            Invalid::new(
                "unknown_type",
                "type",
                format!("{word:?} is no type of movement"),
            )
        };
        let verb = movement_type(word)
            .and_then(Verb::of_word)
            .ok_or_else(unknown)?;
        match (verb, &self.to, &self.from) {
            (Verb::Move(Kind::TransferOut), None, _) => Err(Invalid::new(
                "missing_shop",
                "to",
                "a transfer out says to which shop",
            )),
            (Verb::Move(Kind::TransferIn), _, None) => Err(Invalid::new(
                "missing_shop",
                "from",
                "a transfer in says from which shop",
            )),
            _ => Ok(verb),
        }
    }
}

/// Reads a code as it stands in a file.
///
/// # Errors
///
/// [`Invalid`]: a spreadsheet has damaged it, or it is none.
pub(crate) fn barcode(text: &str) -> Result<Barcode, Invalid> {
    if number::is_excel_damaged(text) {
        let message = format!(
            "{text:?} was damaged by a spreadsheet: make the column text and export it again"
        );
        return Err(Invalid::new("damaged_barcode", "barcode", message));
    }
    // Another script's digits look like the tag's and name another piece.
    if text.chars().any(|c| c.is_numeric() && !c.is_ascii()) {
        let message = format!("{text:?} has digits of another script: scan it again");
        return Err(Invalid::new("damaged_barcode", "barcode", message));
    }
    text.parse()
        .map_err(|error: vitrina_shared::barcode::BarcodeError| {
            Invalid::new("bad_barcode", "barcode", format!("{text:?}: {error}"))
        })
}

/// Reads a quantity as it stands in a file.
///
/// # Errors
///
/// [`Invalid`], `fractional_quantity` where it is not whole.
pub(crate) fn quantity(text: &str) -> Result<i64, Invalid> {
    number::quantity(text).map_err(|error| {
        let code = if error == NumberError::Fractional {
            "fractional_quantity"
        } else {
            "bad_quantity"
        };
        Invalid::new(code, "qty", format!("{text:?}: {error}"))
    })
}

/// Reads a price as it stands in a file.
///
/// # Errors
///
/// [`Invalid`].
pub(crate) fn price(text: &str, currency: Option<&str>) -> Result<Money, Invalid> {
    let wrong = |reason: String| Invalid::new("bad_price", "price", format!("{text:?}: {reason}"));
    let hundredths = number::price(text).map_err(|error| wrong(error.to_string()))?;
    match currency {
        None => Ok(Money::rub(hundredths)),
        Some(currency) => {
            let currency = number::currency(currency)
                .parse()
                .map_err(|error: vitrina_shared::money::CurrencyError| wrong(error.to_string()))?;
            Ok(Money {
                hundredths,
                currency,
            })
        }
    }
}

fn line_number(text: &str) -> Result<u32, Invalid> {
    number::quantity(text)
        .ok()
        .and_then(|number| u32::try_from(number).ok())
        .ok_or_else(|| {
            Invalid::new(
                "bad_line_number",
                "line",
                format!("{text:?} is no line number"),
            )
        })
}

fn bad_time(error: WhenError, text: &str) -> Invalid {
    let code = if error == WhenError::Empty {
        "missing_at"
    } else {
        "bad_time"
    };
    Invalid::new(code, "at", format!("{text:?}: {error}"))
}

/// Reads a condition as it stands in a file.
///
/// # Errors
///
/// [`Invalid`].
pub(crate) fn condition(text: &str) -> Result<Condition, Invalid> {
    Condition::of_word(text).ok_or_else(|| {
        Invalid::new(
            "bad_condition",
            "condition",
            format!("{text:?} is neither sellable nor unavailable"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core;

    fn shop() -> Shop {
        Shop {
            zone: core::zone("Europe/Moscow"),
            tills: Vec::new(),
            own: None,
        }
    }

    fn line() -> LineText {
        LineText {
            verb: Some("Продажа".into()),
            receipt: Some("000123".into()),
            line: Some("1".into()),
            barcode: Some("2000018987155".into()),
            qty: Some("1,000".into()),
            price: Some("45 900,00".into()),
            at: Some("22.11.2026 12:14:03".into()),
            ..LineText::default()
        }
    }

    fn refused(change: impl FnOnce(&mut LineText)) -> &'static str {
        let mut line = line();
        change(&mut line);
        line.said(&shop(), "f.csv", Force::Rules).unwrap_err().code
    }

    #[test]
    fn a_line_as_1c_writes_it_is_read() {
        let said = line().said(&shop(), "sales.csv", Force::Rules).unwrap();

        assert_eq!(said.verb, Verb::Move(Kind::Sale));
        assert_eq!(said.qty, 1);
        assert_eq!(said.details.price, Some(Money::rub(4_590_000)));
        assert_eq!(said.at, Some(TimeMs(1_795_338_843_000)));
        assert!(said.is_natural());
    }

    #[test]
    fn each_bad_text_has_its_code() {
        assert_eq!(
            refused(|line| line.verb = Some("дарение".into())),
            "unknown_type"
        );
        assert_eq!(
            refused(|line| line.barcode = Some("2,00002E+12".into())),
            "damaged_barcode"
        );
        for damaged in ["=\"2000018987155\"", "２０００018987155"] {
            assert_eq!(
                refused(|line| line.barcode = Some(damaged.into())),
                "damaged_barcode"
            );
        }
        assert_eq!(refused(|line| line.barcode = None), "bad_barcode");
        assert_eq!(
            refused(|line| line.qty = Some("0,5".into())),
            "fractional_quantity"
        );
        assert_eq!(refused(|line| line.qty = None), "bad_quantity");
        assert_eq!(refused(|line| line.at = None), "missing_at");
        assert_eq!(
            refused(|line| line.at = Some("22/11/26".into())),
            "bad_time"
        );
        assert_eq!(
            refused(|line| line.price = Some("сорок".into())),
            "bad_price"
        );
        assert_eq!(
            refused(|line| line.verb = Some("transfer_out".into())),
            "missing_shop"
        );
    }

    #[test]
    fn the_texts_survive_the_quarantine() {
        let json = serde_json::to_string(&line()).unwrap();
        assert_eq!(serde_json::from_str::<LineText>(&json).unwrap(), line());
    }
}
