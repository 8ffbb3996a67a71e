use proptest::prelude::*;

use super::*;
use crate::number::NumberError;

/// A package of offers around the given children.
fn offers(children: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n\
         <КоммерческаяИнформация xmlns=\"urn:1C.ru:commerceml_2\" ВерсияСхемы=\"2.07\" ДатаФормирования=\"2020-04-07T0:08:44\">\r\n\
         <ПакетПредложений СодержитТолькоИзменения=\"false\"><Ид>C#</Ид><ИдКаталога>C</ИдКаталога>\r\n\
         <Предложения>\r\n{children}\r\n</Предложения></ПакетПредложений></КоммерческаяИнформация>"
    )
}

/// Every offer and product, cloned.
fn items(file: &[u8]) -> Result<Vec<Item>, CmlError> {
    let mut reader = CmlReader::open(file)?;
    let mut found = Vec::new();
    while let Some(event) = reader.next_event()? {
        if let Event::Product(item) | Event::Offer(item) = event {
            found.push(item.clone());
        }
    }
    Ok(found)
}

fn offer(children: &str) -> Item {
    let file = offers(&format!("<Предложение>{children}</Предложение>"));
    items(file.as_bytes()).unwrap().remove(0)
}

/// The stock of an offer as `warehouse=quantity`, `*` without a warehouse.
fn stock(item: &Item) -> Vec<String> {
    item.stock()
        .map(|line| match line.qty {
            Ok(qty) => format!("{}={qty}", line.warehouse.unwrap_or("*")),
            Err(error) => format!("{}: {error:?}", line.warehouse.unwrap_or("*")),
        })
        .collect()
}

fn codes(item: &Item) -> Vec<&str> {
    item.problems().map(|problem| problem.code).collect()
}

#[test]
fn the_head_of_a_file_and_of_its_package_comes_first() {
    let file = offers("");
    let mut reader = CmlReader::open(file.as_bytes()).unwrap();
    assert!(matches!(
        reader.next_event().unwrap(),
        Some(Event::Header(Header { schema_version: Some(version), formed_at: Some(at), .. }))
            if version == "2.07" && at == "2020-04-07T0:08:44"
    ));
    let Some(Event::Package(package)) = reader.next_event().unwrap() else {
        panic!("a package")
    };
    assert_eq!(package.kind, PackageKind::Offers);
    assert!(!package.changes_only);
    assert_eq!(
        (package.id.as_str(), package.catalog_id.as_str()),
        ("C#", "C")
    );
    assert!(reader.next_event().unwrap().is_none());
}

#[test]
fn all_four_forms_of_stock_are_read() {
    let forms = [
        "<Склад ИдСклада=\"A\" КоличествоНаСкладе=\"5\"/><Склад ИдСклада=\"B\" КоличествоНаСкладе=\"0\"></Склад>",
        "<Остатки><Остаток><Склад><Ид>A</Ид><Количество>5</Количество></Склад></Остаток>\
         <Остаток><Склад><Ид>B</Ид><Количество>0</Количество></Склад></Остаток></Остатки>",
        "<Остатки><Остаток><Склад><Ид>A</Ид><Количество>5</Количество></Склад>\
         <Склад><Ид>B</Ид><Количество>0</Количество></Склад></Остаток></Остатки>",
        "<КоличествоНаСкладах><КоличествоНаСкладе><ИдСклада>A</ИдСклада><Количество>5</Количество></КоличествоНаСкладе>\
         <КоличествоНаСкладе><ИдСклада>B</ИдСклада><Количество>0</Количество></КоличествоНаСкладе></КоличествоНаСкладах>",
        "<Количество>7</Количество><Склад><ИдСклада>A</ИдСклада><КоличествоНаСкладе>5</КоличествоНаСкладе></Склад>\
         <Склад><Ид>B</Ид><Количество>0</Количество></Склад>",
    ];
    for form in forms {
        let item = offer(form);
        assert_eq!(stock(&item), ["A=5", "B=0"], "{form}");
        assert!(item.has_stock_element());
    }
    for form in [
        "<Количество>5</Количество>",
        "<Остатки><Остаток><Количество>5</Количество></Остаток></Остатки>",
    ] {
        assert_eq!(stock(&offer(form)), ["*=5"], "{form}");
    }
}

