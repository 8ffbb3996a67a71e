//! `run`: the daemon.

use std::net::SocketAddr;

use vitrina_host::config::DataFolder;
use vitrina_host::control;
use vitrina_host::log::{self, LogArgs, LogOf};
use vitrina_host::output::{Exit, Lang, Out};

use super::enrol::Invited;
use crate::core::Core;
use crate::daemon::Daemon;
use crate::enrol;

/// How the daemon runs.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Where the local API listens [default: 127.0.0.1:8421]
    #[arg(long, value_name = "A")]
    listen: Option<SocketAddr>,
    /// Enrols first, where there was no enrolment yet
    #[arg(long, requires = "hub")]
    enrol: bool,
    /// The hub's address, for --enrol
    #[arg(long, value_name = "URL")]
    hub: Option<String>,
    #[command(flatten)]
    invited: Invited,
}

pub(super) fn run(
    args: &Args,
    folder: DataFolder,
    log: &LogArgs,
    lang: Lang,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    let lock = control::own(folder.path())?;
    let _log = log::start(LogOf::Server(folder.path()), log)?;
    let runtime = super::runtime()?;
    let core = Core::open(folder)?;
    tracing::info!(greeting = ?core.greeting(), "the ledger is open");
    let done = runtime.block_on(serve(args, &core, lang, out));
    let kept = core.keep_high_water();
    core.ledger().close_blocking();
    runtime.shutdown_background();
    drop(lock);
    done?;
    kept?;
    Ok(Exit::Done)
}

async fn serve(args: &Args, core: &Core, lang: Lang, out: &mut Out) -> anyhow::Result<()> {
    if let (true, Some(hub), None) = (args.enrol, &args.hub, core.identity()) {
        enrol::enrol(core, args.invited.invitation(hub, Clone::clone)?).await?;
    }
    let listen = core.config().listen(args.listen)?;
    let daemon = Daemon {
        core: core.clone(),
        listen,
        handler: super::beside(core.clone()),
        lang,
    };
    let mut said = Ok(());
    let ran = daemon.run(|address| said = ready(out, address)).await;
    said?;
    Ok(ran?)
}

/// The one line that scripts wait for.
fn ready(out: &mut Out, address: SocketAddr) -> anyhow::Result<()> {
    out.line(format!("ready http://{address}"))?;
    std::io::Write::flush(out)?;
    Ok(())
}
