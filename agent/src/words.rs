//! What a person reads of a trouble: its cause in the language of the shop, and what cures it.
//!
//! Stored and sent messages, JSON and the API stay English and without cures. A message is turned into Russian where it
//! is printed, by a book of phrases; what is not in it stays as it is, as do codes and field names.

use std::borrow::Cow;

use vitrina_host::cml::CmlError;
use vitrina_host::csv::CsvError;
use vitrina_host::output::Lang;
use vitrina_host::package::PackageError;
use vitrina_host::say;

use crate::ingest::Unusable;

/// English and Russian by turns, a line each. `{}` is any text, at the same turn in both; at the beginning in both, since
/// it is also the name of the field. The first phrase that fits counts. A text and no table, whose addresses would be a
/// third more of every shop's binary.
const RUSSIAN: &str = include_str!("words/russian.txt");

/// An English text of ours in a language.
pub(crate) fn said(lang: Lang, text: &str) -> Cow<'_, str> {
    match lang {
        Lang::En => text.into(),
        Lang::Ru => in_russian(text),
    }
}

/// The text as a whole, else what stands before and behind its first colon: `qty: "x": this is not a number`.
fn in_russian(text: &str) -> Cow<'_, str> {
    if let Some(phrase) = phrase(text) {
        return phrase.into();
    }
    match text.split_once(": ") {
        Some((first, rest)) => {
            let first = phrase(first).map_or(first.into(), Cow::from);
            format!("{first}: {}", in_russian(rest)).into()
        }
        None => text.into(),
    }
}

fn phrase(text: &str) -> Option<String> {
    let mut lines = RUSSIAN.lines();
    while let (Some(english), Some(russian)) = (lines.next(), lines.next()) {
        if let Some(values) = values(english, text) {
            let mut values = values.into_iter().map(in_russian);
            let mut parts = russian.split("{}");
            let mut filled = parts.next().unwrap_or_default().to_owned();
            for part in parts {
                filled.push_str(&values.next().unwrap_or_default());
                filled.push_str(part);
            }
            return Some(filled);
        }
    }
    None
}

/// What stands in a text where the phrase has `{}`; nothing when it is another text.
fn values<'t>(phrase: &str, text: &'t str) -> Option<Vec<&'t str>> {
    let Some((first, rest)) = phrase.split_once("{}") else {
        return (phrase == text).then(Vec::new);
    };
    let mut text = text.strip_prefix(first)?;
    let mut values = Vec::new();
    let mut parts = rest.split("{}").peekable();
    while let Some(part) = parts.next() {
        let (value, behind) = match parts.peek() {
            Some(_) => text.split_once(part)?,
            None => (text.strip_suffix(part)?, ""),
        };
        values.push(value);
        text = behind;
    }
    Some(values)
}

/// What cures the cause with this code; nothing where the cause says it itself.
pub(crate) fn cure(lang: Lang, code: &str) -> Option<&'static str> {
    let cures = match code {
        "unknown_type" | "invalid_type" => TYPES,
        "bad_quantity" | "fractional_quantity" | "invalid_qty" => QUANTITY,
        "bad_price" => PRICE,
        "missing_at" | "bad_time" | "invalid_time" => TIME,
        "bad_barcode" => BARCODE,
        "bad_condition" => CONDITION,
        "bad_line_number" | "line_missing" | "receipt_missing" => RECEIPT,
        "missing_shop" => SHOP,
        "till_missing" => TILL,
        "wrong_field_count" => FIELDS,
        "control_character" | "record_too_long" | "bad_text" | "too_long" => TEXT,
        "receipt_conflict" => CONFLICT,
        "voided_before" => VOIDED,
        "before_opening" => BEFORE_OPENING,
        "source_is_balances" => SOURCE,
        "nothing_to_cancel" => NOTHING_TO_CANCEL,
        "barcode_conflict" | "missing_id" => OFFERS,
        _ => return None,
    };
    Some(of(lang, cures))
}

