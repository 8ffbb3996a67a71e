//! The hub's legs: opened by a conditional write, joined with what the shops say, settled, and given to the shops.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::hub::Hub;
use super::logs::Logs;
use super::{Bits, random_id};
use crate::freshness::Confidence;
use crate::hold::{
    self, Act, Candidate, Caps, Facts, Holding, HubSide, HubState, Known, Leg, NotOpen, Offer,
    Policy, Purpose, Refusal, ShopSide, Terms, Wanted, Word, WorkKind,
};
use crate::stock::Level;
use crate::wire::v1::{HubLegsV1, LegV1};
use crate::wire::{Request, WireError};
use crate::{Barcode, HoldId, LegId, Qty, ShopId, TimeMs};

/// What a website asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The id of its API key.
    pub caller: Box<str>,
    /// Under which key it asks.
    pub idempotency_key: Box<str>,
    /// What it wants.
    pub barcode: Barcode,
    /// Where; nothing: wherever it is best.
    pub shop: Option<ShopId>,
    /// How many.
    pub qty: Qty,
    /// The order's number.
    pub order: Box<str>,
    /// Another barcode of the same article and size will do.
    pub allow_variant: bool,
    /// How long.
    pub ttl_ms: i64,
}

/// What lies on the hub's disk of holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Holds {
    /// Each leg, with the place of its last change.
    legs: BTreeMap<LegId, (Leg, u64)>,
    by_hold: BTreeMap<HoldId, Vec<LegId>>,
    /// When another shop is looked for, where a leg is not answered.
    next_at: BTreeMap<LegId, TimeMs>,
    pos: u64,
    /// The shops that have returned their legs to this life.
    returned: BTreeSet<ShopId>,
    /// Legs confirmed by a merge and not yet held against the stock, in the order of their merges.
    unchecked: Vec<LegId>,
    /// Barcodes of which movements were merged since the stock was last held against what is promised.
    moved: BTreeSet<(ShopId, Barcode)>,
    work: BTreeSet<(LegId, WorkKind)>,
}

impl Holds {
    /// A new life knows nothing of what the shops keep.
    pub(super) fn forget_returns(&mut self) {
        self.returned.clear();
    }

    fn write(&mut self, leg: Leg) {
        self.pos += 1;
        let legs = self.by_hold.entry(leg.terms.hold).or_default();
        if !legs.contains(&leg.id) {
            legs.push(leg.id);
        }
        let answer_by = leg.terms.created_at.plus(hold::ANSWER_MS);
        self.next_at.entry(leg.id).or_insert(answer_by);
        self.legs.insert(leg.id, (leg, self.pos));
    }

    fn of_hold(&self, hold: HoldId) -> impl Iterator<Item = &Leg> {
        let ids = self.by_hold.get(&hold).into_iter().flatten();
        ids.map(|id| &self.legs[id].0)
    }

    fn of_shop<'a>(&'a self, shop: &'a ShopId) -> impl Iterator<Item = &'a Leg> {
        let all = self.legs.values().map(|(leg, _)| leg);
        all.filter(move |leg| leg.terms.shop == *shop)
    }
}

impl Hub {
    /// Every leg.
    pub fn legs(&self) -> impl Iterator<Item = &Leg> {
        self.holds.legs.values().map(|(leg, _)| leg)
    }

    /// Everything that people were told of holds.
    pub fn work(&self) -> &BTreeSet<(LegId, WorkKind)> {
        &self.holds.work
    }

    /// What the merged movements say about a leg.
    pub fn facts(&self, leg: &Leg) -> Facts {
        let logs = self.shops.get(&leg.terms.shop);
        logs.map_or(Facts::default(), |logs| logs.index().facts(leg))
    }

    /// The legs of a hold, with what the movements say about each.
    fn known(&self, hold: HoldId) -> Vec<(Leg, Facts)> {
        let legs = self.holds.of_hold(hold);
        legs.map(|leg| (leg.clone(), self.facts(leg))).collect()
    }

    /// The state of a hold; nothing where there is none.
    pub fn hold(&self, hold: HoldId) -> Option<Word> {
        hold::word(&borrowed(&self.known(hold)))
    }

