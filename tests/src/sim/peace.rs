//! The faults stop. Everybody must come to hold the same, and everything that anybody held counts, once.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use vitrina_shared::memory::Logs;
use vitrina_shared::model::ShopModel;
use vitrina_shared::{Barcode, Condition, Dot, Kind, Movement, MovementId, TimeMs};

use super::machine::{Machine, Stated};
use super::world::{Broken, World};

/// Everybody is level after so many rounds at most: each brings a few movements, and there may be many lives.
const ROUNDS: usize = 2_000;

/// Every movement that somebody holds, by id.
type Held = BTreeMap<MovementId, Movement>;

impl World {
    /// Everybody goes on exchanging until all hold the same.
    pub(super) fn peace(&mut self) -> Result<(), Broken> {
        self.is_peace = true;
        self.flights.clear();
        self.hub.be_in_peace();
        let places = self.shops.iter_mut().flat_map(|shop| &mut shop.places);
        places.for_each(|place| place.machine.be_in_peace());
        for shop in 0..self.shops.len() {
            self.set_revoked(shop, None);
        }
        self.wind_clocks();
        let held: Vec<Held> = (0..self.shops.len()).map(|shop| self.held(shop)).collect();
        for (shop, held) in held.iter().enumerate() {
            self.level(shop)?;
            for place in 0..self.shops[shop].places.len() {
                self.check_told(shop, place)?;
                let machine = &self.shops[shop].places[place].machine;
                let logs = machine.logs();
                check_stated(&logs, &machine.stated(&logs))
                    .map_err(|what| format!("{what} at {shop}.{place}"))?;
            }
            let logs = self.hub.logs(&self.shops[shop].id);
            let stated = self.hub.stated(&logs);
            let voided = check_stated(&logs, &stated)
                .map_err(|what| format!("{what} at the hub, shop {shop}"))?;
            check_whole(&logs, (&stated, &voided), held)?;
        }
        let counting: Vec<_> = held.iter().map(counting).collect();
        self.check_parcels(&counting)?;
        self.readers_come_to_the_end()?;
        self.check_view()?;
        self.orders_come_to_an_end()
    }

    fn level(&mut self, shop: usize) -> Result<(), Broken> {
        for place in 0..self.shops[shop].places.len() {
            if !self.shops[shop].places[place].machine.is_up {
                self.start(shop, place);
            }
        }
        for _ in 0..ROUNDS {
            for place in 0..self.shops[shop].places.len() {
                self.poll(shop, place)?;
            }
            if self.is_level(shop) {
                return Ok(());
            }
        }
        let lacks = self.lacks(shop);
        Err(format!(
            "I2 no agreement of {shop} after {ROUNDS} rounds: {lacks}"
        ))
    }

    /// What the first machine that is not level lacks.
    fn lacks(&self, shop: usize) -> String {
        let logs = self.hub.logs(&self.shops[shop].id);
        let items = self.hub.items();
        let machines = self.shops[shop].places.iter().map(|at| &at.machine);
        let of = |machine: &Machine| {
            let own = machine.logs();
            format!(
                "{} are pending, the logs are {}the same, items differ: {:?}",
                machine.pending(),
                if own.hash() == logs.hash() {
                    ""
                } else {
                    "not "
                },
                machine
                    .items()
                    .iter()
                    .find(|(key, value)| items.get(*key) != Some(*value))
                    .or_else(|| items
                        .iter()
                        .find(|(key, _)| !machine.items().contains_key(*key)))
            )
        };
        machines.map(of).collect::<Vec<_>>().join("; ")
    }

    fn is_level(&self, shop: usize) -> bool {
        let hash = self.hub.logs(&self.shops[shop].id).hash();
        let items = self.hub.items();
        self.shops[shop].places.iter().all(|at| {
            at.machine.pending() == 0
                && at.machine.logs().hash() == hash
                && at.machine.items() == items
        })
    }

    fn held(&self, shop: usize) -> Held {
        let of_hub = self.hub.logs(&self.shops[shop].id);
        let of_shop = self.shops[shop].places.iter();
        let mut held = Held::new();
        for logs in of_shop
            .map(|at| at.machine.logs())
            .chain([Cow::Borrowed(&of_hub)])
        {
            for (_, one) in logs.all() {
                held.entry(one.id)
                    .or_insert_with(|| one.entry.movement.clone());
            }
        }
        held
    }

