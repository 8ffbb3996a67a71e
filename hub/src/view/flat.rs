//! Levels and shops as single rows: the items of the feed, of lists and of the snapshot.

use std::sync::Arc;

use vitrina_host::output::{Cell, CsvOut};
use vitrina_shared::Money;
use vitrina_shared::hold::Promise;
use vitrina_shared::stock::Channel;

use crate::board::{Board, Known, ShopCell};
use crate::view::face::Face;
use crate::view::item::Item;
use crate::view::json;
use crate::view::level::Level;

/// The columns of a level as CSV: the names of its JSON, with the price's two parts apart.
const COLUMNS: [&str; 19] = [
    "kind",
    "barcode",
    "article",
    "external_id",
    "shop",
    "shop_external_id",
    "on_hand",
    "held",
    "unavailable",
    "safety_stock",
    "available",
    "promised",
    "in_transit",
    "price",
    "currency",
    "updated_at",
    "as_of",
    "confidence",
    "item_available",
];

/// So many lines are made at once, and those of one item more: some ten kilobytes.
const ENOUGH_LINES: usize = 64;

/// What a row says besides the level's own members.
pub(crate) struct Row<'a> {
    /// The item.
    pub(crate) item: &'a Item,
    /// Its level.
    pub(crate) level: &'a Level,
    /// What it is called.
    pub(crate) face: &'a Face,
    /// What the item has available in all shops the website sees.
    pub(crate) item_available: i64,
    /// The price of the level.
    pub(crate) price: Option<Money>,
    /// What `available` means to the reader.
    pub(crate) channel: Channel,
}

