//! `frames export|import`: the exchange on a stick.

use std::path::PathBuf;

use vitrina_host::output::Exit;
use vitrina_host::say;
use vitrina_shared::ShopId;

use super::Context;
use crate::exchange::stick::{self, Exported, Imported, Strays};

#[derive(Debug, clap::Subcommand)]
pub(super) enum FramesVerb {
    /// Puts on a stick what the hub has for a shop: settings, prices, acknowledgements, its history
    Export {
        /// The shop
        #[arg(long)]
        shop: ShopId,
        /// The file; an older one of that name is replaced
        file: PathBuf,
    },
    /// Takes a stick that a shop's agent made
    Import {
        /// The file; it stays where it is
        file: PathBuf,
        /// Also movements that no log here leads to, because a stick before it is lost
        #[arg(long)]
        orphan: bool,
    },
}

pub(super) async fn run(verb: FramesVerb, context: Context<'_>) -> anyhow::Result<Exit> {
    match verb {
        FramesVerb::Export { shop, file } => {
            context.known(Some(&shop)).await?;
            let target = context.file(&file);
            let Exported { frames, movements } =
                stick::export(context.core, &shop, &target).await?;
            if context.json {
                context.out.json(&serde_json::json!({
                    "file": target, "shop": shop, "frames": frames, "movements": movements,
                }))?;
            } else {
                let name = target.display().to_string();
                context.out.line(say!(
                    context.lang(),
                    "{name}: for {shop}, {movements} movements; there: vitrina-agent frames import FILE",
                    "{name}: для {shop}, движений {movements}; в магазине: vitrina-agent frames import ФАЙЛ"
                ))?;
            }
        }
        FramesVerb::Import { file, orphan } => {
            // What is kept back, and what may stand for what, is asked of it where orders are asked for elsewhere.
            super::query::view(&context).await?;
            let strays = if orphan {
                Strays::Adopted
            } else {
                Strays::Refused
            };
            let Imported {
                shop,
                movements,
                merged,
                branched,
                adopted,
            } = stick::import(context.core, &context.file(&file), strays).await?;
            if context.json {
                context.out.json(&serde_json::json!({
                    "shop": shop, "movements": movements, "merged": merged,
                    "branched": branched, "adopted": adopted,
                }))?;
            } else {
                context.out.line(say!(
                    context.lang(),
                    "{shop}: {movements} movements, {merged} of them new",
                    "{shop}: движений {movements}, новых {merged}"
                ))?;
            }
        }
    }
    Ok(Exit::Done)
}
