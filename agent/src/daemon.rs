//! `run`: the drop folders, the exchange, the local API and the commands of other processes, until a signal.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use vitrina_host::control::{Control, ControlError, Handler};
use vitrina_host::db::{Check, DbError};
use vitrina_host::drop::DropError;
use vitrina_host::os;
use vitrina_host::output::Lang;
use vitrina_host::room;

use crate::core::{Core, CoreError};
use crate::enrol::{self, EnrolError};
use crate::inbox::Inbox;
use crate::local_api::{self, Gate};
use crate::situation::{HubState, in_words};
use crate::sync;

/// How often the high-water file follows the ledger while sales go on.
const HIGH_WATER_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether the ledger still is where we write it; each commit looks before it is answered.
const PLACE_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether its disk has room.
const WATCH_EVERY: Duration = Duration::from_mins(1);
/// How long everything may take to come to its end; the whole stop is to last less than 5 s.
const FAREWELL: Duration = Duration::from_secs(4);

/// Why the agent does not run, or no longer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DaemonError {
    /// The port is taken, or not ours to have.
    #[error(
        "the local API cannot listen at {listen}: --listen or agent.toml can name another address"
    )]
    Listen {
        /// Where.
        listen: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// Commands of other processes cannot be taken.
    #[error("the agent cannot take commands")]
    Control(#[from] ControlError),
    /// A drop folder's thread cannot be started.
    #[error("the drop folders cannot be watched")]
    Drop(#[from] DropError),
    /// Signals cannot be heard.
    #[error("the agent cannot hear the stop signal")]
    Signal(#[source] std::io::Error),
    /// The first terminal's token.
    #[error("the terminal's token cannot be made")]
    Terminal(#[from] EnrolError),
    /// Somebody took the ledger away while it was open: what would be written now would be lost.
    #[error(
        "the ledger's file was deleted or replaced while the agent ran, and no sale was taken since: put it back, or keep \
        what lies there now, and start again: the hub brings back what it has"
    )]
    LedgerGone,
    /// The ledger's file is torn: what would be written now would make it worse.
    #[error(
        "the ledger is damaged: {first}; vitrina-agent frames export FILE saves what was not sent; then restore a copy, or \
        move the ledger away and enrol anew (vitrina-hub shop recode SHOP)"
    )]
    LedgerDamaged {
        /// The first thing that SQLite found.
        first: String,
    },
}

/// What the daemon is told.
pub(crate) struct Daemon {
    /// The open data folder; the lock is held by the caller.
    pub(crate) core: Core,
    /// Where the local API listens.
    pub(crate) listen: SocketAddr,
    /// Runs the commands of other processes.
    pub(crate) handler: Handler,
    /// The language of reports.
    pub(crate) lang: Lang,
}