#[test]
fn only_a_quantity_right_under_the_offer_is_its_total() {
    let item = offer(
        "<Комплектующие><Комплектующее><Количество>9</Количество></Комплектующее></Комплектующие>",
    );
    assert!(!item.has_stock_element());
    assert_eq!(item.total_qty(), None);
    assert!(stock(&item).is_empty());
}

#[test]
fn an_offer_without_stock_differs_from_one_with_an_empty_list() {
    assert!(!offer("<Ид>1</Ид>").has_stock_element());
    assert!(offer("<Ид>1</Ид><Остатки/>").has_stock_element());
}

#[test]
fn bad_values_are_problems_of_their_offer_and_stop_nothing() {
    let item = offer(
        "<Количество>5.000</Количество>\
         <Цены><Цена><ЦенаЗаЕдиницу>дорого</ЦенаЗаЕдиницу></Цена>\
         <Цена><ИдТипаЦены>T</ИдТипаЦены><ЦенаЗаЕдиницу>2 042,66</ЦенаЗаЕдиницу><Валюта>руб</Валюта></Цена></Цены>\
         <Склад ИдСклада=\"A\" КоличествоНаСкладе=\"2,5\"/><Склад ИдСклада=\"B\" КоличествоНаСкладе=\"-1\"/>\
         <Склад ИдСклада=\"C\"/><Склад ИдСклада=\"D\" КоличествоНаСкладе=\"много\"/>",
    );
    assert_eq!(
        stock(&item),
        ["A: Fractional", "B=-1", "C: Empty", "D: NotANumber"]
    );
    assert_eq!(
        codes(&item),
        [
            "missing_id",
            "fractional_quantity",
            "bad_quantity",
            "bad_quantity",
            "bad_price"
        ]
    );
    let fraction = item.problems().nth(1).unwrap();
    assert_eq!((fraction.text, fraction.warehouse), ("2,5", Some("A")));
    let prices: Vec<_> = item.prices().collect();
    assert_eq!(prices.len(), 1);
    assert_eq!(
        (prices[0].type_id, prices[0].amount, prices[0].currency),
        ("T", 204_266, "руб")
    );
    assert_eq!(item.total_qty(), Some(Ok(5)));
}

#[test]
fn a_lone_fractional_total_is_a_problem_too() {
    let item = offer("<Ид>1</Ид><Количество>0.5</Количество>");
    assert_eq!(item.total_qty(), Some(Err(NumberError::Fractional)));
    assert_eq!(codes(&item), ["fractional_quantity"]);
}

#[test]
fn an_id_is_split_at_its_last_hash() {
    for (id, product, variant) in [
        ("A#B", "A", Some("B")),
        ("A#B#C", "A#B", Some("C")),
        ("76972", "76972", None),
        ("A#", "A", Some("")),
    ] {
        let item = offer(&format!("<Ид>{id}</Ид>"));
        assert_eq!(
            (item.id(), item.product_id(), item.variant_id()),
            (id, product, variant)
        );
    }
}

#[test]
fn texts_are_joined_from_all_their_pieces() {
    let item = offer(
        "<Наименование> Кольцо &quot;Луч&quot; &lt;17&gt; &#8470;<![CDATA[ <5> & ]]>&#x41;<!-- нет --> </Наименование>\
         <Штрихкод/><Штрихкод>007</Штрихкод><ШтрихКод>2000018987155</ШтрихКод>",
    );
    assert_eq!(item.name(), "Кольцо \"Луч\" <17> № <5> & A");
    assert_eq!(
        item.barcodes().collect::<Vec<_>>(),
        ["007", "2000018987155"]
    );
}

