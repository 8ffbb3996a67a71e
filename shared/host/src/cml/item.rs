//! One product or offer: everything that its element said, in one buffer that is used again for the next.

use std::ops::Range;

use crate::number::{self, NumberError};

/// The longest text of one product or offer that is kept, bytes.
pub const MAX_ITEM_BYTES: usize = 1024 * 1024;
/// The most barcodes, prices, stock lines, properties … of one product or offer.
pub const MAX_ITEM_PARTS: usize = 10_000;

/// A piece of the item's text.
pub(super) type Span = Range<usize>;

/// A value of an offer that cannot be used. The rest of the offer, and the file, go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem<'a> {
    /// The stable code: `missing_id`, `fractional_quantity`, `bad_quantity`, `bad_price`, `control_character`.
    pub code: &'static str,
    /// The value as it stands in the file.
    pub text: &'a str,
    /// The source's id of the warehouse, where a quantity of one is meant.
    pub warehouse: Option<&'a str>,
}

/// What one warehouse, or the source as a whole, says to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stock<'a> {
    /// The source's id of the warehouse; `None` where the file names none: all of them together.
    pub warehouse: Option<&'a str>,
    /// Whole units, possibly negative, or why the text is none (`Empty`: the warehouse is named without a number).
    pub qty: Result<i64, NumberError>,
}

/// One price of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price<'a> {
    /// Id of the price type; empty where the file names none.
    pub type_id: &'a str,
    /// Kopecks (hundredths of the currency), not negative.
    pub amount: i64,
    /// As written (see [`crate::number::currency`]); empty: the price type's.
    pub currency: &'a str,
    /// From how many pieces on it is valid, where the file says so.
    pub min_qty: Option<i64>,
}

/// Whether an [`Item`] comes from a catalogue or from a package of offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ItemKind {
    Product,
    Offer,
}

#[derive(Clone, Debug, Default)]
pub(super) struct StockLine {
    pub(super) warehouse: Option<Span>,
    pub(super) qty: Option<Span>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct PriceLine {
    pub(super) type_id: Span,
    pub(super) amount: Option<Span>,
    pub(super) currency: Span,
    pub(super) min_qty: Option<Span>,
}

/// One `Товар` or `Предложение`.
#[derive(Clone, Debug)]
pub struct Item {
    pub(super) kind: ItemKind,
    pub(super) line: u64,
    pub(super) text: String,
    pub(super) id: Span,
    pub(super) article: Span,
    pub(super) name: Span,
    pub(super) is_deleted: bool,
    pub(super) has_stock: bool,
    pub(super) has_control: bool,
    pub(super) barcodes: Vec<Span>,
    pub(super) groups: Vec<Span>,
    pub(super) properties: Vec<(Span, Span)>,
    pub(super) requisites: Vec<(Span, Span)>,
    pub(super) characteristics: Vec<(Span, Span)>,
    pub(super) prices: Vec<PriceLine>,
    pub(super) stock: Vec<StockLine>,
    pub(super) quantity: Option<Span>,
    /// The line, price or pair whose element is open.
    pub(super) open_stock: Option<StockLine>,
    pub(super) open_price: PriceLine,
    pub(super) open_key: Span,
    pub(super) open_from: usize,
}

impl Item {
    /// The physical line, from 1, where the element begins.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// `Ид`, as opaque text: `GUID`, `GUID#GUID`, `76972`. Empty: see [`Item::problems`].
    pub fn id(&self) -> &str {
        self.at(&self.id)
    }

    /// The part of the id before the last `#`: the article's.
    pub fn product_id(&self) -> &str {
        self.id().rsplit_once('#').map_or(self.id(), |(id, _)| id)
    }

    /// The part of the id behind the last `#`: the characteristic's.
    pub fn variant_id(&self) -> Option<&str> {
        self.id().rsplit_once('#').map(|(_, variant)| variant)
    }

    /// Every barcode that is not empty.
    pub fn barcodes(&self) -> impl Iterator<Item = &str> {
        self.barcodes.iter().map(|span| self.at(span))
    }

