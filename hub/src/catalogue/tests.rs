//! Files as the ERP writes them.

use std::sync::Arc;

use serde_json::Value;
use vitrina_host::config::DataFolder;

use super::*;
use crate::core::Init;
use crate::routes::item_json;

const IMPORT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<КоммерческаяИнформация ВерсияСхемы="2.04" ДатаФормирования="2026-11-22T10:00:00">
 <Каталог СодержитТолькоИзменения="false"><Ид>c</Ид><Наименование>Каталог</Наименование><Товары>
  <Товар><Ид>ring</Ид><Артикул>K-1234</Артикул><Наименование>Кольцо</Наименование></Товар>
 </Товары></Каталог>
</КоммерческаяИнформация>"#;

const OFFERS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<КоммерческаяИнформация ВерсияСхемы="2.04" ДатаФормирования="2026-11-22T10:00:00">
 <ПакетПредложений СодержитТолькоИзменения="false"><Ид>p</Ид><Наименование>Пакет</Наименование>
  <ТипыЦен><ТипЦены><Ид>retail</Ид><Наименование>Розничная</Наименование><Валюта>руб</Валюта></ТипЦены></ТипыЦен>
  <Предложения>
  <Предложение><Ид>ring#17</Ид><Штрихкод>2000018987155</Штрихкод><Наименование>Кольцо (17,5)</Наименование>
   <ХарактеристикиТовара><ХарактеристикаТовара><Наименование>Размер</Наименование><Значение>17,5</Значение></ХарактеристикаТовара></ХарактеристикиТовара>
   <Цены><Цена><ИдТипаЦены>retail</ИдТипаЦены><ЦенаЗаЕдиницу>45900.00</ЦенаЗаЕдиницу></Цена></Цены>
  </Предложение>
 </Предложения></ПакетПредложений>
</КоммерческаяИнформация>"#;

const PRICES: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<КоммерческаяИнформация ВерсияСхемы="2.04" ДатаФормирования="2026-11-23T10:00:00">
 <ПакетПредложений СодержитТолькоИзменения="true"><Ид>p</Ид><Наименование>Пакет</Наименование><Предложения>
  <Предложение><Ид>ring#17</Ид><Цены><Цена><ИдТипаЦены>retail</ИдТипаЦены><ЦенаЗаЕдиницу>39900</ЦенаЗаЕдиницу><Валюта>руб</Валюта></Цена></Цены></Предложение>
  <Предложение><Ид>nobody</Ид><Цены><Цена><ИдТипаЦены>retail</ИдТипаЦены><ЦенаЗаЕдиницу>1</ЦенаЗаЕдиницу><Валюта>руб</Валюта></Цена></Цены></Предложение>
 </Предложения></ПакетПредложений>
</КоммерческаяИнформация>"#;

struct Erp {
    core: Arc<Core>,
    folder: tempfile::TempDir,
}

