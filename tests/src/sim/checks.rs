//! What is looked at after each step.

use vitrina_shared::{Movement, Seq, ShopId};

use super::hub::Decided;
use super::world::{Broken, World};

impl World {
    /// What a till was told is on its disk.
    pub(super) fn check_told(&self, shop: usize, place: usize) -> Result<(), Broken> {
        let at = &self.shops[shop].places[place];
        match at.told.iter().find(|id| !at.machine.has(**id)) {
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
        let logs = self.shops[shop].places[place].machine.logs();
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

    /// A sale is only refused where its very key is there with other content, or a void names it.
    pub(super) fn check_refusal(
        &self,
        shop: usize,
        place: usize,
        said: &Movement,
    ) -> Result<(), Broken> {
        let logs = self.shops[shop].places[place].machine.logs();
        let id = said.id(logs.shop());
        let is_rival = |held: &Movement| held.key == said.key && held.kind == said.kind;
        if logs.index().is_named(id) || logs.movements().any(is_rival) {
            Ok(())
        } else {
            Err(format!(
                "I22 {shop}.{place} refused {id}, which nothing contradicts"
            ))
        }
    }

    /// A machine that saw that its disk is another never writes under the old name again.
    pub(super) fn check_writer(&mut self, shop: usize, place: usize) -> Result<(), Broken> {
        let at = &mut self.shops[shop].places[place];
        let (own, _) = at.machine.own();
        self.written.insert(own);
        match at.ended {
            Some(ended) if ended == own => Err(format!(
                "I27 {shop}.{place} saw that its disk is another, and goes on with {own}"
            )),
            _ => Ok(()),
        }
    }

    /// What an agent believes to be acknowledged in this life is at the hub.
    pub(super) fn check_acked(&self, shop: usize, place: usize) -> Result<(), Broken> {
        let machine = &self.shops[shop].places[place].machine;
        if machine.life() != Some(self.hub.life()) {
            return Ok(());
        }
        let logs = machine.logs();
        let hub = self.hub.logs(logs.shop());
        for (replica, acked) in machine.acked().iter() {
            let at = logs.position(*replica, *acked);
            if !hub.has(*replica, at) {
                return Err(format!(
                    "I4 acknowledged and not held: {shop}.{place} {replica} up to {}",
                    acked.0
                ));
            }
        }
        Ok(())
    }

    /// What the hub says to hold lies on its log as it was sent, and a branch, which is named by its first movement, never
    /// has two.
    pub(super) fn check_decided(&self, shop: &ShopId, decided: &Decided) -> Result<(), Broken> {
        let replica = decided.replica;
        if decided.common == Some(Seq(0)) && !self.written.contains(&replica) {
            return Err(format!("I27 the branch {replica} begins in two ways"));
        }
        let is_held = matches!(decided.word, "merged" | "merged_in_part" | "duplicate");
        if is_held && !self.hub.logs(shop).has(replica, decided.end) {
            return Err(format!(
                "I7 taken otherwise than it was sent: {replica} up to {}",
                decided.end.seq.0
            ));
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
