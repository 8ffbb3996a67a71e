//! `frames export|import`: the exchange on a stick.

use std::path::PathBuf;

use serde_json::json;
use vitrina_host::output::{Exit, Out};
use vitrina_host::say;

use super::Ctx;
use crate::ledger::{StickFrom, numbers};
use crate::stick::{self, Exported, Imported};

#[derive(clap::Subcommand)]
pub(super) enum Verb {
    /// Puts on a stick what the hub has not acknowledged
    Export {
        /// The file; an older one of that name is replaced
        file: PathBuf,
        /// The whole history, of every replica, from its first movement on
        #[arg(long)]
        full: bool,
    },
    /// Takes a stick that the hub made for this shop
    Import {
        /// The file; it stays where it is
        file: PathBuf,
    },
}

pub(super) fn frames(ctx: &Ctx, verb: &Verb, out: &mut Out) -> anyhow::Result<Exit> {
    match verb {
        Verb::Export { file, full } => {
            let from = if *full {
                StickFrom::Start
            } else {
                StickFrom::Acknowledged
            };
            let target = ctx.request.file(file);
            let Exported { frames, movements } = stick::export(&ctx.core, &target, from)?;
            if ctx.json {
                out.json(&json!({"file": target, "frames": frames, "movements": movements}))?;
            } else {
                let name = target.display();
                out.line(say!(
                    out.lang(),
                    "{name}: {movements} movements; at the hub: vitrina-hub frames import FILE",
                    "{name}: движений {movements}; на хабе: vitrina-hub frames import ФАЙЛ"
                ))?;
            }
        }
        Verb::Import { file } => {
            let imported = stick::import(&ctx.core, &ctx.request.file(file))?;
            let pending = ctx.core.read(numbers::pending)?;
            told(ctx, &imported, pending, out)?;
        }
    }
    Ok(Exit::Done)
}

fn told(ctx: &Ctx, imported: &Imported, pending: u64, out: &mut Out) -> anyhow::Result<()> {
    let Imported {
        older,
        acked,
        taken,
        minted,
        settings_changed,
    } = *imported;
    if ctx.json {
        out.json(&json!({
            "older": older, "acked": acked, "taken": taken, "minted": minted,
            "settings_changed": settings_changed, "pending": pending,
        }))?;
    } else if older {
        out.line(say!(
            out.lang(),
            "the stick is older than what this shop knows of the hub: nothing was changed",
            "носитель старше того, что магазин знает о хабе: ничего не изменено"
        ))?;
    } else {
        out.line(say!(
            out.lang(),
            "acknowledged {acked}, taken {taken}, pending {pending}",
            "подтверждено {acked}, получено {taken}, ждёт отправки {pending}"
        ))?;
    }
    Ok(())
}
