use encoding_rs::WINDOWS_1251;
use proptest::prelude::*;

use super::*;

const MOVEMENTS: &str = "type;receipt;line;barcode;qty;price;at\n";

/// Every row as `line:first column of interest`, every bad one as `line!code`.
fn outline(text: &[u8], column: Column) -> Result<Vec<String>, CsvError> {
    let mut reader = CsvReader::open(text)?;
    let mut found = Vec::new();
    while let Some(line) = reader.next_line()? {
        found.push(match line {
            Line::Row(row) => format!("{}:{}", row.line(), row.get(column).unwrap_or("-")),
            Line::Bad(bad) => format!("{}!{}", bad.line, bad.reason.code()),
        });
    }
    Ok(found)
}

fn table(header: &str) -> Result<Table, CsvError> {
    let reader = CsvReader::open(header.as_bytes())?;
    Ok(reader.header().table())
}

#[test]
fn the_header_decides_what_the_file_is() {
    for (header, expected) in [
        ("type;receipt;line;barcode;qty;price;at", Table::Movements),
        (
            "at,price,qty,barcode,line,receipt,type,till,to,from,transfer,ref,doc,cashier,condition",
            Table::Movements,
        ),
        (
            "Тип;Чек;Строка;ШтрихКод;Количество;Цена;Дата",
            Table::Movements,
        ),
        ("barcode;qty", Table::Balances),
        ("Штрихкод\tОстаток\tМагазин", Table::Balances),
        ("  ШТРИХ-КОД ; Кол-во ;Вставка", Table::Balances),
        (
            "barcode,article,name,price,size,stone,metal,weight,fineness",
            Table::Catalogue,
        ),
        ("Ид;Штрихкод;Наименование", Table::Catalogue),
        (
            "shop,name,city,address,lat,lon,tz,hours,type,external_id",
            Table::Shops,
        ),
        (
            "shop;source;source_every;holds;warehouse;local_prefix;publish",
            Table::Shops,
        ),
        ("alias;barcode", Table::Aliases),
        ("Ид;barcode", Table::Aliases),
        ("external_id;barcode", Table::Aliases),
        ("sep=,\nbarcode,qty", Table::Balances),
        ("\r\n\r\n\"barcode\";\"qty\"", Table::Balances),
    ] {
        assert_eq!(table(header).unwrap(), expected, "{header}");
    }
}

#[test]
fn a_header_that_says_too_little_is_an_error_that_names_what_lacks() {
    assert!(matches!(table(""), Err(CsvError::Empty)));
    assert!(matches!(table("\n \n"), Err(CsvError::Empty)));
    assert!(matches!(
        table("2000018987155;1"),
        Err(CsvError::UnknownTable { columns }) if columns == "2000018987155;1"
    ));
    assert!(matches!(
        table("type;receipt;barcode;qty"),
        Err(CsvError::MissingColumns { table: Table::Movements, missing }) if missing == "at"
    ));
    assert!(matches!(
        table("article;qty"),
        Err(CsvError::MissingColumns { table: Table::Balances, missing }) if missing == "barcode"
    ));
    assert!(matches!(
        table("barcode;qty;Остаток"),
        Err(CsvError::DuplicateColumn { meaning: "qty", first, second })
            if first == "qty" && second == "Остаток"
    ));
    let wide = format!("barcode;qty{}", ";x".repeat(MAX_COLUMNS));
    assert!(matches!(table(&wide), Err(CsvError::TooManyColumns { .. })));
}

#[test]
fn unknown_columns_are_listed_and_do_no_harm() {
    let file = "barcode;Коммент;qty;;\n1;x;5\n2;y;6;;;\n";
    let checked = check(file.as_bytes()).unwrap();
    assert_eq!(checked.unknown, ["Коммент"]);
    assert_eq!((checked.rows, checked.bad), (2, 0));
    assert_eq!(
        outline(file.as_bytes(), Column::Qty).unwrap(),
        ["2:5", "3:6"]
    );
}