    /// Whether a hold is known.
    pub fn has_hold(&self, hold: HoldId) -> bool {
        self.holds.by_hold.contains_key(&hold)
    }

    /// The numbers of a barcode at a shop.
    pub fn offer(&self, shop: &ShopId, barcode: &Barcode) -> Offer {
        let index = self.shops.get(shop).map(Logs::index);
        let on_hand = index.map_or(0, |index| index.on_hand(barcode));
        let sellable = index.map_or(0, |index| index.sellable(barcode));
        let legs = self.holds.of_shop(shop);
        let of_barcode = legs.filter(|leg| leg.terms.barcode == *barcode);
        let article = self.articles.get(barcode).map(|article| &**article);
        Offer {
            level: Level {
                on_hand,
                held: of_barcode.map(|leg| hold::held(leg, self.facts(leg))).sum(),
                unavailable: on_hand - sellable,
                safety_stock: self.safety.units(shop, barcode, article),
            },
            confidence: Confidence::Live,
            policy: Policy::default(),
            has_returned: self.holds.returned.contains(shop),
            is_published: true,
        }
    }

    /// A website asks for a hold; under a key that it has used it is told of the same one.
    ///
    /// # Errors
    ///
    /// [`Refusal`]: nothing was opened.
    pub fn place(&mut self, order: &Order, bits: Bits<'_>) -> Result<HoldId, Refusal> {
        let id = HoldId::of(&order.caller, &order.idempotency_key);
        if self.has_hold(id) {
            return Ok(id);
        }
        let terms = Terms {
            hold: id,
            shop: "none".parse().expect("a name"),
            barcode: order.barcode.clone(),
            ordered: None,
            qty: order.qty,
            order: order.order.clone(),
            caller: order.caller.clone(),
            purpose: Purpose::Order,
            created_at: self.now,
            allow_variant: order.allow_variant,
            comes_from: None,
        };
        let candidates = self.candidates(&terms, order.shop.as_ref());
        let wanted = wanted(&terms);
        let choice = hold::choose(&wanted, &candidates);
        let Some(best) = choice.best else {
            let refusals = choice.rejected.iter().map(|(_, why)| *why);
            let mut refused = refusals.filter_map(|why| match why {
                hold::Why::Refused(refusal) => Some(refusal),
                _ => None,
            });
            return Err(refused
                .next_back()
                .unwrap_or(Refusal::Insufficient { available: 0 }));
        };
        let (shop, barcode) = (best.shop.clone(), best.barcode.clone());
        let offer = self.offer(&shop, &barcode);
        hold::grant(
            &offer,
            order.qty.units(),
            self.holding(&terms),
            &Caps::default(),
        )?;
        let until = self.now.plus(order.ttl_ms);
        self.open(&terms, (shop, barcode), None, until, bits);
        self.commit(bits);
        Ok(id)
    }

    fn holding(&self, terms: &Terms) -> Holding {
        let open = self.legs().filter(|leg| leg.is_requested());
        let (mut of_order, mut of_caller) = (0, 0);
        for leg in open {
            of_order += u32::from(leg.terms.order == terms.order);
            of_caller += u32::from(leg.terms.caller == terms.caller);
        }
        Holding {
            of_order,
            of_caller,
        }
    }

    fn open(
        &mut self,
        like: &Terms,
        (shop, barcode): (ShopId, Barcode),
        comes_from: Option<LegId>,
        expires_at: TimeMs,
        bits: Bits<'_>,
    ) {
        let ordered = like.ordered();
        self.holds.write(Leg {
            id: LegId(random_id(bits)),
            terms: Arc::new(Terms {
                shop,
                ordered: (*ordered != barcode).then(|| ordered.clone()),
                barcode,
                created_at: self.now,
                comes_from,
                ..like.clone()
            }),
            hub: HubSide {
                state: HubState::Requested,
                expires_at,
            },
            shop: ShopSide::None,
        });
    }

