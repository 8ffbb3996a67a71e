//! The shop's legs: joined with what the hub says, answered, kept or broken, fulfilled by a sale.

use std::collections::BTreeMap;

use super::ledger::{Booked, Ledger};
use crate::delta::Entry;
use crate::hold::{
    self, DeclineReason, Facts, Leg, OwnStock, Promised, Response, Sale, ShopSide, Verdict, Way,
};
use crate::registers::HoldPolicy;
use crate::wire::Answer;
use crate::wire::v1::{LegV1, LegsV1};
use crate::{Barcode, Delta, Dot, HoldId, Kind, LegId, Movement, MovementId, ReplicaId};

/// A leg with what the hub is known to have of it in its life.
#[derive(Clone, Debug)]
struct Kept {
    leg: Leg,
    at_hub: Option<Leg>,
}

impl Kept {
    /// The hub has so much of it.
    fn is_at_hub(&mut self, leg: &Leg) {
        let known = self.at_hub.as_ref();
        self.at_hub = Some(known.map_or(leg.clone(), |known| known.join(leg)));
    }

    /// The hub has all of it. (Both sides count: a hub that went back has lost its own.)
    fn is_settled(&self) -> bool {
        self.at_hub.as_ref() == Some(&self.leg)
    }
}

/// What lies on the shop's disk of holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Promises {
    legs: BTreeMap<LegId, Kept>,
    /// The hub's legs are held up to here, in its life.
    held: u64,
    /// Sales of a file over a hold, each with the units that it took: a person says whose they are.
    questions: BTreeMap<MovementId, (Barcode, i64)>,
}

impl Promises {
    /// A new life of the hub has acknowledged nothing.
    pub(super) fn forget_acknowledgements(&mut self) {
        self.held = 0;
        for kept in self.legs.values_mut() {
            kept.at_hub = None;
        }
    }
}

impl Ledger {
    /// Every leg.
    pub fn legs(&self) -> impl Iterator<Item = &Leg> {
        self.promises.legs.values().map(|kept| &kept.leg)
    }

    /// What the movements say about a leg.
    pub fn facts(&self, leg: &Leg) -> Facts {
        self.logs.index().facts(leg)
    }

    /// Whether the hub has acknowledged what the shop says of a leg, in its life.
    pub fn is_acknowledged(&self, leg: LegId) -> bool {
        self.promises.legs.get(&leg).is_some_and(|kept| {
            let known = kept.at_hub.as_ref();
            known.is_some_and(|known| known.shop == kept.leg.shop)
        })
    }

    /// The sales that wait for a person's word.
    pub fn questions(&self) -> impl Iterator<Item = MovementId> {
        self.promises.questions.keys().copied()
    }

    /// Units of a barcode that files sold over holds.
    pub fn questioned(&self, barcode: &Barcode) -> i64 {
        let open = self.promises.questions.iter();
        let of_barcode = open.filter(|(id, (code, _))| {
            code == barcode && self.logs.index().merged(**id) == hold::Merged::Counts
        });
        of_barcode.map(|(_, (_, units))| units).sum()
    }

    /// Whether the hub has the movement that a leg stands on, or gets it in this request. (One that is not here is
    /// another machine's.)
    fn goes_with(&self, leg: &Leg, deltas: &[Delta]) -> bool {
        let Some(movement) = leg.shop.movement() else {
            return true;
        };
        let is_known = |dot: Dot| {
            let mut brought = deltas.iter().filter(|delta| delta.replica == dot.replica);
            dot.seq <= self.acked(dot.replica) || brought.any(|delta| dot.seq <= delta.last_seq())
        };
        let mut dots = self.logs.index().dots(movement).peekable();
        dots.peek().is_none() || dots.any(is_known)
    }

    /// What it brings of its legs, none before the movement that it stands on.
    pub(super) fn legs_to_bring(&self, deltas: &[Delta]) -> (Option<LegsV1>, Vec<Leg>) {
        if !self.takes_holds {
            return (None, Vec::new());
        }
        let kept = self.promises.legs.values();
        let pending = kept.filter(|kept| !kept.is_settled() && kept.leg.is_returned(self.now));
        let (mut brought, mut all) = (Vec::new(), true);
        for Kept { leg, .. } in pending {
            if brought.len() < self.limit && self.goes_with(leg, deltas) {
                brought.push(leg);
            } else {
                all = false;
            }
        }
        let legs = LegsV1 {
            held: self.promises.held,
            list: brought.iter().map(|leg| LegV1::of(leg)).collect(),
            all,
        };
        (Some(legs), brought.into_iter().cloned().collect())
    }

