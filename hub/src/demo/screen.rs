//! The live table: drawn anew on a terminal, a line now and then in a pipe.

use std::collections::HashMap;
use std::fmt::Write as FmtWrite;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use vitrina_host::output::{Lang, Out, OutError};
use vitrina_host::say;

use super::figures::{ms, percentile};
use super::shop::Shop;
use super::website::Website;

/// How often a pipe gets a line.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// More shops than this do not fit on a screen.
const ROWS: usize = 30;

/// What the table shows of a shop.
#[derive(Clone, Debug, Default)]
struct Row {
    on_hand: i64,
    lag: String,
    source: String,
    confidence: String,
    pending: String,
    last_sale: String,
    note: String,
}

/// The table.
#[derive(Debug)]
pub(super) struct Screen {
    begun: Instant,
    drawn: usize,
    said: Instant,
}

impl Screen {
    /// Nothing is drawn yet.
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            begun: now,
            drawn: 0,
            said: now,
        }
    }

    /// Shows how everything is.
    pub(super) async fn show(
        &mut self,
        out: &mut Out,
        shops: &[Arc<Shop>],
        office: &Website,
        website: &Website,
    ) -> Result<(), OutError> {
        if !out.is_terminal() && self.said.elapsed() < LINE_EVERY {
            return Ok(());
        }
        self.said = Instant::now();
        let asked = office
            .json("/v1/shops?limit=1000")
            .await
            .unwrap_or_default();
        let items = asked
            .get("items")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let by_id: HashMap<&str, &Value> = items
            .iter()
            .filter_map(|item| Some((item.get("shop")?.as_str()?, item)))
            .collect();
        let mut rows = Vec::new();
        for shop in shops {
            rows.push((
                shop.id(),
                row(shop, by_id.get(shop.id()).copied(), website, out.lang()).await,
            ));
        }
        if out.is_terminal() {
            self.draw(out, &rows, website)
        } else {
            self.say(out, &rows, website)
        }
    }

    fn draw(
        &mut self,
        out: &mut Out,
        rows: &[(&str, Row)],
        website: &Website,
    ) -> Result<(), OutError> {
        let lang = out.lang();
        let mut lines = vec![say!(
            lang,
            "shop    on hand      lag   source      state  pending  last sale → website",
            "магазин остаток отставание источник  статус в очереди  продажа → сайт"
        )];
        for (shop, row) in rows.iter().take(ROWS) {
            lines.push(format!(
                "{shop:<8}{:>7} {:>8} {:>8} {:>10} {:>8}  {:>10}  {}",
                row.on_hand,
                row.lag,
                row.source,
                row.confidence,
                row.pending,
                row.last_sale,
                row.note
            ));
        }
        lines.push(self.summary(out, website));
        // No line is longer than a narrow terminal: one that wraps is two, and the next drawing begins too low.
        lines.push(say!(
            lang,
            "live: promise it; stale: 1C or line silent; unknown: not heard from yet",
            "live: можно обещать; stale: молчит 1С или связь; unknown: ещё не слышно"
        ));
        lines.push(say!(
            lang,
            "no line: it sells on; what is pending reaches the website with the line",
            "нет связи: магазин продаёт, очередь дойдёт до сайта вместе со связью"
        ));
        let up = match self.drawn {
            0 => String::new(),
            drawn => format!("\u{1b}[{drawn}A\u{1b}[J"),
        };
        write!(out, "{up}")?;
        for line in &lines {
            out.line(line)?;
        }
        self.drawn = lines.len();
        Ok(out.flush()?)
    }

    fn say(
        &mut self,
        out: &mut Out,
        rows: &[(&str, Row)],
        website: &Website,
    ) -> Result<(), OutError> {
        let mut line = self.summary(out, website);
        for (shop, row) in rows.iter().filter(|(_, row)| !row.note.is_empty()) {
            let _ = FmtWrite::write_fmt(
                &mut line,
                format_args!(
                    "; {shop}: {} ({}, {})",
                    row.note, row.confidence, row.pending
                ),
            );
        }
        out.line(line)?;
        Ok(out.flush()?)
    }

    fn summary(&self, out: &Out, website: &Website) -> String {
        let seconds = self.begun.elapsed().as_secs();
        let (sales, files, p50, p99) = website.figures(|figures| {
            let times = &figures.sale;
            (
                figures.sales,
                figures.files,
                ms(percentile(times, 50)),
                ms(percentile(times, 99)),
            )
        });
        say!(
            out.lang(),
            "{seconds} s: {sales} sales, {files} files; sale → website p50 {p50}, p99 {p99}",
            "{seconds} с: продаж {sales}, файлов {files}; продажа → сайт p50 {p50}, p99 {p99}"
        )
    }
}

async fn row(shop: &Shop, at_hub: Option<&Value>, website: &Website, lang: Lang) -> Row {
    let number = |name: &str| {
        at_hub
            .and_then(|item| item.get(name))
            .and_then(Value::as_i64)
    };
    let word = |name: &str| {
        at_hub
            .and_then(|item| item.get(name))
            .and_then(Value::as_str)
    };
    let seconds =
        |value: Option<i64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value} s"));
    let pending = shop.pending().await;
    Row {
        on_hand: website.levels(shop.id()).values().sum(),
        lag: seconds(number("lag_ms").map(|lag_ms| lag_ms / 1_000)),
        source: seconds(number("source_age_s")),
        confidence: word("confidence").unwrap_or("–").to_owned(),
        pending: pending.map_or_else(|_| "?".to_owned(), |pending| pending.to_string()),
        last_sale: ms(website.last_sale(shop.id())),
        note: if shop.line.is_cut() {
            say!(lang, "no line", "нет связи")
        } else if word("confidence") == Some("stale") {
            say!(lang, "1C silent", "1С молчит")
        } else {
            String::new()
        },
    }
}
