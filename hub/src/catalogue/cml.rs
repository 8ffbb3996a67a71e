//! CommerceML `import`, `offers`, `prices` and the classifier.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Seek;

use vitrina_host::cml::{self, CmlReader, Event, Item as CmlItem};
use vitrina_host::number;
use vitrina_shared::Money;
use vitrina_shared::registers::Item;

use super::words::Words;
use super::{ImportError, Sink};
use crate::store::{CatalogueRow, WordKind};

/// The longest value of an attribute, in characters.
const MAX_VALUE_CHARS: usize = 500;

/// The attribute that says what sort of goods it is.
const CATEGORY: &str = "category";
/// What says that there is one piece only; kept as a mark of the item, not among its attributes.
const UNIQUE: &str = "unique";

/// What an element says of its goods, and of how many properties only an id is known.
fn says(words: &Words, item: &CmlItem) -> (Item, u64) {
    let mut attributes = BTreeMap::new();
    let mut nameless = 0;
    for (id, value) in item.properties().filter(|(_, value)| !value.is_empty()) {
        let word = words.get(WordKind::Value, value);
        let value = word.or_else(|| (!is_guid(value)).then_some(value));
        match (words.get(WordKind::Property, id), value) {
            (Some(name), Some(value)) => add(&mut attributes, name, value),
            _ => nameless += 1,
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
        && let Some(name) = item.groups().find_map(|id| words.get(WordKind::Group, id))
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
                let of_type = words.get(WordKind::Currency, price.type_id);
                of_type.unwrap_or_default()
            } else {
                price.currency
            };
            money(price.amount, written)
        });
    let text = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_owned());
    let says = Item {
        article: text(item.article()),
        name: text(item.name()),
        attributes,
        price,
        external_id: text(item.id()),
        unique: unique.is_some_and(|text| yes_or_no(&text) == Some(true)),
    };
    (says, nameless)
}

/// An id of a directory's value, which says nothing to a reader.
fn is_guid(text: &str) -> bool {
    let is_hyphen = |place| matches!(place, 8 | 13 | 18 | 23);
    let fits = |(place, byte): (usize, u8)| match byte {
        b'-' => is_hyphen(place),
        _ => byte.is_ascii_hexdigit() && !is_hyphen(place),
    };
    text.len() == 36 && text.bytes().enumerate().all(fits)
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
    let mut words = sink.words()?;
    let (mut has_stock, mut nameless) = (false, 0);
    while let Some(event) = reader.next_event().map_err(wrong)? {
        if let Some(word) = words.learn(&event) {
            sink.learnt(word)?;
        }
        if let Event::Product(item) | Event::Offer(item) = event {
            has_stock |= item.has_stock_element();
            nameless += take(sink, &words, item)?;
        }
    }
    if words.is_full {
        sink.warn(
            0,
            "the classifier has more names than are kept; the rest is left out",
        );
    }
    sink.words = Some(words);
    if nameless > 0 {
        sink.warn(
            0,
            &format!("{nameless} properties are left out: no classifier named them; import the one that does, then this file again"),
        );
    }
    if has_stock {
        sink.warn(
            0,
            "the quantities are left out: stock is what the shops' agents say",
        );
    }
    Ok(())
}

/// Takes goods or an offer; of how many of its properties only an id is known.
fn take(sink: &mut Sink<'_>, words: &Words, item: &CmlItem) -> Result<u64, ImportError> {
    for problem in item.problems() {
        sink.warn(
            item.line(),
            &format!("{}: \"{}\"", problem.code, problem.text),
        );
    }
    if item.is_deleted() || item.is_service() {
        return Ok(0);
    }
    let (says, nameless) = says(words, item);
    let barcodes: Vec<_> = item
        .barcodes()
        .filter_map(|text| sink.barcode(item.line(), text))
        .collect();
    if says.external_id.is_none() && barcodes.is_empty() {
        sink.warn(item.line(), "neither an id nor a barcode");
        return Ok(nameless);
    }
    let says_nothing = says.name.is_none()
        && says.article.is_none()
        && says.attributes.is_empty()
        && says.price.is_none();
    if says_nothing && barcodes.is_empty() {
        return Ok(nameless);
    }
    // A price file names the offer and nothing else of it.
    let is_price_only =
        barcodes.is_empty() && says.name.is_none() && says.attributes.is_empty() && !says.unique;
    match (says.price, &says.external_id) {
        (Some(price), Some(code)) if is_price_only => {
            let code = code.clone();
            sink.push(CatalogueRow::Price { code, price })?;
        }
        _ => sink.push(CatalogueRow::Item { barcodes, says })?,
    }
    Ok(nameless)
}
