//! What an item is called: by the catalogue, and where that is silent by its shops.

use std::collections::BTreeMap;

use vitrina_shared::registers::Item as CatalogueItem;

use crate::change::Words;

/// What the item is called, whoever says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Face {
    /// The model.
    pub(crate) article: Option<Box<str>>,
    /// The name.
    pub(crate) name: Option<Box<str>>,
    /// Size, stone and so on, by name.
    pub(crate) attributes: BTreeMap<Box<str>, Box<str>>,
    /// The ERP's id.
    pub(crate) external_id: Option<Box<str>>,
}

impl Face {
    /// Takes what a shop says.
    pub(super) fn hear(&mut self, words: &Words) {
        let say = |place: &mut Option<Box<str>>, word: &Option<Box<str>>| {
            if word.is_some() {
                place.clone_from(word);
            }
        };
        say(&mut self.article, &words.article);
        say(&mut self.name, &words.name);
        say(&mut self.external_id, &words.external_id);
        let attributes = [
            ("size", &words.size),
            ("stone", &words.stone),
            ("metal", &words.metal),
            ("fineness", &words.fineness),
            ("weight", &words.weight),
        ];
        for (name, value) in attributes {
            if let Some(value) = value {
                self.attributes.insert(name.into(), value.clone());
            }
        }
    }

    /// Takes what the catalogue says, which wins.
    pub(super) fn obey(&mut self, item: &CatalogueItem) {
        let say = |place: &mut Option<Box<str>>, word: &Option<String>| {
            if let Some(word) = word {
                *place = Some(word.as_str().into());
            }
        };
        say(&mut self.article, &item.article);
        say(&mut self.name, &item.name);
        say(&mut self.external_id, &item.external_id);
        for (name, value) in &item.attributes {
            self.attributes
                .insert(name.as_str().into(), value.as_str().into());
        }
    }
}