#[test]
fn values_are_trimmed_and_empty_ones_are_none() {
    let file = "barcode;qty;price;name\n 007 ;\t5 ;1\u{a0}719,00; \n";
    let mut reader = CsvReader::open(file.as_bytes()).unwrap();
    let Some(Line::Row(row)) = reader.next_line().unwrap() else {
        panic!("a row")
    };
    assert_eq!(row.get(Column::Barcode), Some("007"));
    assert_eq!(row.get(Column::Qty), Some("5"));
    assert_eq!(row.get(Column::Price), Some("1\u{a0}719,00"));
    assert_eq!(row.get(Column::Name), None);
    assert_eq!(row.get(Column::At), None);
    assert_eq!(row.raw(), " 007 ;\t5 ;1\u{a0}719,00; ");
}

#[test]
fn in_balances_a_shop_column_names_the_warehouse() {
    let found = outline(
        "barcode;qty;Магазин\n1;1;S017\n".as_bytes(),
        Column::Warehouse,
    );
    assert_eq!(found.unwrap(), ["2:S017"]);
}

#[test]
fn a_bad_line_stops_nothing_but_itself() {
    let long = "x".repeat(MAX_RECORD_BYTES);
    let file = format!(
        "{MOVEMENTS}\
         sale;1;1;A;1;10;22.11.2026\n\
         sale;1;2;B;1;10\n\
         sale;1;3;C;1;10;22.11.2026;extra\n\
         sale;1;4;D\u{0};1;10;22.11.2026\n\
         {long};\n\
         ;;;;;;\n\
         \n\
         sale;1;5;E;1;10;22.11.2026;;\n"
    );
    assert_eq!(
        outline(file.as_bytes(), Column::Barcode).unwrap(),
        [
            "2:A",
            "3!wrong_field_count",
            "4!wrong_field_count",
            "5!control_character",
            "6!record_too_long",
            "9:E"
        ]
    );
}

#[test]
fn a_bad_line_brings_its_raw_text_capped() {
    let file = format!("barcode;qty\nA;1;{}\nB;1\n", "Ж".repeat(5_000));
    let mut reader = CsvReader::open(file.as_bytes()).unwrap();
    let Some(Line::Bad(bad)) = reader.next_line().unwrap() else {
        panic!("a bad row")
    };
    assert!(bad.raw.starts_with("A;1;Ж"));
    assert!((MAX_RAW_BYTES - 1..=MAX_RAW_BYTES).contains(&bad.raw.len()));
    assert_eq!(bad.reason.to_string(), "3 fields where the header has 2");
}

#[test]
fn a_line_without_end_is_one_bad_line_and_is_not_kept() {
    let endless = std::io::repeat(b'x').take(40 << 20);
    let file = b"barcode;qty\n"
        .chain(endless)
        .chain(&b"\n2000018987155;1\n"[..]);
    let mut reader = CsvReader::open(file).unwrap();

    assert!(matches!(
        reader.next_line().unwrap(),
        Some(Line::Bad(BadRow { line: 2, reason: BadReason::RecordTooLong, raw })) if raw.len() <= MAX_RAW_BYTES
    ));
    assert!(reader.record.raw().len() <= MAX_RECORD_BYTES + 1);
    assert!(matches!(reader.next_line().unwrap(), Some(Line::Row(row)) if row.line() == 3));
}

#[test]
fn a_quote_without_end_is_an_error_before_the_rest_is_read() {
    let file = b"barcode;qty\n\"".chain(std::io::repeat(b'x'));
    let mut reader = CsvReader::open(file).unwrap();

    assert!(matches!(
        reader.next_line(),
        Err(CsvError::UnclosedQuote { line: 2 })
    ));
}

#[test]
fn a_line_of_ten_thousand_fields_is_one_bad_line() {
    let file = format!("barcode;qty\n{}\n2000018987155;1\n", "1;".repeat(10_000));
    assert_eq!(
        outline(file.as_bytes(), Column::Barcode).unwrap(),
        ["2!wrong_field_count", "3:2000018987155"]
    );
}

#[test]
fn quotes_hold_separators_quotes_and_line_ends() {
    let file =
        "barcode;name;qty\n1;\"Кольцо; \"\"Луч\"\"\r\nбелое\";1\n2;Серьги 17\" ;2\n3;\"\";3\n";
    let names = outline(file.as_bytes(), Column::Name).unwrap();
    assert_eq!(
        names,
        ["2:Кольцо; \"Луч\"\r\nбелое", "4:Серьги 17\"", "5:-"]
    );
    assert_eq!(
        outline(file.as_bytes(), Column::Qty).unwrap(),
        ["2:1", "4:2", "5:3"]
    );
}

