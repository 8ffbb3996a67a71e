//! Which barcodes an article has, as a person types it.

use std::collections::BTreeSet;

use rusqlite::Connection;
use serde::Deserialize;
use vitrina_shared::{Barcode, Details};

use super::{LedgerError, log};

const OF_CATALOGUE: &str = "SELECT key, value FROM register WHERE kind = 1";
const OF_SHOP: &str = "SELECT barcode, rest FROM words";

/// Of an item only this; one that this version cannot read has none.
#[derive(Deserialize)]
struct Named {
    article: Option<String>,
}

/// The barcodes whose article, in the catalogue or in the shop's own words, is `article` to a person's eye; at most
/// `limit`, in order. Reads every item: some ten milliseconds for a large catalogue, and nothing is kept for it.
pub(crate) fn barcodes(
    conn: &Connection,
    article: &str,
    limit: usize,
) -> Result<Vec<Barcode>, LedgerError> {
    let wanted = folded(article);
    let mut found = BTreeSet::new();
    let mut query = conn.prepare_cached(OF_CATALOGUE)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let item = row.get_ref(1)?.as_str().map(serde_json::from_str::<Named>);
        let article = item.ok().and_then(Result::ok).and_then(|item| item.article);
        if article.is_some_and(|text| folded(&text) == wanted) {
            found.insert(row.get::<_, String>(0)?);
        }
    }
    let mut query = conn.prepare_cached(OF_SHOP)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let words = Details::read(row.get_ref(1)?.as_blob().unwrap_or_default()).words;
        if words.article.is_some_and(|text| folded(&text) == wanted) {
            found.insert(row.get(0)?);
        }
    }
    found
        .iter()
        .take(limit)
        .map(|text| log::barcode(text))
        .collect()
}

/// A text as it looks: capitals, without blanks, and with one letter for those that look the same in both alphabets.
/// Nobody sees which of them a tag was printed with.
fn folded(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_whitespace())
        .flat_map(char::to_uppercase)
        .map(latin)
        .collect()
}

fn latin(letter: char) -> char {
    match letter {
        'А' => 'A',
        'В' => 'B',
        'Е' | 'Ё' => 'E',
        'К' => 'K',
        'М' => 'M',
        'Н' => 'H',
        'О' => 'O',
        'Р' => 'P',
        'С' => 'C',
        'Т' => 'T',
        'У' => 'Y',
        'Х' => 'X',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use vitrina_host::migrate::migrate;
    use vitrina_shared::movement::Words;

    use super::super::schema;
    use super::*;

    #[test]
    fn an_article_is_found_however_it_is_typed_in_catalogue_and_own_words() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate(&mut conn, schema::STEPS).unwrap();
        let item = |key: &str, value: &str| {
            let put =
                "INSERT INTO register (kind, key, value, seq, generation) VALUES (1, ?1, ?2, 1, 1)";
            conn.execute(put, [key, value]).unwrap();
        };
        item("2000000000022", r#"{"article":"K-1234"}"#);
        item("2000000000015", r#"{"article":"К-1234","name":"Кольцо"}"#);
        item("2000000000039", r#"{"article":"K-12345"}"#);
        item("2000000000046", "{}");
        item("2000000000060", "nothing that this version reads");
        let details = Details {
            words: Words {
                article: Some("k-1234".into()),
                ..Words::default()
            },
            ..Details::default()
        };
        let put = "INSERT INTO words (barcode, at, rest) VALUES ('2000000000053', 1, ?1)";
        conn.execute(put, [&*details.to_bytes()]).unwrap();

        for typed in ["K-1234", "к-1234", " K-12 34"] {
            let found = barcodes(&conn, typed, 10).unwrap();
            let found: Vec<_> = found.iter().map(Barcode::as_str).collect();
            let all = ["2000000000015", "2000000000022", "2000000000053"];
            assert_eq!(found, all, "{typed}");
        }
        assert_eq!(barcodes(&conn, "K-1234", 2).unwrap().len(), 2);
        assert!(barcodes(&conn, "K-123", 10).unwrap().is_empty());
    }
}