    /// Every shop that may have the piece.
    fn candidates(&self, terms: &Terms, only: Option<&ShopId>) -> Vec<Candidate> {
        let asked: Vec<&ShopId> = self
            .holds
            .of_hold(terms.hold)
            .map(|leg| &leg.terms.shop)
            .collect();
        let ordered = terms.ordered();
        let article = self.articles.get(ordered);
        let is_like = |code: &Barcode| {
            code == ordered || (article.is_some() && self.articles.get(code) == article)
        };
        let mut candidates = Vec::new();
        for (shop, logs) in &self.shops {
            if only.is_some_and(|only| only != shop) {
                continue;
            }
            for barcode in logs.index().barcodes().into_iter().filter(is_like) {
                candidates.push(Candidate {
                    shop: shop.clone(),
                    article: self.articles.get(&barcode).cloned(),
                    size: Some("17".into()),
                    offer: self.offer(shop, &barcode),
                    distance_m: None,
                    was_asked: asked.contains(&shop),
                    barcode,
                });
            }
        }
        candidates
    }

    /// The website lets a hold go.
    ///
    /// # Errors
    ///
    /// [`NotOpen`]; a hold that is not known has no state.
    pub fn release(&mut self, id: HoldId, bits: Bits<'_>) -> Result<(), NotOpen> {
        let legs = hold::release(&borrowed(&self.known(id)))?;
        self.end(&legs, HubState::Released, bits);
        Ok(())
    }

    /// The website keeps a hold for longer.
    ///
    /// # Errors
    ///
    /// [`NotOpen`]; a hold that is not known has no state.
    pub fn extend(&mut self, id: HoldId, ttl_ms: i64, bits: Bits<'_>) -> Result<(), NotOpen> {
        let legs = hold::extend(&borrowed(&self.known(id)), self.now)?;
        for leg in legs {
            let (mut leg, _) = self.holds.legs[&leg].clone();
            leg.hub = leg.hub.join(HubSide {
                state: HubState::Requested,
                expires_at: self.now.plus(ttl_ms),
            });
            self.holds.write(leg);
        }
        self.commit(bits);
        Ok(())
    }

    /// Lets go what is over, and asks other shops for what nobody answers.
    pub fn expire(&mut self, bits: Bits<'_>) {
        let holds: Vec<HoldId> = self.holds.by_hold.keys().copied().collect();
        for id in &holds {
            let legs = hold::expire(&borrowed(&self.known(*id)), self.now);
            self.end(&legs, HubState::Expired, bits);
        }
        for id in holds {
            let known = self.known(id);
            let legs = borrowed(&known);
            let is_late = |leg: &Leg| self.holds.next_at[&leg.id] <= self.now;
            let mut late = legs.iter().map(|(leg, _)| *leg);
            let late = late.find(|leg| hold::is_unanswered(leg, &legs) && is_late(leg));
            if let Some(late) = late {
                self.ask_next(late.id, bits);
            }
        }
    }

    /// Asks another shop for a leg that is not answered; where there is none, later.
    fn ask_next(&mut self, late: LegId, bits: Bits<'_>) {
        if self.open_next(late, bits) {
            self.end(&[late], HubState::Ended, bits);
        } else {
            let again = self.now.plus(hold::ASK_AGAIN_MS);
            self.holds.next_at.insert(late, again);
        }
    }

    fn end(&mut self, legs: &[LegId], state: HubState, bits: Bits<'_>) {
        let mut holds = BTreeSet::new();
        for id in legs {
            self.write_hub(*id, state);
            holds.insert(self.holds.legs[id].0.terms.hold);
        }
        for id in holds {
            self.settle(id, bits);
            self.commit(bits);
        }
    }

    fn write_hub(&mut self, id: LegId, state: HubState) {
        let (mut leg, _) = self.holds.legs[&id].clone();
        leg.hub.state = leg.hub.state.max(state);
        self.holds.write(leg);
    }

    /// Does what a hold asks for until it asks for nothing.
    fn settle(&mut self, id: HoldId, bits: Bits<'_>) {
        loop {
            let mut has_written = false;
            for act in hold::settle(&borrowed(&self.known(id))) {
                match act {
                    Act::Write { leg, state } => {
                        self.write_hub(leg, state);
                        has_written = true;
                    }
                    Act::Raise { leg, kind } => {
                        self.holds.work.insert((leg, kind));
                    }
                    Act::OpenNext { after } => has_written |= self.open_next(after, bits),
                    Act::OpenDestination { from } => {
                        has_written |= self.open_destination(from, bits);
                    }
                }
            }
            if !has_written {
                return;
            }
        }
    }

