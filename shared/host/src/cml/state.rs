//! Where in the document the reader is, and what is complete.

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event as Xml};

use super::attributes::{Line, attributes, decimal_separator};
use super::tag::Tag;
use super::{
    CmlError, Entry, Event, Header, Item, ItemKind, MAX_DEPTH, MAX_GROUP_BYTES, MAX_TEXT_BYTES,
    Package, PackageKind, is_true,
};
use crate::text::trim;

/// Which event is complete; the data are in the [`State`].
#[derive(Clone, Copy)]
pub(super) enum Found {
    Header,
    Package,
    Group,
    Warehouse,
    PriceType,
    Property,
    PropertyValue,
    Item,
}

/// A dictionary entry whose element is open.
#[derive(Default)]
struct Draft {
    id: String,
    name: String,
    currency: String,
    is_deleted: bool,
    /// A property was not yet delivered: its values come inside its element.
    is_due: bool,
}

impl Draft {
    fn clear(&mut self) {
        self.id.clear();
        self.name.clear();
        self.currency.clear();
        self.is_deleted = false;
        self.is_due = true;
    }

    fn entry(&self) -> Entry<'_> {
        Entry {
            id: &self.id,
            name: &self.name,
            is_deleted: self.is_deleted,
        }
    }
}

/// What is known of the document at one place in it.
pub(super) struct State {
    path: Vec<Tag>,
    /// Length of the path at the open item; 0 outside.
    item_depth: usize,
    is_over: bool,
    /// The text of the innermost element, where somebody reads it.
    text: String,
    collects: bool,
    header: Header,
    package: Package,
    package_is_due: bool,
    draft: Draft,
    /// The groups whose elements are open, the innermost last.
    groups: Vec<Draft>,
    /// The one that ended last.
    group: Draft,
    variant_id: String,
    variant_value: String,
    item: Item,
    documents: u64,
}