    /// `Группы/Ид`: the groups of the classifier that it is in.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(|span| self.at(span))
    }

    /// `Артикул`, or nothing.
    pub fn article(&self) -> &str {
        self.at(&self.article)
    }

    /// `Наименование`, or nothing.
    pub fn name(&self) -> &str {
        self.at(&self.name)
    }

    /// Whether the source has deleted it (`ПометкаУдаления`, `Статус="Удален"`).
    pub fn is_deleted(&self) -> bool {
        self.is_deleted
    }

    /// `ЗначенияСвойств` as (id of the property, value or id of the value); empty values too.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs(&self.properties)
    }

    /// `ЗначенияРеквизитов` as (name, value); empty values too.
    pub fn requisites(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs(&self.requisites)
    }

    /// `ХарактеристикиТовара` as (name, value); empty values too.
    pub fn characteristics(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs(&self.characteristics)
    }

    /// Whether it is a service and no thing that lies in a shop.
    pub fn is_service(&self) -> bool {
        self.requisites()
            .any(|(name, value)| name == "ТипНоменклатуры" && value == "Услуга")
    }

    /// The prices that can be read; the others are [`Item::problems`].
    pub fn prices(&self) -> impl Iterator<Item = Price<'_>> {
        self.prices.iter().filter_map(|line| {
            Some(Price {
                type_id: self.at(&line.type_id),
                amount: number::price(self.at(line.amount.as_ref()?)).ok()?,
                currency: self.at(&line.currency),
                min_qty: line
                    .min_qty
                    .as_ref()
                    .and_then(|span| number::quantity(self.at(span)).ok()),
            })
        })
    }

    /// The stock, from whichever of the four forms the file uses. Only `Количество` right under the offer gives one
    /// line without a warehouse.
    pub fn stock(&self) -> impl Iterator<Item = Stock<'_>> {
        self.stock.iter().map(|line| Stock {
            warehouse: line.warehouse.as_ref().map(|span| self.at(span)),
            qty: self.qty(line),
        })
    }

    /// Whether the element says anything about stock, be it an empty list. Without it a full package may still mean 0
    /// and a changes-only one "unchanged"; that is the caller's to decide.
    pub fn has_stock_element(&self) -> bool {
        self.has_stock
    }

    /// `Количество` right under the element: all warehouses together.
    pub fn total_qty(&self) -> Option<Result<i64, NumberError>> {
        let span = self.quantity.as_ref()?;
        Some(number::quantity(self.at(span)))
    }

    /// The values that cannot be used.
    pub fn problems(&self) -> impl Iterator<Item = Problem<'_>> {
        let missing_id = self.id.is_empty().then_some(Problem {
            code: "missing_id",
            text: "",
            warehouse: None,
        });
        let control = self.has_control.then_some(Problem {
            code: "control_character",
            text: self.id(),
            warehouse: None,
        });
        let stock = self.stock.iter().filter_map(|line| {
            let error = self.qty(line).err()?;
            Some(Problem {
                code: match error {
                    NumberError::Fractional => "fractional_quantity",
                    _ => "bad_quantity",
                },
                text: line.qty.as_ref().map_or("", |span| self.at(span)),
                warehouse: line.warehouse.as_ref().map(|span| self.at(span)),
            })
        });
        let prices = self.prices.iter().filter_map(|line| {
            let text = line.amount.as_ref().map_or("", |span| self.at(span));
            number::price(text).is_err().then_some(Problem {
                code: "bad_price",
                text,
                warehouse: None,
            })
        });
        missing_id
            .into_iter()
            .chain(control)
            .chain(stock)
            .chain(prices)
    }

    fn qty(&self, line: &StockLine) -> Result<i64, NumberError> {
        let span = line.qty.as_ref().ok_or(NumberError::Empty)?;
        number::quantity(self.at(span))
    }

    fn at(&self, span: &Span) -> &str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    fn pairs<'a>(&'a self, pairs: &'a [(Span, Span)]) -> impl Iterator<Item = (&'a str, &'a str)> {
        pairs
            .iter()
            .map(|(key, value)| (self.at(key), self.at(value)))
    }
}