    fn open_next(&mut self, after: LegId, bits: Bits<'_>) -> bool {
        let (leg, _) = self.holds.legs[&after].clone();
        let candidates = self.candidates(&leg.terms, None);
        let best = hold::choose(&wanted(&leg.terms), &candidates).best;
        let Some(best) = best else {
            return false;
        };
        let place = (best.shop.clone(), best.barcode.clone());
        self.open(&leg.terms, place, None, leg.hub.expires_at, bits);
        true
    }

    /// The shop to which a piece travels, once it has told what it keeps.
    fn open_destination(&mut self, from: LegId, bits: Bits<'_>) -> bool {
        let (leg, _) = self.holds.legs[&from].clone();
        let moved = leg.shop.movement().expect("a leg that moved");
        let to: Option<ShopId> = {
            let mut twins = self.shops[&leg.terms.shop].index().twins(moved);
            let details = twins.next().expect("it counts").details();
            details.to.and_then(|to| to.parse().ok())
        };
        let Some(to) = to.filter(|to| self.holds.returned.contains(to)) else {
            return false;
        };
        let place = (to, leg.terms.barcode.clone());
        self.open(&leg.terms, place, Some(from), leg.hub.expires_at, bits);
        true
    }

    /// The legs of a request, if all of them are of its shop.
    pub(super) fn read_legs(
        &self,
        shop: &ShopId,
        request: &Request,
    ) -> Result<Option<Vec<Leg>>, WireError> {
        let list = request.legs.iter().flat_map(|legs| &legs.list);
        let legs: Vec<Leg> = list
            .map(|leg| leg.read(shop))
            .collect::<Result<_, WireError>>()?;
        let is_anothers = |leg: &Leg| {
            let known = self.holds.legs.get(&leg.id);
            known.is_some_and(|(known, _)| known.terms.shop != *shop)
        };
        Ok((!legs.iter().any(is_anothers)).then_some(legs))
    }

    /// Joins what a shop says of its legs, after its movements, where it says something and none of them was refused; and
    /// does what its holds ask for, because its movements too may have changed that.
    pub(super) fn take_legs(
        &mut self,
        shop: &ShopId,
        request: &Request,
        legs: Option<Vec<Leg>>,
        bits: Bits<'_>,
    ) {
        let before = self.holds.pos;
        let is_news = legs.is_some_and(|legs| self.join_legs(shop, request, legs));
        let holds: BTreeSet<HoldId> = self.holds.of_shop(shop).map(|leg| leg.terms.hold).collect();
        for id in holds {
            self.settle(id, bits);
        }
        // What waits for this shop's word, such as a piece that travels here.
        if is_news {
            let others: BTreeSet<HoldId> = self.holds.by_hold.keys().copied().collect();
            for id in others {
                self.settle(id, bits);
            }
        }
        if is_news || self.holds.pos != before {
            self.commit(bits);
        }
    }

    /// Whether anything of it is news.
    fn join_legs(&mut self, shop: &ShopId, request: &Request, legs: Vec<Leg>) -> bool {
        let Some(brought) = &request.legs else {
            return false;
        };
        let mut changed = false;
        for leg in legs {
            let before = self.holds.legs.get(&leg.id).map(|(leg, _)| leg.clone());
            let joined = before.as_ref().map_or(leg.clone(), |held| held.join(&leg));
            if before.as_ref() == Some(&joined) {
                continue;
            }
            if before.is_none() {
                let level = (shop.clone(), joined.terms.barcode.clone());
                self.holds.moved.insert(level);
            }
            let is_news = before.is_none_or(|held| held.shop != joined.shop);
            if is_news && matches!(joined.shop, ShopSide::Confirmed { .. }) {
                self.holds.unchecked.push(joined.id);
            }
            self.holds.write(joined);
            changed = true;
        }
        if is_of_life(self, request) && brought.all {
            changed |= self.holds.returned.insert(shop.clone());
        }
        let logs = &self.shops[shop];
        if logs.hash() == request.positions.hash {
            self.hold_against_stock(shop);
        }
        changed
    }