#[test]
fn named_values_keep_their_names_in_any_order() {
    let item = offer(
        "<ХарактеристикиТовара><ХарактеристикаТовара><Ид>X</Ид><Наименование>Размер</Наименование><Значение>17.5</Значение></ХарактеристикаТовара>\
         <ХарактеристикаТовара><Значение>585</Значение><Наименование>Проба</Наименование></ХарактеристикаТовара></ХарактеристикиТовара>\
         <ЗначенияСвойств><ЗначенияСвойства><Ид>P</Ид><Значение>V1</Значение><Значение>V2</Значение></ЗначенияСвойства>\
         <ЗначенияСвойства><Ид>Q</Ид><Значение/></ЗначенияСвойства></ЗначенияСвойств>\
         <ЗначенияРеквизитов><ЗначениеРеквизита><Наименование>ТипНоменклатуры</Наименование><Значение>Услуга</Значение></ЗначениеРеквизита></ЗначенияРеквизитов>",
    );
    assert_eq!(
        item.characteristics().collect::<Vec<_>>(),
        [("Размер", "17.5"), ("Проба", "585")]
    );
    assert_eq!(
        item.properties().collect::<Vec<_>>(),
        [("P", "V1"), ("P", "V2"), ("Q", "")]
    );
    assert!(item.is_service());
}

#[test]
fn groups_are_named_however_deep_and_in_whichever_order_they_stand() {
    let file = "<КоммерческаяИнформация><Классификатор><Ид>c</Ид><Группы>\
         <Группа><Ид>1</Ид><Наименование>Rings</Наименование><Группы>\
         <Группа><Наименование>Wedding</Наименование><Ид>2</Ид><Группы/></Группа></Группы></Группа>\
         <Группа><Группы><Группа><Ид>4</Ид><Наименование>Studs</Наименование></Группа></Группы>\
         <Наименование>Earrings</Наименование><Ид>3</Ид></Группа></Группы>\
         <Свойства><Свойство><Ид>p</Ид><Наименование>Metal</Наименование></Свойство></Свойства></Классификатор>\
         <Каталог><Товары><Товар><Ид>a</Ид><Группы><Ид>2</Ид><Ид/><Ид>4</Ид></Группы></Товар></Товары></Каталог>\
         </КоммерческаяИнформация>";
    let mut reader = CmlReader::open(file.as_bytes()).unwrap();
    let (mut groups, mut of_item) = (Vec::new(), Vec::new());
    while let Some(event) = reader.next_event().unwrap() {
        match event {
            Event::Group(entry) => groups.push(format!("{} {}", entry.id, entry.name)),
            Event::Property(entry) => assert_eq!((entry.id, entry.name), ("p", "Metal")),
            Event::Product(item) => of_item = item.groups().map(str::to_owned).collect(),
            _ => {}
        }
    }

    assert_eq!(groups, ["2 Wedding", "1 Rings", "4 Studs", "3 Earrings"]);
    assert_eq!(of_item, ["2", "4"]);
}

#[test]
fn every_way_of_deleting_is_known() {
    for deleted in [
        "<Предложение Статус=\"Удален\"><Ид>1</Ид></Предложение>",
        "<Предложение><Статус>Удалён</Статус></Предложение>",
        "<Предложение><ПометкаУдаления>true</ПометкаУдаления></Предложение>",
    ] {
        assert!(
            items(offers(deleted).as_bytes()).unwrap()[0].is_deleted(),
            "{deleted}"
        );
    }
    assert!(!offer("<ПометкаУдаления>false</ПометкаУдаления>").is_deleted());
}

