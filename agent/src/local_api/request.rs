//! What a terminal sends, value by value.

use std::fmt;

use serde::de::{self, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use vitrina_host::when;
use vitrina_shared::money::{Money, parse_amount};
use vitrina_shared::{Condition, Details, HoldId, Kind, ShopId, TimeMs};

use crate::ingest::line::barcode;
use crate::ledger::Force;
use crate::receipt::{Invalid, Said, Shop, Verb};

/// `POST /v1/movements`. Written again, it is the content that an idempotency key stands for.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MovementRequest {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) barcode: Option<String>,
    pub(crate) qty: Option<i64>,
    pub(crate) receipt: Option<String>,
    pub(crate) line: Option<u32>,
    pub(crate) till: Option<String>,
    #[serde(rename = "ref")]
    pub(crate) reference: Option<String>,
    pub(crate) price: Option<Price>,
    pub(crate) at: Option<String>,
    pub(crate) to: Option<String>,
    pub(crate) from: Option<String>,
    pub(crate) transfer: Option<String>,
    pub(crate) hold: Option<String>,
    #[serde(default)]
    pub(crate) force: bool,
    pub(crate) cashier: Option<String>,
    pub(crate) doc: Option<String>,
    pub(crate) condition: Option<String>,
}

/// `POST /v1/receipts`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReceiptRequest {
    pub(crate) receipt: String,
    pub(crate) till: Option<String>,
    pub(crate) at: String,
    pub(crate) cashier: Option<String>,
    /// Sells what is held for web orders all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) force: bool,
    pub(crate) lines: Vec<ReceiptLine>,
}

/// A line of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReceiptLine {
    pub(crate) line: Option<u32>,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) barcode: String,
    pub(crate) qty: i64,
    pub(crate) price: Option<Price>,
    /// The web order's hold whose buyer takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hold: Option<String>,
}

/// A price as an object or as a text; a bare number could be kopecks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Price(pub(crate) Money);

impl Serialize for Price {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PriceVisitor)
    }
}

struct PriceVisitor;

