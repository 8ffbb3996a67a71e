//! `shop add|list|show|set|recode|revoke|close`.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use vitrina_host::csv::{Column, CsvReader, Line, Row, Table};
use vitrina_host::output::{Cell, CsvOut, Exit, Lang};
use vitrina_host::{os, say, when};
use vitrina_shared::ShopId;

use super::{Context, Usage};
use crate::audit::By;
use crate::shops::{self, EnrolCode, Fields, NewShop, ShopError};
use crate::store::Story;

#[derive(Debug, clap::Subcommand)]
pub(super) enum ShopVerb {
    /// Adds a shop, or the whole chain from a file; prints one-time codes for `vitrina-agent enrol`
    Add(AddArgs),
    /// All shops
    List {
        /// Only those where no device was enrolled yet
        #[arg(long)]
        not_enrolled: bool,
    },
    /// One shop
    Show {
        /// The shop
        shop: ShopId,
    },
    /// Changes what is said of a shop; its settings travel to it
    Set {
        /// The shop
        shop: ShopId,
        #[command(flatten)]
        fields: Box<Fields>,
    },
    /// Makes a new one-time code; the one before opens nothing any more
    Recode {
        /// The shop
        shop: ShopId,
    },
    /// Ends the shop's credentials; its agent sells on, its levels are unknown
    Revoke {
        /// The shop
        shop: ShopId,
    },
    /// Takes the shop off the website for good
    Close {
        /// The shop
        shop: ShopId,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct AddArgs {
    /// The shop's name for ever, such as S017
    #[arg(required_unless_present = "from", conflicts_with = "from")]
    shop: Option<ShopId>,
    #[command(flatten)]
    fields: Box<Fields>,
    /// A CSV file with a line for each shop
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Where the codes of a chain are written
    #[arg(long, value_name = "FILE", requires = "from")]
    out: Option<PathBuf>,
    /// Only checks
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(verb: ShopVerb, mut context: Context<'_>) -> anyhow::Result<Exit> {
    match verb {
        ShopVerb::Add(args) => add(args, context).await,
        ShopVerb::List { not_enrolled } => list(not_enrolled, context).await,
        ShopVerb::Show { shop } => show(shop, context).await,
        ShopVerb::Set { shop, fields } => {
            context.known(Some(&shop)).await?;
            let row = shops::set(context.core, By::CommandLine, (shop, *fields)).await;
            let row = row.map_err(of_an_option)?;
            show(row.shop, context).await
        }
        ShopVerb::Recode { shop } => {
            context.known(Some(&shop)).await?;
            let code = shops::recode(context.core, By::CommandLine, shop).await?;
            print_code(&code, &mut context)
        }
        ShopVerb::Revoke { shop } => {
            context.known(Some(&shop)).await?;
            shops::revoke(context.core, By::CommandLine, shop.clone()).await?;
            done(&mut context, &shop, "revoked", "отозван")
        }
        ShopVerb::Close { shop } => {
            context.known(Some(&shop)).await?;
            shops::close(context.core, By::CommandLine, shop.clone()).await?;
            done(&mut context, &shop, "closed", "закрыт")
        }
    }
}

fn done(
    context: &mut Context<'_>,
    shop: &ShopId,
    english: &str,
    russian: &str,
) -> anyhow::Result<Exit> {
    if context.json {
        context
            .out
            .json(&serde_json::json!({ "shop": shop, "done": english }))?;
    } else {
        let text = say!(context.lang(), "{shop} is {english}", "{shop}: {russian}");
        context.out.line(text)?;
    }
    Ok(Exit::Done)
}

async fn add(args: AddArgs, mut context: Context<'_>) -> anyhow::Result<Exit> {
    if let Some(file) = &args.from {
        let new = read_chain(&context.file(file))?;
        return add_chain(new, &args, context).await;
    }
    let Some(shop) = args.shop else {
        return Err(Usage("name the shop, or give --from FILE".to_owned()).into());
    };
    let new = NewShop {
        shop,
        fields: *args.fields,
    };
    if args.dry_run {
        shops::check_all(vec![new]).map_err(of_an_option)?;
        return Ok(Exit::Done);
    }
    let code = shops::add(context.core, By::CommandLine, new).await;
    let code = code.map_err(of_an_option)?;
    print_code(&code, &mut context)
}

/// What cannot be so was said by an option; in a file it is the file that is wrong.
fn of_an_option(error: ShopError) -> anyhow::Error {
    match error {
        ShopError::Field { .. } => Usage(error.to_string()).into(),
        error => error.into(),
    }
}

fn print_code(code: &EnrolCode, context: &mut Context<'_>) -> anyhow::Result<Exit> {
    if context.json {
        context.out.json(code)?;
    } else {
        context.out.line(&code.code)?;
        let until = when::rfc3339_ms(code.expires_at.0);
        let shop = &code.shop;
        let text = say!(
            context.lang(),
            "for {shop}, once, until {until}: vitrina-agent --data DIR enrol --hub URL --code CODE",
            "для {shop}, один раз, до {until}: vitrina-agent --data DIR enrol --hub URL --code CODE"
        );
        context.out.note(text);
    }
    Ok(Exit::Done)
}

async fn add_chain(
    new: Vec<NewShop>,
    args: &AddArgs,
    context: Context<'_>,
) -> anyhow::Result<Exit> {
    let count = new.len();
    if args.dry_run {
        shops::check_all(new)?;
        let text = say!(
            context.lang(),
            "shops that can be added: {count}",
            "можно добавить магазинов: {count}"
        );
        context.out.line(text)?;
        return Ok(Exit::Done);
    }
    let codes = shops::add_all(context.core, By::CommandLine, new).await?;
    if let Some(file) = &args.out {
        let path = context.file(file);
        // Codes are secrets until they are used.
        os::write_secret(&path, &codes_csv(&codes)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if context.json {
        context.out.json(&codes)?;
    } else if args.out.is_some() {
        let text = say!(
            context.lang(),
            "shops added: {count}",
            "добавлено магазинов: {count}"
        );
        context.out.line(text)?;
    } else {
        context.out.write_all(&codes_csv(&codes)?)?;
    }
    Ok(Exit::Done)
}

fn codes_csv(codes: &[EnrolCode]) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut csv = CsvOut::separated(&mut bytes, b';');
    csv.header(&["shop", "code", "expires_at"])?;
    for code in codes {
        let until = when::rfc3339_ms(code.expires_at.0);
        csv.row(&[
            Cell::Text(code.shop.as_str()),
            Cell::Text(&code.code),
            Cell::Text(&until),
        ])?;
    }
    csv.finish()?;
    Ok(bytes)
}

/// The shops of a file; all of them, or an error that names the line.
fn read_chain(path: &Path) -> anyhow::Result<Vec<NewShop>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut reader =
        CsvReader::open(file).with_context(|| format!("cannot read {}", path.display()))?;
    if reader.header().table() != Table::Shops {
        let found = reader.header().table();
        anyhow::bail!(
            "{} is a file of {found}; one of shops has the columns shop, name, city …",
            path.display()
        );
    }
    let mut new = Vec::new();
    while let Some(line) = reader
        .next_line()
        .with_context(|| format!("cannot read {}", path.display()))?
    {
        let row = match line {
            Line::Row(row) => row,
            Line::Bad(bad) => {
                anyhow::bail!("{}, line {}: {}", path.display(), bad.line, bad.reason)
            }
        };
        new.push(
            new_shop(&row).with_context(|| format!("{}, line {}", path.display(), row.line()))?,
        );
    }
    Ok(new)
}

fn new_shop(row: &Row<'_>) -> anyhow::Result<NewShop> {
    let shop: ShopId = row.get(Column::Shop).context("no shop")?.parse()?;
    let text = |column| row.get(column).map(str::to_owned);
    let number = |column: Column| -> anyhow::Result<Option<f64>> {
        let Some(text) = row.get(column) else {
            return Ok(None);
        };
        let number = text.replace(',', ".").parse();
        number
            .map(Some)
            .with_context(|| format!("{}: \"{text}\" is no number", column.name()))
    };
    let list = |column| -> Option<Vec<String>> {
        let list: Vec<String> = row
            .get(column)?
            .split(['|', ' '])
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect();
        (!list.is_empty()).then_some(list)
    };
    let fields = Fields {
        name: text(Column::Name),
        city: text(Column::City),
        address: text(Column::Address),
        lat: number(Column::Lat)?,
        lon: number(Column::Lon)?,
        tz: text(Column::Tz),
        hours: text(Column::Hours),
        shop_type: choice(row, Column::Type)?,
        external_id: text(Column::ExternalId),
        warehouses: list(Column::Warehouse),
        source: choice(row, Column::Source)?,
        source_every: match row.get(Column::SourceEvery) {
            Some(text) => Some(
                text.parse()
                    .with_context(|| format!("source_every: \"{text}\""))?,
            ),
            None => None,
        },
        holds: choice(row, Column::Holds)?,
        // Of a chain that is just added the settings of the hub say it.
        promise_stale: None,
        promise_unknown: None,
        local_prefixes: list(Column::LocalPrefix),
        publish: choice(row, Column::Publish)?,
    };
    Ok(NewShop { shop, fields })
}

fn choice<T: clap::ValueEnum>(row: &Row<'_>, column: Column) -> anyhow::Result<Option<T>> {
    let Some(text) = row.get(column) else {
        return Ok(None);
    };
    match T::from_str(text, true) {
        Ok(choice) => Ok(Some(choice)),
        Err(_) => anyhow::bail!("{}: \"{text}\" is not one of its words", column.name()),
    }
}

async fn list(not_enrolled: bool, context: Context<'_>) -> anyhow::Result<Exit> {
    let mut rows = context.core.store.shops().await?;
    rows.retain(|row| !(not_enrolled && row.enrolled));
    if context.json {
        context.out.json(
            &serde_json::json!({ "items": rows.iter().map(shop_json).collect::<Vec<_>>() }),
        )?;
        return Ok(Exit::Done);
    }
    let yes = |value: bool| if value { "yes" } else { "no" }.to_owned();
    let table = rows.iter().map(|row| {
        [
            row.shop.to_string(),
            row.settings.name.clone(),
            row.settings.city.clone().unwrap_or_default(),
            row.settings.shop_type.clone(),
            if row.settings.source == vitrina_shared::registers::Source::Balances {
                "balances"
            } else {
                "movements"
            }
            .to_owned(),
            yes(row.enrolled),
            yes(row.is_published()),
            yes(row.revoked),
        ]
    });
    context.out.table(
        &[
            "shop",
            "name",
            "city",
            "type",
            "source",
            "enrolled",
            "published",
            "revoked",
        ],
        table,
    )?;
    Ok(Exit::Done)
}

fn shop_json(row: &crate::change::ShopRow) -> serde_json::Value {
    let mut json = serde_json::to_value(&row.settings).unwrap_or_default();
    let more = serde_json::json!({
        "shop": row.shop,
        "address": row.address,
        "lat": row.lat,
        "lon": row.lon,
        "external_id": row.external_id,
        "publish": row.publish,
        "enrolled": row.enrolled,
        "revoked": row.revoked,
    });
    if let (Some(json), serde_json::Value::Object(more)) = (json.as_object_mut(), more) {
        json.extend(more);
    }
    json
}

async fn show(shop: ShopId, context: Context<'_>) -> anyhow::Result<Exit> {
    context.known(Some(&shop)).await?;
    let row = shops::known(context.core, shop).await?;
    let mut json = shop_json(&row);
    let story = context.core.store.story(row).await?;
    if let Some(json) = json.as_object_mut() {
        let writes_as = story.health.replica.map(|name| name.to_string());
        json.insert("replica".into(), writes_as.into());
        json.insert("problems".into(), story.health.problems.clone().into());
        json.insert("replicas".into(), serde_json::to_value(&story.replicas)?);
        json.insert("hub_life".into(), serde_json::to_value(&story.life)?);
        json.insert("repairs".into(), serde_json::to_value(&story.repairs)?);
        json.insert("books".into(), serde_json::to_value(&story.alert)?);
    }
    if context.json {
        context.out.json(&json)?;
        return Ok(Exit::Done);
    }
    let fields = json.as_object().cloned().unwrap_or_default();
    let told_below = |name: &str| {
        matches!(
            name,
            "replicas" | "hub_life" | "problems" | "repairs" | "books"
        )
    };
    let table = fields
        .into_iter()
        .filter(|(name, value)| !value.is_null() && !told_below(name))
        .map(|(name, value)| {
            let value = match value {
                serde_json::Value::String(text) => text,
                other => other.to_string(),
            };
            [name, value]
        });
    context.out.table(&["field", "value"], table)?;
    for line in told(&story, context.out.lang()) {
        context.out.line(line)?;
    }
    Ok(Exit::Done)
}

/// What was wrong with a shop's rows here, and what the shop says of its own.
fn books(story: &Story, lang: Lang) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(last) = story.repairs.first() {
        let (at, found) = (when::rfc3339_ms(last.at.0), &last.found);
        let count: u64 = story.repairs.iter().map(|repair| repair.count).sum();
        lines.push(say!(
            lang,
            "\n{count} rows were not what the movements say and were written anew from them, last at {at} ({found}).",
            "\nСтрок, не совпадавших с движениями и записанных по ним заново: {count}, последний раз {at} ({found})."
        ));
    }
    let own = story.alert.iter().map(|alert| alert.found.as_str());
    let told = story.health.problems.iter();
    let theirs = told.filter_map(|problem| problem.strip_prefix("books: "));
    for words in own.chain(theirs) {
        lines.push(say!(
            lang,
            "\nThe books need a person: {words}.",
            "\nУчёт требует внимания: {words}."
        ));
    }
    let told = story.health.problems.iter();
    for file in told.filter_map(|problem| problem.strip_prefix("files_rejected: ")) {
        lines.push(say!(
            lang,
            "\nNothing was taken of a file: {file}. In the shop vitrina-agent doctor says why.",
            "\nИз файла ничего не принято: {file}. Причину в магазине назовёт vitrina-agent doctor."
        ));
    }
    lines
}

/// What happened to a shop's ledger and to the hub, where it is out of the ordinary.
fn told(story: &Story, lang: Lang) -> Vec<String> {
    let Story {
        replicas,
        health,
        life,
        ..
    } = story;
    let mut lines = books(story, lang);
    let lost = health.problems.iter();
    let lost: Vec<_> = lost
        .filter_map(|problem| problem.strip_prefix("lost_movements: "))
        .collect();
    for found in &lost {
        lines.push(say!(
            lang,
            "\nMovements that were recorded in the shop are known to have existed and are lost, count the shelf: {found}.",
            "\nДвижения, которые были записаны в магазине, потеряны, пересчитайте полку: {found}."
        ));
    }
    if replicas.len() > 1 {
        let count = replicas.len();
        let mut told = say!(
            lang,
            "\nThe ledger was restored, copied or enrolled anew: it wrote under {count} names.",
            "\nЖурнал восстанавливали, копировали или подключали заново: имён у него {count}."
        );
        if lost.is_empty() {
            told.push_str(&say!(
                lang,
                " Every movement is kept and counts once.",
                " Каждое движение сохранено и учтено один раз."
            ));
        }
        lines.push(told);
        for row in replicas {
            let (name, movements) = (row.replica, row.movements);
            let [first, last] = [row.first_at, row.last_at].map(|at| when::rfc3339_ms(at.0));
            lines.push(say!(
                lang,
                "  {name}: {movements} movements, the first heard of at {first}, the last at {last}",
                "  {name}: движений {movements}, о первом хаб узнал {first}, о последнем {last}"
            ));
        }
    }
    if health
        .problems
        .iter()
        .any(|problem| problem.starts_with("two_machines"))
    {
        lines.push(say!(
            lang,
            "\nTwo running machines use this shop's key. Both sell and nothing is lost; stop one, or enrol it as a shop of its own.",
            "\nКлючом этого магазина пользуются две работающие машины. Обе продают, ничего не потеряно; остановите одну или подключите её как отдельный магазин."
        ));
    }
    if life.ordinal > 1 {
        let (ordinal, reason) = (life.ordinal, &life.reason);
        let began = when::rfc3339_ms(life.began_at.0);
        lines.push(say!(
            lang,
            "\nThe hub is in life {ordinal} since {began} ({reason}): the shops refill it, and it says unknown of those it has not heard from.",
            "\nУ хаба идёт жизнь {ordinal} с {began} ({reason}): магазины наполняют его снова, о неслышимых он говорит unknown."
        ));
    }
    lines
}