impl Erp {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let core = Core::open(DataFolder::existing(folder.path()).unwrap(), Init::Refuse)
            .await
            .unwrap();
        Self { core, folder }
    }

    async fn import(&self, name: &str, text: &str) -> Result<ImportEnd, ImportError> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let core = Arc::clone(&self.core);
        tokio::task::spawn_blocking(move || import_path(&core, &path, Mode::Write))
            .await
            .unwrap()
    }

    fn item(&self, code: &str) -> Value {
        item_json(&self.core.view().unwrap(), code).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_has_the_words_of_its_goods_in_whichever_order_they_come() {
    for files in [
        [("import.xml", IMPORT), ("offers.xml", OFFERS)],
        [("offers.xml", OFFERS), ("import.xml", IMPORT)],
    ] {
        let erp = Erp::new().await;
        for (name, text) in files {
            erp.import(name, text).await.unwrap();
        }

        let item = erp.item("ring#17");

        assert_eq!(item["barcode"], "2000018987155");
        assert_eq!(item["article"], "K-1234");
        assert_eq!(item["attributes"]["size"], "17,5");
        assert_eq!(item["on_hand"], 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_taken_twice_changes_nothing_and_an_unknown_code_is_named() {
    let erp = Erp::new().await;
    erp.import("offers.xml", OFFERS).await.unwrap();

    let again = erp.import("offers.xml", OFFERS).await.unwrap();
    let prices = erp.import("prices.xml", PRICES).await.unwrap();

    assert_eq!((again.rows, again.changed), (1, 0));
    assert_eq!(
        (prices.changed, prices.unknown),
        (1, vec!["nobody".to_owned()])
    );
    let imports = erp.core.store.imports(10).await.unwrap();
    assert!(imports.len() == 3 && imports.iter().all(|import| import.state == "done"));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_truncated_file_nothing_is_taken() {
    let erp = Erp::new().await;
    let cut = OFFERS.find("</Предложения>").unwrap();

    let refused = erp.import("offers.xml", &OFFERS[..cut]).await;

    assert!(matches!(refused, Err(ImportError::Cml { .. })));
    assert!(item_json(&erp.core.view().unwrap(), "2000018987155").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_brings_items_and_other_codes() {
    let erp = Erp::new().await;
    let catalogue = "barcode;article;name;size;price;brand\n2000018987155;K-1;Ring;17.5;45 900,00;Vitrina\nbad code;K-2;X;;;\n";

    let end = erp.import("catalogue.csv", catalogue).await.unwrap();
    erp.import("aliases.csv", "alias;barcode\nOLD-7;2000018987155\n")
        .await
        .unwrap();

    assert_eq!(
        (end.changed, end.warnings.len()),
        (1, 1),
        "{:?}",
        end.warnings
    );
    let item = erp.item("OLD-7");
    assert_eq!(
        (
            item["barcode"].as_str(),
            item["attributes"]["brand"].as_str()
        ),
        (Some("2000018987155"), Some("Vitrina"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_piece_is_marked_as_the_only_one_and_the_mark_is_taken_back() {
    let erp = Erp::new().await;
    let is_unique = |barcode: &str| {
        let view = erp.core.view().unwrap();
        view.item(barcode).is_some_and(|item| item.is_unique())
    };
    let csv = "barcode;name;unique;category\nA;Ring;да;Кольца\nB;Ring;;\nC;Ring;perhaps;\n";

    let end = erp.import("catalogue.csv", csv).await.unwrap();
    assert_eq!(["A", "B", "C"].map(is_unique), [true, false, false]);
    assert!(end.warnings[0].contains("perhaps"), "{:?}", end.warnings);
    assert_eq!(erp.item("A")["attributes"]["category"], "Кольца");

    erp.import("more.csv", "barcode;name\nA;Ring\n")
        .await
        .unwrap();
    assert!(is_unique("A"), "what is not said stays");
    erp.import("less.csv", "barcode;name;unique\nA;Ring;нет\n")
        .await
        .unwrap();
    assert!(!is_unique("A"));

    let offers = OFFERS.replace(
        "</Цены>",
        "</Цены><ЗначенияРеквизитов><ЗначениеРеквизита><Наименование>Уникальное изделие</Наименование><Значение>true</Значение></ЗначениеРеквизита>\
         <ЗначениеРеквизита><Наименование>ВидНоменклатуры</Наименование><Значение>Кольца</Значение></ЗначениеРеквизита></ЗначенияРеквизитов>",
    );
    erp.import("offers.xml", &offers).await.unwrap();
    assert!(is_unique("2000018987155"));
    let attributes = &erp.item("2000018987155")["attributes"];
    assert_eq!(
        (&attributes["category"], &attributes["unique"]),
        (&"Кольца".into(), &Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn goods_are_of_the_category_that_they_say_or_of_their_group() {
    let groups = "<Классификатор><Ид>c</Ид><Группы><Группа><Ид>1</Ид><Наименование>Кольца</Наименование><Группы>\
        <Группа><Ид>2</Ид><Наименование>Обручальные</Наименование></Группа></Группы></Группа></Группы></Классификатор> <Каталог ";
    let of = |group: &str, more: &str| {
        let inside = format!("</Наименование><Группы><Ид>{group}</Ид></Группы>{more}</Товар>");
        let text = IMPORT.replace("<Каталог ", groups);
        text.replace("</Наименование></Товар>", &inside)
    };
    let said = "<ЗначенияРеквизитов><ЗначениеРеквизита><Наименование>ВидНоменклатуры</Наименование>\
        <Значение>Ювелирные изделия</Значение></ЗначениеРеквизита></ЗначенияРеквизитов>";
    for (text, category) in [
        (of("1", ""), Some("Кольца")),
        (of("2", ""), Some("Обручальные")),
        (of("9", ""), None),
        (of("2", said), Some("Ювелирные изделия")),
    ] {
        let erp = Erp::new().await;

        erp.import("import.xml", &text).await.unwrap();
        erp.import("offers.xml", OFFERS).await.unwrap();

        let item = erp.item("2000018987155");
        assert_eq!(item["attributes"]["category"].as_str(), category, "{text}");
    }
}

/// A classifier in a file of its own, as the exchange in parts brings it.
const CLASSIFIER: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<КоммерческаяИнформация ВерсияСхемы="3.1" ДатаФормирования="2026-11-23T10:00:00">
 <Классификатор СодержитТолькоИзменения="true"><Ид>c</Ид><Наименование>Классификатор</Наименование>
  <Группы><Группа><Ид>5d1d27b1-0000-11e4-9440-00155d020201</Ид><Наименование>Кольца</Наименование></Группа></Группы>
  <Свойства>
   <Свойство><Ид>a46abc88-5031-11e4-9440-00155d020201</Ид><Наименование>Металл</Наименование><ТипЗначений>Справочник</ТипЗначений>
    <ВариантыЗначений><Справочник><ИдЗначения>a46abc8a-5031-11e4-9440-00155d020201</ИдЗначения><Значение>золото</Значение></Справочник></ВариантыЗначений>
   </Свойство>
   <Свойство><Ид>b12f0e4f-931f-11e3-9430-00155d020201</Ид><Наименование>Проба</Наименование><ТипЗначений>Число</ТипЗначений></Свойство>
  </Свойства>
 </Классификатор>
</КоммерческаяИнформация>"#;

#[tokio::test(flavor = "multi_thread")]
async fn goods_have_the_words_of_a_classifier_that_came_in_an_earlier_file() {
    let value = |id: &str, value: &str| {
        format!("<ЗначенияСвойства><Ид>{id}</Ид><Значение>{value}</Значение></ЗначенияСвойства>")
    };
    let values = [
        value(
            "a46abc88-5031-11e4-9440-00155d020201",
            "a46abc8a-5031-11e4-9440-00155d020201",
        ),
        value("b12f0e4f-931f-11e3-9430-00155d020201", "585"),
    ];
    let goods = IMPORT.replace(
        "</Наименование></Товар>",
        &format!(
            "</Наименование><Группы><Ид>5d1d27b1-0000-11e4-9440-00155d020201</Ид></Группы>\
             <ЗначенияСвойств>{}</ЗначенияСвойств></Товар>",
            values.concat()
        ),
    );
    let erp = Erp::new().await;

    // Before the classifier nothing is said in ids, and the file's report says why.
    let early = erp.import("import.xml", &goods).await.unwrap();
    erp.import("offers.xml", OFFERS).await.unwrap();
    let item = erp.item("2000018987155");
    let attributes = &item["attributes"];
    assert_eq!(
        (&attributes["metal"], &attributes["fineness"]),
        (&Value::Null, &Value::Null),
        "{item}"
    );
    assert!(
        early
            .warnings
            .iter()
            .any(|warning| warning.contains("2 properties are left out")),
        "{early:?}"
    );

    let named = erp.import("classifier.xml", CLASSIFIER).await.unwrap();
    assert_eq!((named.rows, named.words), (0, 4), "{named:?}");
    let again = erp.import("classifier.xml", CLASSIFIER).await.unwrap();
    assert_eq!((again.words, again.changed), (0, 0), "{again:?}");
    let late = erp.import("import.xml", &goods).await.unwrap();

    assert_eq!(late.warnings, Vec::<String>::new());
    let item = erp.item("2000018987155");
    for (name, word) in [
        ("metal", "золото"),
        ("fineness", "585"),
        ("category", "Кольца"),
    ] {
        assert_eq!(item["attributes"][name].as_str(), Some(word), "{item}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_stock_is_refused_by_name() {
    let erp = Erp::new().await;

    let refused = erp
        .import("balances.csv", "barcode;qty\nA;1\n")
        .await
        .unwrap_err();

    assert!(refused.to_string().contains("balances"), "{refused}");
    assert!(!refused.is_transient());
}
