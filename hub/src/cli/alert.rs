//! `alert list|show|ack|snooze|resolve` and the responsibility map, `alert owner add|list|remove`.

use serde_json::{Value, json};
use vitrina_host::config::Period;
use vitrina_host::output::Exit;
use vitrina_host::sign::NamePrefix;
use vitrina_host::{say, sign, when};
use vitrina_shared::ShopId;

use super::{Context, Usage};
use crate::audit::By;
use crate::routes::alerts::until_of;
use crate::store::WorkFilter;
use crate::work::owner::{Owner, Rule};
use crate::work::{Deed, Done, Kind, Level, MAX_NOTE_CHARS, State, Told, WorkItem};

/// Entries of one read.
const PAGE: usize = 1_000;
/// The longest name of a person, in characters.
const MAX_PERSON_CHARS: usize = 100;

#[derive(Debug, clap::Subcommand)]
pub(super) enum AlertVerb {
    /// What people must look at, the latest opened first
    List {
        /// Only open, acknowledged, snoozed or resolved ones [default: all but resolved]
        #[arg(long)]
        state: Option<State>,
        /// The resolved ones too
        #[arg(long, conflicts_with = "state")]
        all: bool,
        /// Only of this kind, such as negative_stock
        #[arg(long)]
        kind: Option<Kind>,
        /// Only of this shop
        #[arg(long)]
        shop: Option<ShopId>,
        /// Only of this person
        #[arg(long)]
        owner: Option<String>,
    },
    /// One of them, with all that happened to it
    Show {
        /// Its name, or the beginning of it
        id: NamePrefix,
    },
    /// Somebody is at it
    Ack {
        /// Its name, or the beginning of it
        id: NamePrefix,
        /// What to say with it
        #[arg(long)]
        note: Option<String>,
    },
    /// Not now: it comes back
    Snooze {
        /// Its name, or the beginning of it
        id: NamePrefix,
        /// For how long, such as 2h; at most 30d
        #[arg(long = "for", value_name = "PERIOD")]
        period: Period,
        /// What to say with it
        #[arg(long)]
        note: Option<String>,
    },
    /// It is done
    Resolve {
        /// Its name, or the beginning of it
        id: NamePrefix,
        /// What to say with it
        #[arg(long)]
        note: Option<String>,
    },
    /// Who looks after what
    #[command(subcommand)]
    Owner(OwnerVerb),
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum OwnerVerb {
    /// Adds a rule: who asks for the most and fits has the entry
    Add(OwnerArgs),
    /// All rules
    List,
    /// Takes a rule away
    Remove {
        /// Its name, or the beginning of it
        id: NamePrefix,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct OwnerArgs {
    /// Who
    #[arg(long)]
    person: String,
    /// The webhook that reaches him
    #[arg(long, value_name = "WEBHOOK")]
    channel: Option<String>,
    /// Whom he stands for: what waits for too long goes to a director
    #[arg(long, value_enum, default_value = "manager")]
    level: Level,
    /// Only of this kind
    #[arg(long)]
    kind: Option<Kind>,
    /// Only of goods of this category
    #[arg(long)]
    category: Option<String>,
    /// Only of goods of this brand
    #[arg(long)]
    brand: Option<String>,
    /// Only in this city
    #[arg(long)]
    city: Option<String>,
    /// Only in these shops: an id, or the beginning of ids such as S01*
    #[arg(long = "shop", value_name = "SHOP")]
    shops: Vec<String>,
}

pub(super) async fn run(verb: AlertVerb, context: Context<'_>) -> anyhow::Result<Exit> {
    match verb {
        AlertVerb::List {
            state,
            all,
            kind,
            shop,
            owner,
        } => {
            context.known(shop.as_ref()).await?;
            let filter = WorkFilter {
                state,
                all,
                kind,
                shop,
                person: owner,
                after: None,
                limit: PAGE,
            };
            list(filter, context).await
        }
        AlertVerb::Show { id } => show(&id, context).await,
        AlertVerb::Ack { id, note } => act(&id, Deed::Acknowledge, note, context).await,
        AlertVerb::Snooze { id, period, note } => {
            let now = context.core.now();
            let until = until_of(now, now.plus(period.as_millis()))
                .map_err(|error| Usage(format!("--for: {error}")))?;
            act(&id, Deed::Snooze(until), note, context).await
        }
        AlertVerb::Resolve { id, note } => act(&id, Deed::Resolve, note, context).await,
        AlertVerb::Owner(OwnerVerb::Add(args)) => add_owner(args, context).await,
        AlertVerb::Owner(OwnerVerb::List) => list_owners(context).await,
        AlertVerb::Owner(OwnerVerb::Remove { id }) => remove_owner(&id, context).await,
    }
}

async fn list(mut filter: WorkFilter, context: Context<'_>) -> anyhow::Result<Exit> {
    let store = &context.core.store;
    let mut items = Vec::new();
    loop {
        let page = store.work_items(filter.clone()).await?;
        let is_last = page.len() < filter.limit;
        filter.after = page.last().map(|item| (item.opened_at.0, item.id));
        items.extend(page);
        if is_last {
            break;
        }
    }
    let lang = context.lang();
    if context.json {
        let items: Vec<Value> = items.iter().map(|item| item.json(lang)).collect();
        context
            .out
            .json(&json!({ "items": items, "next_cursor": null }))?;
        return Ok(Exit::Done);
    }
    let rows = items.iter().map(|item| {
        let owner = item.owner.as_ref().map(|owner| owner.person.clone());
        [
            // Enough of the name to say which.
            item.name().chars().take(8).collect(),
            when::rfc3339_ms(item.opened_at.0),
            item.state.word().to_owned(),
            item.kind.word().to_owned(),
            owner.unwrap_or_default(),
            crate::work::text::of(item, lang),
        ]
    });
    context
        .out
        .table(&["id", "opened", "state", "kind", "owner", "what"], rows)?;
    Ok(Exit::Done)
}

/// The entry that a name or its beginning means.
async fn one(name: &NamePrefix, context: &Context<'_>) -> anyhow::Result<WorkItem> {
    let mut items = context.core.store.work_named(name.range()).await?;
    let is_open = |item: &WorkItem| item.state != State::Resolved;
    // What is done already stands in nobody's way.
    if name.whole().is_none() && items.iter().filter(|item| is_open(item)).count() == 1 {
        items.retain(is_open);
    }
    if items.len() > 1 {
        anyhow::bail!(say!(
            context.lang(),
            "several work items begin with {name}; give more digits",
            "с {name} начинаются несколько записей; укажите больше цифр"
        ))
    }
    items.pop().ok_or_else(|| {
        anyhow::anyhow!(say!(
            context.lang(),
            "there is no work item {name}",
            "нет записи {name}"
        ))
    })
}

async fn show(name: &NamePrefix, mut context: Context<'_>) -> anyhow::Result<Exit> {
    let id = one(name, &context).await?.id;
    let Some((item, history)) = context.core.store.work_item(id).await? else {
        anyhow::bail!("there is no work item {name}")
    };
    print(&item, &history, &mut context)
}

fn print(item: &WorkItem, history: &[Told], context: &mut Context<'_>) -> anyhow::Result<Exit> {
    let lang = context.lang();
    if context.json {
        context.out.json(&item.json_with(history, lang))?;
        return Ok(Exit::Done);
    }
    let owner = item.owner.as_ref().map(|owner| owner.person.clone());
    let until = item.snoozed_until.map(|at| when::rfc3339_ms(at.0));
    let fields = [
        ("id", item.name()),
        ("what", crate::work::text::of(item, lang)),
        ("kind", item.kind.word().to_owned()),
        ("state", item.state.word().to_owned()),
        ("until", until.unwrap_or_default()),
        ("level", item.level.word().to_owned()),
        ("owner", owner.unwrap_or_default()),
        ("evidence", item.evidence.to_string()),
    ];
    let rows = fields
        .into_iter()
        .map(|(name, value)| [name.to_owned(), value]);
    let told = history.iter().map(|told| {
        let detail = told.detail.to_string();
        [
            when::rfc3339_ms(told.at.0),
            format!("{}: {} {}", told.by, told.what, detail),
        ]
    });
    context.out.table(&["field", "value"], rows.chain(told))?;
    Ok(Exit::Done)
}

async fn act(
    name: &NamePrefix,
    deed: Deed,
    note: Option<String>,
    context: Context<'_>,
) -> anyhow::Result<Exit> {
    if note
        .as_ref()
        .is_some_and(|note| note.chars().count() > MAX_NOTE_CHARS)
    {
        return Err(Usage(format!("a note has at most {MAX_NOTE_CHARS} characters")).into());
    }
    let id = one(name, &context).await?.id;
    let (core, lang) = (context.core, context.lang());
    let done = core.store.act_on_work(By::CommandLine, (id, deed, note));
    let item = match done.await? {
        Done::Is(item) => item,
        Done::Over => anyhow::bail!(say!(
            lang,
            "{name} is resolved already",
            "{name}: уже решено"
        )),
        Done::Unknown => anyhow::bail!(say!(
            lang,
            "there is no work item {name}",
            "нет записи {name}"
        )),
    };
    core.deeds.notify_one();
    core.outbox.notify_waiters();
    if context.json {
        context.out.json(&item.json(lang))?;
    } else {
        let state = item.state.word();
        context.out.line(format!("{} {state}", item.name()))?;
    }
    Ok(Exit::Done)
}

fn rule_json(rule: &Rule) -> Value {
    json!({
        "id": sign::hex(&rule.id),
        "person": rule.owner.person,
        "channel": rule.owner.channel,
        "level": rule.level.word(),
        "kind": rule.kind.map(Kind::word),
        "category": rule.category,
        "brand": rule.brand,
        "city": rule.city,
        "shops": rule.shops,
    })
}

async fn add_owner(args: OwnerArgs, context: Context<'_>) -> anyhow::Result<Exit> {
    let person = args.person.trim();
    let is_name = !person.is_empty()
        && person.chars().count() <= MAX_PERSON_CHARS
        && !person.chars().any(char::is_control);
    if !is_name {
        return Err(Usage(format!("--person has 1 to {MAX_PERSON_CHARS} characters")).into());
    }
    let core = context.core;
    if let Some(channel) = &args.channel {
        let known = core.store.webhooks().await?;
        if !known.iter().any(|hook| hook.name == *channel) {
            anyhow::bail!(say!(
                context.lang(),
                "there is no webhook {channel}: add it first (webhook add)",
                "нет вебхука {channel}: сначала добавьте его (webhook add)"
            ))
        }
    }
    let rule = Rule {
        id: sign::random_bytes::<16>()?,
        owner: Owner {
            person: person.to_owned(),
            channel: args.channel,
        },
        level: args.level,
        kind: args.kind,
        category: args.category,
        brand: args.brand,
        city: args.city,
        shops: args.shops,
    };
    core.store.add_owner(By::CommandLine, rule.clone()).await?;
    core.outbox.notify_waiters();
    if context.json {
        context.out.json(&rule_json(&rule))?;
    } else {
        context.out.line(sign::hex(&rule.id))?;
    }
    Ok(Exit::Done)
}

async fn list_owners(context: Context<'_>) -> anyhow::Result<Exit> {
    let rules = context.core.store.owner_rules().await?;
    if context.json {
        let items: Vec<Value> = rules.iter().map(rule_json).collect();
        context
            .out
            .json(&json!({ "items": items, "next_cursor": null }))?;
        return Ok(Exit::Done);
    }
    let rows = rules.into_iter().map(|rule| {
        [
            sign::hex(&rule.id).chars().take(8).collect(),
            rule.owner.person,
            rule.owner.channel.unwrap_or_default(),
            rule.level.word().to_owned(),
            rule.kind.map(Kind::word).unwrap_or_default().to_owned(),
            rule.category.unwrap_or_default(),
            rule.brand.unwrap_or_default(),
            rule.city.unwrap_or_default(),
            rule.shops.join(" "),
        ]
    });
    let names = [
        "id", "person", "channel", "level", "kind", "category", "brand", "city", "shops",
    ];
    context.out.table(&names, rows)?;
    Ok(Exit::Done)
}

async fn remove_owner(name: &NamePrefix, context: Context<'_>) -> anyhow::Result<Exit> {
    let core = context.core;
    let (first, last) = name.range();
    let rules = core.store.owner_rules().await?;
    let mut found = rules
        .into_iter()
        .filter(|rule| (first..=last).contains(&rule.id));
    let (Some(rule), None) = (found.next(), found.next()) else {
        anyhow::bail!(say!(
            context.lang(),
            "{name} names no rule, or several: alert owner list shows them",
            "{name} не называет ни одного правила или называет несколько: см. alert owner list"
        ))
    };
    core.store.remove_owner(By::CommandLine, rule.id).await?;
    core.outbox.notify_waiters();
    let id = sign::hex(&rule.id);
    if context.json {
        context.out.json(&json!({ "id": id, "done": "removed" }))?;
    } else {
        context
            .out
            .line(say!(context.lang(), "{id} is removed", "{id}: удалено"))?;
    }
    Ok(Exit::Done)
}
