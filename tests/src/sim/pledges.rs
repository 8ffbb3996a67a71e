//! What a hold promises, looked at after each step, by rules of its own: not those of `vitrina_shared::hold`.

use std::collections::{BTreeMap, BTreeSet};

use vitrina_shared::hold::{Facts, HubState, Leg, Merged, Refusal, ShopSide, Way, Word, WorkKind};
use vitrina_shared::memory::{Booked, Order};
use vitrina_shared::wire::{Request, frame};
use vitrina_shared::{Barcode, HoldId, Kind, LegId, Movement, ShopId, TimeMs};

use super::world::{Broken, World};

/// What seldom happens: too seldom for a short run.
pub const RARE: [&str; 3] = ["file_over_hold", "answered_question", "received"];

/// Every cell of the table of the two sides, as it is counted. (A no is taken in the transaction that brings it, so that
/// `requested/declined` and `requested/broken` are hardly ever to be seen.)
pub const TABLE: [[&str; 6]; 4] = [
    [
        "requested/none",
        "requested/declined",
        "requested/confirmed",
        "requested/moved",
        "requested/broken",
        "requested/fulfilled",
    ],
    [
        "ended/none",
        "ended/declined",
        "ended/confirmed",
        "ended/moved",
        "ended/broken",
        "ended/fulfilled",
    ],
    [
        "expired/none",
        "expired/declined",
        "expired/confirmed",
        "expired/moved",
        "expired/broken",
        "expired/fulfilled",
    ],
    [
        "released/none",
        "released/declined",
        "released/confirmed",
        "released/moved",
        "released/broken",
        "released/fulfilled",
    ],
];

/// How a leg stood at the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    state: HubState,
    side: ShopSide,
    expires_at: TimeMs,
}

impl Seen {
    fn of(leg: &Leg) -> Self {
        Self {
            state: leg.hub.state,
            side: leg.shop,
            expires_at: leg.hub.expires_at,
        }
    }

    fn is_open_confirmed(&self) -> bool {
        self.state == HubState::Requested && self.side.number() == 2
    }
}

/// The legs of a hold, or of a level, with what the movements say.
type Stood = Vec<(Leg, Facts)>;

/// A leg is asked for, and said yes to.
fn is_kept(leg: &Leg) -> bool {
    leg.is_requested() && leg.shop.number() == 2
}

fn waits(leg: &Leg, facts: Facts) -> bool {
    leg.terms.comes_from.is_some() && !facts.has_arrived
}

/// Units that nobody else may be promised.
fn bound(leg: &Leg, facts: Facts) -> i64 {
    let is_open = leg.is_requested();
    let is_bound = match (leg.shop.number(), facts.movement) {
        (0 | 2, _) | (3 | 5, Merged::Void) => is_open,
        (3 | 5, Merged::NotYet) => true,
        _ => false,
    };
    if is_bound && !waits(leg, facts) {
        leg.units()
    } else {
        0
    }
}

/// What people must have been told of a leg that stands so.
fn due(leg: &Leg, facts: Facts) -> Option<WorkKind> {
    if leg.is_requested() {
        return None;
    }
    let has_come = leg.terms.comes_from.is_some() && facts.has_arrived;
    match (leg.shop.number(), facts.movement) {
        (0, _) if has_come => Some(WorkKind::PutBack),
        (2, _) | (3 | 5, Merged::Void) => Some(WorkKind::PutBack),
        (3, Merged::NotYet | Merged::Counts) => Some(WorkKind::TravelsUnwanted),
        (5, Merged::NotYet | Merged::Counts) if leg.hub.state == HubState::Released => {
            Some(WorkKind::CancelledAndBought)
        }
        (5, Merged::NotYet | Merged::Counts) => Some(WorkKind::BoughtAfterEnd),
        _ => None,
    }
}

impl World {
    /// Every leg at the hub.
    fn stood(&mut self) -> Stood {
        self.hub.legs()
    }

    /// Whether the shop's word, as the hub has it, is that the buyer has the piece.
    pub(super) fn is_bought(&mut self, id: HoldId) -> bool {
        let legs = self.stood();
        let mut of_hold = legs.iter().filter(|(leg, _)| leg.terms.hold == id);
        of_hold.any(|(leg, facts)| leg.shop.number() == 5 && facts.movement != Merged::Void)
    }

