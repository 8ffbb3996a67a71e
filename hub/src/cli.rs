//! The commands of `vitrina-hub`: each works alone on its data folder, and beside a server through it.

mod alert;
mod audit;
mod cert;
mod explain;
mod frames;
mod hold;
mod import;
mod key;
mod quarantine;
mod query;
mod safety;
mod serve;
mod shop;
mod transfer;
pub(crate) mod upkeep;
mod webhook;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, Parser, Subcommand};
use vitrina_host::commands::{self, CompletionShell, VERSION};
use vitrina_host::config::{self, ConfigError, DataArgs, DataFolder, Program};
use vitrina_host::control::{self, ControlRequest, Place, absolute_from};
use vitrina_host::db;
use vitrina_host::log::{self, LogArgs, LogOf};
use vitrina_host::output::{Exit, Lang, Out, OutError};
use vitrina_host::say;
use vitrina_shared::ShopId;

use crate::config::{Config, FILE};
use crate::core::{Core, Init};
use crate::demo;

/// The hub: merges the stock of all shops and serves website, head office and admins
#[derive(Debug, Parser)]
#[command(name = "vitrina-hub", version = VERSION, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    log: LogArgs,
    /// Answer in JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Runs the server
    Serve(serve::ServeArgs),
    /// Adds, shows and changes shops
    #[command(subcommand)]
    Shop(shop::ShopVerb),
    /// Makes, lists and ends API keys
    #[command(subcommand)]
    Key(key::KeyVerb),
    /// Imports catalogue, prices and other codes: CommerceML, CSV, zip
    Import(import::ImportArgs),
    /// What is in stock, and where
    Stock(query::StockArgs),
    /// What was sold, the latest first
    Sales(query::SalesArgs),
    /// How old each shop's numbers are
    Lag(query::LagArgs),
    /// How a number came about
    Explain(explain::ExplainArgs),
    /// Whether the books balance
    Verify(upkeep::VerifyArgs),
    /// Where a shop's 1C and its ledger disagree
    #[command(subcommand)]
    Diff(quarantine::DiffVerb),
    /// Pieces that web orders keep in the shops
    #[command(subcommand)]
    Hold(hold::HoldVerb),
    /// What is kept back from web orders
    #[command(subcommand)]
    Safety(safety::SafetyVerb),
    /// Pieces on their way from shop to shop
    #[command(subcommand)]
    Transfer(transfer::TransferVerb),
    /// Records that shops hold back
    #[command(subcommand)]
    Quarantine(quarantine::QuarantineVerb),
    /// What people must look at, and who looks after what
    #[command(subcommand)]
    Alert(alert::AlertVerb),
    /// Who is told of it
    #[command(subcommand)]
    Webhook(webhook::WebhookVerb),
    /// Who changed what at the hub
    #[command(subcommand)]
    Audit(audit::AuditVerb),
    /// The exchange on a stick, for a shop without a line
    #[command(subcommand)]
    Frames(frames::FramesVerb),
    /// Every level, as a file
    Export(query::ExportArgs),
    /// Writes a consistent copy of the database, beside everything else
    Backup(upkeep::BackupArgs),
    /// Puts a copy back; the shops then fill in what is missing
    Restore(upkeep::RestoreArgs),
    /// Makes a certificate of one's own for `serve --tls-cert`, which agents take by `enrol --ca`
    Cert(cert::CertArgs),
    /// Plays a small chain of real processes on this machine, and proves that everybody agrees
    Demo(demo::DemoArgs),
    /// Prints the completions for a shell
    Completions {
        /// The shell
        shell: CompletionShell,
    },
    /// Prints the manual page
    Man,
}

impl Verb {
    /// Whether it is used before there is a hub.
    fn begins(&self) -> bool {
        match self {
            Self::Serve(_) | Self::Restore(_) | Self::Import(_) => true,
            Self::Shop(verb) => matches!(verb, shop::ShopVerb::Add(_)),
            Self::Key(verb) => matches!(verb, key::KeyVerb::Add { .. }),
            _ => false,
        }
    }
}

/// What a command works with.
struct Context<'a> {
    core: &'a Arc<Core>,
    out: &'a mut Out,
    json: bool,
    /// Where the caller stands: relative names start there.
    cwd: PathBuf,
}

impl Context<'_> {
    /// A file that the caller named.
    fn file(&self, path: &Path) -> PathBuf {
        absolute_from(&self.cwd, path)
    }

    fn lang(&self) -> Lang {
        self.out.lang()
    }

    /// A shop that the caller named is one of the chain: nothing of a mistyped one would pass as a good answer.
    async fn known(&self, shop: Option<&ShopId>) -> anyhow::Result<()> {
        let Some(shop) = shop else { return Ok(()) };
        if self.core.store.shop(shop.clone()).await?.is_some() {
            return Ok(());
        }
        anyhow::bail!(say!(
            self.lang(),
            "there is no shop {shop}; see vitrina-hub shop list",
            "нет магазина {shop}; список показывает vitrina-hub shop list"
        ))
    }
}