impl Row<'_> {
    /// Appends the row as a JSON object; `distance_km` where the list is sorted by it.
    pub(crate) fn write(&self, out: &mut Vec<u8>, distance_km: Option<f64>) {
        out.extend_from_slice(br#"{"kind":"level","barcode":"#);
        json::text(out, self.item.barcode.as_str());
        out.extend_from_slice(br#","article":"#);
        json::text_or_null(out, self.face.article.as_deref());
        out.extend_from_slice(br#","external_id":"#);
        json::text_or_null(out, self.face.external_id.as_deref());
        out.extend_from_slice(br#","shop_external_id":"#);
        json::text_or_null(out, self.level.shop.known().row.external_id.as_deref());
        out.push(b',');
        self.level
            .write(out, (self.price, self.channel), &mut json::Stamp::default());
        out.push(b',');
        json::members(out, &[("item_available", self.item_available)]);
        if let Some(km) = distance_km {
            out.extend_from_slice(format!(r#","distance_km":{km:.3}"#).as_bytes());
        }
        out.push(b'}');
    }

    /// Appends the row as a line of CSV.
    fn write_csv(&self, csv: &mut CsvOut<&mut Vec<u8>>) -> std::io::Result<()> {
        let numbers = &self.level.numbers;
        let counts = [
            numbers.on_hand,
            numbers.held,
            numbers.unavailable,
            numbers.safety_stock,
            numbers.available_to(self.channel),
            self.level.promised(self.channel),
            self.level.in_transit,
        ]
        .map(|number| number.to_string());
        let known = self.level.shop.known();
        let price = self
            .price
            .map(|price| price.to_string())
            .unwrap_or_default();
        let currency = self
            .price
            .map(|price| price.currency.to_string())
            .unwrap_or_default();
        let updated_at = json::time_text(self.level.updated_at);
        let as_of = self
            .level
            .shop
            .as_of_minute()
            .map(json::time_text)
            .unwrap_or_default();
        let item_available = self.item_available.to_string();
        let text = |value: Option<&'_ str>| value.unwrap_or_default().to_owned();
        let names = [
            "level".to_owned(),
            self.item.barcode.as_str().to_owned(),
            text(self.face.article.as_deref()),
            text(self.face.external_id.as_deref()),
            self.level.shop.shop.as_str().to_owned(),
            text(known.row.external_id.as_deref()),
        ];
        let mut cells: Vec<Cell<'_>> = names.iter().map(|name| Cell::Text(name)).collect();
        cells.extend(counts.iter().map(|count| Cell::Number(count)));
        cells.extend([
            Cell::Number(&price),
            Cell::Text(&currency),
            Cell::Text(&updated_at),
            Cell::Text(&as_of),
            Cell::Text(self.level.shop.confidence().word()),
            Cell::Number(&item_available),
        ]);
        csv.row(&cells)
    }
}

/// The header of the CSV.
pub(crate) fn csv_header() -> Vec<u8> {
    let mut out = Vec::new();
    // Writing into memory cannot fail.
    let _ = CsvOut::new(&mut out).header(&COLUMNS);
    out
}

/// Appends the first items' levels that the website sees, each as one line, until these are enough lines; of how many
/// items it did.
pub(crate) fn lines(
    out: &mut Vec<u8>,
    items: &[Arc<Item>],
    (format, channel): (Format, Channel),
) -> usize {
    match format {
        Format::Ndjson => some_shown(items, channel, |row| {
            row.write(out, None);
            out.push(b'\n');
        }),
        Format::Csv => {
            let mut csv = CsvOut::new(out);
            // Writing into memory cannot fail, and all rows have the header's number of cells.
            let done = some_shown(items, channel, |row| {
                let _ = row.write_csv(&mut csv);
            });
            let _ = csv.finish();
            done
        }
    }
}

fn some_shown(items: &[Arc<Item>], channel: Channel, mut take: impl FnMut(&Row<'_>)) -> usize {
    let mut lines = 0;
    for (done, item) in items.iter().enumerate() {
        if lines >= ENOUGH_LINES {
            return done;
        }
        item.with_levels(channel, |level, face, item_available, price| {
            if level.shop.is_shown() {
                lines += 1;
                take(&Row {
                    item,
                    level,
                    face,
                    item_available,
                    price,
                    channel,
                });
            }
        });
    }
    items.len()
}

/// How a snapshot is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// One JSON object a line.
    Ndjson,
    /// A header, then one level a line.
    Csv,
}

/// Appends the item's level at `shop` if it stands at feed position `pos` and the website sees it.
pub(crate) fn level_at(
    out: &mut Vec<u8>,
    item: &Item,
    (shop, channel): (u32, Channel),
    pos: u64,
) -> bool {
    let mut written = false;
    item.with_level((shop, channel), |level, face, item_available, price| {
        if level.pos == pos && level.shop.is_shown() {
            Row {
                item,
                level,
                face,
                item_available,
                price,
                channel,
            }
            .write(out, None);
            written = true;
        }
    });
    written
}

/// Appends the shop if it stands at feed position `pos`. Of one that the website does not see only that is told.
pub(crate) fn shop_at(out: &mut Vec<u8>, board: &Board, index: u32, pos: u64) -> bool {
    let Some(cell) = board.cell(index) else {
        return false;
    };
    let known = cell.known();
    if known.row.pos != pos {
        return false;
    }
    out.extend_from_slice(br#"{"kind":"shop","publish":"#);
    if known.row.is_published() {
        out.extend_from_slice(b"true,");
        location_members(out, &cell, &known);
    } else {
        out.extend_from_slice(br#"false,"shop":"#);
        json::text(out, cell.shop.as_str());
        out.extend_from_slice(br#","external_id":"#);
        json::text_or_null(out, known.row.external_id.as_deref());
    }
    out.push(b'}');
    true
}

/// Appends a shop as `GET /v1/locations` shows it.
pub(crate) fn location(out: &mut Vec<u8>, cell: &ShopCell) {
    out.push(b'{');
    location_members(out, cell, &cell.known());
    out.push(b'}');
}

fn location_members(out: &mut Vec<u8>, cell: &ShopCell, known: &Known) {
    let settings = &known.row.settings;
    let texts = [
        ("shop", Some(cell.shop.as_str())),
        ("external_id", known.row.external_id.as_deref()),
        ("name", Some(settings.name.as_str())),
        ("city", settings.city.as_deref()),
        ("address", known.row.address.as_deref()),
        ("tz", Some(settings.tz.as_str())),
        ("hours", settings.hours.as_deref()),
        ("type", Some(settings.shop_type.as_str())),
        ("confidence", Some(cell.confidence().word())),
    ];
    for (name, value) in texts {
        json::text(out, name);
        out.push(b':');
        json::text_or_null(out, value);
        out.push(b',');
    }
    for (name, degrees) in [("lat", known.row.lat), ("lon", known.row.lon)] {
        let degrees = degrees
            .filter(|degrees| degrees.is_finite())
            .map_or_else(|| "null".to_owned(), |d| d.to_string());
        out.extend_from_slice(format!("\"{name}\":{degrees},").as_bytes());
    }
    let promise = match cell.promise() {
        Promise::AllBut(units) => units.to_string(),
        word => format!("\"{word}\""),
    };
    out.extend_from_slice(format!(r#""promise":{promise},"#).as_bytes());
    out.extend_from_slice(br#""as_of":"#);
    json::time_or_null(out, cell.as_of());
}