    /// Whether a leg of a hold was let go before now.
    pub(super) fn was_released(&mut self, id: HoldId) -> bool {
        let seen = &self.orders.seen;
        let legs = self.hub.legs();
        let mut legs = legs.iter().filter(|(leg, _)| leg.terms.hold == id);
        legs.any(|(leg, _)| {
            let before = seen.get(&leg.id);
            before.is_some_and(|before| before.state == HubState::Released)
        })
    }

    /// What the hub says of every leg follows from what it said before, and from the leg.
    pub(super) fn check_legs(&mut self) -> Result<(), Broken> {
        if !self.has_orders() {
            return Ok(());
        }
        let legs = self.stood();
        let work = self.hub.work();
        self.orders.raised.extend(work.iter().copied());
        self.check_each(&legs)?;
        let mut holds: BTreeMap<HoldId, Vec<&(Leg, Facts)>> = BTreeMap::new();
        let mut levels: BTreeMap<(&ShopId, &Barcode), i64> = BTreeMap::new();
        for one in &legs {
            holds.entry(one.0.terms.hold).or_default().push(one);
            let level = (&one.0.terms.shop, &one.0.terms.barcode);
            *levels.entry(level).or_default() += bound(&one.0, one.1);
        }
        for ((shop, code), units) in levels {
            let held = self.hub.held(shop, code);
            if held != units {
                return Err(format!(
                    "I20 of {code} in {shop} {held} are held, and {units} are bound"
                ));
            }
        }
        for (id, of_hold) in &holds {
            self.check_hold(*id, of_hold)?;
        }
        self.orders.ever.extend(legs.iter().map(|(leg, _)| leg.id));
        self.orders.seen = legs
            .iter()
            .map(|(leg, _)| (leg.id, Seen::of(leg)))
            .collect();
        Ok(())
    }

    fn check_each(&mut self, legs: &Stood) -> Result<(), Broken> {
        for (leg, facts) in legs {
            let now = Seen::of(leg);
            let before = self.orders.seen.get(&leg.id).copied();
            if before != Some(now) {
                let row = TABLE[usize::from(now.state.number())];
                let cell = row[usize::from(now.side.number())];
                self.note(cell, format_args!("{} {}", leg.terms.hold, leg.id));
            }
            let went_back = before.is_some_and(|before| {
                before.state > now.state
                    || before.side.number() > now.side.number()
                    || before.expires_at > now.expires_at
            });
            if went_back {
                return Err(format!(
                    "I20 the leg {} goes back: {before:?}, {now:?}",
                    leg.id
                ));
            }
            // Of a leg that broke after it was ended people were told when it ended, be it by a hub that has forgotten it.
            let is_told = |kind: WorkKind| {
                let mut told = self.orders.raised.iter().filter(|(of, _)| *of == leg.id);
                told.any(|(_, told)| {
                    *told == kind
                        || (kind == WorkKind::Broken
                            && !leg.is_requested()
                            && *told == WorkKind::PutBack)
                })
            };
            let broke = now.side.number() == 4 && before.is_some_and(|old| old.is_open_confirmed());
            let owed = if broke {
                Some(WorkKind::Broken)
            } else {
                let is_with_its_buyer = legs.iter().any(|(other, facts)| {
                    let is_bought = other.shop.number() == 5 && facts.movement != Merged::Void;
                    is_bought && other.terms.comes_from == Some(leg.id)
                });
                let is_moot =
                    |kind: &WorkKind| *kind == WorkKind::TravelsUnwanted && is_with_its_buyer;
                due(leg, *facts).filter(|kind| !is_moot(kind))
            };
            if let Some(kind) = owed.filter(|kind| !is_told(*kind)) {
                return Err(format!("I20 nobody is told of {}: {kind:?}", leg.id));
            }
        }
        Ok(())
    }