#[test]
fn changes_under_the_root_are_always_changes() {
    let file = "<c:КоммерческаяИнформация xmlns:c=\"urn:x\" ФорматСуммы=\"ЧЦ=18; ЧДЦ=2; ЧРД=,\">\
                <c:ИзмененияПакетаПредложений><c:Предложения><c:Предложение><c:Ид>1</c:Ид></c:Предложение></c:Предложения></c:ИзмененияПакетаПредложений>\
                </c:КоммерческаяИнформация>";
    let checked = check(file.as_bytes()).unwrap();
    assert!(checked.changes_only);
    assert_eq!((checked.offers, checked.offers_with_stock), (1, 0));
    assert_eq!(checked.header.decimal_separator, Some(','));
}

#[test]
fn an_item_knows_its_line() {
    let file = offers("<Предложение>\r\n<Ид>1</Ид>\r\n</Предложение>\r\n<Предложение\r\n/>");
    let lines: Vec<_> = items(file.as_bytes())
        .unwrap()
        .iter()
        .map(Item::line)
        .collect();
    assert_eq!(lines, [5, 9]);
}

#[test]
fn windows_1251_is_read_whatever_the_declaration_says() {
    let file = offers("<Предложение><Наименование>Кольцо № 7</Наименование></Предложение>");
    let bytes = encoding_rs::WINDOWS_1251.encode(&file).0;
    assert_eq!(items(&bytes).unwrap()[0].name(), "Кольцо № 7");
    assert_eq!(
        check(&bytes[..]).unwrap().encoding,
        SourceEncoding::Windows1251
    );
}

#[test]
fn a_file_cut_anywhere_is_never_whole() {
    let file = offers(
        "<Предложение><Ид>1&amp;2</Ид><Склад ИдСклада=\"A\" КоличествоНаСкладе=\"5\"/></Предложение>",
    );
    for cut in 0..file.len() {
        assert!(check(&file.as_bytes()[..cut]).is_err(), "cut at {cut}");
    }
    assert!(matches!(
        check(&b""[..]),
        Err(CmlError::Truncated { line: 1 })
    ));
    let half = file.len() / 2;
    assert!(matches!(
        check(&file.as_bytes()[..file.floor_char_boundary(half)]),
        Err(CmlError::Truncated { line: 3..=5 })
    ));
}

#[test]
fn clever_files_are_refused() {
    let laughs = "<!DOCTYPE x [<!ENTITY a \"b\">]><КоммерческаяИнформация/>";
    assert!(matches!(
        check(laughs.as_bytes()),
        Err(CmlError::Doctype { line: 1 })
    ));
    let entity = offers("<Предложение><Наименование>&bomb;</Наименование></Предложение>");
    assert!(matches!(
        check(entity.as_bytes()),
        Err(CmlError::UnknownEntity { line: 5, name }) if name == "bomb"
    ));
    let entity = offers("<Предложение Статус=\"&bomb;\"/>");
    assert!(matches!(
        check(entity.as_bytes()),
        Err(CmlError::UnknownEntity { .. })
    ));
    let deep = offers(&"<a>".repeat(MAX_DEPTH));
    assert!(matches!(
        check(deep.as_bytes()),
        Err(CmlError::TooMuch {
            what: "nesting",
            ..
        })
    ));
    let wide = " a=\"\"".repeat(MAX_ATTRIBUTES + 1);
    let wide = offers(&format!("<Предложение><x{wide}/></Предложение>"));
    assert!(matches!(
        check(wide.as_bytes()),
        Err(CmlError::TooMuch {
            what: "attributes",
            ..
        })
    ));
    assert!(matches!(
        check(&b"<yml_catalog/>"[..]),
        Err(CmlError::NotCommerceMl { root }) if root == "yml_catalog"
    ));
    let twice = format!("{0}{0}", "<КоммерческаяИнформация/>");
    assert!(matches!(
        check(twice.as_bytes()),
        Err(CmlError::SecondRoot { .. })
    ));
    assert!(matches!(
        check("<КоммерческаяИнформация></Каталог>".as_bytes()),
        Err(CmlError::Malformed { .. })
    ));
}

