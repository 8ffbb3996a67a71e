//! `explain`: how a number came about, told as a bank tells of an account.

use serde_json::Value;
use vitrina_host::output::{Exit, Lang};
use vitrina_host::say;
use vitrina_shared::{Barcode, ShopId};

use super::{Context, Usage, query};
use crate::error::{ApiError, Code};
use crate::routes::explained_json;

/// The columns of a terminal.
const WIDTH: usize = 80;
/// Of a replica's name so much tells it from the others of a shop.
const REPLICA: usize = 8;
/// Of an order's number.
const ORDER: usize = 12;

#[derive(Debug, clap::Args)]
pub(super) struct ExplainArgs {
    /// The barcode, or another code of it
    barcode: String,
    /// Only this shop
    #[arg(long)]
    shop: Option<ShopId>,
}

pub(super) async fn explain(args: ExplainArgs, context: Context<'_>) -> anyhow::Result<Exit> {
    context.known(args.shop.as_ref()).await?;
    let view = query::view(&context).await?;
    let barcode: Barcode = match view.find(&args.barcode) {
        Ok(item) => item.barcode.clone(),
        Err(_) => args
            .barcode
            .parse()
            .map_err(|error| Usage(format!("{}: {error}", args.barcode)))?,
    };
    let core = context.core;
    let accounts = core.store.account(barcode.clone(), args.shop).await?;
    if accounts.is_empty() && view.item(barcode.as_str()).is_none() {
        let asked = format!("{}: no shop and no catalogue knows it", args.barcode);
        return Err(ApiError::new(Code::UnknownBarcode, asked).into());
    }
    let explained = explained_json(&view, core.now(), (&barcode, &accounts));
    if context.json {
        context.out.json(&explained)?;
        return Ok(Exit::Done);
    }
    let face = view.item(barcode.as_str()).map(|item| item.face());
    let name = face.as_ref().and_then(|face| face.name.as_deref());
    let article = face.as_ref().and_then(|face| face.article.as_deref());
    let title = [Some(barcode.as_str()), article, name];
    let title: Vec<&str> = title.into_iter().flatten().collect();
    context.out.line(cut(&title.join("  "), WIDTH))?;
    let lang = context.lang();
    for shop in list(&explained, "shops") {
        for line in statement(shop, lang) {
            context.out.line(line)?;
        }
    }
    Ok(Exit::Done)
}

fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    let list = value.get(name).and_then(Value::as_array);
    list.map(Vec::as_slice).unwrap_or_default()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, name: &str) -> Option<i64> {
    value.get(name).and_then(Value::as_i64)
}

/// The first characters of a text.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// A line of the account: what, from where, by whom, so many units, and what is left.
fn line(cells: [&str; 4], units: &str, balance: &str) -> String {
    let [when, what, document, who] = cells;
    let (what, document, who) = (cut(what, 13), cut(document, 14), cut(who, 10));
    let line = format!("{when:<19} {what:<13} {document:<14} {who:<10} {units:>10} {balance:>8}");
    line.trim_end().to_owned()
}

/// What is taken off: words over the first columns.
fn off(what: &str, units: i64, balance: i64) -> String {
    let what = cut(what, 59);
    format!("{what:<59} {units:>+10} {balance:>8}")
}

/// The account of one shop.
fn statement(shop: &Value, lang: Lang) -> Vec<String> {
    let mut lines = vec![String::new(), head(shop, lang)];
    let titles = say!(
        lang,
        "time (UTC)|what|document|who|units|balance",
        "время (UTC)|что|документ|кто|штук|остаток"
    );
    let titles: Vec<&str> = titles.split('|').collect();
    if let [when, what, document, who, units, balance] = titles.as_slice() {
        lines.push(line([when, what, document, who], units, balance));
    }
    for movement in list(shop, "movements") {
        lines.extend(movement_lines(movement, lang));
    }
    lines.push("-".repeat(WIDTH - 1));
    for stage in list(shop, "stages") {
        let units = number(stage, "units").unwrap_or(0);
        let balance = number(stage, "balance").unwrap_or(0);
        let words = stage_words(text(stage, "stage"), shop, lang);
        lines.push(off(&words, units, balance));
        if text(stage, "stage") == "holds" {
            lines.extend(hold_lines(shop, lang));
        }
    }
    lines
}