    /// At most one leg is open, none beside one that was bought, and no shop is asked twice.
    fn check_hold(&mut self, id: HoldId, legs: &[&(Leg, Facts)]) -> Result<(), Broken> {
        let goes_on = |id: LegId| legs.iter().any(|(leg, _)| leg.terms.comes_from == Some(id));
        let open: Vec<&Leg> = legs
            .iter()
            .map(|(leg, _)| leg)
            .filter(|leg| leg.is_requested() && !goes_on(leg.id))
            .collect();
        if open.len() > 1 {
            return Err(format!("I20 {} legs of {id} are open", open.len()));
        }
        let is_bought = |(leg, facts): &&&(Leg, Facts)| {
            leg.shop.number() == 5 && facts.movement != Merged::Void
        };
        let bought: Vec<LegId> = legs
            .iter()
            .filter(is_bought)
            .map(|(leg, _)| leg.id)
            .collect();
        let other = open.first().filter(|open| !bought.contains(&open.id));
        if other.is_some() && !bought.is_empty() {
            return Err(format!("I20 {id} was bought, and another leg is open"));
        }
        for (leg, _) in legs
            .iter()
            .filter(|(leg, _)| leg.terms.comes_from.is_none())
        {
            let is_new = !self.orders.seen.contains_key(&leg.id);
            if is_new && legs.len() > 1 {
                self.note("re_sourced", format_args!("{id} {}", leg.terms.shop));
            }
            let was_asked = |(other, _): &&&(Leg, Facts)| {
                let before = self.orders.seen.get(&other.id);
                let is_silent = other.hub.state == HubState::Ended && other.shop == ShopSide::None;
                is_silent && before.is_some_and(|old| old.state == HubState::Requested)
            };
            if is_new && legs.iter().find(was_asked).is_some() {
                self.note("asked_next", format_args!("{id} {}", leg.terms.shop));
            }
            let is_opened = !self.orders.ever.contains(&leg.id);
            if is_opened && leg.is_requested() && leg.shop == ShopSide::None {
                let all = self.stood();
                self.check_level(&all, (&leg.terms.shop, &leg.terms.barcode))?;
            }
            let said_no = legs.iter().any(|(other, _)| {
                let before = self.orders.seen.get(&other.id);
                other.terms.shop == leg.terms.shop
                    && other.id != leg.id
                    && before.is_some_and(|old| matches!(old.side.number(), 1 | 4))
            });
            if said_no && is_opened {
                return Err(format!("I20 {id} asks {} again", leg.terms.shop));
            }
        }
        self.check_kept(id, legs, open.first().copied())
    }

    /// What a shop keeps is not given up for what nobody has answered.
    fn check_kept(
        &self,
        id: HoldId,
        legs: &[&(Leg, Facts)],
        open: Option<&Leg>,
    ) -> Result<(), Broken> {
        // A piece that was sent on is no longer where it was kept, which a hub that went back may learn from where it came.
        let is_sent_on = |id: LegId| legs.iter().any(|(leg, _)| leg.terms.comes_from == Some(id));
        let lost = legs.iter().find(|(leg, _)| {
            let before = self.orders.seen.get(&leg.id);
            let is_ended = leg.hub.state == HubState::Ended && !is_sent_on(leg.id);
            is_ended && before.is_some_and(Seen::is_open_confirmed)
        });
        let kept = open.filter(|leg| {
            // Where another shop's piece of the hold travels, the shop that it travels to is no second try.
            let is_silent = match self.orders.seen.get(&leg.id) {
                Some(old) => old.side == ShopSide::None,
                None => leg.terms.comes_from.is_none(),
            };
            leg.shop == ShopSide::None && is_silent
        });
        match (lost, kept) {
            (Some((lost, _)), Some(kept)) if lost.shop.number() == 2 => Err(format!(
                "I20 {id} gives up {}, which is kept, for {}, which nobody has answered",
                lost.id, kept.id
            )),
            _ => Ok(()),
        }
    }