    /// What readers see is what the logs say.
    fn check_view(&self) -> Result<(), Broken> {
        let (seen, _) = self.hub.snapshot();
        for shop in &self.shops {
            let logs = self.hub.logs(&shop.id);
            let model = model(&logs)?;
            let stock = model.stock().unwrap_or_default();
            for barcode in logs.index().barcodes() {
                let on_hand = stock.get(&barcode).copied().unwrap_or(0);
                let key = (logs.shop().clone(), barcode);
                if seen.get(&key).copied().unwrap_or(0) != on_hand {
                    return Err(format!(
                        "I15 readers see another stock of {} in {}",
                        key.1, key.0
                    ));
                }
            }
        }
        Ok(())
    }
}

fn model(logs: &Logs) -> Result<ShopModel, Broken> {
    logs.model().map_err(|error| format!("I12 {error}"))
}

/// The index or the tables say what the model of the same logs says; what does not count by it.
fn check_stated(logs: &Logs, stated: &Stated) -> Result<BTreeSet<Dot>, Broken> {
    if let Some(problem) = stated.problems.first() {
        return Err(format!("I8 verify finds: {problem}"));
    }
    let model = model(logs)?;
    let voided = model.voided();
    let standing = logs.all().map(|(dot, _)| dot);
    let standing: BTreeSet<Dot> = standing.filter(|dot| !voided.contains(dot)).collect();
    if stated
        .counting
        .as_ref()
        .is_some_and(|counting| *counting != standing)
    {
        return Err("I8 other dots count by the index than by the model".to_owned());
    }
    let Some(stock) = model.stock_without(&voided) else {
        return Err("I12 the stock leaves its range".to_owned());
    };
    for barcode in logs.index().barcodes() {
        let on_hand = stated.stock.get(&barcode).copied().unwrap_or(0);
        if stock.get(&barcode).copied().unwrap_or(0) != on_hand {
            return Err(format!(
                "I8 the stock of {barcode} is not what its movements add up to"
            ));
        }
    }
    for replica in logs.replicas() {
        let mut ids = BTreeSet::new();
        if let Some(twice) = logs.log(replica).iter().find(|held| !ids.insert(held.id)) {
            return Err(format!("I5 one log books {} twice", twice.id));
        }
    }
    Ok(voided)
}

/// What does not count of the movements held: what a void names, and every statement but the latest of its row.
fn silenced(held: &Held) -> BTreeSet<MovementId> {
    let of_kind = |kind| {
        held.iter()
            .filter(move |(_, movement)| movement.kind == kind)
    };
    let targets = of_kind(Kind::Void).filter_map(|(_, void)| void.target);
    let is_void = |id: &MovementId| held.get(id).is_some_and(|held| held.kind == Kind::Void);
    let mut silenced: BTreeSet<MovementId> = targets.filter(|id| !is_void(id)).collect();
    let mut latest: BTreeMap<(&Barcode, Condition), (TimeMs, MovementId)> = BTreeMap::new();
    for (id, stated) in of_kind(Kind::Balance) {
        if silenced.contains(id) {
            continue;
        }
        let this = (stated.at, *id);
        let row = (&stated.barcode, stated.condition);
        let before = latest.insert(row, this);
        let Some(before) = before else { continue };
        let (later, earlier) = (before.max(this), before.min(this));
        latest.insert(row, later);
        if later != earlier {
            silenced.insert(earlier.1);
        }
    }
    silenced
}

/// What counts of the movements held.
fn counting(held: &Held) -> BTreeMap<MovementId, &Movement> {
    let silenced = silenced(held);
    let counts = held.iter().filter(|(id, _)| !silenced.contains(*id));
    counts.map(|(id, movement)| (*id, movement)).collect()
}

/// Everything that anybody held counts, and counts once; what is silenced does not.
fn check_whole(
    logs: &Logs,
    (stated, voided): (&Stated, &BTreeSet<Dot>),
    held: &Held,
) -> Result<(), Broken> {
    let silenced = silenced(held);
    let mut counted = BTreeSet::new();
    for (dot, one) in logs.all().filter(|(dot, _)| !voided.contains(dot)) {
        if !counted.insert(one.id) {
            return Err(format!("I5 counted twice: {} at {}", one.id, dot.seq.0));
        }
    }
    let mut sums: BTreeMap<&Barcode, i64> = BTreeMap::new();
    for (id, movement) in held {
        match (silenced.contains(id), counted.contains(id)) {
            (false, false) => {
                return Err(format!("I3 somebody held {id}, and it does not count"));
            }
            (true, true) => return Err(format!("I5 {id} must not count, and it does")),
            (true, false) => {}
            (false, true) => *sums.entry(&movement.barcode).or_default() += movement.qty.units(),
        }
    }
    for (barcode, sum) in sums {
        if stated.stock.get(barcode).copied().unwrap_or(0) != sum {
            return Err(format!(
                "I9 the stock of {barcode} is not what was sold and taken in"
            ));
        }
    }
    Ok(())
}
