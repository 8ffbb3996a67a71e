//! `safety set|list|remove`.

use serde_json::{Value, json};
use vitrina_host::output::Exit;
use vitrina_host::say;
use vitrina_shared::ShopId;

use super::Context;
use crate::audit::By;
use crate::routes::rule_json;
use crate::safety::{self, Named};
use crate::store::SafetyRow;

/// Rules of one read.
const PAGE: usize = 1_000;

#[derive(Debug, clap::Subcommand)]
pub(super) enum SafetyVerb {
    /// Keeps so many units of each level back from web orders; of several rules that fit the most specific one counts
    Set {
        /// So many; 0 frees it of what is kept back elsewhere
        units: u32,
        #[command(flatten)]
        of: OfArgs,
    },
    /// What is kept back
    List {
        /// Only what is said of this shop
        #[arg(long)]
        shop: Option<ShopId>,
    },
    /// Takes a rule away
    Remove {
        #[command(flatten)]
        of: OfArgs,
    },
}

/// Of what a rule speaks; nothing: of the whole chain.
#[derive(Debug, clap::Args)]
pub(super) struct OfArgs {
    /// In this shop; otherwise in all of them
    #[arg(long)]
    shop: Option<ShopId>,
    /// Of the barcodes of this article
    #[arg(long, conflicts_with = "barcode")]
    article: Option<String>,
    /// Of this barcode, or of another code of it
    #[arg(long)]
    barcode: Option<String>,
}

impl OfArgs {
    fn named(self) -> Named {
        Named {
            shop: self.shop,
            article: self.article,
            barcode: self.barcode,
        }
    }
}

pub(super) async fn run(verb: SafetyVerb, context: Context<'_>) -> anyhow::Result<Exit> {
    match verb {
        SafetyVerb::Set { units, of } => set(of, Some(units), context).await,
        SafetyVerb::Remove { of } => set(of, None, context).await,
        SafetyVerb::List { shop } => list(shop, context).await,
    }
}

async fn set(of: OfArgs, units: Option<u32>, context: Context<'_>) -> anyhow::Result<Exit> {
    context.known(of.shop.as_ref()).await?;
    let done = safety::set(context.core, By::CommandLine, of.named(), units).await?;
    let rule = rule_json(&done, units);
    if context.json {
        context.out.json(&rule)?;
        return Ok(Exit::Done);
    }
    let of = of_what(&rule, context.lang());
    let text = match units {
        Some(units) => say!(
            context.lang(),
            "{of}: {units} of each level are kept back",
            "{of}: придерживается по {units} шт."
        ),
        None => say!(
            context.lang(),
            "{of}: nothing is said any more",
            "{of}: правило снято"
        ),
    };
    context.out.line(text)?;
    if !done.is_told {
        context.out.note(say!(
            context.lang(),
            "the website hears of all levels within a minute",
            "сайт узнает обо всех остатках в течение минуты"
        ));
    }
    Ok(Exit::Done)
}

/// Of what a rule speaks, in words.
fn of_what(rule: &Value, lang: vitrina_host::output::Lang) -> String {
    let text = |name: &str| rule.get(name).and_then(Value::as_str);
    let goods = text("barcode").or_else(|| text("article"));
    let goods = goods.map_or_else(|| say!(lang, "everything", "всё"), str::to_owned);
    match text("shop") {
        Some(shop) => say!(lang, "{goods} in {shop}", "{goods}, {shop}"),
        None => say!(lang, "{goods} in all shops", "{goods}, все магазины"),
    }
}

async fn list(shop: Option<ShopId>, context: Context<'_>) -> anyhow::Result<Exit> {
    context.known(shop.as_ref()).await?;
    let mut rules: Vec<SafetyRow> = Vec::new();
    let mut after = Some(0);
    while let Some(place) = after {
        let store = &context.core.store;
        let page = store.safety(shop.clone(), place, PAGE).await?;
        rules.extend(page.rows);
        after = page.next;
    }
    if context.json {
        context
            .out
            .json(&json!({ "items": rules, "next_cursor": null }))?;
        return Ok(Exit::Done);
    }
    // The least specific first: of those that fit a level the last one counts.
    rules.sort_by(|left, right| {
        let key = |rule: &SafetyRow| {
            let goods = (rule.barcode.clone(), rule.article.clone());
            (goods, rule.shop.clone())
        };
        key(left).cmp(&key(right))
    });
    let rows = rules.into_iter().map(|rule| {
        let text = |text: Option<String>| text.unwrap_or_else(|| "*".to_owned());
        [
            text(rule.shop.map(|shop| shop.to_string())),
            text(rule.article.map(String::from)),
            text(rule.barcode.map(|barcode| barcode.to_string())),
            rule.units.to_string(),
            vitrina_host::when::rfc3339_ms(rule.set_at.0),
        ]
    });
    let names = ["shop", "article", "barcode", "units", "set_at"];
    context.out.table(&names, rows)?;
    Ok(Exit::Done)
}
