//! The chain of the demo: the fixtures, embedded, with today's stamps, and as many more shops as are asked for.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use vitrina_host::cml::{CmlReader, Event};
use vitrina_host::csv::{Column, CsvReader, Line};
use vitrina_host::when;

use super::error::DemoError;
use super::random::Random;

macro_rules! chain {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_bytes!(concat!("../../../fixtures/chain/", $path)))),*]
    };
}

const SHOPS: &[u8] = include_bytes!("../../../fixtures/chain/shops.csv");

/// What is imported at the hub, in this order.
pub(super) const CATALOGUE: &[(&str, &[u8])] = chain![
    "catalogue/import0_1.xml",
    "catalogue/offers0_1.xml",
    "catalogue/prices0_1.xml",
    "catalogue/aliases.csv",
];

const BALANCES: &[(&str, &[u8])] = chain![
    "balances/S001.csv",
    "balances/S002.xml",
    "balances/S003.xml",
    "balances/S004.csv",
    "balances/S005.csv",
    "balances/S006.csv",
    "balances/S007.csv",
    "balances/S008.csv",
    "balances/S009.csv",
    "balances/S010.csv",
    "balances/S011.csv",
    "balances/W001.csv",
];

/// As of when the balances of the fixtures are, in both spellings.
const STAMP_RU: &[u8] = b"20.11.2026 09:00:00";
const STAMP: &[u8] = b"2026-11-20T09:00:00";
/// The opening is so long ago: no sale of the demo is inside it.
const OPENED_BEFORE_MS: i64 = 60_000;

/// The silent shop's files come this often, so that silence shows in a short demo.
pub(super) const SOURCE_EVERY_S: u64 = 4;

/// Cities of the shops beyond the fixtures.
const CITIES: [(&str, &str); 8] = [
    ("Пермь", "Asia/Yekaterinburg"),
    ("Уфа", "Asia/Yekaterinburg"),
    ("Воронеж", "Europe/Moscow"),
    ("Волгоград", "Europe/Volgograd"),
    ("Омск", "Asia/Omsk"),
    ("Красноярск", "Asia/Krasnoyarsk"),
    ("Тула", "Europe/Moscow"),
    ("Ярославль", "Europe/Moscow"),
];

/// One shop and the file that opens it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) id: String,
    pub(super) zone: TimeZone,
    /// Whether the shop's 1C is its ledger.
    pub(super) is_balances: bool,
    pub(super) warehouse: String,
    /// The opening's name and content.
    pub(super) opening: (String, Vec<u8>),
    /// The stock after the opening, by the key that hub and agent use.
    pub(super) stock: BTreeMap<String, i64>,
    /// Whether the file names the ERP's ids only, so that the catalogue must be there before.
    pub(super) needs_catalogue: bool,
    /// The ERP's ids of the barcodes, where the shop's files name them.
    pub(super) external_ids: BTreeMap<String, String>,
}

/// The places and the file that adds them to the hub.
#[derive(Debug)]
pub(super) struct Goods {
    pub(super) places: Vec<Place>,
    pub(super) shops_csv: String,
}

fn broken(name: &str) -> impl Fn(&dyn std::error::Error) -> DemoError + '_ {
    move |error| DemoError::Fixture {
        name: name.to_owned(),
        why: error.to_string(),
    }
}

/// The first `count` shops of the chain, as of now.
pub(super) fn chain(count: usize, now_ms: i64) -> Result<Goods, DemoError> {
    let ids = external_ids()?;
    let barcodes: Vec<&str> = ids.values().map(String::as_str).collect();
    let bad = broken("shops.csv");
    let mut reader = CsvReader::open(SHOPS).map_err(|error| bad(&error))?;
    let (mut places, mut shops_csv) = (Vec::new(), header());
    while let Some(line) = reader.next_line().map_err(|error| bad(&error))? {
        let Line::Row(row) = line else { continue };
        if places.len() == count {
            break;
        }
        let text = |column| row.get(column).unwrap_or_default().to_owned();
        let (id, zone) = (text(Column::Shop), zone(&text(Column::Tz))?);
        let file = BALANCES.iter().find(|(path, _)| path.contains(&id));
        let (path, bytes) = file.ok_or_else(|| bad(&std::fmt::Error))?;
        let opening = stamped(bytes, now_ms - OPENED_BEFORE_MS, &zone);
        let prefix = text(Column::LocalPrefix);
        let stock = stock_of(path, &opening, &ids, &prefix, &id)?;
        let needs_catalogue = is_xml(path) && text(Column::Source) != "balances";
        let every = format!("balances;{SOURCE_EVERY_S}s");
        let mut added = row.raw().replace("balances;30m", &every);
        // The demo sells at any hour of the day, and a shop that is shut never turns stale.
        if let Some(hours) = row.get(Column::Hours).filter(|hours| !hours.is_empty()) {
            added = added.replace(hours, "");
        }
        shops_csv += &added;
        shops_csv.push('\n');
        places.push(Place {
            id,
            zone,
            is_balances: text(Column::Source) == "balances",
            warehouse: text(Column::Warehouse),
            opening: (path.replace("balances/", "balances-"), opening),
            stock,
            needs_catalogue,
            external_ids: ids
                .iter()
                .map(|(id, barcode)| (barcode.clone(), id.clone()))
                .collect(),
        });
    }
    for number in places.len()..count {
        places.push(one_more(number, &barcodes, &mut shops_csv)?);
    }
    Ok(Goods { places, shops_csv })
}