/// The shop, and how old what is known of it is.
fn head(shop: &Value, lang: Lang) -> String {
    let (id, name) = (text(shop, "shop"), text(shop, "name"));
    let confidence = text(shop, "confidence");
    let lag = number(shop, "lag_ms").map_or_else(|| "?".to_owned(), period);
    let as_of = match text(shop, "as_of") {
        "" => "?".to_owned(),
        // To the minute: the line is short, and that is how old it is for the website too.
        at => moment(at).chars().take(16).collect(),
    };
    let words = say!(
        lang,
        "{id} {name}: {confidence}, log complete {lag} ago, known as of {as_of}",
        "{id} {name}: {confidence}, журнал полон {lag} назад, данные на {as_of}"
    );
    cut(&words, WIDTH)
}

/// `2026-11-22T09:14:03.120Z`, without what nobody reads.
fn moment(at: &str) -> String {
    at.chars().take(19).collect::<String>().replace('T', " ")
}

/// A time in the unit that fits it.
fn period(ms: i64) -> String {
    let (sign, ms) = (if ms < 0 { "-" } else { "" }, ms.unsigned_abs());
    match ms {
        0..1_000 => format!("{sign}{ms} ms"),
        1_000..120_000 => format!("{sign}{}.{} s", ms / 1_000, ms % 1_000 / 100),
        120_000..7_200_000 => format!("{sign}{} min", ms / 60_000),
        7_200_000..172_800_000 => format!("{sign}{} h", ms / 3_600_000),
        _ => format!("{sign}{} d", ms / 86_400_000),
    }
}

fn movement_lines(movement: &Value, lang: Lang) -> [String; 2] {
    let is_void = text(movement, "state") == "void";
    let units = number(movement, "qty").unwrap_or(0);
    // What does not count is in brackets, as a bank does it.
    let units = if is_void {
        format!("({units:+})")
    } else {
        format!("{units:+}")
    };
    let document = match (text(movement, "doc"), text(movement, "receipt")) {
        ("", "") => text(movement, "ref").to_owned(),
        ("", receipt) => {
            let line = number(movement, "line").unwrap_or(0);
            format!("{}/{receipt}/{line}", text(movement, "till"))
        }
        (document, _) => document.to_owned(),
    };
    let who = match (text(movement, "cashier"), text(movement, "till")) {
        ("", "") => String::new(),
        ("", till) => say!(lang, "till {till}", "касса {till}"),
        (cashier, _) => cashier.to_owned(),
    };
    let balance = number(movement, "on_hand").unwrap_or(0).to_string();
    let at = moment(text(movement, "at"));
    let cells = [&*at, text(movement, "type"), &*document, &*who];
    let (replica, seq) = { text(movement, "dot").split_once(':') }.unwrap_or_default();
    let replica: String = replica.chars().take(REPLICA).collect();
    let lag = |name: &str| {
        let lags = movement.get("lags");
        let lag = lags.and_then(|lags| number(lags, name));
        lag.map_or_else(|| "?".to_owned(), period)
    };
    let order = match text(movement, "order") {
        "" => String::new(),
        order => {
            let order = cut(order, ORDER);
            say!(lang, "order {order}, ", "заказ {order}, ")
        }
    };
    let (to_hub, to_site) = (lag("till_to_hub_ms"), lag("hub_to_visible_ms"));
    let state = if is_void {
        say!(lang, "  does not count", "  не учитывается")
    } else {
        String::new()
    };
    let below = say!(
        lang,
        "    {replica}:{seq}  {order}at the hub after {to_hub}, readable {to_site} later{state}",
        "    {replica}:{seq}  {order}на хабе через {to_hub}, на сайте ещё через {to_site}{state}"
    );
    [line(cells, &units, &balance), cut(&below, WIDTH)]
}

