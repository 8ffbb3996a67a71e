//! CommerceML 2.03 to 3.1, as 1C and its neighbours write it, read as a stream.
//!
//! Elements are matched by their local names; namespaces, order and unknown elements are ignored, because real files
//! break the schema in all of them. A value that cannot be read is a [`Problem`] of its offer; a file that was cut, or
//! that tries to be clever (DOCTYPE, entities, endless texts, deep nesting), is an error, and nothing of it may be
//! applied: [`check`] a file to its end first. This module decides nothing about stock.

mod attributes;
mod fill;
mod guard;
mod item;
mod state;
mod tag;
#[cfg(test)]
mod tests;

use std::io::{self, Read};
use std::sync::Arc;

use quick_xml::Reader;
use quick_xml::errors::SyntaxError;

pub use item::{Item, MAX_ITEM_BYTES, MAX_ITEM_PARTS, Price, Problem, Stock};

use crate::text::{SourceEncoding, TextError, utf8};
use guard::{Guarded, TooLong};
use item::ItemKind;
use state::State;

/// How deep elements may nest.
pub const MAX_DEPTH: usize = 32;
/// How many attributes one element may have.
pub const MAX_ATTRIBUTES: usize = 64;
/// How long one text or tag may be, bytes.
pub const MAX_TEXT_BYTES: usize = 1024 * 1024;
/// The longest id and the longest name of a group, bytes; a longer one is passed over, because groups nest and all around
/// an open one are kept.
pub const MAX_GROUP_BYTES: usize = 4 * 1024;

/// Why a whole CommerceML file cannot be used. Events that were delivered before must not be applied.
#[derive(Debug, thiserror::Error)]
pub enum CmlError {
    /// The file cannot be read, or its bytes are no text in a known encoding.
    #[error("cannot read the CommerceML file")]
    Text(#[from] TextError),
    /// The file is empty or ends before `</КоммерческаяИнформация>`: it was cut while it was written or copied.
    #[error("the file ends in the middle, at line {line}")]
    Truncated {
        /// Physical line.
        line: u64,
    },
    /// It is not XML.
    #[error("line {line} is not well-formed XML")]
    Malformed {
        /// Physical line.
        line: u64,
        /// What the XML reader says.
        #[source]
        source: quick_xml::Error,
    },
    /// It is XML of another kind.
    #[error("the file is no CommerceML: its root is {root:?}")]
    NotCommerceMl {
        /// Local name of the root element, shortened.
        root: String,
    },
    /// A second root element behind the first: two files were joined.
    #[error("line {line} begins a second document")]
    SecondRoot {
        /// Physical line.
        line: u64,
    },
    /// A document type declaration, which no exporter writes and attackers do.
    #[error("line {line} declares a DOCTYPE, which is not accepted")]
    Doctype {
        /// Physical line.
        line: u64,
    },
    /// An entity other than the five of XML and character numbers.
    #[error("line {line} uses the unknown entity {name:?}")]
    UnknownEntity {
        /// Physical line.
        line: u64,
        /// Its name, shortened.
        name: String,
    },
    /// More than [`MAX_DEPTH`], [`MAX_ATTRIBUTES`], [`MAX_TEXT_BYTES`], [`MAX_ITEM_BYTES`] or [`MAX_ITEM_PARTS`].
    #[error("line {line} has more {what} than is read")]
    TooMuch {
        /// Physical line.
        line: u64,
        /// Of what: `nesting`, `attributes`, `text`, `parts of one item`.
        what: &'static str,
    },
}

/// What the root element says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// `ВерсияСхемы`, such as `2.07`.
    pub schema_version: Option<String>,
    /// `ДатаФормирования` as written; [`crate::when::parse_ms`] reads it in the shop's zone.
    pub formed_at: Option<String>,
    /// The decimal separator that `ФорматСуммы` announces. Numbers are read with a dot or a comma whatever it says.
    pub decimal_separator: Option<char>,
}

/// What a part of the file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PackageKind {
    /// `Классификатор`: dictionaries.
    #[default]
    Classifier,
    /// `Каталог`: products.
    Catalogue,
    /// `ПакетПредложений`, `ИзмененияПакетаПредложений`: offers, prices, stock.
    Offers,
}

/// The head of a classifier, a catalogue or a package of offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// Which of them.
    pub kind: PackageKind,
    /// Whether it speaks only of what it lists (`СодержитТолькоИзменения`, or `ИзмененияПакетаПредложений`).
    pub changes_only: bool,
    /// `Ид`.
    pub id: String,
    /// `Наименование`.
    pub name: String,
    /// `ИдКаталога`, of a package of offers.
    pub catalog_id: String,
    /// `ИдКлассификатора`.
    pub classifier_id: String,
}

/// An entry of a dictionary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its id in the source.
    pub id: &'a str,
    /// Its name for people.
    pub name: &'a str,
    /// Whether the source has deleted it.
    pub is_deleted: bool,
}

