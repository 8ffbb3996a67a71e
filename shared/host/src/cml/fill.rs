//! How the elements below a product or offer fill its [`Item`].

use super::item::{Item, ItemKind, MAX_ITEM_BYTES, MAX_ITEM_PARTS, PriceLine, Span, StockLine};
use super::tag::Tag;

impl Item {
    pub(super) fn new() -> Self {
        Self {
            kind: ItemKind::Product,
            line: 0,
            text: String::new(),
            id: 0..0,
            article: 0..0,
            name: 0..0,
            is_deleted: false,
            has_stock: false,
            has_control: false,
            barcodes: Vec::new(),
            groups: Vec::new(),
            properties: Vec::new(),
            requisites: Vec::new(),
            characteristics: Vec::new(),
            prices: Vec::new(),
            stock: Vec::new(),
            quantity: None,
            open_stock: None,
            open_price: PriceLine::default(),
            open_key: 0..0,
            open_from: 0,
        }
    }

    pub(super) fn kind(&self) -> ItemKind {
        self.kind
    }

    /// Empties it for the next element.
    pub(super) fn begin(&mut self, kind: ItemKind, line: u64) {
        self.kind = kind;
        self.line = line;
        self.text.clear();
        (self.id, self.article, self.name) = (0..0, 0..0, 0..0);
        (self.is_deleted, self.has_stock, self.has_control) = (false, false, false);
        self.barcodes.clear();
        self.groups.clear();
        self.properties.clear();
        self.requisites.clear();
        self.characteristics.clear();
        self.prices.clear();
        self.stock.clear();
        self.quantity = None;
        self.open_stock = None;
    }

    /// An element begins `level` below the item; `parent` is the one around it.
    pub(super) fn open(&mut self, level: usize, parent: Tag, tag: Tag) {
        match (level, parent, tag) {
            (1, _, Tag::Rests | Tag::StockList) => self.has_stock = true,
            (1, _, Tag::Warehouse)
            | (2, Tag::Rests, Tag::Rest)
            | (2, Tag::StockList, Tag::StockEntry) => {
                self.has_stock = true;
                self.open_stock = Some(StockLine::default());
            }
            (2, Tag::Prices, Tag::Price) => self.open_price = PriceLine::default(),
            (2, Tag::PropertyValues, Tag::PropertyValue)
            | (2, Tag::Requisites, Tag::Requisite)
            | (2, Tag::Characteristics, Tag::Characteristic) => {
                self.open_key = 0..0;
                self.open_from = self.list(tag).map_or(0, |list| list.len());
            }
            _ => {}
        }
    }

    /// An attribute of the item itself (level 0) or of a `Склад` right under it.
    pub(super) fn attribute(&mut self, level: usize, name: &str, value: &str) {
        match (level, name) {
            (0, "Статус") => self.is_deleted |= is_deleted_status(value),
            (1, "ИдСклада") => self.set_warehouse(value),
            (1, "КоличествоНаСкладе" | "Количество") => {
                self.set_stock_qty(value);
            }
            _ => {}
        }
    }

    /// An element ends `level` below the item, with this text.
    pub(super) fn close(&mut self, level: usize, parent: Tag, tag: Tag, value: &str) {
        match level {
            1 => self.close_field(tag, value),
            2 => self.close_part(parent, tag, value),
            _ => self.close_leaf(parent, tag, value),
        }
    }

    fn close_field(&mut self, tag: Tag, value: &str) {
        match tag {
            Tag::Id => self.id = self.keep(value),
            Tag::Article => self.article = self.keep(value),
            Tag::Name => self.name = self.keep(value),
            Tag::Barcode => self.add_barcode(value),
            Tag::Deleted => self.is_deleted |= super::is_true(value),
            Tag::Status => self.is_deleted |= is_deleted_status(value),
            Tag::Quantity => {
                self.has_stock = true;
                self.quantity = Some(self.keep(value));
            }
            Tag::Warehouse => self.add_stock(),
            _ => {}
        }
    }

    fn close_part(&mut self, parent: Tag, tag: Tag, value: &str) {
        match (parent, tag) {
            (Tag::Barcodes, Tag::Barcode) => self.add_barcode(value),
            (Tag::Groups, Tag::Id) if !value.is_empty() => {
                let span = self.keep(value);
                self.groups.push(span);
            }
            (Tag::Rests, Tag::Rest) | (Tag::StockList, Tag::StockEntry) => self.add_stock(),
            (Tag::Prices, Tag::Price) => self.prices.push(std::mem::take(&mut self.open_price)),
            (_, Tag::PropertyValue | Tag::Requisite | Tag::Characteristic) => self.name_pairs(tag),
            // The first form again, with elements for attributes.
            (Tag::Warehouse, _) => self.close_leaf(parent, tag, value),
            _ => {}
        }
    }

