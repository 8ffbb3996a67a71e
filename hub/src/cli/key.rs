//! `key add|list|revoke`.

use vitrina_host::output::Exit;
use vitrina_host::{say, when};
use vitrina_shared::stock::Channel;

use super::{Context, Usage};
use crate::audit::By;
use crate::keys::{KeyError, KeyRow, NewKey, Role};

#[derive(Debug, clap::Subcommand)]
pub(super) enum KeyVerb {
    /// Makes a key and prints it, once
    Add {
        /// What it may do: website, office, erp, admin
        #[arg(long)]
        role: Role,
        /// Its name
        #[arg(long)]
        name: String,
        /// What `available` means to it: net_of_holds, or gross for a site that takes its own reservations off
        #[arg(long, default_value = "net_of_holds")]
        stock: Channel,
    },
    /// All keys, without their secrets
    List,
    /// Ends a key
    Revoke {
        /// Its name
        name: String,
    },
}

pub(super) async fn run(verb: KeyVerb, context: Context<'_>) -> anyhow::Result<Exit> {
    let core = context.core;
    match verb {
        KeyVerb::Add { role, name, stock } => {
            let new = NewKey {
                name,
                role,
                channel: stock,
            };
            let key = core.keys.add(&core.store, By::CommandLine, new.clone());
            let key = key.await.map_err(|error| match error {
                KeyError::Name => Usage(error.to_string()).into(),
                error => anyhow::Error::from(error),
            })?;
            if context.json {
                context.out.json(&serde_json::json!({
                    "key": key, "name": new.name, "role": role, "stock": stock.word(),
                }))?;
            } else {
                context.out.line(&key)?;
                context.out.note(say!(
                    context.lang(),
                    "it is not shown again",
                    "больше он не будет показан"
                ));
            }
        }
        KeyVerb::List => return list(context).await,
        KeyVerb::Revoke { name } => {
            core.keys
                .revoke(&core.store, By::CommandLine, &name)
                .await?;
            if context.json {
                context
                    .out
                    .json(&serde_json::json!({ "name": name, "done": "revoked" }))?;
            } else {
                context
                    .out
                    .line(say!(context.lang(), "{name} is revoked", "{name}: отозван"))?;
            }
        }
    }
    Ok(Exit::Done)
}

async fn list(context: Context<'_>) -> anyhow::Result<Exit> {
    let keys = context.core.store.keys().await?;
    let at = |at: vitrina_shared::TimeMs| when::rfc3339_ms(at.0);
    if context.json {
        let item = |key: &KeyRow| {
            serde_json::json!({
                "name": key.name,
                "role": key.role,
                "stock": key.channel.word(),
                "created_at": at(key.created_at),
                "revoked_at": key.revoked_at.map(at),
            })
        };
        let items: Vec<_> = keys.iter().map(item).collect();
        context.out.json(&serde_json::json!({ "items": items }))?;
        return Ok(Exit::Done);
    }
    let rows = keys.into_iter().map(|key| {
        [
            key.name,
            key.role.to_string(),
            key.channel.word().to_owned(),
            at(key.created_at),
            key.revoked_at.map(at).unwrap_or_default(),
        ]
    });
    let names = ["name", "role", "stock", "created", "revoked"];
    context.out.table(&names, rows)?;
    Ok(Exit::Done)
}