#[test]
fn nothing_endless_is_kept_in_memory() {
    let huge = "x".repeat(2 * MAX_TEXT_BYTES);
    let references = "&amp;".repeat(MAX_TEXT_BYTES + 1);
    let many = "<Штрихкод>1</Штрихкод>".repeat(MAX_ITEM_PARTS + 1);
    let cases = [
        (format!("<Описание>{huge}</Описание>"), "text"),
        (format!("<Наименование>{references}</Наименование>"), "text"),
        (format!("<a b=\"{huge}\"/>"), "text"),
        (format!("<!--{huge}-->"), "text"),
        (many, "parts of one item"),
    ];
    for (children, expected) in cases {
        let file = offers(&format!("<Предложение>{children}</Предложение>"));
        let error = check(file.as_bytes()).unwrap_err();
        assert!(
            matches!(error, CmlError::TooMuch { what, .. } if what == expected),
            "{expected}: {error}"
        );
    }
}

#[test]
fn a_control_character_is_a_problem_of_its_item() {
    let item = offer("<Ид>1</Ид><Штрихкод>20&#1;00</Штрихкод>");
    assert_eq!(codes(&item), ["control_character"]);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = check(&bytes[..]);
    }

    #[test]
    fn no_order_of_elements_panics(
        parts in proptest::collection::vec(proptest::sample::select(vec![
            "<Склад>", "</Склад>", "<Остаток>", "</Остаток>", "<Остатки>", "</Остатки>", "<Ид>", "</Ид>",
            "<Количество>", "</Количество>", "<Предложение>", "</Предложение>", "<Цена>", "</Цена>", "1", "2,5",
            "<Значение>", "</Значение>", "<ЗначенияСвойства>", "</ЗначенияСвойства>", "&amp;", "<x/>",
        ]), 0..40),
    ) {
        let _ = check(offers(&parts.concat()).as_bytes());
    }
}

/// What the real files say, read where they are present.
mod samples {
    use super::*;

    fn sample(name: &str) -> Option<Vec<u8>> {
        crate::samples::read(name)
    }

    #[test]
    fn one_thousand_variants_of_which_few_have_stock() {
        let Some(file) = sample("cml-2.04-cscart-variants/offers.xml") else {
            return;
        };
        let checked = check(&file[..]).unwrap();
        assert_eq!(checked.header.schema_version.as_deref(), Some("2.04"));
        assert_eq!(
            checked.header.formed_at.as_deref(),
            Some("2014-06-01T0:36:33")
        );
        assert_eq!(checked.encoding, SourceEncoding::Utf8Bom);
        assert_eq!((checked.offers, checked.offers_with_stock), (1_455, 81));
        assert_eq!((checked.changes_only, checked.problems), (false, 0));

        let items = items(&file).unwrap();
        let barcodes: Vec<_> = items.iter().flat_map(Item::barcodes).collect();
        assert_eq!(barcodes.len(), 1_261);
        assert!(
            barcodes
                .iter()
                .all(|code| code.len() == 13 && code.starts_with("200"))
        );
        let articles: std::collections::BTreeSet<_> = items.iter().map(Item::product_id).collect();
        assert_eq!(articles.len(), 23);
        assert_eq!(stock(&items[0]), ["*=10"]);
        assert_eq!(items[0].characteristics().next(), Some(("Размер", "43")));
        assert_eq!(items[0].prices().count(), 2);
    }