/// What comes out of a file, in its order.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The root element; always the first event.
    Header(&'a Header),
    /// A classifier, catalogue or package begins; before its dictionaries, products and offers.
    Package(&'a Package),
    /// A group of a classifier, after those that are in it; products and offers refer to it by id.
    Group(Entry<'a>),
    /// A warehouse of the source.
    Warehouse(Entry<'a>),
    /// A price type.
    PriceType {
        /// Id and name.
        entry: Entry<'a>,
        /// Its currency as written.
        currency: &'a str,
    },
    /// A property that products and offers refer to by id.
    Property(Entry<'a>),
    /// One of the values that such a property can have; products and offers refer to it by id.
    PropertyValue {
        /// Id of the property.
        property: &'a str,
        /// Id of the value.
        id: &'a str,
        /// The value for people.
        value: &'a str,
    },
    /// A product of a catalogue.
    Product(&'a Item),
    /// An offer of a package.
    Offer(&'a Item),
}

/// Reads a CommerceML file event by event. Memory is constant: one item and at most [`MAX_TEXT_BYTES`] twice.
pub struct CmlReader<R> {
    xml: Reader<Guarded<R>>,
    buffer: Vec<u8>,
    state: State,
}

impl<R: Read> CmlReader<R> {
    /// Opens a file in whichever encoding its bytes are; the XML declaration is not believed.
    ///
    /// # Errors
    ///
    /// [`CmlError::Text`] when its first bytes cannot be read.
    pub fn open(source: R) -> Result<Self, CmlError> {
        let mut xml = Reader::from_reader(Guarded::new(utf8(source)?));
        xml.config_mut().expand_empty_elements = true;
        Ok(Self {
            xml,
            buffer: Vec::new(),
            state: State::new(),
        })
    }

    /// In which encoding the file is, as far as it was read.
    pub fn encoding(&self) -> SourceEncoding {
        self.xml.get_ref().encoding()
    }

    /// The physical line, from 1, up to which the file was read.
    pub fn line(&mut self) -> u64 {
        self.xml.get_mut().line()
    }

    /// How many `Документ` elements, such as orders, were passed over.
    pub fn documents(&self) -> u64 {
        self.state.documents()
    }

    /// The next event, or `None` behind the end of the whole document.
    ///
    /// # Errors
    ///
    /// Any [`CmlError`]; the file ends there.
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>, CmlError> {
        let found = loop {
            self.buffer.clear();
            self.xml.get_mut().begin_event();
            let event = match self.xml.read_event_into(&mut self.buffer) {
                Ok(event) => event,
                Err(error) => {
                    let line = self.xml.get_mut().line();
                    return Err(explain(error, line));
                }
            };
            if let quick_xml::events::Event::Eof = event {
                if self.state.is_complete() {
                    return Ok(None);
                }
                let line = self.xml.get_mut().line();
                return Err(CmlError::Truncated { line });
            }
            let source = self.xml.get_mut();
            if let Some(found) = self.state.take(event, &mut || source.line())? {
                break found;
            }
        };
        Ok(Some(self.state.event(found)))
    }
}

/// What a look through a whole file has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What the root element says.
    pub header: Header,
    /// In which encoding it is.
    pub encoding: SourceEncoding,
    /// Whether a catalogue or a package of offers in it speaks only of what it lists.
    pub changes_only: bool,
    /// Products of catalogues.
    pub products: u64,
    /// Offers of packages.
    pub offers: u64,
    /// Offers that say something about stock: without any the file has no stock information at all.
    pub offers_with_stock: u64,
    /// Offers with a price that can be read.
    pub offers_with_price: u64,
    /// Values that cannot be used.
    pub problems: u64,
    /// Documents such as orders, which are not read.
    pub documents: u64,
}

/// Reads a file to its end: whether it is whole, and what is in it.
///
/// # Errors
///
/// Any [`CmlError`]; then nothing of the file may be applied.
pub fn check<R: Read>(source: R) -> Result<Checked, CmlError> {
    let mut reader = CmlReader::open(source)?;
    let mut checked = Checked {
        header: Header::default(),
        encoding: SourceEncoding::Utf8,
        changes_only: false,
        products: 0,
        offers: 0,
        offers_with_stock: 0,
        offers_with_price: 0,
        problems: 0,
        documents: 0,
    };
    while let Some(event) = reader.next_event()? {
        match event {
            Event::Header(header) => checked.header = header.clone(),
            Event::Package(package) => {
                checked.changes_only |=
                    package.kind != PackageKind::Classifier && package.changes_only;
            }
            Event::Product(item) => {
                checked.products += 1;
                checked.problems += item.problems().count() as u64;
            }
            Event::Offer(item) => {
                checked.offers += 1;
                checked.offers_with_stock += u64::from(item.has_stock_element());
                checked.offers_with_price += u64::from(item.prices().next().is_some());
                checked.problems += item.problems().count() as u64;
            }
            _ => {}
        }
    }
    checked.encoding = reader.encoding();
    checked.documents = reader.documents();
    Ok(checked)
}

/// 1C writes `true` and `false`, neighbours `1` and `0`.
fn is_true(value: &str) -> bool {
    matches!(value.trim(), "true" | "1" | "True" | "TRUE")
}

/// Turns the XML reader's error into what a caller can act on.
fn explain(error: quick_xml::Error, line: u64) -> CmlError {
    match error {
        quick_xml::Error::Io(error) => explain_io(error, line),
        // All other errors of syntax are about the end of input inside markup.
        quick_xml::Error::Syntax(kind) if kind != SyntaxError::InvalidBangMarkup => {
            CmlError::Truncated { line }
        }
        source => CmlError::Malformed { line, source },
    }
}

fn explain_io(error: Arc<io::Error>, line: u64) -> CmlError {
    let inner = error.get_ref();
    if let Some(TooLong) = inner.and_then(|inner| inner.downcast_ref()) {
        return CmlError::TooMuch { line, what: "text" };
    }
    if let Some(TextError::Invalid { encoding, offset }) =
        inner.and_then(|inner| inner.downcast_ref())
    {
        return CmlError::Text(TextError::Invalid {
            encoding,
            offset: *offset,
        });
    }
    CmlError::Text(TextError::Read(io::Error::new(error.kind(), error)))
}
