//! What is looked at after each step.

use vitrina_shared::Movement;

use super::world::{Broken, World};

impl World {
    /// What a till was told is on its disk.
    pub(super) fn check_told(&self, shop: usize, place: usize) -> Result<(), Broken> {
        let at = &self.shops[shop].places[place];
        let index = at.machine.disk.ledger.logs.index();
        match at.told.iter().find(|id| !index.has(**id)) {
            None => Ok(()),
            Some(id) => Err(format!("I3 lost: {shop}.{place} was told of {id}")),
        }
    }

    /// What a till was told to be recorded is recorded as it said it, not only something under the same name.
    pub(super) fn check_content(
        &self,
        shop: usize,
        place: usize,
        said: &Movement,
    ) -> Result<(), Broken> {
        let logs = &self.shops[shop].places[place].machine.disk.ledger.logs;
        let id = said.id(logs.shop());
        let mut twins = logs.index().twins(id);
        let is_same = |held: &Movement| {
            held.kind == said.kind
                && held.key == said.key
                && held.qty == said.qty
                && held.scanned_text() == said.scanned_text()
        };
        if twins.any(is_same) {
            Ok(())
        } else {
            Err(format!(
                "I3 lost: {shop}.{place} was told of {id}, and holds something else under its name"
            ))
        }
    }

    /// A machine that saw that its disk is another never writes under the old name again.
    pub(super) fn check_writer(&mut self, shop: usize, place: usize) -> Result<(), Broken> {
        let at = &mut self.shops[shop].places[place];
        let own = at.machine.disk.ledger.own;
        match at.ended {
            Some(ended) if ended == own => Err(format!(
                "I27 {shop}.{place} saw that its disk is another, and goes on with {own}"
            )),
            _ => Ok(()),
        }
    }

    /// What an agent believes to be acknowledged in this life is at the hub.
    pub(super) fn check_acked(&self, shop: usize, place: usize) -> Result<(), Broken> {
        let ledger = &self.shops[shop].places[place].machine.disk.ledger;
        if ledger.life != Some(self.hub.life) {
            return Ok(());
        }
        let hub = self.hub.logs(ledger.logs.shop());
        for (replica, acked) in &ledger.acked {
            let at = ledger.logs.position(*replica, *acked);
            if !hub.has(*replica, at) {
                return Err(format!(
                    "I4 acknowledged and not held: {shop}.{place} {replica} up to {}",
                    acked.0
                ));
            }
        }
        Ok(())
    }

    /// The hub's logs only grow, as long as it does not go back.
    pub(super) fn check_hub_grows(&mut self, shop: usize) -> Result<(), Broken> {
        let logs = self.hub.logs(&self.shops[shop].id);
        for replica in logs.replicas() {
            let head = logs.head(replica);
            if let Some(before) = self.heads.insert(replica, head)
                && !logs.has(replica, before)
            {
                return Err(format!(
                    "I11 the hub's log of {replica} is not what it was up to {}",
                    before.seq.0
                ));
            }
        }
        Ok(())
    }
}
