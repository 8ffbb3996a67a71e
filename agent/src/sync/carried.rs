//! An exchange whose frames somebody else carries.

use super::exchange::{self, Errand, MOVEMENTS, Wait};
use super::{SyncError, decisions};
use crate::core::{Core, now};
use crate::ledger::{Asked, Heard, Show, Taken, Via, answer};

/// A request that is on its way.
pub(crate) struct Carried {
    /// The signed frame.
    pub(crate) frame: Vec<u8>,
    asked: Asked,
}

impl Carried {
    /// Everything to show and to bring.
    ///
    /// # Errors
    ///
    /// [`SyncError`].
    pub(crate) async fn ask(core: &Core, show: Show) -> Result<Self, SyncError> {
        let identity = core.identity().ok_or(SyncError::NotEnrolled)?;
        let errand = Errand {
            show,
            wait: Wait::No,
            goodbye: false,
            digest: false,
            without_holds: false,
        };
        let (asked, health, _) = exchange::read(core, &errand, MOVEMENTS).await?;
        let request = exchange::request(&identity, core.boot(), &asked, health, 0);
        let frame = exchange::seal(&request, &identity)?;
        Ok(Self { frame, asked })
    }

    /// Applies what the hub answered, and does what was decided there.
    ///
    /// # Errors
    ///
    /// [`SyncError`]; nothing of the answer is applied.
    pub(crate) async fn apply(self, core: &Core, bytes: &[u8]) -> Result<Taken, SyncError> {
        let answer = exchange::open(bytes)?;
        let decided = answer.decisions.clone();
        let sent = self.asked.sent;
        let heard = Heard {
            now: now(),
            skew_ms: None,
        };
        let work = move |conn: &rusqlite::Connection| {
            answer::apply(conn, &answer, &sent, Via::Line, heard)
        };
        let taken = core.ledger().db().write_background(work).await?;
        decisions::carry_out(core, decided).await;
        Ok(taken)
    }
}
