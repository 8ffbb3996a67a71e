//! `enrol`: joins a shop with a one-time code.

use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::json;
use vitrina_host::output::{Exit, Out};
use vitrina_host::say;

use super::{Ctx, Usage};
use crate::enrol::{self, Invitation};

/// Where the code comes from, and the hub.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The hub's address
    #[arg(long, value_name = "URL")]
    hub: String,
    #[command(flatten)]
    invited: Invited,
}

/// The code and what belongs to the line.
#[derive(clap::Args)]
pub(super) struct Invited {
    /// The one-time code
    #[arg(long, env = "VITRINA_CODE", hide_env_values = true)]
    pub(super) code: Option<String>,
    /// A file with the code
    #[arg(long, value_name = "F", conflicts_with = "code")]
    pub(super) code_file: Option<PathBuf>,
    /// The certificates of the hub's own authority (PEM); nobody else is trusted then
    #[arg(long, value_name = "F")]
    pub(super) ca: Option<PathBuf>,
    /// Allows http:// to a hub elsewhere than on this machine
    #[arg(long)]
    pub(super) insecure: bool,
}

impl Invited {
    /// What is shown to the hub; file names are as the caller sees them.
    pub(super) fn invitation(
        &self,
        hub: &str,
        file: impl Fn(&PathBuf) -> PathBuf,
    ) -> anyhow::Result<Invitation> {
        let read = |path: &PathBuf| {
            let path = file(path);
            std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))
        };
        let code = match (&self.code, &self.code_file) {
            (Some(code), _) => code.clone(),
            (None, Some(path)) => read(path)?,
            (None, None) => {
                let words = "give the code: --code CODE, --code-file F or VITRINA_CODE";
                return Err(Usage(words.to_owned()).into());
            }
        };
        let ca = self.ca.as_ref().map(read).transpose()?;
        Ok(Invitation {
            url: hub.to_owned(),
            code,
            ca,
            insecure: self.insecure,
        })
    }
}

pub(super) fn enrol(ctx: &Ctx, args: &Args, out: &mut Out) -> anyhow::Result<Exit> {
    let invitation = args
        .invited
        .invitation(&args.hub, |path| ctx.request.file(path))?;
    let shop = ctx.runtime.block_on(enrol::enrol(&ctx.core, invitation))?;
    if ctx.json {
        out.json(&json!({"shop": shop.as_str(), "hub": args.hub}))?;
    } else {
        out.line(say!(
            out.lang(),
            "this is the shop {shop} now",
            "теперь это магазин {shop}"
        ))?;
    }
    Ok(Exit::Done)
}
