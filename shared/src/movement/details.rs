//! The rest of a movement: what people want to read, and no count depends on.

use crate::movement::bytes::{
    read_bytes, read_varint, unzigzag, write_bytes, write_varint, zigzag,
};
use crate::{HoldId, Money, ReplicaId};

/// What the shop said of a movement besides its identity. Fields that a newer version added are skipped here and kept
/// in the movement's bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// The price of one unit.
    pub price: Option<Money>,
    /// Who stood at the till.
    pub cashier: Option<Box<str>>,
    /// A note for people; no identity.
    pub reference: Option<Box<str>>,
    /// The shop a transfer goes to.
    pub to: Option<Box<str>>,
    /// The shop a transfer comes from.
    pub from: Option<Box<str>>,
    /// The transfer's document.
    pub transfer: Option<Box<str>>,
    /// The document in the shop's 1C.
    pub document: Option<Box<str>>,
    /// The hold that this is for: a sale fulfils it, a transfer carries its piece.
    pub hold: Option<HoldId>,
    /// What was seen, where the units are a difference: a count's observation, a statement's or an opening's quantity.
    pub observed: Option<i64>,
    /// The file it came from.
    pub file: Option<Box<str>>,
    /// The shop's own words about the item, shown only where the catalogue is silent.
    pub words: Words,
    /// The replica that a head-office void is meant for.
    pub about: Option<ReplicaId>,
}

/// What a shop's file says of a barcode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// The model.
    pub article: Option<Box<str>>,
    /// The name.
    pub name: Option<Box<str>>,
    /// The size.
    pub size: Option<Box<str>>,
    /// The stone.
    pub stone: Option<Box<str>>,
    /// The metal.
    pub metal: Option<Box<str>>,
    /// The fineness, such as 585.
    pub fineness: Option<Box<str>>,
    /// The weight as written.
    pub weight: Option<Box<str>>,
    /// The ERP's id (CommerceML `Ид`).
    pub external_id: Option<Box<str>>,
}

impl Words {
    /// Takes what is said later: each word that it has replaces the one here, the others stay.
    pub fn overlay(&mut self, later: Self) {
        let fields = [
            (&mut self.article, later.article),
            (&mut self.name, later.name),
            (&mut self.size, later.size),
            (&mut self.stone, later.stone),
            (&mut self.metal, later.metal),
            (&mut self.fineness, later.fineness),
            (&mut self.weight, later.weight),
            (&mut self.external_id, later.external_id),
        ];
        for (field, later) in fields {
            if later.is_some() {
                *field = later;
            }
        }
    }
}

/// The most bytes one text of the rest keeps; longer ones are cut at a character.
const MAX_TEXT_BYTES: usize = 200;

/// Every text field with its number.
macro_rules! texts {
    ($details:expr, $visit:expr) => {
        $visit(2, &mut $details.cashier);
        $visit(3, &mut $details.reference);
        $visit(4, &mut $details.to);
        $visit(5, &mut $details.from);
        $visit(6, &mut $details.transfer);
        $visit(7, &mut $details.document);
        $visit(10, &mut $details.file);
        $visit(16, &mut $details.words.article);
        $visit(17, &mut $details.words.name);
        $visit(18, &mut $details.words.size);
        $visit(19, &mut $details.words.stone);
        $visit(20, &mut $details.words.metal);
        $visit(21, &mut $details.words.fineness);
        $visit(22, &mut $details.words.weight);
        $visit(23, &mut $details.words.external_id);
    };
}

impl Details {
    /// The bytes: fields in the order of their numbers, each `(number, length, bytes)`; an absent field has none.
    pub fn to_bytes(&self) -> Box<[u8]> {
        let mut fields: Vec<(u8, Vec<u8>)> = Vec::new();
        if let Some(price) = self.price {
            let mut bytes = Vec::with_capacity(8);
            write_varint(&mut bytes, zigzag(price.hundredths));
            if price.currency != crate::money::Currency::RUB {
                bytes.extend_from_slice(price.currency.as_str().as_bytes());
            }
            fields.push((1, bytes));
        }
        if let Some(hold) = self.hold {
            fields.push((8, hold.0.to_vec()));
        }
        if let Some(observed) = self.observed {
            let mut bytes = Vec::with_capacity(4);
            write_varint(&mut bytes, zigzag(observed));
            fields.push((9, bytes));
        }
        if let Some(about) = self.about {
            fields.push((11, about.0.to_vec()));
        }
        let mut copy = self.clone();
        let mut text = |number: u8, field: &mut Option<Box<str>>| {
            if let Some(text) = field {
                fields.push((number, cut(text).as_bytes().to_vec()));
            }
        };
        texts!(copy, text);
        fields.sort_by_key(|(number, _)| *number);
        let mut out = Vec::new();
        for (number, bytes) in &fields {
            out.push(*number);
            write_bytes(&mut out, bytes);
        }
        out.into()
    }

    /// Reads what this version knows; the unknown and the malformed is skipped, never an error: a chained movement
    /// counts whatever its rest says.
    pub fn read(mut rest: &[u8]) -> Self {
        let mut details = Self::default();
        while let Some((number, mut tail)) = rest.split_first() {
            let Ok(bytes) = read_bytes(&mut tail, usize::MAX) else {
                break;
            };
            details.set(*number, bytes);
            rest = tail;
        }
        details
    }

    fn set(&mut self, number: u8, bytes: &[u8]) {
        match number {
            1 => self.price = read_price(bytes),
            8 => self.hold = bytes.try_into().ok().map(HoldId),
            9 => self.observed = read_varint(&mut &*bytes).ok().map(unzigzag),
            11 => self.about = bytes.try_into().ok().map(ReplicaId),
            _ => {
                let value = std::str::from_utf8(bytes).ok();
                let text = |known: u8, field: &mut Option<Box<str>>| {
                    if known == number {
                        *field = value.map(Into::into);
                    }
                };
                texts!(self, text);
            }
        }
    }
}

fn read_price(mut bytes: &[u8]) -> Option<Money> {
    let hundredths = unzigzag(read_varint(&mut bytes).ok()?);
    let currency = match bytes {
        [] => crate::money::Currency::RUB,
        letters => std::str::from_utf8(letters).ok()?.parse().ok()?,
    };
    Some(Money {
        hundredths,
        currency,
    })
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_TEXT_BYTES))
        .unwrap_or("")
}