fn stage_words(stage: &str, shop: &Value, lang: Lang) -> String {
    match stage {
        "opening" => say!(lang, "opening", "открытие"),
        "movements" => say!(lang, "movements", "движения"),
        "voids" => say!(
            lang,
            "what does not count (on hand)",
            "не учитывается (в наличии)"
        ),
        "unexplained" => say!(
            lang,
            "no movement explains (vitrina-hub verify)",
            "не объяснено движениями (vitrina-hub verify)"
        ),
        "holds" => say!(lang, "held for web orders", "удержано для заказов сайта"),
        "unavailable" => say!(lang, "cannot be sold", "нельзя продать"),
        "safety" => safety_words(shop, lang),
        "available" => {
            let promised = number(shop, "promised").unwrap_or(0);
            say!(
                lang,
                "available ({promised} of it promised)",
                "доступно (из них обещается {promised})"
            )
        }
        other => other.to_owned(),
    }
}

fn safety_words(shop: &Value, lang: Lang) -> String {
    let rule = shop.get("safety_rule").filter(|rule| !rule.is_null());
    let Some(rule) = rule else {
        return say!(lang, "kept back", "придержано");
    };
    let (of, place) = (text(rule, "of"), text(rule, "in"));
    say!(
        lang,
        "kept back by the rule for {of} in the {place}",
        "придержано по правилу ({of}, {place})"
    )
}

/// The holds that keep something of it.
fn hold_lines(shop: &Value, lang: Lang) -> Vec<String> {
    let holds = list(shop, "holds").iter();
    let lines = holds.map(|hold| {
        let (order, state, id) = (text(hold, "order"), text(hold, "state"), text(hold, "id"));
        let who = text(hold, "placed_by");
        let words = say!(
            lang,
            "    {id}  {state}, order {order}, by {who}",
            "    {id}  {state}, заказ {order}, от {who}"
        );
        cut(&words, WIDTH)
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_statement_fits_a_terminal_whatever_is_in_it() {
        let long = "Очень длинное имя ".repeat(9);
        let shop = json!({
            "shop": "S017", "name": long, "confidence": "live", "lag_ms": 12, "as_of": null, "promised": 1,
            "safety_rule": {"of": "everything", "in": "chain"},
            "movements": [{
                "at": "2026-11-22T09:14:03.120Z", "type": "transfer_out", "qty": -1_000_000, "on_hand": -1_000_000,
                "doc": long, "cashier": long, "order": long, "state": "void", "dot": format!("{}:1000000", "f".repeat(32)),
                "lags": {"till_to_hub_ms": -5, "hub_to_visible_ms": null},
            }],
            "stages": [
                {"stage": "holds", "units": -1_000_000, "balance": -1_000_000},
                {"stage": "safety", "units": -1, "balance": 3},
                {"stage": "available", "units": 0, "balance": 3},
            ],
            "holds": [{"order": long, "state": "requested", "id": "0".repeat(32), "placed_by": long}],
        });

        for lang in [Lang::En, Lang::Ru] {
            let lines = statement(&shop, lang);
            for line in &lines {
                assert!(line.chars().count() <= WIDTH, "{line}");
            }
            assert!(
                lines.iter().any(|line| line.contains("(-1000000)")),
                "{lines:#?}"
            );
        }
    }

    #[test]
    fn a_period_has_the_unit_that_fits_it() {
        let told = [
            0,
            999,
            1_500,
            119_999,
            120_000,
            7_200_000,
            259_200_000,
            -1_500,
        ]
        .map(period);
        assert_eq!(
            told,
            [
                "0 ms", "999 ms", "1.5 s", "119.9 s", "2 min", "2 h", "3 d", "-1.5 s"
            ]
        );
    }
}
