//! The header line: which columns a file has, and which table that makes it.

use std::fmt;

use super::record::{Record, SEPARATORS};
use super::words::same;
use super::{BadReason, CsvError, MAX_COLUMNS, shorten};

/// What a file is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Sales, receipts, transfers: `type;receipt;line;barcode;qty;price;at` and more.
    Movements,
    /// What is there: `barcode;qty` and more.
    Balances,
    /// What there is to sell: `barcode` with an article, a name, a price or attributes, and no quantity.
    Catalogue,
    /// The shops of the chain: `shop` and more.
    Shops,
    /// Other names of barcodes: `alias;barcode`, `external_id;barcode`, `uin;barcode`.
    Aliases,
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Movements => "movements",
            Self::Balances => "balances",
            Self::Catalogue => "catalogue",
            Self::Shops => "shops",
            Self::Aliases => "aliases",
        })
    }
}

/// Makes the enum, its list and its names from one table, so that they cannot differ.
macro_rules! columns {
    ($($(#[$doc:meta])* $column:ident = $name:literal $(, $alias:literal)*;)*) => {
        /// A column that Vitrina reads, by whichever name it stands in the file.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Column { $($(#[$doc])* $column,)* }

        impl Column {
            /// All columns, in the order of the enum.
            const ALL: &'static [Self] = &[$(Self::$column),*];

            /// The canonical name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$column => $name,)* }
            }

            fn names(self) -> &'static [&'static str] {
                match self { $(Self::$column => &[$name $(, $alias)*],)* }
            }
        }
    };
}

columns! {
    /// Movement type (see [`super::movement_type`]), or a shop's type.
    Type = "type", "тип", "тип движения", "вид движения", "операция";
    /// Receipt number at the till.
    Receipt = "receipt", "чек", "номер чека", "№ чека";
    /// Line of the receipt.
    Line = "line", "строка", "номер строки", "№ строки";
    /// What is printed on the tag.
    Barcode = "barcode", "штрихкод", "штрих-код", "ean", "ean13", "gtin";
    /// Quantity.
    Qty = "qty", "количество", "кол-во", "остаток", "quantity";
    /// Price, decimal roubles.
    Price = "price", "цена", "цена, руб", "розничная цена";
    /// Currency of the price.
    Currency = "currency", "валюта";
    /// When it happened, or as of when the balance is.
    At = "at", "дата", "дата и время", "датавремя", "date", "datetime";
    /// Till.
    Till = "till", "касса", "номер кассы", "№ кассы";
    /// Shop that a transfer goes to.
    To = "to", "куда", "магазин-получатель", "получатель", "склад-получатель";
    /// Shop that a transfer comes from.
    From = "from", "откуда", "магазин-отправитель", "отправитель", "склад-отправитель";
    /// Id of the transfer document.
    Transfer = "transfer", "перемещение", "номер перемещения", "№ перемещения";
    /// Note for people.
    Ref = "ref", "примечание", "комментарий", "основание";
    /// Document of the source.
    Doc = "doc", "документ", "номер документа", "№ документа";
    /// Cashier.
    Cashier = "cashier", "кассир", "продавец";
    /// `sellable` or `unavailable`.
    Condition = "condition", "состояние";
    /// Article, the model.
    Article = "article", "артикул", "sku";
    /// Name of the item, or of the shop.
    Name = "name", "наименование", "название", "номенклатура";
    /// Size.
    Size = "size", "размер";
    /// Stone.
    Stone = "stone", "вставка", "вставки", "камень";
    /// Metal.
    Metal = "metal", "металл";
    /// Fineness of the metal.
    Fineness = "fineness", "проба";
    /// Weight.
    Weight = "weight", "вес", "вес, г", "масса";
    /// Colour.
    Color = "color", "цвет", "colour";
    /// Maker or brand.
    Brand = "brand", "производитель", "бренд";
    /// Category: rings, earrings.
    Category = "category", "категория", "вид номенклатуры", "вид изделия";
    /// Whether there is one physical piece only: yes or no.
    Unique = "unique", "уникальное", "уникальное изделие", "единственное изделие";
    /// Warehouse of the source.
    Warehouse = "warehouse", "склад", "ид склада";
    /// Id in the ERP, `Ид` in CommerceML.
    ExternalId = "external_id", "ид", "внешний код", "guid", "ид номенклатуры";
    /// Another text that names the same piece.
    Alias = "alias", "псевдоним", "старый штрихкод", "код поставщика";
    /// Unique number of the piece.
    Uin = "uin", "уин";
    /// Shop id.
    Shop = "shop", "магазин", "код магазина";
    /// City.
    City = "city", "город";
    /// Street address.
    Address = "address", "адрес";
    /// Latitude, degrees.
    Lat = "lat", "широта", "latitude";
    /// Longitude, degrees.
    Lon = "lon", "долгота", "longitude", "lng";
    /// Name of the time zone.
    Tz = "tz", "часовой пояс", "timezone";
    /// Opening hours.
    Hours = "hours", "часы работы", "режим работы";
    /// Which ledger counts: `movements` or `balances`.
    Source = "source", "источник";
    /// How often the source proves itself.
    SourceEvery = "source_every", "период источника";
    /// `auto` or `scan`.
    Holds = "holds", "резервы";
    /// Prefixes of barcodes that are the shop's own.
    LocalPrefix = "local_prefix", "local_prefixes", "местный префикс";
    /// `on` or `off`: whether the website shows it.
    Publish = "publish", "публиковать";
}

impl Column {
    fn of(name: &str) -> Option<Self> {
        let is_named = |column: &&Self| column.names().iter().any(|known| same(name, known));
        Self::ALL.iter().find(is_named).copied()
    }
}

