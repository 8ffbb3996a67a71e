//! The command line: each command is one function over an open data folder. It runs here when the folder is free, and
//! in the running server when there is one.

mod book;
mod diff;
mod enrol;
mod frames;
mod hold;
mod import;
mod look;
mod quarantine;
mod run;
mod state;
mod terminal;
mod transfer;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{CommandFactory, Parser, Subcommand};
use tokio::runtime::{Builder, Handle, Runtime};
use vitrina_host::commands::{self, CompletionShell, VERSION};
use vitrina_host::config::{ConfigError, DataArgs, DataFolder, Program};
use vitrina_host::control::{self, ControlRequest, Place};
use vitrina_host::db;
use vitrina_host::log::{self, LogArgs, LogOf};
use vitrina_host::output::{Exit, Lang, Out, OutError};
use vitrina_host::say;
use vitrina_shared::money::{Money, parse_amount};

use crate::config::Config;
use crate::core::{Core, CoreError};
use crate::enrol::EnrolError;
use crate::local_api::problem::Problem;
use crate::local_api::request::Price;
use crate::words;

/// The agent of one shop: local stock and sales, which the hub and the website follow.
#[derive(Parser)]
#[command(name = "vitrina-agent", version = VERSION, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    log: LogArgs,
    /// Answers as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Joins a shop with a one-time code
    Enrol(enrol::Args),
    /// Runs the agent: drop folders, exchange with the hub, local API
    Run(run::Args),
    /// Takes files now, as the drop folder would
    Import(import::Args),
    /// Books one movement and prints the new on-hand
    Move(book::Args),
    /// Disagreements between the shop's 1C and the ledger
    Diff {
        #[command(subcommand)]
        verb: diff::Verb,
    },
    /// Web orders that ask this shop for a piece, and what it says to them
    Hold {
        #[command(subcommand)]
        verb: hold::Verb,
    },
    /// What is to be sent to other shops, and what is on its way here
    Transfer {
        #[command(subcommand)]
        verb: transfer::Verb,
    },
    /// What is in the shop
    Stock(look::StockArgs),
    /// What was sold
    Sales(look::SalesArgs),
    /// Exchanges with the hub now
    Sync(state::SyncArgs),
    /// The exchange on a stick, for a shop without a line
    Frames {
        #[command(subcommand)]
        verb: frames::Verb,
    },
    /// How the shop stands
    Status,
    /// Recomputes the books
    Verify(state::VerifyArgs),
    /// Records that were set aside
    Quarantine {
        #[command(subcommand)]
        verb: quarantine::Verb,
    },
    /// Tokens of the tills
    Terminal {
        #[command(subcommand)]
        verb: terminal::Verb,
    },
    /// Who keeps the books: the tills' movements or the shop's 1C
    Source {
        #[command(subcommand)]
        verb: state::SourceVerb,
    },
    /// Looks at everything and says what to do
    Doctor(state::DoctorArgs),
    /// Writes a consistent copy of the ledger
    Backup {
        /// Where to
        file: PathBuf,
    },
    /// Writes the completions of a shell
    Completions {
        /// Which shell
        shell: CompletionShell,
    },
    /// Writes the manual page
    Man,
}

/// Wrong usage that only the command itself could see.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// What every command is given.
pub(crate) struct Ctx {
    core: Core,
    request: ControlRequest,
    runtime: Handle,
    json: bool,
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout and are no mistake; clap knows.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let mut out = Out::console(Lang::chosen(None).unwrap_or(Lang::En));
    let exit = match start(&cli, &mut out) {
        Ok(exit) => exit,
        Err(error) => explain(&cli.verb, &error, &mut out),
    };
    match out.finish() {
        Ok(()) | Err(OutError::Gone) => exit.into(),
        Err(_) => Exit::Failed.into(),
    }
}