impl<'de> Visitor<'de> for PriceVisitor {
    type Value = Price;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"a price as {"amount":"45900.00","currency":"RUB"} or as "45900.00", not as a bare number"#)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Price, E> {
        let hundredths =
            parse_amount(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))?;
        Ok(Price(Money::rub(hundredths)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Price, A::Error> {
        Money::deserialize(MapAccessDeserializer::new(map)).map(Price)
    }
}

impl MovementRequest {
    /// So many of a barcode, and nothing else.
    pub(crate) fn of(kind: &str, barcode: &str, qty: i64) -> Self {
        Self {
            kind: kind.to_owned(),
            barcode: Some(barcode.to_owned()),
            qty: Some(qty),
            receipt: None,
            line: None,
            till: None,
            reference: None,
            price: None,
            at: None,
            to: None,
            from: None,
            transfer: None,
            hold: None,
            force: false,
            cashier: None,
            doc: None,
            condition: None,
        }
    }

    /// The line that it says.
    ///
    /// # Errors
    ///
    /// [`Invalid`]: the first field that is not right.
    pub(crate) fn said(&self, shop: &Shop) -> Result<Said, Invalid> {
        let verb = verb(&self.kind)?;
        match verb {
            Verb::Move(Kind::TransferOut) if self.to.is_none() => {
                return Err(Invalid::new(
                    "missing_shop",
                    "to",
                    "a transfer_out says to which shop",
                ));
            }
            Verb::Move(Kind::TransferIn) if self.from.is_none() => {
                return Err(Invalid::new(
                    "missing_shop",
                    "from",
                    "a transfer_in says from which shop",
                ));
            }
            _ => {}
        }
        let code = self.barcode.as_deref().map(barcode).transpose()?;
        let qty = match (self.qty, verb) {
            (Some(qty), _) => qty,
            (None, Verb::Cancel) => 1,
            (None, Verb::Move(_)) => {
                return Err(Invalid::new("bad_quantity", "qty", "missing field `qty`"));
            }
        };
        let condition = match self.condition.as_deref() {
            None => Condition::Sellable,
            Some(word) => Condition::of_word(word).ok_or_else(|| {
                Invalid::new("bad_condition", "condition", "sellable or unavailable")
            })?,
        };
        let boxed = |text: &Option<String>| text.as_deref().map(Into::into);
        let details = Details {
            price: self.price.map(|price| price.0),
            cashier: boxed(&self.cashier),
            reference: boxed(&self.reference),
            to: shop_id("to", self.to.as_deref())?,
            from: shop_id("from", self.from.as_deref())?,
            transfer: boxed(&self.transfer),
            document: boxed(&self.doc),
            hold: hold_id(self.hold.as_deref())?,
            ..Details::default()
        };
        Ok(Said {
            verb,
            code,
            condition,
            qty,
            at: self
                .at
                .as_deref()
                .map(|text| time(text, shop))
                .transpose()?,
            till: self.till.clone(),
            receipt: self.receipt.clone(),
            line: self.line,
            details,
            force: if self.force {
                Force::Anyway
            } else {
                Force::Rules
            },
        })
    }
}

impl ReceiptRequest {
    /// Its lines; `line` is 1, 2, 3 … where it is not given.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with the field's path.
    pub(crate) fn said(&self, shop: &Shop) -> Result<Vec<Said>, (usize, Invalid)> {
        let at = time(&self.at, shop).map_err(|invalid| (usize::MAX, invalid))?;
        let force = if self.force {
            Force::Anyway
        } else {
            Force::Rules
        };
        let line = |(index, line): (usize, &ReceiptLine)| {
            let of_line = |invalid| (index, invalid);
            let details = Details {
                price: line.price.map(|price| price.0),
                cashier: self.cashier.as_deref().map(Into::into),
                hold: hold_id(line.hold.as_deref()).map_err(of_line)?,
                ..Details::default()
            };
            let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
            Ok(Said {
                verb: verb(&line.kind).map_err(of_line)?,
                code: Some(barcode(&line.barcode).map_err(of_line)?),
                condition: Condition::Sellable,
                qty: line.qty,
                at: Some(at),
                till: self.till.clone(),
                receipt: Some(self.receipt.clone()),
                line: Some(line.line.unwrap_or(number)),
                details,
                force,
            })
        };
        self.lines.iter().enumerate().map(line).collect()
    }
}

fn verb(word: &str) -> Result<Verb, Invalid> {
    Verb::of_word(word).ok_or_else(|| {
        let known = "receipt, sale, return, transfer_out, transfer_in, adjustment, count, write_off, surplus or cancel";
        Invalid::new("unknown_type", "type", format!("{word:?} is none of {known}"))
    })
}

fn hold_id(text: Option<&str>) -> Result<Option<HoldId>, Invalid> {
    let hold = text.map(str::parse::<HoldId>).transpose();
    hold.map_err(|error| Invalid::new("bad_hold", "hold", error.to_string()))
}

fn shop_id(field: &'static str, text: Option<&str>) -> Result<Option<Box<str>>, Invalid> {
    let Some(text) = text else { return Ok(None) };
    match text.parse::<ShopId>() {
        Ok(shop) => Ok(Some(shop.as_str().into())),
        Err(error) => Err(Invalid::new("bad_shop", field, error.to_string())),
    }
}

/// A time with any offset; without one it is the shop's.
///
/// # Errors
///
/// [`Invalid`].
pub(super) fn time(text: &str, shop: &Shop) -> Result<TimeMs, Invalid> {
    when::parse_ms(text, &shop.zone)
        .map(TimeMs)
        .map_err(|error| Invalid::new("bad_time", "at", error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Priced {
        price: Price,
    }

    fn price(json: &str) -> Result<Money, String> {
        let text = format!(r#"{{"price":{json}}}"#);
        serde_json::from_str::<Priced>(&text)
            .map(|priced| priced.price.0)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_price_has_two_forms_and_a_bare_number_is_told_both() {
        assert_eq!(
            price(r#"{"amount":"45900.00","currency":"RUB"}"#),
            Ok(Money::rub(4_590_000))
        );
        assert_eq!(price(r#""45900.5""#), Ok(Money::rub(4_590_050)));
        for bare in ["45900", "45900.5", "-1"] {
            let refused = price(bare).unwrap_err();
            assert!(
                refused.contains(r#"{"amount":"45900.00","currency":"RUB"}"#),
                "{refused}"
            );
            assert!(refused.contains(r#"as "45900.00""#), "{refused}");
        }
        assert!(price(r#""45 900""#).is_err());
    }

    #[test]
    fn the_lines_of_a_receipt_are_numbered() {
        let request: ReceiptRequest = serde_json::from_str(
            r#"{"receipt":"7","at":"2026-11-22T12:14:03","lines":[
                {"type":"sale","barcode":"a","qty":1},{"type":"return","barcode":"b","qty":2,"price":"10"}]}"#,
        )
        .unwrap();
        let shop = Shop {
            zone: crate::core::zone("Europe/Moscow"),
            tills: Vec::new(),
            own: None,
        };

        let lines = request.said(&shop).unwrap();

        assert_eq!(
            lines.iter().map(|line| line.line).collect::<Vec<_>>(),
            [Some(1), Some(2)]
        );
        assert_eq!(lines[0].at, Some(TimeMs(1_795_338_843_000)));
    }
}