    /// Joins what an answer brings; `sent` are the legs that the request carried, where the answer speaks of them.
    pub(super) fn take_legs(&mut self, answer: &Answer, sent: &[Leg]) {
        let Some(brought) = &answer.legs else {
            return;
        };
        if brought.taken {
            for leg in sent {
                if let Some(kept) = self.promises.legs.get_mut(&leg.id) {
                    kept.is_at_hub(leg);
                }
            }
        }
        let shop = self.logs.shop().clone();
        for leg in &brought.list {
            let leg = leg.read(&shop).expect("the hub's own");
            let kept = self.promises.legs.entry(leg.id).or_insert_with(|| Kept {
                leg: leg.clone(),
                at_hub: None,
            });
            kept.leg = kept.leg.join(&leg);
            kept.is_at_hub(&leg);
        }
        self.promises.held = self.promises.held.max(brought.upto);
        self.react();
    }

    /// What is no longer covered breaks; then whatever can be answered without a person is.
    fn react(&mut self) {
        let barcodes: std::collections::BTreeSet<Barcode> =
            self.legs().map(|leg| leg.terms.barcode.clone()).collect();
        for barcode in &barcodes {
            self.break_uncovered(barcode);
        }
        let mut open: Vec<Leg> = self
            .legs()
            .filter(|leg| leg.shop == ShopSide::None)
            .cloned()
            .collect();
        open.sort_by_key(Leg::rank);
        for leg in open {
            let stock = self.stock(&leg);
            let at = self.now;
            match hold::answer(&leg, self.facts(&leg), self.policy, stock) {
                Response::Nothing | Response::AwaitScan => {}
                Response::Confirm => self.say(leg.id, ShopSide::Confirmed { at }),
                Response::Decline(reason) => self.say(leg.id, ShopSide::Declined { reason, at }),
            }
        }
    }

    fn say(&mut self, id: LegId, side: ShopSide) {
        let kept = self.promises.legs.get_mut(&id).expect("an own leg");
        if kept.leg.shop.may_become(side) {
            kept.leg.shop = kept.leg.shop.join(side);
        }
    }