/// Says what went wrong and which exit code that is.
fn explain(verb: &Verb, error: &anyhow::Error, out: &mut Out) -> Exit {
    if let Some(OutError::Gone) = error.downcast_ref() {
        return Exit::Done;
    }
    let is_damage = db::is_damage(error.as_ref());
    if is_damage {
        out.note(say!(
            out.lang(),
            "the ledger is damaged: vitrina-agent frames export FILE first, it saves what was not sent; then restore a copy, or move the ledger away and enrol anew (vitrina-hub shop recode SHOP)",
            "журнал повреждён: сначала vitrina-agent frames export ФАЙЛ, так сохранится неотправленное; затем верните копию или уберите журнал и подключите агента заново (vitrina-hub shop recode МАГАЗИН)"
        ));
    } else {
        if db::is_without_room(error.as_ref()) {
            out.note(say!(
                out.lang(),
                "there is no room on the disk: make some and start again",
                "на диске нет места: освободите его и запустите снова"
            ));
        }
        out.error_as(error.as_ref(), words::said);
    }
    let is_ill = is_damage
        || matches!(
            error.downcast_ref(),
            Some(CoreError::Gone { .. } | CoreError::Identity(_))
        );
    if is_ill && matches!(verb, Verb::Verify(_) | Verb::Doctor(_)) {
        return Exit::Wrong;
    }
    let is_usage = error.is::<Usage>()
        || error
            .downcast_ref::<ConfigError>()
            .is_some_and(ConfigError::is_usage)
        || error
            .downcast_ref::<EnrolError>()
            .is_some_and(EnrolError::is_usage);
    if is_usage { Exit::Usage } else { Exit::Failed }
}

/// Tells that something was refused, and which option the words of the API mean here.
fn refused(problem: &Problem, out: &mut Out) -> Exit {
    out.note(words::said(out.lang(), &problem.in_words()));
    if let Some(options) = problem.options() {
        out.note(say!(out.lang(), "here: {options}", "здесь: {options}"));
    }
    if problem.is_of_fields() {
        Exit::Usage
    } else {
        Exit::Failed
    }
}

/// A price as the command line takes it.
fn price(text: Option<&str>) -> Result<Option<Price>, Usage> {
    let Some(text) = text else { return Ok(None) };
    match parse_amount(text) {
        Some(hundredths) => Ok(Some(Price(Money::rub(hundredths)))),
        None => Err(Usage(format!(
            "--price {text}: say it in roubles, such as 45900.00"
        ))),
    }
}

fn start(cli: &Cli, out: &mut Out) -> anyhow::Result<Exit> {
    match &cli.verb {
        Verb::Completions { shell } => {
            commands::completions(Cli::command(), *shell, out)?;
            return Ok(Exit::Done);
        }
        Verb::Man => {
            commands::man(Cli::command(), out)?;
            return Ok(Exit::Done);
        }
        _ => {}
    }
    let folder = folder(cli)?;
    let lang = Lang::chosen(Config::load(&folder)?.language)?;
    out.speak(lang);
    if let Verb::Run(args) = &cli.verb {
        return run::run(args, folder, &cli.log, lang, out);
    }
    let _log = log::start(LogOf::Command, &cli.log)?;
    let request = ControlRequest::of_this_process(lang, out.is_terminal())?;
    match control::find(folder.path())? {
        Place::Beside(client) => Ok(client.run(&request, out)?),
        Place::Alone(lock) => {
            let exit = alone(cli, folder, request, out);
            drop(lock);
            exit
        }
    }
}

/// The agent's folder. A mistyped one is no new shop, and the hub's is none at all: nothing is written there.
fn folder(cli: &Cli) -> Result<DataFolder, ConfigError> {
    if matches!(cli.verb, Verb::Enrol(_) | Verb::Run(_)) {
        let folder = cli.data.existing_or_made()?;
        folder.not_of_another(Program::Agent)?;
        return Ok(folder);
    }
    let folder = cli.data.existing()?;
    folder.not_of_another(Program::Agent)?;
    // A till may get its token before the shop is enrolled.
    let adds_till =
        matches!(&cli.verb, Verb::Terminal { verb } if matches!(verb, terminal::Verb::Add { .. }));
    if !adds_till {
        folder.begun(Program::Agent)?;
    }
    Ok(folder)
}

