//! How fast the readers of CSV and CommerceML are, on streams of any size in constant memory.
//!
//! `cargo bench -p vitrina-host --bench readers [MEGABYTES] [WORD]` prints rows a second for each, or for those whose
//! name begins with the word. (Default: 200 MB a stream.)

use std::error::Error;
use std::fmt::Write as _;
use std::hint::black_box;
use std::io::{Cursor, Read, Write as _};
use std::time::Instant;

use jiff::tz::TimeZone;
use vitrina_host::cml::{CmlReader, Event};
use vitrina_host::csv::{Column, CsvReader, Line, movement_type};
use vitrina_host::{number, when};

/// Lines or offers in one body, which is then repeated.
const BODY: u64 = 10_000;

fn main() -> Result<(), Box<dyn Error>> {
    let megabytes: u64 = std::env::args()
        .skip(1)
        .find_map(|arg| arg.parse().ok())
        .unwrap_or(200);
    rows(megabytes)?;
    offers(megabytes)?;
    say(&format!("peak memory {}", peak_memory()))
}

fn rows(megabytes: u64) -> Result<(), Box<dyn Error>> {
    let zone = TimeZone::get("Europe/Moscow")?;

    let header = "type;receipt;line;barcode;qty;price;at\n";
    let body = text(|at| format!("sale;R{at};1;20000{at:08};1;45900,00;22.11.2026 12:14:03\n"));
    measure(
        "CSV rows, split only",
        header,
        &body,
        "",
        megabytes,
        |source| csv(source, |_| {}),
    )?;
    measure(
        "CSV rows, all values read",
        header,
        &body,
        "",
        megabytes,
        |source| {
            csv(source, |row| {
                let get = |column| row.get(column).unwrap_or_default();
                black_box(movement_type(get(Column::Type)));
                let _ = black_box(number::quantity(get(Column::Qty)));
                let _ = black_box(number::kopecks(get(Column::Price)));
                let _ = black_box(when::parse_ms(get(Column::At), &zone));
                black_box((
                    get(Column::Receipt),
                    get(Column::Line),
                    get(Column::Barcode),
                ));
            })
        },
    )?;
    let russian = "Тип;Чек;Строка;Штрихкод;Количество;Цена;Дата\n";
    let body = text(|at| format!("Продажа;R{at};1;20000{at:08};1;45900,00;22.11.2026 12:14:03\n"));
    let (russian, body) = (windows_1251(russian), windows_1251(&body));
    measure_bytes(
        "CSV rows, windows-1251",
        &russian,
        &body,
        b"",
        megabytes,
        |source| {
            csv(source, |row| {
                black_box(movement_type(row.get(Column::Type).unwrap_or_default()));
            })
        },
    )?;
    Ok(())
}

fn offers(megabytes: u64) -> Result<(), Box<dyn Error>> {
    let head = "<КоммерческаяИнформация ВерсияСхемы=\"3.1\"><ПакетПредложений><Предложения>\n";
    let foot = "</Предложения></ПакетПредложений></КоммерческаяИнформация>";
    let short = text(|at| {
        format!(
            "<Предложение><Ид>{at:08}#1</Ид><Штрихкод>20000{at:08}</Штрихкод><Количество>1</Количество></Предложение>\n"
        )
    });
    measure("offers, short", head, &short, foot, megabytes, cml)?;
    let rests = text(|at| {
        format!(
            "<Предложение><Ид>bd72d910-55bc-11d9-848a-{at:012}#3df1947d-7886-11df-b33a-0011955cba6b</Ид>\
             <Остатки><Остаток><Склад><Ид>be3dfd89-0ac5-11e1-84f0-00241d886595</Ид><Количество>1</Количество></Склад>\
             </Остаток></Остатки></Предложение>\n"
        )
    });
    measure(
        "offers, rests of one warehouse",
        head,
        &rests,
        foot,
        megabytes,
        cml,
    )?;
    let prices = text(|at| {
        format!(
            "<Предложение><Ид>{at:08}#1</Ид><Штрихкод>20000{at:08}</Штрихкод><Наименование>Кольцо (17, 0.3 ct)</Наименование>\
             <Цены><Цена><ИдТипаЦены>ec19169a</ИдТипаЦены><ЦенаЗаЕдиницу>45900.00</ЦенаЗаЕдиницу><Валюта>RUB</Валюта>\
             </Цена></Цены><Склад ИдСклада=\"A1\" КоличествоНаСкладе=\"1\"/></Предложение>\n"
        )
    });
    measure(
        "offers, price and stock",
        head,
        &prices,
        foot,
        megabytes,
        cml,
    )?;
    Ok(())
}