/// What cures a file of which nothing can be taken.
pub(crate) fn cure_of_file(lang: Lang, wrong: &Unusable) -> &'static str {
    let cures = match wrong {
        Unusable::Csv(error) => match error {
            CsvError::Empty
            | CsvError::Header { .. }
            | CsvError::TooManyColumns { .. }
            | CsvError::UnknownTable { .. }
            | CsvError::MissingColumns { .. } => COLUMNS,
            CsvError::DuplicateColumn { .. } => ONE_COLUMN,
            CsvError::Text(_) | CsvError::UnclosedQuote { .. } | CsvError::Truncated { .. } => {
                AGAIN
            }
        },
        Unusable::Cml(error) => match error {
            CmlError::Text(_)
            | CmlError::Truncated { .. }
            | CmlError::Malformed { .. }
            | CmlError::SecondRoot { .. } => AGAIN,
            CmlError::NotCommerceMl { .. }
            | CmlError::Doctype { .. }
            | CmlError::UnknownEntity { .. }
            | CmlError::TooMuch { .. } => EXPORT,
        },
        Unusable::Package(PackageError::Io(_) | PackageError::Damaged(_)) => AGAIN,
        Unusable::Package(_) => PACK,
        Unusable::ForTheHub(_) => HUB,
        Unusable::OpenedBefore => OPENED,
    };
    of(lang, cures)
}

/// A cure as a line.
pub(crate) fn cure_in_words(lang: Lang, cure: &str) -> String {
    say!(lang, "what to do: {cure}", "что делать: {cure}")
}