/// Runs a command while the folder is ours.
fn alone(
    cli: &Cli,
    folder: DataFolder,
    request: ControlRequest,
    out: &mut Out,
) -> anyhow::Result<Exit> {
    let runtime = runtime()?;
    let core = match &cli.verb {
        Verb::Enrol(_) => Core::open_to_enrol(folder)?,
        _ => Core::open(folder)?,
    };
    let ctx = Ctx {
        core: core.clone(),
        request,
        runtime: runtime.handle().clone(),
        json: cli.json,
    };
    let done = command(&ctx, &cli.verb, out);
    let kept = core.keep_high_water();
    core.ledger().close_blocking();
    runtime.shutdown_background();
    let exit = done?;
    kept?;
    Ok(exit)
}

/// One thread is plenty for a till, a long-poll and a drop folder: what takes time runs on threads of its own, and a
/// second one would only be woken for nothing.
fn runtime() -> anyhow::Result<Runtime> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(16)
        .enable_all()
        .build();
    runtime.context("the agent's threads cannot be started")
}

/// Runs the commands of other processes, in the running server.
fn beside(core: Core) -> control::Handler {
    Arc::new(move |request, out| {
        let cli = match Cli::try_parse_from(&request.argv) {
            Ok(cli) => cli,
            Err(error) => {
                out.note(error.to_string());
                return Exit::Usage;
            }
        };
        let ctx = Ctx {
            core: core.clone(),
            request: request.clone(),
            runtime: Handle::current(),
            json: cli.json,
        };
        match command(&ctx, &cli.verb, out) {
            Ok(exit) => exit,
            Err(error) => explain(&cli.verb, &error, out),
        }
    })
}

fn command(ctx: &Ctx, verb: &Verb, out: &mut Out) -> anyhow::Result<Exit> {
    match verb {
        Verb::Enrol(args) => enrol::enrol(ctx, args, out),
        Verb::Import(args) => import::import(ctx, args, out),
        Verb::Move(args) => book::book(ctx, args, out),
        Verb::Diff { verb } => diff::diff(ctx, verb, out),
        Verb::Hold { verb } => hold::hold(ctx, verb, out),
        Verb::Transfer { verb } => transfer::transfer(ctx, verb, out),
        Verb::Stock(args) => look::stock(ctx, args, out),
        Verb::Sales(args) => look::sales(ctx, args, out),
        Verb::Sync(args) => state::sync(ctx, args, out),
        Verb::Frames { verb } => frames::frames(ctx, verb, out),
        Verb::Status => state::status(ctx, out),
        Verb::Verify(args) => state::verify(ctx, args, out),
        Verb::Quarantine { verb } => quarantine::quarantine(ctx, verb, out),
        Verb::Terminal { verb } => terminal::terminal(ctx, verb, out),
        Verb::Source { verb } => state::source(ctx, verb, out),
        Verb::Doctor(args) => state::doctor(ctx, args, out),
        Verb::Backup { file } => state::backup(ctx, file, out),
        Verb::Run(_) | Verb::Completions { .. } | Verb::Man => Ok(Exit::Usage),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_made() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_data_folder_stands_before_or_after_the_verb() {
        for line in [
            ["a", "--data", "d", "status", "--json"],
            ["a", "status", "--json", "--data", "d"],
        ] {
            let cli = Cli::try_parse_from(line).unwrap();
            assert_eq!(cli.data.data, Some(PathBuf::from("d")));
            assert!(cli.json && matches!(cli.verb, Verb::Status));
        }
    }
}
