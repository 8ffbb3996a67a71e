//! `key add|list|revoke`.

use vitrina_host::output::Exit;
use vitrina_host::{say, when};

use super::Context;
use crate::audit::By;
use crate::keys::Role;

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
        KeyVerb::Add { role, name } => {
            let key = core
                .keys
                .add(&core.store, By::CommandLine, (&name, role))
                .await?;
            if context.json {
                context
                    .out
                    .json(&serde_json::json!({ "key": key, "name": name, "role": role }))?;
            } else {
                context.out.line(&key)?;
                context.out.note(say!(
                    context.lang(),
                    "it is not shown again",
                    "больше он не будет показан"
                ));
            }
        }
        KeyVerb::List => {
            let keys = core.store.keys().await?;
            let at = |at: vitrina_shared::TimeMs| when::rfc3339_ms(at.0);
            if context.json {
                let items: Vec<_> = keys
                    .iter()
                    .map(|key| {
                        serde_json::json!({
                            "name": key.name,
                            "role": key.role,
                            "created_at": at(key.created_at),
                            "revoked_at": key.revoked_at.map(at),
                        })
                    })
                    .collect();
                context.out.json(&serde_json::json!({ "items": items }))?;
            } else {
                let rows = keys.into_iter().map(|key| {
                    [
                        key.name,
                        key.role.to_string(),
                        at(key.created_at),
                        key.revoked_at.map(at).unwrap_or_default(),
                    ]
                });
                context
                    .out
                    .table(&["name", "role", "created", "revoked"], rows)?;
            }
        }
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
