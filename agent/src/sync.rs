//! The exchange with the hub: one loop that keeps a long-poll open, cuts it short for a commit, and comes back by
//! itself from everything.
//!
//! A waiting request is never dropped, because that would close its connection: it is left to its own task, whose
//! answer nobody applies, and the commit goes out on a second connection at once. While a push is on its way further
//! commits wait for it and then go together.

mod backoff;
mod books;
mod carried;
pub(crate) mod decisions;
pub(crate) mod exchange;
mod once;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use vitrina_host::sign::random_bytes;

use crate::core::Core;
use crate::hub_client::{HubClient, HubError};
use crate::identity::Identity;
use crate::ledger::{LedgerError, Show, Taken, register};
use crate::situation::HubState;

pub(crate) use carried::Carried;
pub(crate) use once::{Summary, now};

use backoff::Backoff;
use books::Books;
use exchange::{Ended, Errand, Wait};

/// A hub that took our credentials away is asked so often whether it gave them back.
const REVOKED: Duration = Duration::from_secs(30);
/// Agents that start in one instant, after a power cut in a mall, spread over so long.
const SPREAD_MS: u64 = 300;
/// What a hub repeats although it was done is not done again in a tight loop.
const AFTER_DECISIONS: Duration = Duration::from_secs(2);
/// A wait that somebody else ended is not begun again at once.
const AFTER_SUPERSEDED: Duration = Duration::from_secs(2);
/// How long the commits of an import gather before they are brought: a commit is to be on the wire within 50 ms.
const GATHER: Duration = Duration::from_millis(25);
/// How long the goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// Why an exchange did not come to its end. What was sent may have arrived; sending it again is safe.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SyncError {
    /// The hub gave no frame.
    #[error("the exchange with the hub failed")]
    Hub(#[from] HubError),
    /// The ledger failed.
    #[error("the ledger failed during an exchange")]
    Ledger(#[from] LedgerError),
    /// The frame cannot be signed.
    #[error("the exchange cannot be signed")]
    Sign(#[from] vitrina_host::sign::SignError),
    /// There was no enrolment.
    #[error("this agent is not enrolled: vitrina-agent enrol --hub URL --code CODE")]
    NotEnrolled,
}

impl SyncError {
    /// A short word for status and log.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Hub(error) => error.code(),
            Self::Ledger(_) => "ledger_failed",
            Self::Sign(_) => "key_failed",
            Self::NotEnrolled => "not_enrolled",
        }
    }
}

/// The way to the hub of one enrolment.
pub(crate) struct Road {
    pub(crate) identity: Arc<Identity>,
    pub(crate) client: HubClient,
    /// See [`Core::boot`].
    pub(crate) boot: [u8; 16],
}

impl Road {
    /// The road that the enrolment and `agent.toml` name.
    ///
    /// # Errors
    ///
    /// [`SyncError::NotEnrolled`], [`SyncError::Hub`] when the address cannot be used.
    pub(crate) fn of(core: &Core) -> Result<Self, SyncError> {
        let identity = core.identity().ok_or(SyncError::NotEnrolled)?;
        let client = HubClient::new(&identity.line(core.config(), core.folder())?)?;
        Ok(Self {
            identity,
            client,
            boot: core.boot(),
        })
    }
}

/// Keeps the shop and the hub together until `stop`; then says goodbye.
pub(crate) async fn run(core: Core, stop: CancellationToken) {
    let core_of_books = core.clone();
    let mut keeper = Keeper {
        core,
        stop,
        backoff: Backoff::default(),
        show: Show::All,
        is_fresh: true,
        is_untidy: true,
        books: Books::of(core_of_books).await,
        without_holds: false,
    };
    keeper
        .rest(Duration::from_millis(random() % SPREAD_MS))
        .await;
    while !keeper.stop.is_cancelled() {
        match Road::of(&keeper.core) {
            Ok(road) => keeper.travel(&road).await,
            Err(error) => {
                keeper
                    .core
                    .situation()
                    .hub(HubState::failed(error.code(), &error));
                keeper.wait_for_enrolment(REVOKED).await;
            }
        }
    }
}

/// The loop's state.
struct Keeper {
    core: Core,
    stop: CancellationToken,
    backoff: Backoff,
    show: Show,
    is_fresh: bool,
    /// Rows of an earlier life of the hub may lie about.
    is_untidy: bool,
    /// Whether the rows here and at the hub are the same.
    books: Books,
    /// The hub answered, and without a word about holds.
    without_holds: bool,
}

impl Keeper {
    /// Goes to the hub and back until the enrolment changes or the agent stops.
    async fn travel(&mut self, road: &Road) {
        loop {
            let wait = if self.is_fresh || self.books.is_due() {
                Wait::No
            } else {
                Wait::ForNews(self.books.due_in())
            };
            let errand = Errand {
                show: self.show,
                wait,
                goodbye: false,
                digest: self.books.is_due(),
                without_holds: self.without_holds,
            };
            let ended = exchange::go(&self.core, road, &errand, &self.stop).await;
            match ended {
                Ok(Ended::Stopped) => return self.say_goodbye(road).await,
                Ok(Ended::CutShort) => {}
                Ok(Ended::Answered {
                    taken,
                    brought,
                    has_more,
                    decisions,
                    is_equal,
                }) => {
                    self.connected(road);
                    if errand.digest {
                        self.books.compared(is_equal).await;
                    }
                    self.settle(&taken, brought).await;
                    self.decide(decisions, &taken).await;
                    if brought > 0 && !has_more {
                        self.gather().await;
                    }
                }
                Err(error) => self.failed(&error).await,
            }
            if self.stop.is_cancelled() {
                return self.say_goodbye(road).await;
            }
            if !self
                .core
                .identity()
                .is_some_and(|now| Arc::ptr_eq(&now, &road.identity))
            {
                self.show = Show::All;
                self.is_fresh = true;
                return;
            }
        }
    }

