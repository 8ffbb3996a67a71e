//! The words behind the ids of CommerceML: the classifier names groups, properties and values, and goods, which may come in
//! a later file, name their ids.

use std::collections::HashMap;

use vitrina_host::cml::Event;

use crate::store::{Word, WordKind};

/// The most words that are kept: a chain has thousands.
const MAX_WORDS: usize = 200_000;
/// The longest id of one, in bytes: it is a GUID.
const MAX_ID_BYTES: usize = 200;
/// The longest word, in characters.
const MAX_WORD_CHARS: usize = 500;

/// Every word that is known.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// By kind, then by id.
    known: HashMap<WordKind, HashMap<String, String>>,
    count: usize,
    /// There were more than are kept.
    pub(super) is_full: bool,
}

impl Words {
    /// Those that earlier files brought.
    pub(super) fn of(rows: Vec<Word>) -> Self {
        let mut words = Self::default();
        for word in rows {
            words.add(word.kind, &word.id, word.text);
        }
        words
    }

    /// What an id is called.
    pub(super) fn get(&self, kind: WordKind, id: &str) -> Option<&str> {
        self.known.get(&kind)?.get(id).map(String::as_str)
    }

    /// Takes what an element says; what was not known before is to be kept.
    pub(super) fn learn(&mut self, event: &Event<'_>) -> Option<Word> {
        let (kind, id, text) = match event {
            Event::Group(entry) => (WordKind::Group, entry.id, entry.name),
            Event::Property(entry) => (WordKind::Property, entry.id, entry.name),
            Event::PropertyValue { id, value, .. } => (WordKind::Value, *id, *value),
            Event::PriceType { entry, currency } => (WordKind::Currency, entry.id, *currency),
            Event::Header(_)
            | Event::Package(_)
            | Event::Warehouse(_)
            | Event::Product(_)
            | Event::Offer(_) => return None,
        };
        let text: String = text.trim().chars().take(MAX_WORD_CHARS).collect();
        let is_sayable = !id.is_empty() && id.len() <= MAX_ID_BYTES && !text.is_empty();
        if !is_sayable || self.get(kind, id) == Some(&text) {
            return None;
        }
        self.add(kind, id, text.clone()).then(|| Word {
            kind,
            id: id.to_owned(),
            text,
        })
    }

    /// Whether there was room for it.
    fn add(&mut self, kind: WordKind, id: &str, text: String) -> bool {
        let of_kind = self.known.entry(kind).or_default();
        if let Some(word) = of_kind.get_mut(id) {
            *word = text;
            return true;
        }
        if self.count == MAX_WORDS {
            self.is_full = true;
            return false;
        }
        self.count += 1;
        of_kind.insert(id.to_owned(), text);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_classifier_without_an_end_takes_no_room_without_an_end() {
        let mut words = Words::default();

        let kept = (0..MAX_WORDS + 10)
            .filter(|n| words.add(WordKind::Value, &n.to_string(), "word".to_owned()))
            .count();

        assert_eq!((kept, words.is_full), (MAX_WORDS, true));
        assert!(words.add(WordKind::Value, "7", "another".to_owned()));
        assert_eq!(words.get(WordKind::Value, "7"), Some("another"));
    }
}