    /// A new leg was opened: of what was there, in a shop that had told what it keeps.
    pub(super) fn check_grant(&mut self, id: HoldId) -> Result<(), Broken> {
        let legs = self.stood();
        let opened = legs.iter().find(|(leg, _)| leg.terms.hold == id);
        let Some((leg, _)) = opened else {
            return Err(format!("I20 {id} was opened, and has no leg"));
        };
        let (shop, code) = (&leg.terms.shop, &leg.terms.barcode);
        let number = self.shops.iter().position(|one| one.id == *shop);
        let life = self.hub.life();
        if !number.is_some_and(|number| self.orders.said_all.contains(&(life, number))) {
            return Err(format!(
                "I20 {shop} has not told what it keeps, and is asked for more"
            ));
        }
        self.check_level(&legs, (shop, code))
    }

    /// Of what is there nothing is held but what is not kept back: true in the moment in which a leg is opened.
    fn check_level(&self, legs: &Stood, (shop, code): (&ShopId, &Barcode)) -> Result<(), Broken> {
        let (bound, there, kept) = self.numbers(legs, (shop, code));
        if bound > there - kept {
            return Err(format!(
                "I20 {bound} of {code} are held in {shop}, which has {there} and keeps {kept} back"
            ));
        }
        Ok(())
    }

    /// What is bound of a barcode at a shop, what is there to be sold, and what is kept back of it.
    fn numbers(&self, legs: &Stood, (shop, code): (&ShopId, &Barcode)) -> (i64, i64, i64) {
        let of_level = legs
            .iter()
            .filter(|(leg, _)| leg.terms.shop == *shop && leg.terms.barcode == *code);
        let bound: i64 = of_level.map(|(leg, facts)| bound(leg, *facts)).sum();
        let there = self.hub.logs(shop).index().sellable(code);
        (bound, there, self.kept_back(shop, code))
    }

    /// Who is refused because there is not so much, in the one shop that he asked for, is told how many there are.
    pub(super) fn check_offered(&self, order: &Order, refusal: Refusal) -> Result<(), Broken> {
        let (Some(shop), Refusal::Insufficient { available }) = (&order.shop, refusal) else {
            return Ok(());
        };
        if order.allow_variant {
            return Ok(());
        }
        let legs = self.hub.legs();
        let (bound, there, kept) = self.numbers(&legs, (shop, &order.barcode));
        let left = (there - bound - kept).max(0);
        if available != left {
            return Err(format!(
                "I20 of {} in {shop} {left} are left, and {available} were offered",
                order.barcode
            ));
        }
        Ok(())
    }

    /// What a website is told: a confirmed hold never ends without somebody who was told.
    pub(super) fn check_word(&mut self, id: HoldId, word: Word) -> Result<(), Broken> {
        let before = self.orders.told.insert(id, (word, self.age));
        let Some((Word::Confirmed, age)) = before else {
            return Ok(());
        };
        let goes_on = matches!(word, Word::Confirmed | Word::InTransit | Word::Fulfilled);
        if goes_on || age != self.age {
            return Ok(());
        }
        let legs = self.hub.legs();
        let mut legs = legs.iter().filter(|(leg, _)| leg.terms.hold == id);
        let raised = &self.orders.raised;
        // Where a piece has come from another shop, it is asked for there.
        let has_come = |leg: &Leg| word == Word::Requested && leg.terms.comes_from.is_some();
        if legs.any(|(leg, _)| has_come(leg) || raised.iter().any(|(of, _)| *of == leg.id)) {
            return Ok(());
        }
        Err(format!(
            "I20 {id} was confirmed, is {}, and nobody was told",
            word.as_str()
        ))
    }

    /// The hub took a frame of a shop, and the legs in `bytes`, where it took them too.
    pub(super) fn heard_of_legs(
        &mut self,
        shop: usize,
        bytes: Option<&[u8]>,
    ) -> Result<(), Broken> {
        if !self.has_orders() {
            return Ok(());
        }
        let Some(bytes) = bytes else {
            return self.check_legs();
        };
        let opened = frame::open(bytes).expect("it was taken");
        let request = Request::read(&opened).expect("it was taken");
        let life = self.hub.life();
        let is_of_life = request.hello.life == Some((life.ordinal, life.random));
        let has_all = request.legs.as_ref().is_some_and(|legs| legs.all);
        if is_of_life && has_all && self.orders.said_all.insert((life, shop)) {
            self.note("returned", format_args!("{shop}"));
        }
        self.check_legs()?;
        let logs = self.hub.logs(&self.shops[shop].id);
        if logs.hash() == request.positions.hash {
            self.check_covered(shop)?;
        }
        Ok(())
    }