/// Wrong usage that only the command itself could see.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// Runs the program: its arguments, its exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers; a broken pipe is nobody's fault.
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Usage.into()
            } else {
                Exit::Done.into()
            };
        }
    };
    let lang = Lang::chosen(None).unwrap_or(Lang::En);
    let mut out = Out::console(lang);
    let damaged = of_damage(&cli.verb);
    let outcome = run(cli, &mut out);
    let exit = report(outcome, damaged, &mut out);
    match out.finish() {
        Ok(()) | Err(OutError::Gone) => exit.into(),
        Err(_) => Exit::Failed.into(),
    }
}

/// With which code a command ends on a damaged database; none where the damaged one may be a copy.
fn of_damage(verb: &Verb) -> Option<Exit> {
    match verb {
        Verb::Restore(_) => None,
        Verb::Verify(_) => Some(Exit::Wrong),
        _ => Some(Exit::Failed),
    }
}

/// Tells what went wrong, and with which code to end.
fn report(outcome: anyhow::Result<Exit>, damaged: Option<Exit>, out: &mut Out) -> Exit {
    let error = match outcome {
        Ok(exit) => return exit,
        Err(error) => error,
    };
    if matches!(error.downcast_ref::<OutError>(), Some(OutError::Gone)) {
        return Exit::Done;
    }
    if let (Some(exit), true) = (damaged, db::is_damage(error.as_ref())) {
        out.note(say!(
            out.lang(),
            "the hub's database is damaged: stop the hub and restore a backup (vitrina-hub restore FILE); the shops refill it",
            "база хаба повреждена: остановите хаб и верните копию (vitrina-hub restore ФАЙЛ); магазины дополнят её"
        ));
        return exit;
    }
    out.error(error.as_ref());
    let is_usage = error.is::<Usage>()
        || error
            .downcast_ref::<ConfigError>()
            .is_some_and(ConfigError::is_usage);
    if is_usage { Exit::Usage } else { Exit::Failed }
}