    /// Movements of these barcodes were merged.
    pub(super) fn has_moved<'a>(
        &mut self,
        shop: &ShopId,
        barcodes: impl IntoIterator<Item = &'a Barcode>,
    ) {
        if !self.holds.legs.is_empty() {
            let moved = barcodes
                .into_iter()
                .map(|code| (shop.clone(), code.clone()));
            self.holds.moved.extend(moved);
        }
    }

    /// Everything that the shop booked is merged: what is promised is held against what is there.
    fn hold_against_stock(&mut self, shop: &ShopId) {
        let is_own = |id: &LegId, holds: &Holds| holds.legs[id].0.terms.shop == *shop;
        let unchecked = std::mem::take(&mut self.holds.unchecked);
        let (own, others): (Vec<LegId>, Vec<LegId>) = unchecked
            .into_iter()
            .partition(|id| is_own(id, &self.holds));
        self.holds.unchecked = others;
        for (number, id) in own.iter().enumerate() {
            let (leg, _) = self.holds.legs[id].clone();
            let later = &own[number..];
            let before = self.promised(&leg.terms, later);
            let sellable = self.shops[shop].index().sellable(&leg.terms.barcode);
            if hold::is_second(&leg, self.facts(&leg), sellable, before) {
                let at = self.now;
                let shop = leg.shop.join(ShopSide::Broken { at });
                self.holds.write(Leg { shop, ..leg });
            } else {
                // The sale over it may have come before it.
                let level = (shop.clone(), leg.terms.barcode.clone());
                self.holds.moved.insert(level);
            }
        }
        let moved = std::mem::take(&mut self.holds.moved);
        let (own, others): (BTreeSet<_>, BTreeSet<_>) =
            moved.into_iter().partition(|(of, _)| of == shop);
        self.holds.moved = others;
        for (_, barcode) in own {
            let sellable = self.shops[shop].index().sellable(&barcode);
            let of_barcode: Vec<(&Leg, Facts)> = self
                .holds
                .of_shop(shop)
                .filter(|leg| leg.terms.barcode == barcode)
                .map(|leg| (leg, self.facts(leg)))
                .collect();
            for id in hold::sold_over(sellable, &of_barcode) {
                self.holds.work.insert((id, WorkKind::SoldOverHold));
            }
        }
    }

    /// What the shop of these terms has promised of their barcode, without some legs.
    fn promised(&self, terms: &Terms, without: &[LegId]) -> i64 {
        let legs = self.holds.of_shop(&terms.shop);
        let of_barcode = legs.filter(|leg| leg.terms.barcode == terms.barcode);
        let counted = of_barcode.filter(|leg| !without.contains(&leg.id));
        hold::promised(counted.map(|leg| (leg, self.facts(leg))))
    }

    /// What the shop lacks of its legs, and whether more is left.
    pub(super) fn legs_after(&self, shop: &ShopId, request: &Request) -> (Option<HubLegsV1>, bool) {
        let Some(brought) = &request.legs else {
            return (None, false);
        };
        let held = if is_of_life(self, request) {
            brought.held
        } else {
            0
        };
        let all = self.holds.legs.values();
        let mut changed: Vec<&(Leg, u64)> = all
            .filter(|(leg, pos)| leg.terms.shop == *shop && *pos > held)
            .collect();
        changed.sort_by_key(|(_, pos)| *pos);
        let is_cut = changed.len() > self.limit;
        changed.truncate(self.limit);
        let legs = HubLegsV1 {
            upto: changed.last().map_or(held, |(_, pos)| *pos),
            list: changed.iter().map(|(leg, _)| LegV1::of(leg)).collect(),
            taken: true,
        };
        (Some(legs), is_cut)
    }
}

fn is_of_life(hub: &Hub, request: &Request) -> bool {
    request.hello.life == Some((hub.life.ordinal, hub.life.random))
}

fn borrowed(legs: &[(Leg, Facts)]) -> Vec<Known<'_>> {
    legs.iter().map(|(leg, facts)| (leg, *facts)).collect()
}

fn wanted(terms: &Terms) -> Wanted<'_> {
    Wanted {
        barcode: terms.ordered(),
        article: terms.allow_variant.then_some("ring"),
        size: Some("17"),
        units: terms.qty.units(),
        allow_variant: terms.allow_variant,
    }
}
