//! CommerceML `import`, `offers`, `prices` and the classifier.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Seek;

use vitrina_host::cml::{self, CmlReader, Event, Item as CmlItem};
use vitrina_host::number;
use vitrina_shared::Money;
use vitrina_shared::registers::Item;

use super::{ImportError, Sink};
use crate::store::CatalogueRow;

/// The most entries of dictionaries that are remembered.
const MAX_WORDS: usize = 1_000_000;
/// The most groups that are remembered: a chain has hundreds.
const MAX_GROUPS: usize = 5_000;
/// The longest id of one of them, in bytes: it is a GUID.
const MAX_GROUP_ID_BYTES: usize = 200;
/// The longest value of an attribute, in characters.
const MAX_VALUE_CHARS: usize = 500;

/// The attribute that says what sort of goods it is.
const CATEGORY: &str = "category";
/// What says that there is one piece only; kept as a mark of the item, not among its attributes.
const UNIQUE: &str = "unique";

/// The names behind the ids of groups, properties, their values and price types.
#[derive(Default)]
struct Words {
    groups: HashMap<String, String>,
    properties: HashMap<String, String>,
    values: HashMap<String, String>,
    currencies: HashMap<String, String>,
}

impl Words {
    fn learn(&mut self, event: &Event<'_>) {
        if self.properties.len() + self.values.len() > MAX_WORDS {
            return;
        }
        match event {
            Event::Group(entry) => {
                let is_kept = !entry.name.is_empty() && entry.id.len() <= MAX_GROUP_ID_BYTES;
                if is_kept && self.groups.len() < MAX_GROUPS {
                    let name = entry.name.chars().take(MAX_VALUE_CHARS).collect();
                    self.groups.insert(entry.id.to_owned(), name);
                }
            }
            Event::Property(entry) => {
                self.properties
                    .insert(entry.id.to_owned(), entry.name.to_owned());
            }
            Event::PropertyValue { id, value, .. } => {
                self.values.insert((*id).to_owned(), (*value).to_owned());
            }
            Event::PriceType { entry, currency } => {
                self.currencies
                    .insert(entry.id.to_owned(), (*currency).to_owned());
            }
            Event::Header(_)
            | Event::Package(_)
            | Event::Warehouse(_)
            | Event::Product(_)
            | Event::Offer(_) => {}
        }
    }

    /// What an element says of its goods.
    fn item(&self, item: &CmlItem) -> Item {
        let mut attributes = BTreeMap::new();
        for (id, value) in item.properties() {
            if let Some(name) = self.properties.get(id) {
                add(
                    &mut attributes,
                    name,
                    self.values.get(value).map_or(value, String::as_str),
                );
            }
        }
        for (name, value) in item.characteristics() {
            add(&mut attributes, name, value);
        }
        // Of the requisites only what is asked for: most are the exchange's own.
        let kept = |name: &str| matches!(attribute_name(name).as_str(), CATEGORY | UNIQUE);
        for (name, value) in item.requisites().filter(|(name, _)| kept(name)) {
            add(&mut attributes, name, value);
        }
        // Whoever sorts goods by groups says so where he says nothing else; of several groups the first that has a name.
        if !attributes.contains_key(CATEGORY)
            && let Some(name) = item.groups().find_map(|id| self.groups.get(id))
        {
            add(&mut attributes, CATEGORY, name);
        }
        let unique = attributes.remove(UNIQUE);
        // The retail price is the first that is named without a quantity it begins with.
        let price = item
            .prices()
            .find(|price| price.min_qty.is_none_or(|min| min <= 1))
            .map(|price| {
                let written = if price.currency.is_empty() {
                    self.currencies
                        .get(price.type_id)
                        .map_or("", String::as_str)
                } else {
                    price.currency
                };
                money(price.amount, written)
            });
        let text = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_owned());
        Item {
            article: text(item.article()),
            name: text(item.name()),
            attributes,
            price,
            external_id: text(item.id()),
            unique: unique.is_some_and(|text| yes_or_no(&text) == Some(true)),
        }
    }
}

