//! `webhook add|list|test|remove`.

use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::{Value, json};
use vitrina_host::output::Exit;
use vitrina_host::{say, sign, when};

use super::{Context, Usage};
use crate::audit::By;
use crate::webhook::address::checked;
use crate::webhook::post::post;
use crate::webhook::{Hook, test_body};
use crate::work::Kind;

/// The most characters of a name.
const MAX_NAME_CHARS: usize = 64;

#[derive(Debug, clap::Subcommand)]
pub(super) enum WebhookVerb {
    /// Adds a receiver and prints the secret that it checks signatures with, once
    Add(AddArgs),
    /// All receivers, how they are and what waits for them
    List,
    /// Sends a test now, and says what the receiver answered
    Test {
        /// Its name
        name: String,
    },
    /// Takes a receiver away, and what waits for it
    Remove {
        /// Its name
        name: String,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct AddArgs {
    /// Its name: a channel of the responsibility map
    name: String,
    /// Where it is: https://…, or http:// on this machine
    #[arg(required_unless_present = "url_file")]
    url: Option<String>,
    /// A file with the address, where it is a secret that others on this machine may not see
    #[arg(long, value_name = "F", conflicts_with = "url")]
    url_file: Option<PathBuf>,
    /// Only of this kind, such as shop_silent; several may be said
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<Kind>,
    /// Only what belongs to somebody whose channel it is (alert owner add --channel)
    #[arg(long)]
    only_owned: bool,
    /// It may be in your own network
    #[arg(long)]
    internal: bool,
}

pub(super) async fn run(verb: WebhookVerb, context: Context<'_>) -> anyhow::Result<Exit> {
    match verb {
        WebhookVerb::Add(args) => add(args, context).await,
        WebhookVerb::List => list(context).await,
        WebhookVerb::Test { name } => test(&name, context).await,
        WebhookVerb::Remove { name } => remove(name, context).await,
    }
}

async fn add(args: AddArgs, context: Context<'_>) -> anyhow::Result<Exit> {
    let is_name = (1..=MAX_NAME_CHARS).contains(&args.name.chars().count())
        && !args
            .name
            .chars()
            .any(|c| c.is_control() || c.is_whitespace());
    if !is_name {
        let text = format!("a webhook's name has 1 to {MAX_NAME_CHARS} visible characters");
        return Err(Usage(text).into());
    }
    let text = match (args.url, args.url_file) {
        (Some(url), _) => url,
        (None, Some(file)) => {
            let path = context.file(&file);
            let failed = || format!("cannot read {}", path.display());
            std::fs::read_to_string(&path).with_context(failed)?
        }
        (None, None) => return Err(Usage("say the webhook's address".to_owned()).into()),
    };
    let url = checked(&text, args.internal).map_err(|error| Usage(error.to_string()))?;
    let core = context.core;
    let hook = Hook {
        name: args.name,
        url: url.into(),
        salt: sign::random_bytes::<16>()?,
        kinds: args.kinds,
        only_owned: args.only_owned,
        internal: args.internal,
        added_at: core.now(),
        delivered_at: None,
        failing_since: None,
        error: None,
        dropped: 0,
        waiting: 0,
    };
    let name = hook.name.clone();
    let secret = hook.secret(&core.token_key).reveal();
    if !core.store.add_webhook(By::CommandLine, hook).await? {
        anyhow::bail!(say!(
            context.lang(),
            "there is a webhook {name} already",
            "вебхук {name} уже есть"
        ))
    }
    core.outbox.notify_waiters();
    if context.json {
        context
            .out
            .json(&json!({ "name": name, "secret": secret }))?;
    } else {
        context.out.line(&secret)?;
        context.out.note(say!(
            context.lang(),
            "the receiver checks signatures with it; it is not shown again",
            "этим ключом получатель проверяет подписи; больше он не будет показан"
        ));
    }
    Ok(Exit::Done)
}

async fn list(context: Context<'_>) -> anyhow::Result<Exit> {
    let hooks = context.core.store.webhooks().await?;
    if context.json {
        let items: Vec<Value> = hooks.iter().map(Hook::json).collect();
        context
            .out
            .json(&json!({ "items": items, "next_cursor": null }))?;
        return Ok(Exit::Done);
    }
    let at = |at: Option<vitrina_shared::TimeMs>| {
        at.map(|at| when::rfc3339_ms(at.0)).unwrap_or_default()
    };
    let rows = hooks.into_iter().map(|hook| {
        let kinds: Vec<&str> = hook.kinds.iter().map(|kind| kind.word()).collect();
        [
            hook.name.clone(),
            crate::webhook::host_of(&hook.url),
            kinds.join(" "),
            hook.waiting.to_string(),
            at(hook.delivered_at),
            at(hook.failing_since),
            hook.error.unwrap_or_default(),
        ]
    });
    let names = [
        "name",
        "host",
        "kinds",
        "waiting",
        "delivered",
        "failing since",
        "error",
    ];
    context.out.table(&names, rows)?;
    Ok(Exit::Done)
}

/// The receiver of a name.
async fn known(name: &str, context: &Context<'_>) -> anyhow::Result<Hook> {
    let hooks = context.core.store.webhooks().await?;
    let found = hooks.into_iter().find(|hook| hook.name == name);
    found.ok_or_else(|| {
        anyhow::anyhow!(say!(
            context.lang(),
            "there is no webhook {name}",
            "нет вебхука {name}"
        ))
    })
}

async fn test(name: &str, context: Context<'_>) -> anyhow::Result<Exit> {
    let hook = known(name, &context).await?;
    let core = context.core;
    let id = format!("msg_{}", sign::hex(&sign::random_bytes::<16>()?));
    let body = test_body(&hook, core.now(), core.lang());
    let sent = post(&hook, (&id, &body), &core.token_key, core.now()).await;
    let error = sent.as_ref().err().map(ToString::to_string);
    if context.json {
        context
            .out
            .json(&json!({ "name": name, "ok": sent.is_ok(), "error": error }))?;
    } else if let Some(error) = &error {
        context.out.line(say!(
            context.lang(),
            "{name} did not take it: {error}",
            "{name}: не принято: {error}"
        ))?;
    } else {
        context
            .out
            .line(say!(context.lang(), "{name} took it", "{name}: принято"))?;
    }
    Ok(if sent.is_ok() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

async fn remove(name: String, context: Context<'_>) -> anyhow::Result<Exit> {
    let core = context.core;
    if !core
        .store
        .remove_webhook(By::CommandLine, name.clone())
        .await?
    {
        anyhow::bail!(say!(
            context.lang(),
            "there is no webhook {name}",
            "нет вебхука {name}"
        ))
    }
    core.outbox.notify_waiters();
    core.deeds.notify_one();
    if context.json {
        context
            .out
            .json(&json!({ "name": name, "done": "removed" }))?;
    } else {
        context
            .out
            .line(say!(context.lang(), "{name} is removed", "{name}: удалён"))?;
    }
    Ok(Exit::Done)
}