fn of(lang: Lang, [english, russian]: [&'static str; 2]) -> &'static str {
    match lang {
        Lang::En => english,
        Lang::Ru => russian,
    }
}

const TYPES: [&str; 2] = [
    "write sale, return, receipt, transfer_out, transfer_in, adjustment, count, write_off, surplus or cancel",
    "напишите sale (продажа), return (возврат), receipt (приход), transfer_out (отгрузка), transfer_in (перемещение-приход), \
     adjustment (корректировка), count (пересчёт), write_off (списание), surplus (излишек) или cancel (отмена)",
];
const QUANTITY: [&str; 2] = [
    "write whole pieces, at most 1000000; of a movement more than 0, but an adjustment is signed and a count may be 0",
    "напишите целое число, не больше 1000000; у движения больше 0, но у adjustment — со знаком, а у count можно 0",
];
const PRICE: [&str; 2] = [
    "write roubles with at most two decimals, such as 45900,00, or nothing",
    "напишите рубли, не больше двух знаков после запятой, например 45900,00, или ничего",
];
const TIME: [&str; 2] = [
    "write the shop's time as 22.11.2026 09:14:03",
    "напишите время магазина, например 22.11.2026 09:14:03",
];
const BARCODE: [&str; 2] = [
    "write the code as the scanner reads it",
    "напишите код так, как его читает сканер",
];
const CONDITION: [&str; 2] = [
    "write sellable, unavailable or nothing",
    "напишите sellable, unavailable или ничего",
];
const RECEIPT: [&str; 2] = [
    "write the receipt's number and the number of the line on it: 1, 2, 3",
    "укажите номер чека (receipt) и номер строки в нём (line): 1, 2, 3",
];
const SHOP: [&str; 2] = [
    "write the other shop's code into to (transfer_out) or from (transfer_in)",
    "укажите код другого магазина: в to (transfer_out) или в from (transfer_in)",
];
const TILL: [&str; 2] = ["add the column till", "добавьте столбец till (касса)"];
const FIELDS: [&str; 2] = [
    "put texts with separators or quotes in them between quotes, and write the file again",
    "возьмите в кавычки тексты с разделителями и кавычками и выгрузите файл ещё раз",
];
const TEXT: [&str; 2] = [
    "set the text right in the program that wrote it, and write the file again",
    "исправьте текст в программе, которая его записала, и выгрузите файл ещё раз",
];
const CONFLICT: [&str; 2] = [
    "if the booked line is wrong, cancel it (vitrina-agent move cancel BARCODE --receipt R --line N --at T) and bring this \
     one under another receipt number; then, and also if it is right and stays, quarantine drop ID",
    "если записанная строка неверна, отмените её (vitrina-agent move cancel ШТРИХКОД --receipt R --line N --at T), а эту \
     принесите под другим номером чека; затем, и если записанная верна и остаётся, quarantine drop ID",
];
const VOIDED: [&str; 2] = [
    "if it happened all the same, book it under another receipt or line; if not, quarantine drop ID",
    "если оно всё же было, запишите его под другим чеком или строкой; если нет — quarantine drop ID",
];
const BEFORE_OPENING: [&str; 2] = [
    "as a rule quarantine drop ID; retry ID --force only if the opening does not have it",
    "обычно quarantine drop ID; retry ID --force — только если во вводе остатков этого нет",
];
const SOURCE: [&str; 2] = [
    "if that is so, quarantine drop ID; if the tills shall keep the books, head office says vitrina-hub shop set SHOP \
     --source movements, then here vitrina-agent source follow and quarantine retry ID",
    "если так и есть — quarantine drop ID; если учёт должны вести кассы, офис выполняет vitrina-hub shop set МАГАЗИН \
     --source movements, затем здесь vitrina-agent source follow и quarantine retry ID",
];
const NOTHING_TO_CANCEL: [&str; 2] = [
    "till, receipt, line and day must be those of the line as it was booked: see vitrina-agent sales",
    "касса, чек, строка и день должны быть как у записанной строки: см. vitrina-agent sales",
];
const OFFERS: [&str; 2] = [
    "set it right in 1C and export again: each offer has an id and barcodes of its own",
    "исправьте в 1С и выгрузите снова: у каждого предложения свой Ид и свои штрихкоды",
];
const COLUMNS: [&str; 2] = [
    "the first line names the columns: of movements type;receipt;line;barcode;qty;price;at, of balances barcode;qty, of ids external_id;barcode",
    "первая строка называет столбцы: движения — тип;чек;строка;штрихкод;количество;цена;дата, остатки — штрихкод;остаток, \
     коды — ид;штрихкод (или type;receipt;line;barcode;qty;price;at)",
];
const ONE_COLUMN: [&str; 2] = [
    "take one of the two out of the file, or give it another name",
    "уберите один из двух или назовите его иначе",
];
const AGAIN: [&str; 2] = [
    "the file is cut short, damaged or of another encoding: write it again, as UTF-8 or windows-1251, and copy it whole",
    "файл обрезан, повреждён или в другой кодировке: выгрузите его ещё раз в UTF-8 или windows-1251 и скопируйте целиком",
];
const EXPORT: [&str; 2] = [
    "export it from 1C as CommerceML 2 (import.xml, offers.xml), or write CSV",
    "выгрузите его из 1С как CommerceML 2 (import.xml, offers.xml) или пришлите CSV",
];
const PACK: [&str; 2] = [
    "pack the XML or CSV files alone into one zip, or send them unpacked",
    "упакуйте в один zip только файлы XML или CSV или пришлите их без архива",
];
const HUB: [&str; 2] = [
    "give it to head office: vitrina-hub shop add --from FILE",
    "передайте его в офис: vitrina-hub shop add --from ФАЙЛ",
];
const OPENED: [&str; 2] = [
    "import it without --opening: it is compared then",
    "примите его без --opening: тогда он будет сверен",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn ru(text: &str) -> String {
        said(Lang::Ru, text).into_owned()
    }

    #[test]
    fn values_keep_their_place_and_fields_their_names() {
        assert_eq!(
            ru("qty: \"a: b\": this is not a number"),
            "qty: \"a: b\": это не число"
        );
        assert_eq!(
            ru("line: this receipt line is in the ledger as sale of 42, quantity -1"),
            "line: эта строка чека уже в журнале: sale, штрихкод 42, количество -1"
        );
        assert_eq!(
            ru("it would add 2 units to 3; quarantine retry --force takes it all the same"),
            "файл добавил бы 2 шт. к 3; принять всё равно: vitrina-agent quarantine retry ID --force"
        );
    }

    #[test]
    fn what_has_no_phrase_stays_as_it_is_and_english_is_never_touched() {
        assert_eq!(
            ru("Permission denied (os error 13)"),
            "Permission denied (os error 13)"
        );
        assert_eq!(said(Lang::En, "must not be 0"), "must not be 0");
    }

    #[test]
    fn no_phrase_asks_for_more_values_than_it_was_given() {
        let lines: Vec<&str> = RUSSIAN.lines().collect();
        assert_eq!(lines.len() % 2, 0);
        for pair in lines.chunks(2) {
            let [english, russian] = pair else {
                panic!("{pair:?}")
            };
            assert!(english.is_ascii() && !russian.is_ascii(), "{pair:?}");
            let [english, russian] = [english, russian].map(|text| text.matches("{}").count());
            // What follows at the end may be said anew.
            assert!(russian <= english, "{pair:?}");
        }
    }

    #[test]
    fn the_errors_of_numbers_and_times_are_phrases() {
        use vitrina_host::number::NumberError;
        use vitrina_host::when::WhenError;
        let numbers = [
            NumberError::Empty,
            NumberError::NotANumber,
            NumberError::Exponent,
            NumberError::TooManyDecimals,
            NumberError::Fractional,
            NumberError::Negative,
            NumberError::Overflow,
        ];
        let times = [
            WhenError::Empty,
            WhenError::UnknownForm,
            WhenError::NoSuchMoment,
        ];
        let numbers = numbers.map(|error| error.to_string());
        let times = times.map(|error| error.to_string());
        for text in numbers.iter().chain(&times) {
            assert!(!ru(text).is_ascii(), "{text}");
        }
    }
}
