//! Exchanges that a person asked for: everything up, everything down, now.

use tokio_util::sync::CancellationToken;

use super::exchange::{self, Ended, Errand, Wait};
use super::{Road, SyncError, decisions};
use crate::core::Core;
use crate::ledger::Show;

/// What a person asked for: everything up, everything down, now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Movements that the hub acknowledged.
    pub(crate) acked: u64,
    /// Movements taken from the hub.
    pub(crate) taken: u64,
    /// How many exchanges it took.
    pub(crate) exchanges: u64,
}

/// The most exchanges of one command: half a million movements.
const MAX_EXCHANGES: u64 = 1_000;

/// Exchanges until both sides have what the other had.
///
/// # Errors
///
/// [`SyncError`].
pub(crate) async fn now(core: &Core) -> Result<Summary, SyncError> {
    let road = Road::of(core)?;
    let mut summary = Summary::default();
    let mut show = Show::All;
    while summary.exchanges < MAX_EXCHANGES {
        let errand = Errand {
            show,
            wait: Wait::No,
            goodbye: false,
            digest: false,
            without_holds: false,
        };
        let ended = exchange::go(core, &road, &errand, &CancellationToken::new()).await?;
        let Ended::Answered {
            taken,
            brought,
            decisions,
            ..
        } = ended
        else {
            break;
        };
        summary.exchanges += 1;
        summary.acked += taken.acked;
        summary.taken += taken.taken;
        if taken.ready_to_open {
            core.ready_to_open().notify_one();
        }
        decisions::carry_out(core, decisions).await;
        show = if taken.show_all || taken.life_changed {
            Show::All
        } else {
            Show::Changed
        };
        let goes_on = taken.more
            || taken.show_all
            || taken.life_changed
            || taken.superseded
            || taken.taken > 0
            || taken.legs.is_some_and(|legs| legs.said > 0);
        let has_acked = taken.acked > 0 || taken.legs.is_some_and(|legs| legs.moved > 0);
        if !goes_on && (brought == 0 || !has_acked) {
            break;
        }
    }
    Ok(summary)
}
