//! What people do about web orders, for the simulator.

use vitrina_shared::hold::{DeclineReason, Facts, Leg, Way};
use vitrina_shared::memory::Booked;
use vitrina_shared::registers::{HoldPolicy, Settings};
use vitrina_shared::{Barcode, Condition, LegId, Movement, MovementId, TimeMs};

use super::Lab;
use crate::ledger::hold::{self, Whose};
use crate::ledger::{Desk, leg, log, question, register};

impl Lab {
    /// The machine's clock.
    pub fn now(&self) -> TimeMs {
        self.now
    }

    /// Its clock shows this.
    pub fn wind(&mut self, now: TimeMs) {
        self.now = now;
    }

    /// How this shop answers.
    pub fn set_policy(&self, holds: HoldPolicy) {
        let settings = Settings {
            holds,
            ..Settings::default()
        };
        let json = serde_json::to_vec(&settings).expect("plain data");
        self.job(|conn| register::put_settings(conn, &self.shop, &json));
    }

    /// Every leg, in the order of their ids.
    pub fn legs(&self) -> Vec<Leg> {
        let kept = self.read(leg::every).into_iter();
        kept.map(|kept| kept.leg).collect()
    }

    /// What the movements say about a leg.
    pub fn facts(&self, leg: &Leg) -> Facts {
        self.read(|conn| leg::facts(conn, leg))
    }

    /// Whether the hub has acknowledged what the shop says of a leg, in its life.
    pub fn is_acknowledged(&self, id: LegId) -> bool {
        self.read(|conn| {
            let is_same_life = leg::held(conn)?.is_some();
            let kept = leg::get(conn, id)?;
            Ok(is_same_life && kept.is_some_and(|kept| kept.is_acknowledged()))
        })
    }

    /// The sales that wait for a person's word.
    pub fn questions(&self) -> Vec<MovementId> {
        let open = self.read(question::open).into_iter();
        open.map(|question| question.sale).collect()
    }

    /// Units of a barcode that files sold over holds.
    pub fn questioned(&self, barcode: &Barcode) -> i64 {
        self.read(|conn| question::units(conn, barcode))
    }

    /// Units of a barcode that can be sold.
    pub fn sellable(&self, barcode: &Barcode) -> i64 {
        self.read(|conn| log::on_hand(conn, barcode, Condition::Sellable))
    }

    /// A person looked for the piece and scanned it: whether that is a yes, which nobody had said.
    pub fn scan(&self, id: LegId) -> bool {
        self.changes(id, |desk| hold::confirm(desk, id.0, None).map(drop))
    }

    /// A person says no: whether that is said.
    pub fn decline(&self, id: LegId, reason: DeclineReason) -> bool {
        self.changes(id, |desk| {
            hold::decline(desk.conn(), id.0, reason, desk.now).map(drop)
        })
    }

    fn changes(
        &self,
        id: LegId,
        say: impl FnOnce(&Desk<'_>) -> Result<(), crate::ledger::LedgerError>,
    ) -> bool {
        self.job(|conn| {
            let before = leg::get(conn, id)?;
            say(&Desk::open(conn, self.now)?)?;
            Ok(leg::get(conn, id)? != before)
        })
    }

    /// A person says of a file's sale over a hold whose it was.
    pub fn settle_question(&self, sale: MovementId, of: Option<LegId>) {
        let whose = of.map_or(Whose::Other, |leg| Whose::Order(Some(leg.0)));
        self.job(|conn| {
            let settled = hold::settle(conn, sale, whose, self.now)?;
            if settled.is_err() {
                // It fits no such order: then it was somebody else's.
                drop(hold::settle(conn, sale, Whose::Other, self.now)?);
            }
            Ok(())
        });
    }

    /// The piece of a leg is packed and leaves.
    pub fn ship(&self, transfer: &Movement) -> Booked {
        self.book(transfer, Some(Way::Call))
    }
}