/// What is said of a piece beside its article, name and price.
pub const ATTRIBUTES: [Column; 8] = [
    Column::Size,
    Column::Stone,
    Column::Metal,
    Column::Fineness,
    Column::Weight,
    Column::Color,
    Column::Brand,
    Column::Category,
];

/// The header of a file.
#[derive(Clone, Debug)]
pub struct Header {
    table: Table,
    separator: u8,
    names: Vec<String>,
    unknown: Vec<String>,
    /// For each [`Column`] its place in the file.
    positions: Vec<Option<usize>>,
}

impl Header {
    /// What the file is.
    pub fn table(&self) -> Table {
        self.table
    }

    /// The character between fields: `;`, `,` or a tab.
    pub fn separator(&self) -> u8 {
        self.separator
    }

    /// The names as they stand in the file.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The columns that nobody reads, as they stand in the file; to be reported once.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// Whether the file has the column.
    pub fn has(&self, column: Column) -> bool {
        self.position(column).is_some()
    }

    /// How many columns there are; empty names at the end do not count.
    pub(super) fn width(&self) -> usize {
        self.names.len()
    }

    /// The place of a column, from 0.
    pub(super) fn position(&self, column: Column) -> Option<usize> {
        self.positions.get(column as usize).copied().flatten()
    }

    pub(super) fn parse(record: &mut Record, separator: Option<u8>) -> Result<Self, CsvError> {
        let separator = separator.unwrap_or_else(|| guess_separator(record));
        let names = names(record, separator);
        if record.has_control() {
            return Err(CsvError::Header {
                line: record.line(),
                reason: BadReason::ControlCharacter,
            });
        }
        if names.len() > MAX_COLUMNS {
            return Err(CsvError::TooManyColumns { count: names.len() });
        }
        let mut header = Self {
            table: Table::Movements,
            separator,
            names,
            unknown: Vec::new(),
            positions: vec![None; Column::ALL.len()],
        };
        header.find_columns()?;
        header.find_table()?;
        Ok(header)
    }

    fn find_columns(&mut self) -> Result<(), CsvError> {
        for (at, name) in self.names.iter().enumerate() {
            let Some(column) = Column::of(name) else {
                self.unknown.push(name.clone());
                continue;
            };
            let Some(place) = self.positions.get_mut(column as usize) else {
                continue;
            };
            if let Some(first) = place.replace(at) {
                return Err(CsvError::DuplicateColumn {
                    meaning: column.name(),
                    first: self.names.get(first).cloned().unwrap_or_default(),
                    second: name.clone(),
                });
            }
        }
        Ok(())
    }

    fn find_table(&mut self) -> Result<(), CsvError> {
        let has = |column| self.has(column);
        let describes = [Column::Article, Column::Name, Column::Price]
            .into_iter()
            .chain(ATTRIBUTES)
            .any(has);
        let names = [Column::Alias, Column::ExternalId, Column::Uin]
            .into_iter()
            .any(has);
        let moves = has(Column::Type) && (has(Column::Qty) || has(Column::Receipt));
        self.table = if moves {
            Table::Movements
        } else if has(Column::Qty) {
            Table::Balances
        } else if has(Column::Shop) && !has(Column::Barcode) {
            Table::Shops
        } else if has(Column::Barcode) && describes {
            Table::Catalogue
        } else if has(Column::Barcode) && names {
            Table::Aliases
        } else {
            return Err(CsvError::UnknownTable {
                columns: shorten(&self.names.join(";"), 200).to_owned(),
            });
        };
        self.require()?;
        // In a file of balances `Магазин` and `Склад` both name the place.
        if self.table == Table::Balances && !self.has(Column::Warehouse) {
            let shop = self.position(Column::Shop);
            if let Some(place) = self.positions.get_mut(Column::Warehouse as usize) {
                *place = shop;
            }
        }
        Ok(())
    }

    fn require(&self) -> Result<(), CsvError> {
        let required: &[Column] = match self.table {
            Table::Movements => &[Column::Barcode, Column::Qty, Column::At],
            Table::Balances | Table::Catalogue | Table::Aliases => &[Column::Barcode],
            Table::Shops => &[],
        };
        let missing: Vec<_> = required
            .iter()
            .filter(|column| !self.has(**column))
            .map(|column| column.name())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(CsvError::MissingColumns {
            table: self.table,
            missing: missing.join(", "),
        })
    }
}

/// Excel's first line `sep=;`, which says how the rest is separated.
pub(super) fn excel_hint(line: &str) -> Option<u8> {
    let hint = line.trim_matches(['"', ' ']).strip_prefix("sep=")?;
    match hint.as_bytes() {
        [separator] if SEPARATORS.contains(separator) => Some(*separator),
        _ => None,
    }
}

/// The separator under which the most columns are known; of equals the one with the most columns, then `;`.
fn guess_separator(record: &mut Record) -> u8 {
    let mut best = (0, 0, b';');
    for separator in SEPARATORS {
        let names = names(record, separator);
        let known = names.iter().filter(|name| Column::of(name).is_some());
        let known = known.take(MAX_COLUMNS).count();
        if (known, names.len()) > (best.0, best.1) {
            best = (known, names.len(), separator);
        }
    }
    best.2
}

fn names(record: &mut Record, separator: u8) -> Vec<String> {
    record.split(separator);
    let mut names: Vec<_> = (0..=MAX_COLUMNS)
        .map_while(|at| record.field(at))
        .map(|name| name.trim().to_owned())
        .collect();
    while names.last().is_some_and(String::is_empty) {
        names.pop();
    }
    names
}
