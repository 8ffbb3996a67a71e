//! What a whole CommerceML file is, found out while it is checked to its end: in memory that does not grow with texts.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Read;

use vitrina_host::cml::{CmlError, CmlReader, Event, Item, PackageKind};

/// What the first look has shown.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// `ДатаФормирования` as written.
    pub(super) formed_at: Option<String>,
    /// It speaks only of what it lists.
    pub(super) changes_only: bool,
    /// Offers of packages.
    pub(super) offers: u64,
    /// Those that say something about stock.
    pub(super) with_stock: u64,
    /// Rows of articles whose variants are listed too.
    parents: HashSet<u64>,
    /// Barcodes that several offers have.
    shared: HashSet<u64>,
}

impl Survey {
    /// Reads a file to its end.
    ///
    /// # Errors
    ///
    /// [`CmlError`]; then nothing of the file may be applied.
    pub(super) fn of<R: Read>(source: R) -> Result<Self, CmlError> {
        let mut reader = CmlReader::open(source)?;
        let mut survey = Self::default();
        let mut collected = Collected::default();
        while let Some(event) = reader.next_event()? {
            match event {
                Event::Header(header) => survey.formed_at.clone_from(&header.formed_at),
                Event::Package(package) if package.kind == PackageKind::Offers => {
                    survey.changes_only |= package.changes_only;
                }
                Event::Offer(offer) => {
                    survey.offers += 1;
                    survey.with_stock += u64::from(offer.has_stock_element());
                    collected.offer(offer);
                }
                _ => {}
            }
        }
        survey.parents = collected.parents();
        survey.shared = collected.shared(&survey.parents);
        Ok(survey)
    }

    /// Whether it is the row of an article beside its variants: it says nothing of its own.
    pub(super) fn is_parent(&self, offer: &Item) -> bool {
        offer.variant_id().is_none() && self.parents.contains(&hash(offer.id()))
    }

    /// Whether several offers have this barcode.
    pub(super) fn is_shared(&self, barcode: &str) -> bool {
        self.shared.contains(&hash(barcode))
    }
}

/// Numbers instead of texts: a million offers are 32 MB.
#[derive(Default)]
struct Collected {
    plain: Vec<u64>,
    of_variants: Vec<u64>,
    codes: Vec<(u64, u64)>,
}

impl Collected {
    fn offer(&mut self, offer: &Item) {
        if offer.variant_id().is_some() {
            let product = hash(offer.product_id());
            // Variants of one article stand together.
            if self.of_variants.last() != Some(&product) {
                self.of_variants.push(product);
            }
        } else {
            self.plain.push(hash(offer.id()));
        }
        let id = hash(offer.id());
        self.codes
            .extend(offer.barcodes().map(|code| (hash(code), id)));
    }

    fn parents(&mut self) -> HashSet<u64> {
        self.of_variants.sort_unstable();
        let of_variants = &self.of_variants;
        self.plain
            .drain(..)
            .filter(|id| of_variants.binary_search(id).is_ok())
            .collect()
    }

    fn shared(mut self, parents: &HashSet<u64>) -> HashSet<u64> {
        self.codes.retain(|(_, id)| !parents.contains(id));
        self.codes.sort_unstable();
        self.codes.dedup();
        let pairs = self.codes.iter().zip(self.codes.iter().skip(1));
        pairs
            .filter(|(left, right)| left.0 == right.0)
            .map(|(left, _)| left.0)
            .collect()
    }
}

/// With fixed keys: the file cannot choose its texts against them in any way that hurts more than one file.
pub(super) fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(offers: &str) -> Survey {
        let text = format!(
            "<КоммерческаяИнформация ДатаФормирования=\"2026-11-22T10:00:00\"><ПакетПредложений СодержитТолькоИзменения=\"false\">\
             <Предложения>{offers}</Предложения></ПакетПредложений></КоммерческаяИнформация>"
        );
        Survey::of(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_barcode_of_several_offers_is_found_and_one_of_a_parent_is_not() {
        let found = survey(
            "<Предложение><Ид>P</Ид><Штрихкод>1</Штрихкод></Предложение>\
             <Предложение><Ид>P#a</Ид><Штрихкод>1</Штрихкод><Количество>2</Количество></Предложение>\
             <Предложение><Ид>Q</Ид><Штрихкод>2</Штрихкод></Предложение>\
             <Предложение><Ид>R</Ид><Штрихкод>2</Штрихкод></Предложение>",
        );

        assert_eq!((found.offers, found.with_stock), (4, 1));
        assert_eq!(found.formed_at.as_deref(), Some("2026-11-22T10:00:00"));
        assert!(found.is_shared("2") && !found.is_shared("1"));
        assert_eq!(found.parents.len(), 1);
    }
}