    fn of_barcode<'a>(&'a self, barcode: &'a Barcode) -> impl Iterator<Item = (&'a Leg, Facts)> {
        let legs = self.legs().filter(move |leg| leg.terms.barcode == *barcode);
        legs.map(|leg| (leg, self.facts(leg)))
    }

    fn stock(&self, leg: &Leg) -> OwnStock {
        let barcode = &leg.terms.barcode;
        let others = self
            .of_barcode(barcode)
            .filter(|(other, _)| other.id != leg.id);
        OwnStock {
            sellable: self.logs.index().sellable(barcode) + self.questioned(barcode),
            promised: hold::promised(others),
        }
    }

    fn break_uncovered(&mut self, barcode: &Barcode) {
        let promises: Vec<Promised<'_>> = self
            .of_barcode(barcode)
            .map(|(leg, facts)| Promised {
                leg,
                facts,
                is_acknowledged: self.is_acknowledged(leg.id),
            })
            .collect();
        if promises.is_empty() {
            return;
        }
        let sellable = self.logs.index().sellable(barcode);
        let broken = hold::uncovered(sellable, self.questioned(barcode), &promises, self.now);
        let at = self.now;
        for id in broken {
            self.say(id, ShopSide::Broken { at });
        }
    }

    /// A person looked for the piece and scanned it: whether that is a yes. Where the books have none for it, no.
    pub fn scan(&mut self, id: LegId) -> bool {
        let Some(leg) = self.promises.legs.get(&id).map(|kept| kept.leg.clone()) else {
            return false;
        };
        let stock = self.stock(&leg);
        let is_there = stock.sellable - stock.promised >= leg.units();
        match hold::confirmed(&leg, self.now) {
            Some(side) if is_there => {
                self.say(id, side);
                true
            }
            _ => false,
        }
    }

    /// A person says no: whether that is said.
    pub fn decline(&mut self, id: LegId, reason: DeclineReason) -> bool {
        let leg = self.promises.legs.get(&id).map(|kept| &kept.leg);
        let Some(side) = leg.and_then(|leg| hold::declined(leg, reason, self.now)) else {
            return false;
        };
        self.say(id, side);
        true
    }

    /// A person says of a file's sale over a hold whose it was: the order's, or somebody else's.
    pub fn settle_question(&mut self, sale: MovementId, of: Option<LegId>) {
        let Some((barcode, _)) = self.promises.questions.remove(&sale) else {
            return;
        };
        if let Some(leg) = of {
            self.fulfil(leg, sale);
        }
        self.break_uncovered(&barcode);
    }

    /// The order's buyer has the piece, by this sale; a sale is of one order at most.
    fn fulfil(&mut self, leg: LegId, movement: MovementId) {
        let side = ShopSide::Fulfilled {
            movement,
            at: self.now,
        };
        let is_used = |leg: &Leg| matches!(leg.shop, ShopSide::Fulfilled { movement: of, .. } if of == movement);
        if !self.legs().any(is_used) {
            self.say(leg, side);
            self.promises.questions.remove(&movement);
        }
    }

    /// The piece of a leg is packed and leaves: the transfer and the shop's word, in one commit.
    pub fn ship(
        &mut self,
        id: LegId,
        transfer: &Movement,
        mint: &mut dyn FnMut() -> ReplicaId,
    ) -> Booked {
        let movement = transfer.id(self.logs.shop());
        let index = self.logs.index();
        if index.is_named(movement) {
            return Booked::Voided;
        }
        let booked = if index.has(movement) {
            Booked::Again
        } else {
            self.write(Entry::new(transfer.clone()), mint);
            Booked::New
        };
        let at = self.now;
        self.say(id, ShopSide::Moved { movement, at });
        self.has_written(&transfer.barcode);
        booked
    }

    /// A movement that was booked before may say for which hold it was: the file behind the till's call, or the call
    /// behind the file.
    pub(super) fn link_again(&mut self, movement: &Movement) {
        if let (Kind::Sale, Some(hold)) = (movement.kind, movement.details().hold) {
            let units = -movement.qty.units();
            let verdict = self.verdict(&movement.barcode, hold, units);
            if let Verdict::Fulfils(leg) = verdict {
                self.fulfil(leg, movement.id(self.logs.shop()));
            }
        }
    }

    fn verdict(&self, barcode: &Barcode, hold: HoldId, units: i64) -> Verdict {
        let legs: Vec<(&Leg, Facts)> = self.of_barcode(barcode).collect();
        let sale = Sale {
            units,
            names: Some(hold),
            way: Way::File,
        };
        hold::sale(i64::MAX, &legs, sale, self.now)
    }

    /// Books a sale, which may be of something that is held.
    pub(super) fn sell(
        &mut self,
        way: Way,
        movement: Movement,
        mint: &mut dyn FnMut() -> ReplicaId,
    ) -> Booked {
        let id = movement.id(self.logs.shop());
        let barcode = movement.barcode.clone();
        let legs: Vec<(&Leg, Facts)> = self.of_barcode(&barcode).collect();
        let sale = Sale {
            units: -movement.qty.units(),
            names: movement.details().hold,
            way,
        };
        let sellable = self.logs.index().sellable(&barcode);
        let verdict = hold::sale(sellable, &legs, sale, self.now);
        if matches!(verdict, Verdict::Refused(_) | Verdict::NotOpen(_)) {
            return Booked::Held;
        }
        self.write(Entry::new(movement), mint);
        match verdict {
            Verdict::Fulfils(leg) => self.fulfil(leg, id),
            Verdict::Takes(legs) => {
                let (reason, at) = (DeclineReason::Sold, self.now);
                for leg in legs {
                    let is_promised = self.promises.legs[&leg].leg.shop != ShopSide::None;
                    self.say(
                        leg,
                        if is_promised {
                            ShopSide::Broken { at }
                        } else {
                            ShopSide::Declined { reason, at }
                        },
                    );
                }
            }
            Verdict::Question(legs) => {
                let kept = legs.iter().map(|leg| &self.promises.legs[leg].leg);
                let kept = kept.filter(|leg| leg.shop != ShopSide::None);
                let units = kept.map(Leg::units).sum();
                self.promises.questions.insert(id, (barcode, units));
            }
            Verdict::Free | Verdict::Refused(_) | Verdict::NotOpen(_) => {}
        }
        Booked::New
    }

    /// A movement of a barcode was written: what it took away from a promise breaks it.
    pub(super) fn has_written(&mut self, barcode: &Barcode) {
        if !self.promises.legs.is_empty() {
            self.break_uncovered(barcode);
        }
    }

    /// How this shop answers.
    pub fn set_policy(&mut self, policy: HoldPolicy) {
        self.policy = policy;
        self.takes_holds = true;
    }
}