    fn close_leaf(&mut self, parent: Tag, tag: Tag, value: &str) {
        match (parent, tag) {
            (Tag::Warehouse | Tag::StockEntry, Tag::Id | Tag::WarehouseId) => {
                self.set_warehouse(value);
            }
            (Tag::Warehouse, Tag::Quantity | Tag::StockEntry)
            | (Tag::Rest | Tag::StockEntry, Tag::Quantity) => self.set_stock_qty(value),
            (Tag::Rest, Tag::Warehouse) => self.next_warehouse(),
            (Tag::Price, Tag::PriceTypeId) => self.open_price.type_id = self.keep(value),
            (Tag::Price, Tag::UnitPrice) => self.open_price.amount = Some(self.keep(value)),
            (Tag::Price, Tag::Currency) => self.open_price.currency = self.keep(value),
            (Tag::Price, Tag::MinQuantity) => self.open_price.min_qty = Some(self.keep(value)),
            (Tag::PropertyValue, Tag::Id) | (Tag::Requisite | Tag::Characteristic, Tag::Name) => {
                self.open_key = self.keep(value);
            }
            (Tag::PropertyValue | Tag::Requisite | Tag::Characteristic, Tag::Value) => {
                let value = self.keep(value);
                if let Some(list) = self.list(parent) {
                    list.push((0..0, value));
                }
            }
            _ => {}
        }
    }

    /// The element itself ends.
    pub(super) fn end(&mut self) {
        if self.stock.is_empty()
            && let Some(total) = &self.quantity
        {
            self.stock.push(StockLine {
                warehouse: None,
                qty: Some(total.clone()),
            });
        }
    }

    /// Whether more was said than one thing in a shop can need.
    pub(super) fn is_too_large(&self) -> bool {
        let parts = self.barcodes.len()
            + self.groups.len()
            + self.properties.len()
            + self.requisites.len()
            + self.characteristics.len()
            + self.prices.len()
            + self.stock.len();
        self.text.len() > MAX_ITEM_BYTES || parts > MAX_ITEM_PARTS
    }

    fn keep(&mut self, value: &str) -> Span {
        let is_bad = |byte: u8| byte < b' ' && !matches!(byte, b'\t' | b'\r' | b'\n');
        self.has_control |= value.bytes().any(is_bad);
        let begin = self.text.len();
        self.text.push_str(value);
        begin..self.text.len()
    }

    fn add_barcode(&mut self, value: &str) {
        if !value.is_empty() {
            let span = self.keep(value);
            self.barcodes.push(span);
        }
    }

    fn set_warehouse(&mut self, value: &str) {
        let span = (!value.is_empty()).then(|| self.keep(value));
        if let Some(line) = &mut self.open_stock {
            line.warehouse = span;
        }
    }

    fn set_stock_qty(&mut self, value: &str) {
        let span = self.keep(value);
        if let Some(line) = &mut self.open_stock {
            line.qty = Some(span);
        }
    }

    fn add_stock(&mut self) {
        if let Some(line) = self.open_stock.take()
            && (line.warehouse.is_some() || line.qty.is_some())
        {
            self.stock.push(line);
        }
    }

    /// One `Остаток` may hold several warehouses.
    fn next_warehouse(&mut self) {
        if self
            .open_stock
            .as_ref()
            .is_some_and(|line| line.qty.is_some())
        {
            self.add_stock();
            self.open_stock = Some(StockLine::default());
        }
    }

    fn list(&mut self, tag: Tag) -> Option<&mut Vec<(Span, Span)>> {
        match tag {
            Tag::PropertyValue => Some(&mut self.properties),
            Tag::Requisite => Some(&mut self.requisites),
            Tag::Characteristic => Some(&mut self.characteristics),
            _ => None,
        }
    }

    /// Gives the values of the element that ends their name, wherever in it the name stood.
    fn name_pairs(&mut self, tag: Tag) {
        let (key, from) = (self.open_key.clone(), self.open_from);
        if let Some(list) = self.list(tag) {
            for pair in list.iter_mut().skip(from) {
                pair.0 = key.clone();
            }
        }
    }
}

fn is_deleted_status(value: &str) -> bool {
    value.trim().starts_with("Удал")
}