impl Daemon {
    /// Runs until a signal; `ready` hears the address once everything serves.
    ///
    /// # Errors
    ///
    /// [`DaemonError`].
    pub(crate) async fn run(self, ready: impl FnOnce(SocketAddr)) -> Result<(), DaemonError> {
        let Self {
            core,
            listen,
            handler,
            lang,
        } = self;
        let failed = |source| DaemonError::Listen { listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        if !address.ip().is_loopback() {
            tracing::warn!(
                "the shop's network reaches the local API at {address}: whoever has a terminal's token sells there, and \
                 tokens cross that network in the clear; --listen 127.0.0.1:{} keeps it to this PC",
                address.port()
            );
        }
        let control = Control::bind(core.folder().path()).await?;
        if core.identity().is_some() {
            enrol::first_terminal(&core).await?;
        }
        let stop = CancellationToken::new();
        let parts = TaskTracker::new();
        let router = local_api::router(core.clone(), Gate::new(address, core.config()), lang);
        let limits = core.config().limits.clone();
        parts.spawn(local_api::serve(listener, router, limits, stop.clone()));
        parts.spawn(commands(control, handler, stop.clone()));
        core.situation().hub(HubState::connecting());
        parts.spawn(sync::run(core.clone(), stop.clone()));
        parts.spawn(keep_high_water(core.clone(), stop.clone()));
        let inbox = Inbox::open(&core, lang)?;
        // Whoever reads that we are ready may ask us to stop.
        let signal = os::stop_signal().map_err(DaemonError::Signal)?;
        ready(address);
        let (inbox, ended) = live(&core, inbox, lang, signal).await?;
        if let Err(error) = &ended {
            tracing::error!("{error}");
        }
        tracing::info!("the agent stops");
        stop.cancel();
        parts.close();
        let stopped = tokio::task::spawn_blocking(move || inbox.stop());
        let all = async {
            let _ = stopped.await;
            parts.wait().await;
        };
        if tokio::time::timeout(FAREWELL, all).await.is_err() {
            tracing::warn!("not everything came to its end in time");
        }
        ended
    }
}

/// Waits for the end, and sees to what happens now and then.
async fn live(
    core: &Core,
    mut inbox: Inbox,
    lang: Lang,
    signal: impl Future<Output = ()>,
) -> Result<(Inbox, Result<(), DaemonError>), DaemonError> {
    let mut watch = tokio::time::interval(WATCH_EVERY);
    let mut place = tokio::time::interval(PLACE_EVERY);
    let gone = || (!core.ledger().db().is_in_place()).then_some(DaemonError::LedgerGone);
    let ledger = core.ledger().clone();
    // Beside the first sales: a large ledger takes some seconds.
    let mut pages = tokio::task::spawn_blocking(move || ledger.db().check_blocking(Check::Full));
    let mut is_checked = false;
    let mut signal = std::pin::pin!(signal);
    loop {
        tokio::select! {
            () = &mut signal => return Ok((inbox, gone().map_or(Ok(()), Err))),
            _ = place.tick() => if let Some(error) = gone() {
                return Ok((inbox, Err(error)));
            },
            _ = watch.tick() => {
                let data = core.folder().path().to_path_buf();
                tokio::task::spawn_blocking(move || room::make_and_say(&data));
            }
            found = &mut pages, if !is_checked => {
                is_checked = true;
                if let Some(first) = damage(found) {
                    tracing::error!("the ledger is damaged, so the agent stops before it writes on: {first}");
                    return Ok((inbox, Err(DaemonError::LedgerDamaged { first })));
                }
            }
            () = core.ready_to_open().notified() => {
                // A file that waited has been put off for a while: looked at anew it is taken at once.
                if core.situation().waiting().iter().any(|file| matches!(file.code, "hub_positions" | "not_enrolled")) {
                    let old = inbox;
                    let _ = tokio::task::spawn_blocking(move || old.stop()).await;
                    inbox = Inbox::open(core, lang)?;
                }
            }
        }
    }
}

/// The first thing that is wrong with the ledger's file.
fn damage(found: Result<Result<Vec<String>, DbError>, JoinError>) -> Option<String> {
    match found {
        Ok(Ok(words)) => words.into_iter().next(),
        Ok(Err(error)) if error.is_damage() => Some(in_words(&error)),
        Ok(Err(error)) => {
            tracing::warn!(
                error = &error as &dyn Error,
                "the ledger's file was not looked at"
            );
            None
        }
        Err(_) => None,
    }
}

async fn commands(control: Control, handler: Handler, stop: CancellationToken) {
    if let Err(error) = control
        .serve(handler, async move { stop.cancelled().await })
        .await
    {
        tracing::error!(
            error = &error as &dyn Error,
            "commands are not taken any more"
        );
    }
}

/// Follows the ledger with the high-water file, some moments behind: it costs a sale nothing.
async fn keep_high_water(core: Core, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = core.moved().notified() => {}
            () = stop.cancelled() => return,
        }
        let keeper = core.clone();
        match tokio::task::spawn_blocking(move || keeper.keep_high_water()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => log_high_water(&error),
            Err(_) => return,
        }
        tokio::select! {
            () = tokio::time::sleep(HIGH_WATER_EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

fn log_high_water(error: &CoreError) {
    tracing::warn!(
        error = error as &dyn Error,
        "the high-water file was not written"
    );
}