    fn connected(&mut self, road: &Road) {
        self.backoff.reset();
        self.is_fresh = false;
        self.books.connected(random());
        self.core
            .situation()
            .hub(HubState::connected(road.client.url()));
    }

    /// What the answer means for the next exchange.
    async fn settle(&mut self, taken: &Taken, brought: usize) {
        self.show = if taken.show_all || taken.life_changed {
            Show::All
        } else {
            Show::Changed
        };
        self.is_fresh = taken.more || taken.show_all || taken.life_changed || taken.superseded;
        if let Some(replica) = taken.minted {
            tracing::warn!(replica.id = %replica, "this ledger is not the only one of its name: it goes on under a new one");
        }
        if taken.odd_rows > 0 {
            tracing::error!(
                rows = taken.odd_rows,
                "the hub sent totals that its movements do not explain: run verify"
            );
        }
        if taken.ready_to_open {
            self.core.ready_to_open().notify_one();
        }
        self.is_untidy |= taken.life_changed;
        if self.is_untidy && !taken.more {
            self.is_untidy = !self.tidy().await;
        }
        if !taken.superseded {
            self.without_holds = taken.legs.is_none();
        }
        let moved = taken.acked > 0
            || taken.legs.is_some_and(|legs| legs.moved > 0)
            || taken.taken > 0
            || taken.minted.is_some()
            || !taken.branched.is_empty();
        if taken.superseded {
            // Our own newer requests never let us see this: another machine has our key, or a person ran `sync`. Both
            // sides go on, but not by ending each other's waits as fast as they can.
            self.rest_for_news(AFTER_SUPERSEDED + Duration::from_millis(random() % 1_000))
                .await;
        } else if taken.retry_ms > 0 {
            let asked = Duration::from_millis(taken.retry_ms.into());
            self.rest(backoff::asked(asked, random())).await;
        } else if brought > 0 && !moved && !self.is_fresh {
            // The hub took nothing of what was brought: it builds an index, or something is wrong that only time heals.
            let pause = self.backoff.next(random());
            self.rest(pause).await;
        }
    }

    /// Takes away registers that an earlier life of the hub wrote. Whether all are gone.
    async fn tidy(&self) -> bool {
        loop {
            match self
                .core
                .ledger()
                .db()
                .write_background(register::tidy)
                .await
            {
                Ok(true) => return true,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "old registers were not taken away"
                    );
                    return false;
                }
            }
        }
    }

    async fn decide(
        &mut self,
        decisions: Vec<vitrina_shared::wire::v1::DecisionV1>,
        taken: &Taken,
    ) {
        if decisions.is_empty() {
            return;
        }
        decisions::carry_out(&self.core, decisions).await;
        if !taken.more {
            self.rest_for_news(AFTER_DECISIONS).await;
        }
    }

    /// While a file is taken its next commits go together: each exchange costs the hub a commit of its own. A till
    /// does not wait for that.
    async fn gather(&self) {
        let is_importing = exchange::has_come(self.core.imported()).await;
        if is_importing {
            tokio::select! {
                () = tokio::time::sleep(GATHER) => {}
                () = self.core.committed().notified() => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    /// Waits, but not when there is something to bring.
    async fn rest_for_news(&self, span: Duration) {
        tokio::select! {
            () = tokio::time::sleep(span) => {}
            () = self.core.committed().notified() => {}
            () = self.core.imported().notified() => {}
            () = self.stop.cancelled() => {}
        }
    }

    async fn failed(&mut self, error: &SyncError) {
        self.is_fresh = true;
        self.show = Show::All;
        self.books.disconnected();
        let is_refused = matches!(error, SyncError::Hub(HubError::Unauthorized { .. }));
        self.core.situation().hub(if is_refused {
            HubState::refused(error.code(), error)
        } else {
            HubState::failed(error.code(), error)
        });
        if is_refused {
            self.wait_for_enrolment(REVOKED).await;
            return;
        }
        let pause = self.backoff.next(random());
        let asked = match error {
            SyncError::Hub(error) => error.retry_after().unwrap_or_default(),
            _ => Duration::ZERO,
        };
        self.rest(pause.max(backoff::asked(asked, random()))).await;
    }

    async fn wait_for_enrolment(&self, at_most: Duration) {
        tokio::select! {
            () = tokio::time::sleep(at_most) => {}
            () = self.core.enrolled().notified() => {}
            () = self.stop.cancelled() => {}
        }
    }

    async fn rest(&self, span: Duration) {
        tokio::select! {
            () = tokio::time::sleep(span) => {}
            () = self.stop.cancelled() => {}
        }
    }

    /// The last exchange: what is pending goes along, and the hub knows that the silence is meant.
    async fn say_goodbye(&self, road: &Road) {
        if !self.core.situation().is_connected() {
            return;
        }
        let errand = Errand {
            show: Show::Changed,
            wait: Wait::No,
            goodbye: true,
            digest: false,
            without_holds: false,
        };
        let nobody_stops_it = CancellationToken::new();
        let last = exchange::go(&self.core, road, &errand, &nobody_stops_it);
        if let Ok(Err(error)) = tokio::time::timeout(GOODBYE, last).await {
            tracing::info!(
                error = &error as &dyn std::error::Error,
                "the hub did not hear the goodbye"
            );
        }
    }
}

/// Any number, for spreading waits; when the system has none, no spreading.
fn random() -> u64 {
    random_bytes().map_or(0, u64::from_le_bytes)
}