/// An amount in a currency as files write it; roubles where it says nothing that is known.
pub(super) fn money(hundredths: i64, written: &str) -> Money {
    let currency = number::currency(written)
        .parse()
        .unwrap_or(vitrina_shared::money::Currency::RUB);
    Money {
        hundredths,
        currency,
    }
}

/// The names that every source has for the attributes of jewellery; others stay as they are.
pub(super) fn attribute_name(name: &str) -> String {
    let lower = name.trim().to_lowercase();
    let known = match lower.as_str() {
        "размер" | "размер кольца" | "size" => "size",
        "вставка" | "вставки" | "камень" | "stone" => "stone",
        "металл" | "metal" => "metal",
        "проба" | "fineness" => "fineness",
        "вес" | "масса" | "вес, г" | "weight" => "weight",
        "цвет" | "color" | "colour" => "color",
        "производитель" | "бренд" | "brand" => "brand",
        "категория" | "видноменклатуры" | "вид номенклатуры" | "вид изделия" | "category" => {
            CATEGORY
        }
        "уникальное" | "уникальное изделие" | "единственное изделие" | "unique" => {
            UNIQUE
        }
        _ => return name.trim().to_owned(),
    };
    known.to_owned()
}

/// A yes or a no as files write it.
pub(super) fn yes_or_no(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "1" | "true" | "yes" | "да" | "истина" => Some(true),
        "0" | "false" | "no" | "нет" | "ложь" => Some(false),
        _ => None,
    }
}

/// Adds an attribute under the name that every source has for it.
pub(super) fn add(attributes: &mut BTreeMap<String, String>, name: &str, value: &str) {
    let value: String = value.trim().chars().take(MAX_VALUE_CHARS).collect();
    let name = attribute_name(name);
    if !name.is_empty() && !value.is_empty() {
        attributes.insert(name, value);
    }
}

/// Takes a file that is whole.
pub(super) fn import(sink: &mut Sink<'_>, file: &mut File) -> Result<(), ImportError> {
    let name = sink.name.clone();
    let wrong = |source| ImportError::Cml {
        name: name.clone(),
        source,
    };
    let read = |source| ImportError::Read {
        name: name.clone(),
        source,
    };
    cml::check(&mut *file).map_err(wrong)?;
    file.rewind().map_err(read)?;
    let mut reader = CmlReader::open(file).map_err(wrong)?;
    let mut words = Words::default();
    let mut has_stock = false;
    while let Some(event) = reader.next_event().map_err(wrong)? {
        words.learn(&event);
        if let Event::Product(item) | Event::Offer(item) = event {
            has_stock |= item.has_stock_element();
            take(sink, &words, item)?;
        }
    }
    if has_stock {
        sink.warn(
            0,
            "the quantities are left out: stock is what the shops' agents say",
        );
    }
    Ok(())
}

fn take(sink: &mut Sink<'_>, words: &Words, item: &CmlItem) -> Result<(), ImportError> {
    for problem in item.problems() {
        sink.warn(
            item.line(),
            &format!("{}: \"{}\"", problem.code, problem.text),
        );
    }
    if item.is_deleted() || item.is_service() {
        return Ok(());
    }
    let says = words.item(item);
    let barcodes: Vec<_> = item
        .barcodes()
        .filter_map(|text| sink.barcode(item.line(), text))
        .collect();
    if says.external_id.is_none() && barcodes.is_empty() {
        sink.warn(item.line(), "neither an id nor a barcode");
        return Ok(());
    }
    let says_nothing = says.name.is_none()
        && says.article.is_none()
        && says.attributes.is_empty()
        && says.price.is_none();
    if says_nothing && barcodes.is_empty() {
        return Ok(());
    }
    // A price file names the offer and nothing else of it.
    let is_price_only =
        barcodes.is_empty() && says.name.is_none() && says.attributes.is_empty() && !says.unique;
    match (says.price, &says.external_id) {
        (Some(price), Some(code)) if is_price_only => {
            let code = code.clone();
            sink.push(CatalogueRow::Price { code, price })
        }
        _ => sink.push(CatalogueRow::Item { barcodes, says }),
    }
}
