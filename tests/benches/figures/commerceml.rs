//! Figure 8: a CommerceML file of 1,000,000 offers, and one of 1 GB.
//!
//! Parsing alone is `vitrina_host::cml::check`, which reads the whole file, in this process, from the page cache. Then a
//! new shop's agent takes the file through `drop/` as its opening: staged, checked to its end, booked, sent; its rate
//! counts from the rename to `done/`, and its peak memory is `VmHWM`. The 1 GB file is the same with more offers, for
//! another new shop. The four forms of stock alternate; one file, one warehouse.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use vitrina_host::cml;

use crate::Plan;
use crate::site::Site;
use crate::stats::{Random, barcodes, median};
use crate::table::{Row, Table, Verdict};
use vitrina_tests::system::{megabytes, peak_rss};

/// Runs the figure.
pub(crate) fn run(plan: Plan, table: &mut Table) {
    let (offers, least_bytes) = if plan.is_quick {
        (10_000, 10_000_000)
    } else {
        (1_000_000, 1_000_000_000)
    };
    let site = Site::direct();
    let file = site.chain.path("offers0_1.xml");
    let bytes = write(&file, offers, 0);
    parse(plan, table, &file, offers);
    let (took, peak) = import(&site, &file);
    table.add(Row {
        figure: format!("8 opening from {offers} offers, {:.0} MB", megabytes(bytes)),
        measured: format!("peak {:.1} MB", megabytes(peak)),
        peer: format!("{:.0} offers/s booked", offers as f64 / took.as_secs_f64()),
        ratio: None,
        target: "≤ 64 MB".into(),
        verdict: Verdict::of(megabytes(peak) <= 64.0),
    });
    drop(site);
    let site = Site::direct();
    let file = site.chain.path("offers0_1.xml");
    let bytes = write(&file, offers, least_bytes);
    let (took, peak) = import(&site, &file);
    table.add(Row {
        figure: format!("8 opening from a file of {:.0} MB", megabytes(bytes)),
        measured: format!("peak {:.1} MB", megabytes(peak)),
        peer: format!("{:.1} MB/s", megabytes(bytes) / took.as_secs_f64()),
        ratio: None,
        target: "≤ 64 MB".into(),
        verdict: Verdict::of(megabytes(peak) <= 64.0),
    });
}

fn parse(plan: Plan, table: &mut Table, file: &Path, offers: usize) {
    let rates = (0..plan.runs).map(|_| {
        let begun = Instant::now();
        let checked = cml::check(File::open(file).unwrap()).unwrap();
        assert_eq!(checked.offers, offers as u64);
        offers as f64 / begun.elapsed().as_secs_f64()
    });
    let rate = median(rates.collect());
    let bytes = std::fs::metadata(file).unwrap().len();
    table.add(Row {
        figure: format!("8 {offers} offers parsed"),
        measured: format!("{rate:.0} offers/s"),
        peer: format!("{:.0} MB/s", rate * megabytes(bytes) / offers as f64),
        ratio: None,
        target: "≥ 150,000".into(),
        verdict: Verdict::of(rate >= 150_000.0),
    });
}

fn import(site: &Site, file: &Path) -> (Duration, u64) {
    let took = site.take(file, Duration::from_mins(15));
    let peak = peak_rss(site.agent_id()).expect("a system with /proc");
    (took, peak)
}

/// Writes a package of offers as 1C's exchange with a site does, at least so many and so long; its size.
fn write(path: &Path, offers: usize, least_bytes: u64) -> u64 {
    const SHOP: &str = "5f0c3a52-8d1b-4c19-9a7e-2f6f0f7c1a11";
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    let mut random = Random::new(12);
    let head = format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<КоммерческаяИнформация xmlns=\"urn:1C.ru:commerceml_2\" ВерсияСхемы=\"2.07\" ДатаФормирования=\"2026-01-02T09:00:00\">
\t<ПакетПредложений СодержитТолькоИзменения=\"false\">
\t\t<Ид>8f2b#</Ид><Наименование>Пакет предложений</Наименование><ИдКаталога>8f2b</ИдКаталога><ИдКлассификатора>8f2b</ИдКлассификатора>
\t\t<Склады><Склад><Ид>{SHOP}</Ид><Наименование>Магазин</Наименование></Склад></Склады>
\t\t<Предложения>\n"
    );
    out.write_all(head.as_bytes()).unwrap();
    let mut length = head.len() as u64;
    // Two offers of one barcode would be set aside.
    let mut seen = HashSet::new();
    let mut written = 0;
    while written < offers || length < least_bytes {
        let code = barcodes(&mut random, 1).remove(0);
        if !seen.insert(code.clone()) {
            continue;
        }
        let text = offer(&mut random, &code, written, SHOP);
        out.write_all(text.as_bytes()).unwrap();
        length += text.len() as u64;
        written += 1;
    }
    let tail = "\t\t</Предложения>\n\t</ПакетПредложений>\n</КоммерческаяИнформация>\n";
    out.write_all(tail.as_bytes()).unwrap();
    out.flush().unwrap();
    length + tail.len() as u64
}

fn offer(random: &mut Random, code: &str, number: usize, shop: &str) -> String {
    let (product, variant) = (random.uuid(), random.uuid());
    let (size, price) = (15 + random.below(8), 5_000 + random.below(950) * 100);
    let units = 1 + random.below(3);
    let stock = match number % 4 {
        0 => format!("<Склад ИдСклада=\"{shop}\" КоличествоНаСкладе=\"{units}\"/>"),
        1 => format!(
            "<Остатки><Остаток><Склад><Ид>{shop}</Ид><Количество>{units}</Количество></Склад></Остаток></Остатки>"
        ),
        2 => format!(
            "<КоличествоНаСкладах><КоличествоНаСкладе><ИдСклада>{shop}</ИдСклада><Количество>{units}</Количество></КоличествоНаСкладе></КоличествоНаСкладах>"
        ),
        _ => format!("<Количество>{units}</Количество>"),
    };
    format!(
        "\t\t\t<Предложение><Ид>{product}#{variant}</Ид><Штрихкод>{code}</Штрихкод><Артикул>K-{}</Артикул>\
<Наименование>Кольцо ({size}, 0.3 ct)</Наименование><Цены><Цена><ИдТипаЦены>retail</ИдТипаЦены>\
<ЦенаЗаЕдиницу>{price}</ЦенаЗаЕдиницу><Валюта>RUB</Валюта></Цена></Цены>{stock}</Предложение>\n",
        number / 4
    )
}