fn text(line: impl Fn(u64) -> String) -> String {
    (0..BODY).fold(String::new(), |mut text, at| {
        let _ = write!(text, "{}", line(at));
        text
    })
}

fn windows_1251(text: &str) -> Vec<u8> {
    encoding_rs::WINDOWS_1251.encode(text).0.into_owned()
}

fn csv(
    source: Box<dyn Read + '_>,
    mut each: impl FnMut(&vitrina_host::csv::Row<'_>),
) -> Result<u64, Box<dyn Error>> {
    let mut reader = CsvReader::open(source)?;
    let mut rows = 0;
    while let Some(line) = reader.next_line()? {
        if let Line::Row(row) = line {
            each(&row);
            rows += 1;
        }
    }
    Ok(rows)
}

fn cml(source: Box<dyn Read + '_>) -> Result<u64, Box<dyn Error>> {
    let mut reader = CmlReader::open(source)?;
    let mut offers = 0;
    while let Some(event) = reader.next_event()? {
        if let Event::Offer(item) = event {
            black_box((item.id(), item.barcodes().next(), item.stock().next()));
            black_box(item.prices().next());
            offers += 1;
        }
    }
    Ok(offers)
}

/// The same bytes again and again.
struct Repeat<'a> {
    body: &'a [u8],
    at: Cursor<&'a [u8]>,
    left: u64,
}

impl Read for Repeat<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = self.at.read(out)?;
        if count > 0 || self.left == 0 {
            return Ok(count);
        }
        self.left -= 1;
        self.at = Cursor::new(self.body);
        self.at.read(out)
    }
}

fn measure(
    what: &str,
    head: &str,
    body: &str,
    foot: &str,
    megabytes: u64,
    run: impl Fn(Box<dyn Read + '_>) -> Result<u64, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let (head, body, foot) = (head.as_bytes(), body.as_bytes(), foot.as_bytes());
    measure_bytes(what, head, body, foot, megabytes, run)
}

fn measure_bytes(
    what: &str,
    head: &[u8],
    body: &[u8],
    foot: &[u8],
    megabytes: u64,
    run: impl Fn(Box<dyn Read + '_>) -> Result<u64, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    if !is_wanted(what) {
        return Ok(());
    }
    let left = megabytes * 1_000_000 / body.len() as u64;
    let repeat = Repeat {
        body,
        at: Cursor::new(&[]),
        left,
    };
    let begin = Instant::now();
    let rows = run(Box::new(head.chain(repeat).chain(foot)))?;
    let micros = begin.elapsed().as_micros().max(1);
    let per_second = u128::from(rows) * 1_000_000 / micros;
    let speed = u128::from(left) * body.len() as u128 / micros;
    say(&format!(
        "{what:32} {per_second:>10} a second, {speed:>5} MB/s"
    ))
}

/// Whether the command line names it, or names nothing. (Cargo adds `--bench`.)
fn is_wanted(what: &str) -> bool {
    let mut words = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-') && arg.parse::<u64>().is_err())
        .peekable();
    words.peek().is_none() || words.any(|word| what.starts_with(&word))
}

fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown".to_owned(), |size| size.trim().to_owned())
}

fn say(text: &str) -> Result<(), Box<dyn Error>> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
