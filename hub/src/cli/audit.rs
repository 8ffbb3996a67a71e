//! `audit list|verify`.

use serde_json::json;
use vitrina_host::output::Exit;
use vitrina_host::{say, when};
use vitrina_shared::ShopId;

use super::{Context, query};
use crate::audit::AuditFilter;

/// Records of one read.
const PAGE: usize = 1_000;
/// Records that are shown when nothing is said.
const SHOWN: usize = 100;

#[derive(Debug, clap::Subcommand)]
pub(super) enum AuditVerb {
    /// Who changed what, the latest first
    List {
        /// Since when, as a time or as a period before now such as 7d; then all of them
        #[arg(long)]
        since: Option<String>,
        /// Only of this shop
        #[arg(long)]
        shop: Option<ShopId>,
    },
    /// Whether the list is whole: 3 where it is not
    Verify,
}

pub(super) async fn run(verb: AuditVerb, context: Context<'_>) -> anyhow::Result<Exit> {
    match verb {
        AuditVerb::List { since, shop } => list(since.as_deref(), shop, context).await,
        AuditVerb::Verify => verify(context).await,
    }
}

async fn list(
    since: Option<&str>,
    shop: Option<ShopId>,
    context: Context<'_>,
) -> anyhow::Result<Exit> {
    context.known(shop.as_ref()).await?;
    let store = &context.core.store;
    let now = context.core.now();
    let mut filter = AuditFilter {
        since: since
            .map(|since| query::since(Some(since), now))
            .transpose()?,
        shop,
        before: None,
        limit: if since.is_some() { PAGE } else { SHOWN },
    };
    let mut records = Vec::new();
    loop {
        let page = store.audit(filter.clone()).await?;
        filter.before = page.last().map(|record| record.n);
        let is_last = page.len() < filter.limit || since.is_none();
        records.extend(page);
        if is_last {
            break;
        }
    }
    if context.json {
        context
            .out
            .json(&json!({ "items": records, "next_cursor": null }))?;
        return Ok(Exit::Done);
    }
    let rows = records.into_iter().map(|record| {
        [
            record.n.to_string(),
            when::rfc3339_ms(record.at.0),
            record.life.to_string(),
            record.by,
            record.what,
            record.shop.map(|shop| shop.to_string()).unwrap_or_default(),
            record.detail.to_string(),
        ]
    });
    context
        .out
        .table(&["n", "at", "life", "by", "what", "shop", "detail"], rows)?;
    Ok(Exit::Done)
}

async fn verify(context: Context<'_>) -> anyhow::Result<Exit> {
    let checked = context.core.store.verify_audit(context.core.now()).await?;
    let ok = checked.problems.is_empty();
    let records = checked.records;
    if context.json {
        let problems: Vec<_> = checked
            .problems
            .iter()
            .map(|(code, detail)| json!({ "code": code, "detail": detail }))
            .collect();
        context
            .out
            .json(&json!({ "ok": ok, "checked": { "records": records }, "problems": problems }))?;
    } else {
        for (code, detail) in &checked.problems {
            context.out.line(format!("{code} {detail}"))?;
        }
        let text = if ok {
            say!(
                context.lang(),
                "the audit list is whole: {records} records",
                "журнал изменений цел: записей {records}"
            )
        } else {
            say!(
                context.lang(),
                "the audit list is not whole",
                "журнал изменений повреждён"
            )
        };
        context.out.line(text)?;
    }
    Ok(if ok { Exit::Done } else { Exit::Wrong })
}