#[test]
fn an_unclosed_quote_names_its_line_and_swallows_nothing_silently() {
    let short = "barcode;qty\n1;1\n2;\"5\n3;1\n";
    let long = format!("{short}{}", "4;1\n".repeat(100_000));
    for file in [short, &long] {
        let error = check(file.as_bytes()).unwrap_err();
        assert!(
            matches!(error, CsvError::UnclosedQuote { line: 3 }),
            "{error}"
        );
    }
}

#[test]
fn a_cut_file_is_told_from_one_without_a_last_line_end() {
    let whole = format!("{MOVEMENTS}sale;1;1;A;1;10;22.11.2026 10:00:00");
    assert_eq!(check(whole.as_bytes()).unwrap().rows, 1);
    for cut in ["\nsale;1;2;B;1;1", "\nsa", "\n\u{0}\u{0}\u{0}\u{0}"] {
        let error = check(format!("{whole}{cut}").as_bytes()).unwrap_err();
        assert!(
            matches!(error, CsvError::Truncated { line: 3 }),
            "{cut:?}: {error}"
        );
    }
}

#[test]
fn a_file_that_ends_with_ctrl_z_is_whole() {
    assert_eq!(check(&b"barcode;qty\r\n1;1\r\n\x1A"[..]).unwrap().rows, 1);
}

#[test]
fn every_encoding_gives_the_same_rows() {
    let text = "Штрихкод;Количество;Наименование\r\n2000018987155;1;Кольцо «Ёлка»\r\n";
    let utf16: Vec<u8> = std::iter::once(0xFEFF)
        .chain(text.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let legacy = WINDOWS_1251.encode(text).0.into_owned();
    let marked = [b"\xEF\xBB\xBF", text.as_bytes()].concat();
    for bytes in [text.as_bytes().to_vec(), marked, legacy, utf16] {
        assert_eq!(outline(&bytes, Column::Name).unwrap(), ["2:Кольцо «Ёлка»"]);
    }
}

#[test]
fn bytes_of_no_encoding_are_an_error_of_the_file() {
    let bytes = [b"\xEF\xBB\xBFbarcode;qty\n", &b"1;\xFF\n"[..]].concat();
    assert!(matches!(
        check(&bytes[..]),
        Err(CsvError::Text(TextError::Invalid { offset: 17, .. }))
    ));
}

#[test]
fn the_real_inventory_of_another_shop_system_has_no_barcodes_and_says_so() {
    let Some(file) = sample("shopify-inventory-csv/new-format-2026-inventory_export.csv") else {
        return;
    };
    assert!(matches!(
        check(&file[..]),
        Err(CsvError::UnknownTable { .. } | CsvError::MissingColumns { .. })
    ));
}

fn sample(name: &str) -> Option<Vec<u8>> {
    crate::samples::read(name)
}

proptest! {
    /// The `csv` crate writes, this module reads.
    #[test]
    fn what_a_careful_writer_writes_is_read_back(
        rows in proptest::collection::vec(
            proptest::collection::vec("[a-c;,\"\n ёЖ]{0,6}", 3),
            1..8,
        ),
        separator in proptest::sample::select(vec![b';', b',', b'\t']),
    ) {
        let mut writer = ::csv::WriterBuilder::new().delimiter(separator).from_writer(Vec::new());
        writer.write_record(["barcode", "qty", "name"]).unwrap();
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let bytes = writer.into_inner().unwrap();

        let mut reader = CsvReader::open(&bytes[..]).unwrap();
        let mut found = Vec::new();
        while let Some(line) = reader.next_line().unwrap() {
            let Line::Row(row) = line else { panic!("a bad row") };
            found.push([Column::Barcode, Column::Qty, Column::Name].map(|column| {
                row.get(column).unwrap_or_default().to_owned()
            }));
        }

        let expected: Vec<_> = rows
            .iter()
            .filter(|row| row.iter().any(|field| !field.trim().is_empty()))
            .map(|row| [0, 1, 2].map(|at| row[at].trim().to_owned()))
            .collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = check(&bytes[..]);
        let _ = check(&[MOVEMENTS.as_bytes(), &bytes].concat()[..]);
    }

    #[test]
    fn no_damage_to_the_structure_panics(text in "[a;\"\n\r\u{0}]{0,60}") {
        let file = format!("barcode;qty\n{text}\n");
        let _ = check(file.as_bytes());
    }
}