fn run(cli: Cli, out: &mut Out) -> anyhow::Result<Exit> {
    match &cli.verb {
        Verb::Completions { shell } => {
            commands::completions(Cli::command(), *shell, out)?;
            return Ok(Exit::Done);
        }
        Verb::Man => {
            commands::man(Cli::command(), out)?;
            return Ok(Exit::Done);
        }
        Verb::Cert(args) => return cert::cert(args, cli.json, out),
        Verb::Demo(args) => {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?;
            return Ok(runtime.block_on(demo::run(args, out)));
        }
        _ => {}
    }
    let data = folder(&cli)?;
    let config: Config = config::load(data.path(), FILE)?;
    out.speak(Lang::chosen(config.language)?);
    let is_server = matches!(cli.verb, Verb::Serve(_));
    let of = if is_server {
        LogOf::Server(data.path())
    } else {
        LogOf::Command
    };
    let _log = log::start(of, &cli.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    match cli.verb {
        Verb::Serve(args) => runtime.block_on(serve::serve(data, args, out)),
        Verb::Restore(args) => runtime.block_on(upkeep::restore(data, args, out)),
        verb => alone_or_beside(&runtime, data, (verb, cli.json), out),
    }
}

/// The hub's folder. A mistyped one is no new hub, and a shop's is none at all: nothing is written there.
fn folder(cli: &Cli) -> Result<DataFolder, ConfigError> {
    if cli.verb.begins() {
        let data = cli.data.existing_or_made()?;
        data.not_of_another(Program::Hub)?;
        return Ok(data);
    }
    let data = cli.data.existing()?;
    data.not_of_another(Program::Hub)?;
    data.begun(Program::Hub)?;
    Ok(data)
}

/// Runs a command here when nobody owns the folder, else in the server that does.
fn alone_or_beside(
    runtime: &tokio::runtime::Runtime,
    data: DataFolder,
    (verb, json): (Verb, bool),
    out: &mut Out,
) -> anyhow::Result<Exit> {
    let request = ControlRequest::of_this_process(out.lang(), out.is_terminal())?;
    let _lock = match control::find(data.path())? {
        Place::Beside(client) => return Ok(client.run(&request, out)?),
        Place::Alone(lock) => lock,
    };
    runtime.block_on(async {
        let core = Core::open(data, Init::Refuse).await?;
        let context = Context {
            core: &core,
            out,
            json,
            cwd: request.cwd,
        };
        let outcome = dispatch(verb, context).await;
        core.close().await;
        outcome
    })
}

/// Runs a command that another process asks of this server.
fn answer(core: &Arc<Core>, request: &ControlRequest, out: &mut Out) -> Exit {
    let argv = request.argv.iter().map(OsString::from);
    let cli = match Cli::try_parse_from(argv) {
        Ok(cli) => cli,
        Err(error) => {
            out.note(error.to_string());
            return Exit::Usage;
        }
    };
    let damaged = of_damage(&cli.verb);
    let outcome = {
        let context = Context {
            core,
            out: &mut *out,
            json: cli.json,
            cwd: request.cwd.clone(),
        };
        tokio::runtime::Handle::current().block_on(dispatch(cli.verb, context))
    };
    report(outcome, damaged, out)
}

async fn dispatch(verb: Verb, context: Context<'_>) -> anyhow::Result<Exit> {
    match verb {
        Verb::Shop(verb) => shop::run(verb, context).await,
        Verb::Key(verb) => key::run(verb, context).await,
        Verb::Import(args) => import::run(args, context).await,
        Verb::Stock(args) => query::stock(args, context).await,
        Verb::Sales(args) => query::sales(args, context).await,
        Verb::Lag(args) => query::lag(args, context).await,
        Verb::Explain(args) => explain::explain(args, context).await,
        Verb::Verify(args) => upkeep::verify(args, context).await,
        Verb::Diff(verb) => quarantine::diff(verb, context).await,
        Verb::Hold(verb) => hold::run(verb, context).await,
        Verb::Safety(verb) => safety::run(verb, context).await,
        Verb::Transfer(verb) => transfer::run(verb, context).await,
        Verb::Quarantine(verb) => quarantine::run(verb, context).await,
        Verb::Alert(verb) => alert::run(verb, context).await,
        Verb::Webhook(verb) => webhook::run(verb, context).await,
        Verb::Audit(verb) => audit::run(verb, context).await,
        Verb::Frames(verb) => frames::run(verb, context).await,
        Verb::Export(args) => query::export(args, context).await,
        Verb::Backup(args) => upkeep::backup(args, context).await,
        Verb::Serve(_)
        | Verb::Restore(_)
        | Verb::Cert(_)
        | Verb::Demo(_)
        | Verb::Completions { .. }
        | Verb::Man => Err(Usage("this command does not run beside a server".to_owned()).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_words_of_the_contract_are_understood() {
        for line in [
            "shop add S017 --name T --city Moscow --lat 55.7 --lon 37.6 --tz Europe/Moscow --type warehouse --external-id G \
             --warehouse W1 --warehouse W2=unavailable --source balances --source-every 30m --holds auto --local-prefix 2 --publish off",
            "shop add --from shops.csv --out codes.csv",
            "shop list --not-enrolled",
            "shop set S017 --publish on --promise-stale 2 --promise-unknown chain",
            "key add --role website --name shop --stock gross",
            "key revoke shop",
            "import a.xml b.zip --dry-run",
            "stock 2000018987155 --shop S017 --city Moscow --size 17.5",
            "lag --max 5m",
            "explain 2000018987155 --shop S017",
            "verify --shop S017 --repair",
            "diff list --shop S017",
            "quarantine retry 00112233445566778899aabbccddeeff --force",
            "export ndjson --out f.ndjson",
            "serve --listen 127.0.0.1:0 --metrics-listen 127.0.0.1:0 --init --tls-cert c --tls-key k",
            "cert --name localhost --name 127.0.0.1 --out-cert c --out-key k --days 90",
            "audit list --since 7d --shop S017",
            "audit verify",
            "hold list --shop S017 --order 1024 --all --limit 10",
            "hold show 00112233445566778899aabbccddeeff",
            "hold place 2000018987155 --order 1024 --shop S017 --qty 1 --purpose cart --ttl 15m --allow-variant --key k --wait 5s",
            "hold release 00112233445566778899aabbccddeeff",
            "hold extend 00112233445566778899aabbccddeeff --ttl 24h",
            "safety set 1",
            "safety set 0 --shop S017 --article K-1234",
            "safety list --shop S017",
            "safety remove --barcode 2000018987155",
            "alert list --state open --kind shop_silent --shop S017 --owner Ivanova",
            "alert show 0011",
            "alert ack 0011 --note mine",
            "alert snooze 0011 --for 2h",
            "alert resolve 0011",
            "alert owner add --person Ivanova --channel office --level director --kind hold_unanswered --category rings \
             --brand Vitrina --city Moscow --shop S01* --shop S030",
            "alert owner list",
            "alert owner remove 0011",
            "webhook add office https://hooks.example/x --kind shop_silent --only-owned --internal",
            "webhook list",
            "webhook test office",
            "webhook remove office",
            "restore f",
            "frames export --shop S017 f",
            "frames import f --orphan",
        ] {
            let argv = ["vitrina-hub", "--data", "d"]
                .into_iter()
                .chain(line.split_whitespace());
            assert!(Cli::try_parse_from(argv).is_ok(), "{line}");
        }
    }
}