fn set(target: &mut String, value: &str) {
    target.clear();
    target.push_str(value);
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            path: Vec::with_capacity(MAX_DEPTH),
            item_depth: 0,
            is_over: false,
            text: String::new(),
            collects: false,
            header: Header::default(),
            package: Package::default(),
            package_is_due: false,
            draft: Draft::default(),
            groups: Vec::new(),
            group: Draft::default(),
            variant_id: String::new(),
            variant_value: String::new(),
            item: Item::new(),
            documents: 0,
        }
    }

    /// Whether the root element was there and is closed.
    pub(super) fn is_complete(&self) -> bool {
        self.is_over
    }

    pub(super) fn documents(&self) -> u64 {
        self.documents
    }

    pub(super) fn event(&self, found: Found) -> Event<'_> {
        match found {
            Found::Header => Event::Header(&self.header),
            Found::Package => Event::Package(&self.package),
            Found::Group => Event::Group(self.group.entry()),
            Found::Warehouse => Event::Warehouse(self.draft.entry()),
            Found::PriceType => Event::PriceType {
                entry: self.draft.entry(),
                currency: &self.draft.currency,
            },
            Found::Property => Event::Property(self.draft.entry()),
            Found::PropertyValue => Event::PropertyValue {
                property: &self.draft.id,
                id: &self.variant_id,
                value: &self.variant_value,
            },
            Found::Item => match self.item.kind() {
                ItemKind::Product => Event::Product(&self.item),
                ItemKind::Offer => Event::Offer(&self.item),
            },
        }
    }

    /// Takes the next piece of XML. `line` is asked only where an item begins or something is wrong.
    pub(super) fn take(
        &mut self,
        event: Xml<'_>,
        line: Line<'_>,
    ) -> Result<Option<Found>, CmlError> {
        match event {
            Xml::Start(start) => return self.start(&start, line),
            Xml::End(_) => return self.end(line),
            Xml::Text(text) if self.collects => self.text.push_str(&text.xml10_content()),
            Xml::CData(text) if self.collects => self.text.push_str(&text.xml10_content()),
            Xml::GeneralRef(entity) => self.entity(&entity, line)?,
            Xml::DocType(_) => return Err(CmlError::Doctype { line: line() }),
            _ => {}
        }
        if self.text.len() > MAX_TEXT_BYTES {
            return Err(CmlError::TooMuch {
                line: line(),
                what: "text",
            });
        }
        Ok(None)
    }

    fn entity(&mut self, entity: &BytesRef<'_>, line: Line<'_>) -> Result<(), CmlError> {
        let unknown = |line: u64| CmlError::UnknownEntity {
            line,
            name: entity.chars().take(40).collect(),
        };
        let Ok(number) = entity.resolve_char_ref() else {
            return Err(unknown(line()));
        };
        let mut buffer = [0; 4];
        let text = match number {
            Some(letter) => &*letter.encode_utf8(&mut buffer),
            None => match resolve_predefined_entity(entity) {
                Some(text) => text,
                None => return Err(unknown(line())),
            },
        };
        if self.collects {
            self.text.push_str(text);
        }
        Ok(())
    }

    fn parent(&self, up: usize) -> Option<Tag> {
        let at = self.path.len().checked_sub(up + 1)?;
        self.path.get(at).copied()
    }

    fn start(&mut self, start: &BytesStart<'_>, line: Line<'_>) -> Result<Option<Found>, CmlError> {
        let tag = Tag::of(start.name().as_ref());
        let Some(parent) = self.parent(0) else {
            return self.start_root(start, tag, line);
        };
        let grand = self.parent(1);
        if self.path.len() >= MAX_DEPTH {
            return Err(CmlError::TooMuch {
                line: line(),
                what: "nesting",
            });
        }
        self.path.push(tag);
        self.text.clear();
        self.collects = tag.has_value();
        if self.item_depth > 0 {
            return self.start_in_item(start, parent, tag, line).map(|()| None);
        }
        let kind = match (grand, parent, tag) {
            (Some(Tag::Catalogue), Tag::Goods, Tag::Good) => Some(ItemKind::Product),
            (Some(Tag::Offers | Tag::OfferChanges), Tag::OfferList, Tag::Offer) => {
                Some(ItemKind::Offer)
            }
            _ => None,
        };
        if let Some(kind) = kind {
            let line = line();
            self.item.begin(kind, line);
            self.item_depth = self.path.len();
            let item = &mut self.item;
            attributes(start, &mut || line, |name, value| {
                item.attribute(0, name, value);
            })?;
            return Ok(None);
        }
        self.start_outside(start, parent, tag, line)
    }

    fn start_root(
        &mut self,
        start: &BytesStart<'_>,
        tag: Tag,
        line: Line<'_>,
    ) -> Result<Option<Found>, CmlError> {
        if self.is_over {
            return Err(CmlError::SecondRoot { line: line() });
        }
        if tag != Tag::Root {
            let root = start.local_name().as_ref().chars().take(60).collect();
            return Err(CmlError::NotCommerceMl { root });
        }
        self.path.push(tag);
        let header = &mut self.header;
        attributes(start, line, |name, value| match name {
            "ВерсияСхемы" => header.schema_version = Some(value.to_owned()),
            "ДатаФормирования" => header.formed_at = Some(value.to_owned()),
            "ФорматСуммы" => header.decimal_separator = decimal_separator(value),
            _ => {}
        })?;
        Ok(Some(Found::Header))
    }

    fn start_in_item(
        &mut self,
        start: &BytesStart<'_>,
        parent: Tag,
        tag: Tag,
        line: Line<'_>,
    ) -> Result<(), CmlError> {
        let level = self.path.len() - self.item_depth;
        self.item.open(level, parent, tag);
        let reads = level == 1 && tag == Tag::Warehouse;
        let item = &mut self.item;
        attributes(start, line, |name, value| {
            if reads {
                item.attribute(level, name, value);
            }
        })
    }

    /// What begins around products and offers.
    fn start_outside(
        &mut self,
        start: &BytesStart<'_>,
        parent: Tag,
        tag: Tag,
        line: Line<'_>,
    ) -> Result<Option<Found>, CmlError> {
        let mut says_changes = false;
        attributes(start, line, |name, value| {
            says_changes |= name == "СодержитТолькоИзменения" && is_true(value);
        })?;
        match (parent, tag) {
            (Tag::Root, Tag::Document) => self.documents += 1,
            (Tag::Root, Tag::Classifier | Tag::Catalogue | Tag::Offers | Tag::OfferChanges) => {
                self.package = Package {
                    kind: match tag {
                        Tag::Classifier => PackageKind::Classifier,
                        Tag::Catalogue => PackageKind::Catalogue,
                        _ => PackageKind::Offers,
                    },
                    changes_only: says_changes || tag == Tag::OfferChanges,
                    ..Package::default()
                };
                self.package_is_due = true;
            }
            (Tag::Warehouses, Tag::Warehouse)
            | (Tag::PriceTypes, Tag::PriceType)
            | (Tag::Properties, Tag::Property) => {
                self.draft.clear();
            }
            (Tag::Groups, Tag::Group) => self.groups.push(Draft::default()),
            (Tag::Property, Tag::Variants) if self.draft.is_due => {
                self.draft.is_due = false;
                return Ok(Some(Found::Property));
            }
            (Tag::Variants, Tag::Variant) => {
                self.variant_id.clear();
                self.variant_value.clear();
            }
            (
                _,
                Tag::Groups
                | Tag::Goods
                | Tag::OfferList
                | Tag::Warehouses
                | Tag::PriceTypes
                | Tag::Properties,
            ) if self.path.len() == 3 => return Ok(self.due_package()),
            _ => {}
        }
        Ok(None)
    }

    fn due_package(&mut self) -> Option<Found> {
        std::mem::take(&mut self.package_is_due).then_some(Found::Package)
    }

    fn end(&mut self, line: Line<'_>) -> Result<Option<Found>, CmlError> {
        let Some(tag) = self.path.pop() else {
            return Ok(None);
        };
        let text = std::mem::take(&mut self.text);
        let found = self.end_of(tag, trim(&text));
        self.text = text;
        self.text.clear();
        self.collects = false;
        if self.item_depth > 0 && self.item.is_too_large() {
            return Err(CmlError::TooMuch {
                line: line(),
                what: "parts of one item",
            });
        }
        Ok(found)
    }

    fn end_of(&mut self, tag: Tag, value: &str) -> Option<Found> {
        let Some(parent) = self.parent(0) else {
            self.is_over = true;
            return None;
        };
        if self.item_depth == 0 {
            return self.end_outside(parent, tag, value);
        }
        let level = self.path.len() + 1 - self.item_depth;
        if level > 0 {
            self.item.close(level, parent, tag, value);
            return None;
        }
        self.item_depth = 0;
        self.item.end();
        Some(Found::Item)
    }

    /// What an element right under the innermost group says of it.
    fn say_of_group(&mut self, tag: Tag, value: &str) {
        let Some(group) = self.groups.last_mut() else {
            return;
        };
        match tag {
            Tag::Id if value.len() <= MAX_GROUP_BYTES => set(&mut group.id, value),
            Tag::Name if value.len() <= MAX_GROUP_BYTES => set(&mut group.name, value),
            Tag::Deleted => group.is_deleted = is_true(value),
            _ => {}
        }
    }

    /// What ends around products and offers.
    fn end_outside(&mut self, parent: Tag, tag: Tag, value: &str) -> Option<Found> {
        match (parent, tag) {
            (Tag::Classifier | Tag::Catalogue | Tag::Offers | Tag::OfferChanges, _) => {
                match tag {
                    Tag::Id => set(&mut self.package.id, value),
                    Tag::Name => set(&mut self.package.name, value),
                    Tag::CatalogueId => set(&mut self.package.catalog_id, value),
                    Tag::ClassifierId => set(&mut self.package.classifier_id, value),
                    _ => {}
                }
                None
            }
            (Tag::Root, Tag::Classifier | Tag::Catalogue | Tag::Offers | Tag::OfferChanges) => {
                self.due_package()
            }
            (Tag::Warehouse | Tag::PriceType | Tag::Property, _) => {
                match tag {
                    Tag::Id => set(&mut self.draft.id, value),
                    Tag::Name => set(&mut self.draft.name, value),
                    Tag::Currency => set(&mut self.draft.currency, value),
                    Tag::Deleted => self.draft.is_deleted = is_true(value),
                    _ => {}
                }
                None
            }
            (Tag::Group, _) => {
                self.say_of_group(tag, value);
                None
            }
            (Tag::Groups, Tag::Group) => {
                self.group = self.groups.pop()?;
                Some(Found::Group)
            }
            (Tag::Warehouses, Tag::Warehouse) => Some(Found::Warehouse),
            (Tag::PriceTypes, Tag::PriceType) => Some(Found::PriceType),
            (Tag::Properties, Tag::Property) => {
                std::mem::take(&mut self.draft.is_due).then_some(Found::Property)
            }
            (Tag::Variant, Tag::ValueId | Tag::Id) => {
                set(&mut self.variant_id, value);
                None
            }
            (Tag::Variant, Tag::Value) => {
                set(&mut self.variant_value, value);
                None
            }
            (Tag::Variants, Tag::Variant) => Some(Found::PropertyValue),
            _ => None,
        }
    }
}
