//! Words in files: compared without case, blanks and punctuation, `ё` as `е`.

/// The letters and digits of a word, in lower case, `ё` as `е`.
fn letters(word: &str) -> impl Iterator<Item = char> {
    word.chars().filter_map(fold)
}

/// One letter or digit in lower case. The two alphabets of files are done by hand, because the general rules are ten
/// times slower and this runs for each line of a file.
fn fold(letter: char) -> Option<char> {
    match letter {
        'ё' | 'Ё' => Some('е'),
        'a'..='z' | 'а'..='я' | '0'..='9' => Some(letter),
        'А'..='Я' => char::from_u32(u32::from(letter) + 32),
        _ if letter.is_ascii_alphabetic() => Some(letter.to_ascii_lowercase()),
        _ if letter.is_ascii() || !letter.is_alphanumeric() => None,
        _ => letter.to_lowercase().next(),
    }
}

/// Whether two words are the same for a reader of files.
pub(super) fn same(word: &str, other: &str) -> bool {
    letters(word).eq(letters(other))
}

/// The canonical words and what else is written for them.
const TYPES: [(&str, &[&str]); 13] = [
    ("sale", &["продажа", "реализация", "чек"]),
    ("receipt", &["поступление", "приход", "поступление товаров"]),
    ("return", &["возврат", "возврат от покупателя"]),
    (
        "transfer_out",
        &["перемещение-расход", "перемещение расход", "отгрузка"],
    ),
    ("transfer_in", &["перемещение-приход", "перемещение приход"]),
    ("adjustment", &["корректировка"]),
    ("count", &["инвентаризация", "пересчет"]),
    ("write_off", &["списание", "writeoff"]),
    ("surplus", &["оприходование", "излишек"]),
    ("opening", &["ввод остатков", "начальный остаток"]),
    ("balance", &["остаток"]),
    ("void", &["аннулирование"]),
    ("cancel", &["отмена", "сторно"]),
];

/// The canonical English word for a movement type in English or Russian: one of `receipt`, `sale`, `return`,
/// `transfer_out`, `transfer_in`, `adjustment`, `count`, `write_off`, `surplus`, `opening`, `balance`, `void`, `cancel`.
///
/// Case, blanks and punctuation do not matter. Whether a file may use a type is not decided here.
pub fn movement_type(word: &str) -> Option<&'static str> {
    let word = word.trim();
    if let Some((canonical, _)) = TYPES.iter().find(|(canonical, _)| *canonical == word) {
        return Some(canonical);
    }
    let found = TYPES.iter().find(|(canonical, words)| {
        same(word, canonical) || words.iter().any(|known| same(word, known))
    });
    found.map(|(canonical, _)| *canonical)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_known_in_both_languages() {
        for (word, expected) in [
            ("sale", "sale"),
            (" Продажа ", "sale"),
            ("ПОСТУПЛЕНИЕ", "receipt"),
            ("Возврат от покупателя", "return"),
            ("перемещение-расход", "transfer_out"),
            ("Перемещение приход", "transfer_in"),
            ("Transfer-Out", "transfer_out"),
            ("корректировка", "adjustment"),
            ("инвентаризация", "count"),
            ("Пересчёт", "count"),
            ("списание", "write_off"),
            ("write-off", "write_off"),
            ("оприходование", "surplus"),
            ("отмена", "cancel"),
        ] {
            assert_eq!(movement_type(word), Some(expected), "{word:?}");
        }
    }

    #[test]
    fn a_transfer_without_a_direction_is_not_guessed() {
        assert_eq!(movement_type("перемещение"), None);
        assert_eq!(movement_type(""), None);
        assert_eq!(movement_type("-"), None);
    }
}
