//! CommerceML at a shop: which id names which barcode, what lies here, and what the file says of a piece.

use std::collections::HashMap;

use vitrina_host::cml::{CmlReader, Event, Item};
use vitrina_host::number::{self, NumberError};
use vitrina_host::{say, when};
use vitrina_shared::movement::Words;
use vitrina_shared::{Barcode, Condition, Money, TimeMs};

use super::balances::speaks_of_changes;
use super::cml_survey::{Survey, hash};
use super::cml_words::{Dictionary, Lesson, complete, learn, words};
use super::line::barcode;
use super::staging::{Place, Staging, Start, Warehouses, prefer};
use super::{Context, IngestError, Taken};
use crate::ledger::file::Counts;
use crate::ledger::stage::{Scope, Stated};
use crate::ledger::{register, state};
use crate::receipt::Invalid;

/// How many ids are looked up or learnt in one job.
const CHUNK: usize = 500;

/// An offer as this shop needs it.
struct Offer {
    line: u64,
    id: String,
    product: String,
    codes: Vec<Barcode>,
    /// Units by condition; none where what the file says cannot be used.
    stock: Vec<(Condition, Option<i64>)>,
    price: Option<Money>,
    words: Words,
}

/// Takes a file.
pub(super) fn take(context: &Context<'_>) -> Result<Taken, IngestError> {
    let incoming = context.incoming;
    let survey = Survey::of(incoming.rewound()?).map_err(|error| incoming.failed(error))?;
    if survey.with_stock == 0 {
        return learn_only(context);
    }
    let formed_at = survey
        .formed_at
        .as_deref()
        .and_then(|text| when::parse_ms(text, &context.zone).ok());
    let at = formed_at.map_or(incoming.modified, TimeMs);
    let staging = match Staging::begin(context, at)? {
        Start::Lines(staging) => staging,
        Start::Ended(taken) => return Ok(taken),
    };
    let settings = context.core.read(state::settings)?;
    let is_whole = !survey.changes_only && !speaks_of_changes(&incoming.name);
    let mut reader = Reader {
        context,
        staging,
        warehouses: Warehouses::of(&settings),
        survey,
        is_whole,
        dictionary: Dictionary::default(),
        offers: Vec::with_capacity(CHUNK),
        lessons: Vec::new(),
        owners: HashMap::new(),
    };
    let mut file = CmlReader::open(incoming.rewound()?).map_err(|error| incoming.failed(error))?;
    while let Some(event) = file.next_event().map_err(|error| incoming.failed(error))? {
        match event {
            Event::Offer(offer) => reader.offer(offer)?,
            Event::Product(product) => reader.product(product)?,
            // Of the warehouses only those count that offers name.
            other => reader.dictionary.hear(&other),
        }
    }
    reader.flush()?;
    let Reader {
        staging,
        warehouses,
        ..
    } = reader;
    let scope = if is_whole {
        Scope::Whole(warehouses.conditions())
    } else {
        Scope::Listed
    };
    staging.end(&scope, warehouses.foreign())
}

/// A file without stock: only which id names which barcode, and what it says of the pieces.
fn learn_only(context: &Context<'_>) -> Result<Taken, IngestError> {
    let incoming = context.incoming;
    let mut report = context.report();
    let mut dictionary = Dictionary::default();
    let mut lessons = Vec::with_capacity(CHUNK);
    let mut count = 0_usize;
    let mut file = CmlReader::open(incoming.rewound()?).map_err(|error| incoming.failed(error))?;
    while let Some(event) = file.next_event().map_err(|error| incoming.failed(error))? {
        match event {
            Event::Offer(item) | Event::Product(item) => {
                lessons.extend(Lesson::of(item, &dictionary));
            }
            other => dictionary.hear(&other),
        }
        if lessons.len() >= CHUNK {
            count += lessons.len();
            learn(context, std::mem::take(&mut lessons))?;
        }
    }
    count += lessons.len();
    learn(context, lessons)?;
    let lang = report.lang();
    report.note(say!(
        lang,
        "no stock in it; what it says of {count} ids was learnt",
        "остатков в нём нет; запомнены сведения об Ид: {count}"
    ));
    context.finish(context.hash, Counts::default(), incoming.modified)?;
    Ok(Taken::In(report))
}

struct Reader<'a> {
    context: &'a Context<'a>,
    staging: Staging<'a>,
    warehouses: Warehouses,
    survey: Survey,
    is_whole: bool,
    dictionary: Dictionary,
    offers: Vec<Offer>,
    lessons: Vec<Lesson>,
    /// The offer that a shared barcode was given to: the first one.
    owners: HashMap<u64, u64>,
}