    #[test]
    fn three_warehouses_with_explicit_zeros() {
        let Some(file) = sample("cml-2.07-3warehouses/offers0_1.xml") else {
            return;
        };
        let mut reader = CmlReader::open(&file[..]).unwrap();
        let mut warehouses = Vec::new();
        while let Some(event) = reader.next_event().unwrap() {
            match event {
                Event::Warehouse(entry) => warehouses.push(entry.name.to_owned()),
                Event::Offer(item) => {
                    assert_eq!(item.stock().count(), 3);
                    let sum: i64 = item.stock().map(|line| line.qty.unwrap()).sum();
                    assert_eq!(item.total_qty(), Some(Ok(sum)));
                }
                _ => {}
            }
        }
        assert_eq!(warehouses, ["Владивосток", "Новосибирск", "Москва"]);
    }

    #[test]
    fn a_catalogue_with_its_dictionaries() {
        let Some(file) = sample("cml-2.07-3warehouses/import0_1.xml") else {
            return;
        };
        let mut reader = CmlReader::open(&file[..]).unwrap();
        let mut properties = Vec::new();
        let mut values = Vec::new();
        while let Some(event) = reader.next_event().unwrap() {
            match event {
                Event::Property(entry) => properties.push(entry.id.to_owned()),
                Event::PropertyValue { property, id, .. } => {
                    assert_eq!(properties.last().map(String::as_str), Some(property));
                    values.push((property.to_owned(), id.to_owned()));
                }
                Event::Product(item) => {
                    assert!(!item.name().is_empty() && !item.is_service());
                    assert!(
                        item.properties()
                            .all(|(id, _)| properties.iter().any(|known| known == id))
                    );
                }
                _ => {}
            }
        }
        assert!(properties.len() > 5 && values.len() > 10);
    }

    #[test]
    fn a_split_exchange_of_changes() {
        let parts = [
            ("classifier-import.xml", 0, 0, 0),
            ("import.xml", 1, 0, 0),
            ("offers.xml", 0, 1, 0),
            ("prices.xml", 0, 1, 0),
            ("rests.xml", 0, 1, 1),
        ];
        for (name, products, offers, with_stock) in parts {
            let Some(file) = sample(&format!("cml-3.1-bitrix-split/{name}")) else {
                return;
            };
            let checked = check(&file[..]).unwrap();
            assert_eq!(checked.header.schema_version.as_deref(), Some("3.1"));
            assert_eq!(checked.products > 0, products > 0, "{name}");
            assert_eq!(checked.offers > 0, offers > 0, "{name}");
            assert_eq!(checked.offers_with_stock > 0, with_stock > 0, "{name}");
            assert_eq!(checked.problems, 0, "{name}");
            assert!(checked.changes_only, "{name}");
        }
    }

    #[test]
    fn eighty_six_offers_in_twelve_warehouses() {
        let Some(file) = sample("cml-3.1-bitrix-split/rests.xml") else {
            return;
        };
        let items = items(&file).unwrap();
        assert_eq!(items.len(), 86);
        for item in items {
            assert_eq!(item.stock().count(), 12);
            assert!(
                item.stock()
                    .all(|line| line.warehouse.is_some() && line.qty.is_ok())
            );
            assert!(item.variant_id().is_some());
        }
    }

    #[test]
    fn neighbours_of_1c_write_it_their_own_way() {
        let Some(file) = sample("cml-small-oddities/cml-2.04-moysklad-offers.xml") else {
            return;
        };
        let items = items(&file).unwrap();
        assert_eq!(items[0].id(), "137");
        assert_eq!(stock(&items[0]), ["k8SNns6tiJ0jr7NUyPEkc2=1"]);
        assert_eq!(items[0].prices().next().unwrap().amount, 4_500_000);
    }

    #[test]
    fn orders_are_no_products() {
        let Some(file) = sample("bitrix-orders-win1251/query-response-full.xml") else {
            return;
        };
        let checked = check(&file[..]).unwrap();
        assert_eq!(checked.encoding, SourceEncoding::Windows1251);
        assert_eq!((checked.products, checked.offers), (0, 0));
        assert!(checked.documents > 0);
        assert_eq!(checked.header.decimal_separator, Some('.'));
    }
}