    /// Where the hub has everything that the shop booked, no more is kept than is there, or people know.
    fn check_covered(&mut self, shop: usize) -> Result<(), Broken> {
        let id = self.shops[shop].id.clone();
        let logs = self.hub.logs(&id);
        let mut levels: BTreeMap<Barcode, (i64, BTreeSet<LegId>)> = BTreeMap::new();
        for (leg, facts) in self.stood() {
            let is_here = leg.terms.shop == id && is_kept(&leg) && !waits(&leg, facts);
            if is_here {
                let level = levels.entry(leg.terms.barcode.clone()).or_default();
                level.0 += leg.units();
                level.1.insert(leg.id);
            }
        }
        for (code, (kept, legs)) in levels {
            let there = logs.index().sellable(&code).max(0);
            let knows = |leg: &LegId| {
                let kind = WorkKind::SoldOverHold;
                self.orders.raised.contains(&(*leg, kind))
            };
            if kept > there && !legs.iter().any(knows) {
                return Err(format!(
                    "I20 {kept} of {code} are confirmed in {id}, which has {there}"
                ));
            }
        }
        Ok(())
    }

    /// What a machine keeps, by leg.
    pub(super) fn kept_at(&self, shop: usize, place: usize) -> BTreeSet<LegId> {
        if !self.has_orders() {
            return BTreeSet::new();
        }
        let legs = self.machine(shop, place).legs().into_iter();
        let kept = legs.filter(is_kept);
        kept.map(|leg| leg.id).collect()
    }

    /// What a machine has answered, by leg.
    pub(super) fn answered_at(&self, shop: usize, place: usize) -> BTreeSet<LegId> {
        if !self.has_orders() {
            return BTreeSet::new();
        }
        let legs = self.machine(shop, place).legs().into_iter();
        let answered = legs.filter(|leg| leg.shop != ShopSide::None);
        answered.map(|leg| leg.id).collect()
    }

    /// A machine says yes only to what it is still asked for, as far as it has just heard.
    pub(super) fn check_answers(
        &self,
        shop: usize,
        place: usize,
        answered: &BTreeSet<LegId>,
    ) -> Result<(), Broken> {
        if !self.has_orders() {
            return Ok(());
        }
        let machine = self.machine(shop, place);
        let is_late = |leg: &Leg| {
            !answered.contains(&leg.id)
                && leg.shop.number() == 2
                && !leg.is_requested()
                && !machine.is_acknowledged(leg.id)
        };
        match machine.legs().into_iter().find(is_late) {
            None => self.check_promises(shop, place),
            Some(leg) => Err(format!(
                "I20 {shop}.{place} says yes to {}, which is {}",
                leg.id,
                leg.hub.state.word()
            )),
        }
    }

    /// A machine promises no piece twice.
    pub(super) fn check_promises(&self, shop: usize, place: usize) -> Result<(), Broken> {
        if !self.has_orders() {
            return Ok(());
        }
        let machine = self.machine(shop, place);
        let mut levels: BTreeMap<&Barcode, i64> = BTreeMap::new();
        let legs = machine.legs();
        for leg in &legs {
            if is_kept(leg) && !waits(leg, machine.facts(leg)) {
                *levels.entry(&leg.terms.barcode).or_default() += leg.units();
            }
        }
        for (code, kept) in levels {
            let (sellable, questioned) = machine.units(code);
            let there = sellable.max(0) + questioned;
            if kept > there {
                return Err(format!(
                    "I20 {shop}.{place} keeps {kept} of {code}, of which it has {there}"
                ));
            }
        }
        Ok(())
    }