impl Reader<'_> {
    fn product(&mut self, product: &Item) -> Result<(), IngestError> {
        self.lessons.extend(Lesson::of(product, &self.dictionary));
        if self.lessons.len() >= CHUNK {
            learn(self.context, std::mem::take(&mut self.lessons))?;
        }
        Ok(())
    }

    fn offer(&mut self, item: &Item) -> Result<(), IngestError> {
        if item.is_service() || self.survey.is_parent(item) {
            return Ok(());
        }
        if item.id().is_empty() {
            return self.bad(
                item,
                &Invalid::new("missing_id", "Ид", "the offer has no id"),
            );
        }
        let stock = self.stock(item)?;
        if stock.is_empty() {
            return Ok(());
        }
        let mut codes = Vec::new();
        for text in item.barcodes() {
            match barcode(text) {
                Ok(code) => codes.push(code),
                Err(invalid) => return self.bad(item, &invalid),
            }
        }
        if let Some(code) = codes
            .first()
            .filter(|code| self.survey.is_shared(code.as_str()))
        {
            let id = hash(item.id());
            if *self.owners.entry(hash(code.as_str())).or_insert(id) != id {
                let message = format!("{code} belongs to another offer of this file");
                return self.bad(item, &Invalid::new("barcode_conflict", "Штрихкод", message));
            }
        }
        self.offers.push(Offer {
            line: item.line(),
            id: item.id().to_owned(),
            product: item.product_id().to_owned(),
            codes,
            stock,
            price: price(item),
            words: words(item, &self.dictionary),
        });
        if self.offers.len() >= CHUNK {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// What lies here by this offer; empty where it says nothing of this shop.
    fn stock(&mut self, item: &Item) -> Result<Vec<(Condition, Option<i64>)>, IngestError> {
        let nothing_here = vec![(Condition::Sellable, Some(0))];
        if !item.has_stock_element() || item.is_deleted() && item.stock().next().is_none() {
            // In a whole file with stock such an offer is not here; one of changes says nothing of it.
            return Ok(if self.is_whole {
                nothing_here
            } else {
                Vec::new()
            });
        }
        let mut units: Vec<(Condition, i64)> = Vec::new();
        for stock in item.stock() {
            let Place::Here(condition) = self.warehouses.place(stock.warehouse) else {
                continue;
            };
            let qty = match stock.qty {
                Ok(qty) => qty,
                // A warehouse that is only named.
                Err(NumberError::Empty) => continue,
                Err(error) => {
                    let code = if error == NumberError::Fractional {
                        "fractional_quantity"
                    } else {
                        "bad_quantity"
                    };
                    self.bad(item, &Invalid::new(code, "Количество", error.to_string()))?;
                    // It is listed, so it is not gone; how many there are nobody knows.
                    return Ok(vec![
                        (Condition::Sellable, None),
                        (Condition::Unavailable, None),
                    ]);
                }
            };
            match units.iter_mut().find(|(known, _)| *known == condition) {
                Some((_, sum)) => *sum = sum.saturating_add(qty),
                None => units.push((condition, qty)),
            }
        }
        if units.is_empty() && (self.is_whole || item.stock().next().is_none()) {
            return Ok(nothing_here);
        }
        Ok(units
            .into_iter()
            .map(|(condition, qty)| (condition, Some(qty)))
            .collect())
    }

    fn bad(&mut self, item: &Item, invalid: &Invalid) -> Result<(), IngestError> {
        let record = format!("{} {} {}", item.id(), item.article(), item.name());
        self.staging.set_aside(item.line(), invalid, &record)
    }

    /// Finds the barcodes of the offers that were read, learns what is new, and states them.
    fn flush(&mut self) -> Result<(), IngestError> {
        learn(self.context, std::mem::take(&mut self.lessons))?;
        let offers = std::mem::take(&mut self.offers);
        let ids: Vec<_> = offers
            .iter()
            .map(|offer| (offer.id.clone(), offer.product.clone()))
            .collect();
        let known = self.context.core.read(move |conn| {
            let known = ids.iter().map(|(id, product)| {
                let words = match register::words_of(conn, id)? {
                    None if product != id => register::words_of(conn, product)?,
                    found => found,
                };
                Ok((register::by_external_id(conn, id)?, words))
            });
            known.collect::<Result<Vec<_>, crate::ledger::LedgerError>>()
        })?;
        let mut lessons = Vec::new();
        for (mut offer, (known, told)) in offers.into_iter().zip(known) {
            let Some(code) = prefer(&known, &offer.codes) else {
                self.unknown(&offer)?;
                continue;
            };
            if !known.contains(&code) {
                lessons.push(Lesson::code(&offer.id, &code));
            }
            complete(&mut offer.words, told);
            for (condition, qty) in offer.stock {
                let stated = Stated {
                    code: code.clone(),
                    condition,
                    qty,
                    price: offer.price,
                    words: offer.words.clone(),
                };
                self.staging.state(stated)?;
            }
        }
        learn(self.context, lessons)?;
        Ok(())
    }

    /// Nobody knows which piece this is. Where the file says that none is here, nothing is lost by that.
    fn unknown(&mut self, offer: &Offer) -> Result<(), IngestError> {
        if offer.stock.iter().all(|(_, qty)| *qty == Some(0)) {
            let lang = self.staging.report.lang();
            let note = say!(
                lang,
                "some ids of which none is here have no barcode; they are passed over",
                "у некоторых Ид с нулевым остатком нет штрихкода; они пропущены"
            );
            self.staging.report.note(note);
            return Ok(());
        }
        let message = format!(
            "no barcode is known for {}: send import.xml, or a table external_id;barcode",
            offer.id
        );
        let record = format!(
            "{} {}",
            offer.id,
            offer.words.name.as_deref().unwrap_or_default()
        );
        self.staging.set_aside(
            offer.line,
            &Invalid::new("unknown_external_id", "Ид", message),
            &record,
        )
    }
}

/// The price of one piece: the first that asks for no quantity.
fn price(item: &Item) -> Option<Money> {
    let price = item
        .prices()
        .find(|price| price.min_qty.is_none_or(|least| least <= 1))?;
    let currency = if price.currency.is_empty() {
        "RUB".into()
    } else {
        number::currency(price.currency)
    };
    Some(Money {
        hundredths: price.amount,
        currency: currency.parse().ok()?,
    })
}