fn header() -> String {
    let text = String::from_utf8_lossy(SHOPS);
    format!("{}\n", text.lines().next().unwrap_or_default())
}

fn zone(name: &str) -> Result<TimeZone, DemoError> {
    TimeZone::get(name).map_err(|error| broken("shops.csv")(&error))
}

/// A shop beyond the fixtures, with some pieces of the catalogue.
fn one_more(number: usize, barcodes: &[&str], shops_csv: &mut String) -> Result<Place, DemoError> {
    let mut random = Random::new(u64::try_from(number).unwrap_or(0));
    let (city, tz) = CITIES
        .get(number % CITIES.len())
        .copied()
        .unwrap_or_default();
    let id = format!("D{:03}", number + 1);
    let _ = writeln!(
        shops_csv,
        "{id};{city} {};{city};;;;{tz};Mo-Su 10:00-22:00;shop;movements;;;",
        number + 1
    );
    let mut stock = BTreeMap::new();
    for _ in 0..120 {
        if let Some(barcode) = barcodes.get(random.below(barcodes.len())) {
            stock.insert((*barcode).to_owned(), 1 + i64::from(random.below(3) == 0));
        }
    }
    let mut text = String::from("barcode;qty\r\n");
    for (barcode, qty) in &stock {
        let _ = write!(text, "{barcode};{qty}\r\n");
    }
    Ok(Place {
        zone: zone(tz)?,
        is_balances: false,
        warehouse: String::new(),
        opening: (format!("balances-{id}.csv"), text.into_bytes()),
        stock,
        needs_catalogue: false,
        external_ids: BTreeMap::new(),
        id,
    })
}

/// The moment in a shop's own time, by a `strftime` form.
pub(super) fn local(now_ms: i64, zone: &TimeZone, form: &str) -> String {
    let at = Timestamp::from_millisecond(now_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    at.to_zoned(zone.clone()).strftime(form).to_string()
}

/// The file with another stamp of the same length.
fn stamped(bytes: &[u8], at_ms: i64, zone: &TimeZone) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (old, form) in [
        (STAMP_RU, "%d.%m.%Y %H:%M:%S"),
        (STAMP, "%Y-%m-%dT%H:%M:%S"),
    ] {
        let new = local(at_ms, zone, form);
        let mut from = 0;
        while let Some(place) = find(&bytes, old, from) {
            if let Some(there) = bytes.get_mut(place..place + new.len()) {
                there.copy_from_slice(new.as_bytes());
            }
            from = place + old.len();
        }
    }
    bytes
}

fn find(bytes: &[u8], what: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let found = rest.windows(what.len()).position(|window| window == what)?;
    Some(from + found)
}

/// The ERP's ids and their barcodes.
fn external_ids() -> Result<BTreeMap<String, String>, DemoError> {
    let mut ids = BTreeMap::new();
    for (name, bytes) in CATALOGUE.iter().filter(|(name, _)| name.contains("offers")) {
        let mut reader = CmlReader::open(*bytes).map_err(|error| broken(name)(&error))?;
        while let Some(event) = reader.next_event().map_err(|error| broken(name)(&error))? {
            let Event::Offer(offer) = event else { continue };
            if let Some(barcode) = offer.barcodes().next() {
                ids.insert(offer.id().to_owned(), barcode.to_owned());
            }
        }
    }
    Ok(ids)
}

/// What a balances file says, read by the programs' own readers.
fn stock_of(
    name: &str,
    bytes: &[u8],
    ids: &BTreeMap<String, String>,
    prefix: &str,
    shop: &str,
) -> Result<BTreeMap<String, i64>, DemoError> {
    let mut stock = BTreeMap::new();
    if is_xml(name) {
        let mut reader = CmlReader::open(bytes).map_err(|error| broken(name)(&error))?;
        while let Some(event) = reader.next_event().map_err(|error| broken(name)(&error))? {
            let Event::Offer(offer) = event else { continue };
            let qty = offer.stock().filter_map(|line| line.qty.ok()).sum();
            if let Some(barcode) = ids.get(offer.id()) {
                stock.insert(barcode.clone(), qty);
            }
        }
        return Ok(stock);
    }
    let mut reader = CsvReader::open(bytes).map_err(|error| broken(name)(&error))?;
    while let Some(line) = reader.next_line().map_err(|error| broken(name)(&error))? {
        let Line::Row(row) = line else { continue };
        let (Some(code), Some(qty)) = (row.get(Column::Barcode), row.get(Column::Qty)) else {
            continue;
        };
        let is_local = !prefix.is_empty() && code.starts_with(prefix);
        let key = if is_local {
            format!("{code}@{shop}")
        } else {
            code.to_owned()
        };
        stock.insert(key, qty.parse().unwrap_or(0));
    }
    Ok(stock)
}

fn is_xml(path: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|extension| extension == "xml")
}

/// UTC with milliseconds.
pub(super) fn utc(ms: i64) -> String {
    when::rfc3339_ms(ms)
}