    /// A till is refused only what is held, and a sale that it did not force breaks no promise.
    pub(super) fn check_sale(
        &self,
        shop: usize,
        place: usize,
        (movement, way): (&Movement, Option<Way>),
        booked: Booked,
        kept: &BTreeSet<LegId>,
    ) -> Result<(), Broken> {
        if !self.has_orders() || movement.kind != Kind::Sale {
            return Ok(());
        }
        let machine = self.machine(shop, place);
        let (now, legs) = (machine.now(), machine.legs());
        let names = movement.details().hold;
        let is_over = |leg: &Leg| now.since(leg.hub.expires_at) > 600_000;
        let broke = legs
            .iter()
            .any(|leg| kept.contains(&leg.id) && leg.shop.number() == 4 && !is_over(leg));
        let is_asked = booked == Booked::New && way == Some(Way::Call) && names.is_none();
        if is_asked && broke {
            return Err(format!(
                "I20 {shop}.{place} sold what it keeps for an order, and nobody forced it"
            ));
        }
        let binds = |leg: &Leg| {
            leg.terms.barcode == movement.barcode && leg.is_requested() && !is_over(leg)
        };
        if booked == Booked::Held && names.is_none() && !legs.iter().any(binds) {
            return Err(format!(
                "I20 {shop}.{place} refused a sale for orders whose time is over"
            ));
        }
        Ok(())
    }

    /// In peace everybody agrees about every leg; and when all time is over, nothing is left open.
    pub(super) fn orders_come_to_an_end(&mut self) -> Result<(), Broken> {
        if !self.has_orders() {
            return Ok(());
        }
        self.agree_on_legs()?;
        self.pass(60 * 86_400_000)?;
        self.agree_on_legs()?;
        for (leg, facts) in self.stood() {
            let is_bought = leg.shop.number() == 5 && facts.movement == Merged::Counts;
            let went_on = leg.shop.number() == 3 && facts.movement == Merged::Counts;
            // Nobody has the movement that the shop's word stands on: its disks went back, or it lies. People know.
            let is_lost = leg.shop.movement().is_some()
                && facts.movement == Merged::NotYet
                && self.nobody_has_the_movement_of(&leg);
            let is_over = is_bought || went_on || is_lost;
            if leg.is_requested() && !is_over {
                return Err(format!(
                    "I23 the leg {} is never over: {facts:?} {leg:?}",
                    leg.id
                ));
            }
            if bound(&leg, facts) > 0 && !is_lost {
                return Err(format!("I23 the leg {} holds for ever: {leg:?}", leg.id));
            }
        }
        let told: Vec<HoldId> = self.orders.told.keys().copied().collect();
        told.into_iter().try_for_each(|id| self.tell(id))
    }

    /// Whether the movement that the shop's word stands on is in none of its ledgers.
    fn nobody_has_the_movement_of(&self, leg: &Leg) -> bool {
        let shop = self.shops.iter().find(|shop| shop.id == leg.terms.shop);
        let mut places = shop.into_iter().flat_map(|shop| &shop.places);
        places.all(|place| place.machine.facts(leg).movement == Merged::NotYet)
    }

    fn agree_on_legs(&mut self) -> Result<(), Broken> {
        for _ in 0..200 {
            for shop in 0..self.shops.len() {
                for place in 0..self.shops[shop].places.len() {
                    self.poll(shop, place)?;
                }
            }
            if self.disagreement().is_none() {
                return Ok(());
            }
        }
        let what = self.disagreement().unwrap_or_default();
        Err(format!("I2 no agreement about a leg: {what}"))
    }

    /// Where somebody holds a leg otherwise than the hub.
    fn disagreement(&mut self) -> Option<String> {
        let legs = self.stood().into_iter();
        let at_hub: BTreeMap<LegId, Leg> = legs.map(|(leg, _)| (leg.id, leg)).collect();
        for (number, shop) in self.shops.iter().enumerate() {
            let of_shop = at_hub.values().filter(|leg| leg.terms.shop == shop.id);
            let of_shop: Vec<&Leg> = of_shop.collect();
            for place in 0..shop.places.len() {
                let legs = self.machine(number, place).legs();
                let own: Vec<&Leg> = legs.iter().collect();
                if own != of_shop {
                    let other = own.iter().find(|leg| !of_shop.contains(leg));
                    let lacks = of_shop.iter().find(|leg| !own.contains(leg));
                    return Some(format!("{number}.{place}: {other:?}, the hub: {lacks:?}"));
                }
            }
        }
        None
    }
}
