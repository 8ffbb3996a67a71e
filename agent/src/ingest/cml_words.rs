//! What CommerceML says of a piece besides its stock: its barcode, its names, its properties. It is kept by id, because
//! offers of a later file name only the id.

use std::collections::HashMap;

use vitrina_host::cml::{Event, Item};
use vitrina_shared::Barcode;
use vitrina_shared::movement::Words;

use super::Context;
use super::line::barcode;
use crate::ledger::{LedgerError, register};

/// The most entries of a dictionary that are remembered while a file is read.
const MAX_ENTRIES: usize = 20_000;

/// The classifier's names of properties and of their values, as far as this file has them.
#[derive(Default)]
pub(super) struct Dictionary {
    properties: HashMap<String, String>,
    values: HashMap<String, String>,
}

impl Dictionary {
    /// Remembers an entry.
    pub(super) fn hear(&mut self, event: &Event<'_>) {
        match event {
            Event::Property(entry) if self.properties.len() < MAX_ENTRIES => {
                self.properties
                    .insert(entry.id.to_owned(), entry.name.to_lowercase());
            }
            Event::PropertyValue { id, value, .. } if self.values.len() < MAX_ENTRIES => {
                self.values.insert((*id).to_owned(), (*value).to_owned());
            }
            _ => {}
        }
    }

    fn property<'a>(&'a self, id: &'a str, value: &'a str) -> (&'a str, &'a str) {
        let name = self.properties.get(id).map_or(id, String::as_str);
        (name, self.values.get(value).map_or(value, String::as_str))
    }
}

/// What a file teaches about an id.
pub(super) struct Lesson {
    id: String,
    code: Option<Barcode>,
    words: Option<Words>,
}

impl Lesson {
    /// What an element says.
    pub(super) fn of(item: &Item, dictionary: &Dictionary) -> Option<Self> {
        if item.id().is_empty() || item.is_service() {
            return None;
        }
        let code = item.barcodes().find_map(|text| barcode(text).ok());
        let words = words(item, dictionary);
        let says_something = Words {
            external_id: None,
            ..words.clone()
        } != Words::default();
        Some(Self {
            id: item.id().to_owned(),
            code,
            words: says_something.then_some(words),
        })
    }

    /// The barcode of an id.
    pub(super) fn code(id: &str, code: &Barcode) -> Self {
        Self {
            id: id.to_owned(),
            code: Some(code.clone()),
            words: None,
        }
    }
}

/// Keeps what was learnt.
pub(super) fn learn(context: &Context<'_>, lessons: Vec<Lesson>) -> Result<(), LedgerError> {
    if context.wishes.dry_run || lessons.is_empty() {
        return Ok(());
    }
    context.core.write_background(move |conn| {
        for Lesson { id, code, words } in &lessons {
            if let Some(code) = code {
                register::learn_external_id(conn, id, code)?;
            }
            if let Some(words) = words {
                register::learn_words(conn, id, words)?;
            }
        }
        Ok(())
    })
}

/// What an element says of the piece.
pub(super) fn words(item: &Item, dictionary: &Dictionary) -> Words {
    let text = |text: &str| (!text.is_empty()).then(|| text.into());
    let mut words = Words {
        article: text(item.article()),
        name: text(item.name()),
        external_id: text(item.id()),
        ..Words::default()
    };
    let properties = item
        .properties()
        .map(|(id, value)| dictionary.property(id, value));
    for (name, value) in item
        .characteristics()
        .chain(item.requisites())
        .chain(properties)
    {
        if !value.is_empty() {
            set(&mut words, name, value);
        }
    }
    words
}

fn set(words: &mut Words, name: &str, value: &str) {
    let place = match name.to_lowercase().as_str() {
        "размер" | "size" => &mut words.size,
        "вставка" | "вставки" | "камень" | "stone" => &mut words.stone,
        "металл" | "metal" => &mut words.metal,
        "проба" | "fineness" => &mut words.fineness,
        "вес" | "weight" => &mut words.weight,
        _ => return,
    };
    place.get_or_insert_with(|| value.into());
}

/// Fills in what an earlier file told.
pub(super) fn complete(words: &mut Words, told: Option<Words>) {
    let Some(told) = told else { return };
    let fill = |place: &mut Option<Box<str>>, told: Option<Box<str>>| {
        if place.is_none() {
            *place = told;
        }
    };
    fill(&mut words.article, told.article);
    fill(&mut words.name, told.name);
    fill(&mut words.size, told.size);
    fill(&mut words.stone, told.stone);
    fill(&mut words.metal, told.metal);
    fill(&mut words.fineness, told.fineness);
    fill(&mut words.weight, told.weight);
}

#[cfg(test)]
mod tests {
    use vitrina_host::cml::CmlReader;

    use super::*;

    #[test]
    fn properties_are_read_through_the_dictionary() {
        let text = "<КоммерческаяИнформация><Классификатор><Свойства><Свойство><Ид>p1</Ид><Наименование>Проба</Наименование>\
            <ВариантыЗначений><Справочник><ИдЗначения>v1</ИдЗначения><Значение>585</Значение></Справочник></ВариантыЗначений>\
            </Свойство></Свойства></Классификатор><Каталог><Товары><Товар><Ид>A</Ид><Штрихкод>2000018987155</Штрихкод>\
            <Артикул>K-1</Артикул><Наименование>Кольцо</Наименование><ЗначенияСвойств><ЗначенияСвойства><Ид>p1</Ид>\
            <Значение>v1</Значение></ЗначенияСвойства></ЗначенияСвойств></Товар></Товары></Каталог></КоммерческаяИнформация>";
        let mut reader = CmlReader::open(text.as_bytes()).unwrap();
        let mut dictionary = Dictionary::default();
        let mut lessons = Vec::new();
        while let Some(event) = reader.next_event().unwrap() {
            match event {
                Event::Product(item) => lessons.extend(Lesson::of(item, &dictionary)),
                other => dictionary.hear(&other),
            }
        }

        let words = lessons[0].words.clone().unwrap();
        assert_eq!(words.fineness.as_deref(), Some("585"));
        assert_eq!(words.article.as_deref(), Some("K-1"));
        assert_eq!(lessons[0].code.as_ref().unwrap().as_str(), "2000018987155");
    }

    #[test]
    fn what_the_offer_says_itself_wins() {
        let mut own = Words {
            name: Some("Кольцо 17".into()),
            ..Words::default()
        };
        complete(
            &mut own,
            Some(Words {
                name: Some("Кольцо".into()),
                metal: Some("золото".into()),
                ..Words::default()
            }),
        );
        assert_eq!(own.name.as_deref(), Some("Кольцо 17"));
        assert_eq!(own.metal.as_deref(), Some("золото"));
    }
}
